"""`ari-recorder check`: what is missing, in plain words, and how to mend it."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Callable, Iterator

from rich.progress import Progress, SpinnerColumn, TextColumn

from ..asterisk.ari.client import AriClient
from ..asterisk.findings import Finding, Level, fail, ok, warn
from ..asterisk.inspect import inspect
from ..config.machine import Machine
from ..config.targets import SmbTarget
from ..config.targets import Target as TargetSettings
from ..evidence.keys import load_keys
from ..model.document import plain
from ..model.errors import RecorderError
from ..rules.doubts import doubts
from ..rules.policy import Policy, load_policy
from ..runtime import presence
from ..runtime.foundations import own_archive
from ..runtime.pbx.prompts import FOLDER, install_for
from ..runtime.service import APPLICATION
from ..targets import trial
from ..targets.incomplete import usable, why_unusable
from ..targets.vault import Vault
from . import disks
from .console import ConfigPath, Exit, Json, emit, err, errors_explained, machine, out, shown

MARKS = {Level.OK: "[green]✓[/]", Level.WARN: "[yellow]![/]", Level.FAIL: "[bold red]✗[/]"}


def check(config: ConfigPath = None, json: Json = False) -> None:
    """Look at configuration, policy, spool, key, targets and every PBX. Takes a few seconds.

    Disturbs no call and may run while the recorder does. Exit code 1 when something must be mended.
    """
    with errors_explained(json):
        settings = machine(config)
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=err, transient=True, disable=json or not err.is_terminal) as bar:
        task = bar.add_task("Looking at this machine")
        sections = {"recorder": list(_recorder(settings))}
        policy = _policy(settings, sections["recorder"])
        if policy is not None:
            bar.update(task, description="Asking the targets")
            sections["targets"] = list(_targets(settings, policy))
        for name in settings.pbx:

            def say(step: str, name: str = name) -> None:
                bar.update(task, description=f"PBX {name}: {step}")

            sections[f"PBX {name}"] = asyncio.run(_pbx(settings, name, policy, say))
    failed = any(f.level is Level.FAIL for found in sections.values() for f in found)
    if json:
        emit({"ok": not failed, "sections": {name: plain(tuple(found)) for name, found in sections.items()}})
    else:
        _print(sections, failed=failed)
    raise SystemExit(Exit.FINDINGS if failed else Exit.OK)


def _recorder(settings: Machine) -> Iterator[Finding]:
    yield ok("config.valid", "The configuration can be read")
    alive = presence.read(settings.recorder.state)
    if alive is not None and alive.alive(presence.now()):
        yield ok("recorder.running", "The recorder runs", f"process {alive.pid}")
    else:
        yield warn("recorder.running", "The recorder is not running", "", "Start it: ari-recorder run")
    yield from _user(settings)
    yield from disks.findings(settings)
    yield _key(settings)


def _user(settings: Machine) -> Iterator[Finding]:
    """What root may do says little about what the recorder's own user may."""
    state = settings.recorder.state
    if os.geteuid() != 0 or not state.exists() or (owner := state.stat().st_uid) == 0:
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    detail = f"{state} belongs to {name}"
    remedy = f"Ask again as that user: runuser -u {name} -- ari-recorder check"
    yield warn("check.user", "This check runs as root, the recorder does not", detail, remedy)


def _key(settings: Machine) -> Finding:
    seal = settings.seal
    if not seal.key.exists() and not seal.certificate.exists():
        return ok("seal.key", "The sealing key will be made at first start", str(seal.key))
    try:
        keys = load_keys(seal.key, seal.certificate, seal.passphrase_file)
    except RecorderError as error:
        return fail("seal.key", "The sealing key cannot be used", error.sentence, error.remedy)
    return ok("seal.key", "The sealing key can be used", f"certificate SHA-256 {keys.fingerprint}")


def _policy(settings: Machine, found: list[Finding]) -> Policy | None:
    try:
        policy = load_policy(settings.recorder.policy)
    except RecorderError as error:
        found.append(fail("policy.valid", "The policy cannot be used", error.sentence, error.remedy))
        return None
    on = [setting.name for setting in policy.settings if setting.enabled]
    found.append(ok("policy.valid", "The policy can be read", f"revision {policy.revision}"))
    if not on:
        remedy = 'Set "enabled = true" in a [[setting]] of the policy.'
        found.append(warn("policy.settings", "No setting is switched on: nothing is recorded", "", remedy))
    found.extend(_unknown_pbxs(settings, policy))
    if not policy.trunks:
        remedy = "Name your lines to the outside as [[trunk]] in the policy."
        found.append(warn("policy.trunks", "No trunk is named: every call counts as internal", "", remedy))
    found += [warn("policy.doubt", doubt.sentence, "", doubt.remedy) for doubt in doubts(policy)]
    return policy


