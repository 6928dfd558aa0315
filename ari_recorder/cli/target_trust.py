"""`ari-recorder target trust`: get to know the host key of a target's SSH server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..config.machine import Machine
from ..config.targets import SshServer, Target
from ..model.errors import ConfigError
from ..rules.policy import Policy, load_policy
from ..targets.ssh import trust
from ..targets.ssh.trust import ShownKey, Standing
from .console import ConfigPath, Exit, Json, emit, err, errors_explained, machine, out, shown

MARKS = {
    Standing.KNOWN: "[green]✓ known already[/]",
    Standing.NEW: "[yellow]new[/]",
    Standing.CHANGED: "[bold red]CHANGED: another key of this kind is known[/]",
    Standing.REVOKED: "[bold red]REVOKED: this key was replaced or withdrawn[/]",
}

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the target in the policy.")]
Yes = Annotated[
    bool, typer.Option("--yes", help="Trust what the server shows, without asking. Never a changed key.")
]
Fingerprint = Annotated[
    str | None,
    typer.Option("--fingerprint", help="Trust only the key with this fingerprint: `SHA256:` and 43 letters."),
]
Replace = Annotated[bool, typer.Option("--replace", help="Trust a changed key, too; the old one is revoked.")]


def trust_target(
    name: Name,
    yes: Yes = False,
    fingerprint: Fingerprint = None,
    replace: Replace = False,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """Fetch the host key of a target's SSH server, show its fingerprints, and keep it after a yes.

    For SFTP, and for the jump host of a target that is reached through one. Compare a fingerprint with what
    the server's owner tells you by another way. Keys go to the end of the target's `known_hosts` file. With
    `--json` nothing is asked: without `--yes` or `--fingerprint` nothing is kept.
    """
    with errors_explained(json):
        settings = machine(config)
        server = _server(load_policy(settings.recorder.policy), name)
        keys = trust.look(server)
        wanted = _wanted(server, keys, fingerprint)
        if not json:
            _show(server, keys)
        kept: Path | None = None
        fresh = [key for key in wanted if key.standing is not Standing.KNOWN]
        if fresh:
            _demand_sound(server, fresh, replace=replace)
            if yes or fingerprint is not None or (not json and _agreed(fresh)):
                kept = trust.keep(server, fresh, owner=_owner(settings))
    trusted = not fresh or kept is not None
    if json:
        emit({"server": server.where, "trusted": trusted, "written": kept,
              "keys": [{"kind": key.kind, "fingerprint": key.fingerprint, "standing": key.standing.value}
                       for key in keys]})  # fmt: skip
    else:
        _conclude(server, fresh, kept)
    raise SystemExit(Exit.OK if trusted else Exit.FINDINGS)


def target_of(policy: Policy, name: str) -> Target:
    """The target of that name; ConfigError `config.reference`."""
    found = policy.target(name)
    if found is None:
        known = ", ".join(target.name for target in policy.targets) or "none"
        raise ConfigError(
            "config.reference",
            f'The policy has no target "{name}".',
            remedy=f"Its targets are: {known}.",
        )
    return found


def _server(policy: Policy, name: str) -> SshServer:
    server = trust.ssh_server(target_of(policy, name))
    if server is None:
        raise ConfigError(
            "config.value",
            f'Target "{name}" is not reached by SSH: it has no host key.',
            remedy="ari-recorder target test tries it.",
        )
    if server.host is None:
        raise ConfigError(
            "target.incomplete",
            f'The SSH server of target "{name}" has no "host" in the policy.',
            remedy="Add it first.",
        )
    return server


def _wanted(server: SshServer, keys: tuple[ShownKey, ...], fingerprint: str | None) -> list[ShownKey]:
    if fingerprint is None:
        pinned = [key for key in keys if key.fingerprint == server.fingerprint]
        return pinned or list(keys)
    wanted = [key for key in keys if key.fingerprint == fingerprint.strip().removesuffix("=")]
    if not wanted:
        shows = ", ".join(f"{key.fingerprint} ({key.kind})" for key in keys) or "none"
        raise ConfigError(
            "target.host-key",
            f"The server {server.where} shows no key with the fingerprint {fingerprint}; it shows {shows}.",
            remedy="Do not trust it before you know why.",
        )
    return wanted


def _demand_sound(server: SshServer, keys: list[ShownKey], *, replace: bool) -> None:
    """A key that was withdrawn is never trusted here, a changed one only when that is meant."""
    if server.known_hosts is None and server.fingerprint is None:
        raise ConfigError(
            "target.incomplete",
            f"The settings for {server.where} have no place to keep the key in.",
            remedy='Add known_hosts = "FILE" to the target in the policy and call this again; or, after '
            f'comparing it, pin the key there: fingerprint = "{keys[0].fingerprint}".',
        )
    standings = {key.standing for key in keys}
    if Standing.REVOKED in standings:
        raise ConfigError(
            "target.host-key-changed",
            f"The server {server.where} shows a key that {server.known_hosts} calls revoked.",
            remedy="If it is the right one after all, remove its @revoked line from the file by hand.",
        )
    if Standing.CHANGED not in standings:
        return
    if server.fingerprint is not None:
        raise ConfigError(
            "target.host-key-changed",
            f"The server {server.where} shows other keys than the pinned {server.fingerprint}.",
            remedy='If that is right, correct "fingerprint" at the target in the policy.',
        )
    if not replace:
        raise ConfigError(
            "target.host-key-changed",
            f"The key of {server.where} has CHANGED. Somebody may stand between you and the server.",
            remedy="Ask the server's owner whether the key was changed on purpose, and compare the "
            "fingerprint; only then: --replace.",
        )


def _show(server: SshServer, keys: tuple[ShownKey, ...]) -> None:
    out.print(f"The SSH server [bold]{shown(server.where)}[/] shows:")
    for key in keys:
        out.print(f"  {key.fingerprint}  {key.kind}  {MARKS[key.standing]}")


def _agreed(keys: list[ShownKey]) -> bool:
    if any(key.standing is Standing.CHANGED for key in keys):
        warning = "WARNING: the server's key has changed. If nobody changed it on purpose, somebody stands "
        err.print(f"[bold red]{warning}between you and the server and will get your recordings.[/]")
    out.print("Compare one fingerprint with what the server's owner tells you; on the server:")
    out.print("  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    return typer.confirm("Trust this server?", default=False)


def _owner(settings: Machine) -> tuple[int, int] | None:
    """Whom the recorder runs as, so that it can read what root writes."""
    state = settings.recorder.state
    if os.geteuid() != 0 or not state.exists():
        return None
    found = state.stat()
    return found.st_uid, found.st_gid


def _conclude(server: SshServer, fresh: list[ShownKey], kept: Path | None) -> None:
    if kept is not None:
        out.print(
            f"[green]✓[/] Trusted; written to {shown(kept)}. A running recorder uses it at its next try."
        )
    elif fresh:
        out.print("[yellow]○[/] Not trusted; nothing was written.")
    else:
        by = server.known_hosts or "the pinned fingerprint"
        out.print(f"[green]✓[/] Known already, by {shown(by)}.")
