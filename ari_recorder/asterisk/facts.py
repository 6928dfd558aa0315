"""What can be learnt of a PBX over ARI, and of the recorder's view of it; judged in `inspect`."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..model.errors import RecorderError
from .ari.client import AriClient
from .ari.models import AsteriskInfo
from .ari.transport import RefusedError
from .ari.turns import in_turns
from .clock import Offset, kernel_synchronised, read_offset
from .defect import Verdict, judge, packets
from .dummy_call import DummyCall

T = TypeVar("T")

MODULES = (
    "app_stasis.so",
    "chan_rtp.so",
    "format_sln.so",
    "res_ari_applications.so",
    "res_ari_bridges.so",
    "res_ari_channels.so",
    "res_ari_events.so",
    "res_ari_playbacks.so",
    "res_ari_recordings.so",
    "res_stasis_playback.so",
    "res_stasis_recording.so",
    "res_stasis_snoop.so",
)
"""Modules without which the recorder cannot work, or not check."""

SETTINGS = {
    "websocket_write_timeout": "AST_CONFIG(ari.conf,general,websocket_write_timeout,-1)",
    "sessionlimit": "AST_CONFIG(http.conf,general,sessionlimit,-1)",
}
"""Settings that ARI does not tell, but that a channel can read from the files [measured, 16 and 22]."""


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """Asterisk's recording folder as the recorder sees it."""

    path: Path
    exists: bool
    held_the_probe: bool | None
    """The probe's recording lay there with its full size; None when nothing was recorded."""
    free_bytes: int | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Where a fact is None it could not be read; `RecorderError`s say why."""

    secure: bool
    """ARI is spoken over TLS or does not leave this machine."""
    info: AsteriskInfo
    write_error: RecorderError | None
    offset: Offset
    synchronised: bool | None
    missing_modules: tuple[str, ...]
    direct_media: tuple[str, ...] | None
    """Names of PJSIP endpoints that have it switched on."""
    events_error: RecorderError | None = None
    """The events' WebSocket or the dummy call could not be had."""
    settings: dict[str, str | None] | None = None
    """As written in Asterisk's files; "" where they are not set. None: cannot be read."""
    recording_error: RecorderError | None = None
    verdict: Verdict = field(default_factory=lambda: Verdict(None, "It was not probed."))
    unplayable: tuple[str, ...] = ()
    folder: LocalFolder | None = None
    host: str = ""
    """Asterisk's address, as the recorder knows it."""
    spool: str = ""
    """Asterisk's own spool folder, in its own file system."""


async def read_write_access(client: AriClient) -> RecorderError | None:
    """May this user write? Asked by hanging up a channel that does not exist."""
    try:
        await client.channels.hangup("ari-recorder-check-no-such-channel")
    except RefusedError as error:
        return None if error.code == "ari.not-found" else error
    except RecorderError as error:
        return error
    return None


async def read_missing_modules(client: AriClient) -> tuple[str, ...]:
    try:
        running = {each.name for each in await client.asterisk.list_modules() if each.status == "Running"}
    except RecorderError:
        return ()
    return tuple(name for name in MODULES if name not in running)


async def read_direct_media(client: AriClient) -> tuple[str, ...] | None:
    """PJSIP endpoints with direct media; None when their settings cannot be read."""
    try:
        names = [e.resource for e in await client.endpoints.list() if e.technology == "PJSIP"]
        found = await in_turns(partial(client.asterisk.get_object, "res_pjsip", "endpoint"), names)
    except RecorderError:
        return None
    on = (name for name, values in zip(names, found, strict=True) if _true(values.get("direct_media", "yes")))
    return tuple(sorted(on))


def _true(value: str) -> bool:
    return value.strip().lower() in {"yes", "true", "1", "on"}


async def read_facts(
    client: AriClient,
    *,
    recording_folder: Path | None,
    prompts: Sequence[str],
    progress: Callable[[str], None],
) -> Facts:
    """Everything, in about 3 s. Raises what `asterisk.info` raises: without an answer there is nothing."""
    progress("asking Asterisk who it is")
    info = await client.asterisk.info()
    facts = Facts(
        secure=client.http.base.scheme == "https" or _is_loopback(client.http.base.host or ""),
        info=info,
        host=client.http.base.host or "",
        write_error=await read_write_access(client),
        offset=await read_offset(client),
        synchronised=kernel_synchronised(),
        missing_modules=await read_missing_modules(client),
        direct_media=await read_direct_media(client),
        spool=await _or("", client.asterisk.get_variable("ASTSPOOLDIR")),
        folder=look(recording_folder) if recording_folder else None,
    )
    if facts.write_error is not None:
        return facts
    return await _with_call(client, facts, prompts, progress)


async def _with_call(
    client: AriClient, facts: Facts, prompts: Sequence[str], progress: Callable[[str], None]
) -> Facts:
    """What only a channel can find out, with a dummy call that disturbs nobody."""
    progress("holding a call with Asterisk, without phones")
    try:
        async with DummyCall(client) as call:
            facts = replace(facts, settings=await _settings(call))
            try:
                facts = await _recorded(call, facts, progress)
            except RecorderError as error:
                facts = replace(facts, recording_error=error)
            if prompts:
                progress("looking for the prompts")
            missing = [media for media in prompts if not await _or(False, call.plays(media))]
            return replace(facts, unplayable=tuple(missing))
    except RecorderError as error:
        return replace(facts, events_error=error)


async def _settings(call: DummyCall) -> dict[str, str | None] | None:
    """Asterisk answers the same when a setting and when a whole file is missing: ask for both."""
    if await call.variable("AST_CONFIG(http.conf,general,enabled)") is None:
        return None
    return {name: await call.variable(function) for name, function in SETTINGS.items()}


async def _recorded(call: DummyCall, facts: Facts, progress: Callable[[str], None]) -> Facts:
    progress("recording it, and probing for the defect that drops audio")
    await call.record()
    await call.send(packets())
    recorded = await call.finish()
    folder = facts.folder
    if folder is not None:
        folder = replace(folder, held_the_probe=holds(folder.path / f"{call.recording}.sln", len(recorded)))
    return replace(facts, verdict=judge(recorded), folder=folder)


def look(path: Path) -> LocalFolder:
    try:
        free = shutil.disk_usage(path).free
    except OSError:
        free = None
    return LocalFolder(path, path.is_dir(), None, free)


def holds(path: Path, size: int) -> bool:
    """Can the recorder read this file, and has it this size?"""
    try:
        return len(path.read_bytes()) == size
    except OSError:
        return False


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


async def _or(default: T, asking: Awaitable[T]) -> T:
    try:
        return await asking
    except RecorderError:
        return default