def _unknown_pbxs(settings: Machine, policy: Policy) -> Iterator[Finding]:
    """A policy does not know the machine's settings, so a misspelt PBX is found here only."""
    for setting in policy.settings:
        if unknown := [name for name in setting.pbx if name not in settings.pbx]:
            detail = f"{', '.join(unknown)}; known are {', '.join(settings.pbx)}"
            title = f'The setting "{setting.name}" is for a PBX that is not configured'
            remedy = 'Correct "pbx" in the policy, or add the [pbx.NAME] to the configuration.'
            yield warn("policy.pbx", title, detail, remedy)


def _targets(settings: Machine, policy: Policy) -> Iterator[Finding]:
    used = {name for setting in policy.settings if setting.enabled for name in setting.targets}
    for wanted in policy.targets:
        code, title = f"target.{wanted.name}", f'Target "{wanted.name}"'
        own = own_archive(settings, wanted)
        if own is not None and not own.exists():
            yield ok(code, f"{title} will be made at first start", str(own))
            continue
        if not usable(wanted):
            why = why_unusable(wanted)
            yield warn(code, f"{title} is not used", why.sentence, why.remedy)
            continue
        report = trial.run(wanted, vault=Vault.of(settings), own=settings.recorder.state)
        if report.fault is not None:
            yield fail(code, f"{title} cannot be used", report.fault.sentence, report.fault.remedy)
        else:
            note = "" if wanted.name in used else "no enabled setting uses it"
            yield ok(code, f"{title} takes, gives back and deletes a file", note)
        for warning in report.warnings:
            yield warn(f"{code}.{warning.symptom}", warning.sentence, "", warning.remedy)
        yield from _readable_on_the_way(wanted)


def _readable_on_the_way(wanted: TargetSettings) -> Iterator[Finding]:
    if isinstance(wanted, SmbTarget) and not wanted.encrypt:
        title = f'Recordings on their way to target "{wanted.name}" can be read by anybody in between'
        remedy = 'Take "encrypt = false" away, or reach the server through a tunnel.'
        if wanted.tunnel is None:
            yield warn(f"target.{wanted.name}.encryption", title, "signed, not encrypted", remedy)


async def _pbx(
    settings: Machine, name: str, policy: Policy | None, say: Callable[[str], None]
) -> list[Finding]:
    pbx, sounds = settings.pbx[name], settings.sounds_for(name)
    try:
        password = pbx.read_password()
    except RecorderError as error:
        return [fail("pbx.user", "The ARI password cannot be read", error.sentence, error.remedy)]
    prompts, found = await asyncio.to_thread(_prompts, settings, name, policy)
    async with AriClient(pbx.url, pbx.user, password) as client:
        return found + await inspect(
            client,
            recording_folder=pbx.recording_folder,
            prompt_source=None if pbx.sounds_folder else sounds / FOLDER,
            prompts=prompts,
            application=APPLICATION,
            progress=say,
        )


def _prompts(settings: Machine, pbx: str, policy: Policy | None) -> tuple[list[str], list[Finding]]:
    """What Asterisk must be able to play, and why a prompt could not be put where it plays it from."""
    found: list[Finding] = []

    def failed(prompt: str, error: RecorderError | OSError) -> None:
        title = f'Prompt "{prompt}" could not be put where Asterisk plays it from'
        if isinstance(error, RecorderError):
            found.append(fail("prompt.installed", title, error.sentence, error.remedy))
        else:
            remedy = f"Let the recorder's user write to {settings.sounds_for(pbx)}."
            found.append(fail("prompt.installed", title, str(error), remedy))

    installed = install_for(settings, pbx, policy, failed) if policy is not None else {}
    return [prompt.media for prompt in installed.values()], found


def _print(sections: dict[str, list[Finding]], *, failed: bool) -> None:
    for name, found in sections.items():
        out.print(f"[bold]{shown(name)}[/]")
        for finding in found:
            detail = f"  [dim]{shown(finding.detail)}[/]" if finding.detail else ""
            out.print(f"  {MARKS[finding.level]} {shown(finding.title)}{detail}")
            if finding.remedy and finding.level is not Level.OK:
                out.print(f"    [bold]→[/] {shown(finding.remedy)}")
    warned = sum(f.level is Level.WARN for found in sections.values() for f in found)
    word = "Something must be mended first." if failed else f"Ready to record; {warned} warning(s)."
    out.print(f"[bold {'red' if failed else 'green'}]{word}[/]")
