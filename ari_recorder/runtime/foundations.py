"""What must be sound before a recorder may begin: policy, key, chain and spool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ..config.machine import Machine
from ..config.targets import LocalTarget, Target
from ..disk.durable import make_folders, write_atomically
from ..evidence.chain import Chain
from ..evidence.keys import Keys, ensure_keys
from ..model.errors import ConfigError
from ..rules.policy import Policy, load_policy
from ..spool.places import Spools

CERTIFICATES, CHAIN = "certificates", "chain.jsonl"
"""In the state folder."""


@dataclass(frozen=True, slots=True)
class Foundations:
    """What must be sound before a recorder may begin, each checked when it is made."""

    machine: Machine
    policy: Policy
    spool: Spools
    keys: Keys
    chain: Chain


@asynccontextmanager
async def foundations(machine: Machine) -> AsyncIterator[Foundations]:
    """Policy, passwords, key, spool and chain, in the order in which an admin would mend them.

    Any RecorderError of config.*, spool.* or seal.*.
    """
    policy = load_policy(machine.recorder.policy)
    for pbx in machine.pbx.values():
        pbx.read_password()
    seal = machine.seal
    for folder in (machine.recorder.state, seal.key.parent, seal.certificate.parent):
        _make(folder)
    keys = await asyncio.to_thread(
        ensure_keys, seal.key, seal.certificate, seal.passphrase_file, seal.common_name, seal.key_bits
    )
    await asyncio.to_thread(_keep_certificate, machine.recorder.state, keys)
    make_own_archives(machine, policy)
    with spools(machine) as spool, Chain(machine.recorder.state / CHAIN) as chain:
        yield Foundations(machine, policy, spool, keys, chain)


def spools(machine: Machine) -> Spools:
    """The spool of a machine: every folder of it. To be opened by the recorder; a command may read it so."""
    recorder = machine.recorder
    return Spools(
        recorder.spool,
        state=recorder.state,
        second=recorder.second_spool,
        stop_at_free=machine.disk.stop_bytes,
    )


def _make(folder: Path) -> None:
    try:
        make_folders(folder)
    except OSError as error:
        raise ConfigError(
            "config.value",
            f"The folder {folder} cannot be made: {error.strerror}.",
            remedy='Make it and give it to the recorder\'s user, or name another one under "[recorder]".',
        ) from error


def _keep_certificate(state: Path, keys: Keys) -> None:
    """Every certificate that ever sealed here stays, by its fingerprint."""
    _make(state / CERTIFICATES)
    path = state / CERTIFICATES / f"{keys.fingerprint}.crt"
    if not path.exists():
        write_atomically(path, keys.certificate_pem, mode=0o644)


def own_archive(machine: Machine, target: Target) -> Path | None:
    """The folder of a target inside the recorder's own state folder: the only kind that it makes by itself.

    Any other folder must be there already, for it may be a mounted one that is not mounted now.
    """
    folder = target.folder if isinstance(target, LocalTarget) and target.enabled else None
    return folder if folder is not None and folder.is_relative_to(machine.recorder.state) else None


def make_own_archives(machine: Machine, policy: Policy) -> None:
    """ConfigError `config.value` when one cannot be made."""
    for target in policy.targets:
        if (folder := own_archive(machine, target)) is not None:
            _make(folder)
