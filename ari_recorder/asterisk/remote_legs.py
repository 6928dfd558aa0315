"""Legs of an Asterisk on another host, fetched through ARI.

What Asterisk's `GET /recordings/stored/{name}/file` does (16 to 22; res/ari/resource_recordings.c,
main/http.c): it sends the file as it lies there, in pieces of 256 bytes, so its memory stays flat; it knows
no `Range`, so a torn fetch begins anew with that leg, and goes on after those that came whole;
`Content-Length` is the size when it was opened, and is wrong above 2 GiB (37 hours at 8000 Hz); a file that
is still being recorded is sent as well, so that has to be asked first. [Measured, 16.28 and 22.10: `Range` is
answered with 200 and the whole file; 110 MiB take 2 s on loopback, and Asterisk's memory stays what it was.]
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from ..disk import durable
from ..model.call import Side
from ..model.errors import RecorderError, TransientError
from ..model.recording import Leg, Recording, State
from .ari.client import AriClient
from .ari.transport import RefusedError
from .legs import Found, fetched_before, rate_of_format, spool_full

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RemoteLegs:
    """One PBX's recordings by ARI. Every method blocks, on a connection of its own: call it in a thread."""

    connect: Callable[[], AriClient]
    """Makes a client; called in the loop that uses it."""

    @property
    def place(self) -> str:
        return "on the PBX, asked through ARI"

    def found(self, recording: Recording) -> Found:
        """Asked only for what the journal does not know: rates, and segments after its last."""
        return self._ask(lambda client: _found(client, recording))

    def fetch(self, leg: Leg, _rate: int, copy: Path) -> Leg:
        if copy.exists():
            return fetched_before(leg, copy)
        try:
            size = self._ask(lambda c: _fetch(c, leg.name, copy))
        except RefusedError as error:
            if error.code != "ari.not-found":
                raise _not_now(leg.name, error) from error
            return replace(leg, error=leg.error or "Asterisk left no file")
        return replace(leg, bytes=size)

    def demand(self, _leg: Leg) -> None:
        """Asterisk answers for its folder by itself."""

    def written_at(self, _leg: Leg, _rate: int) -> datetime | None:
        return None

    def discard(self, recording: Recording) -> tuple[str, ...]:
        """Nothing is deleted here: all names go to whoever holds the connection."""
        all_of_it = recording.state is State.REFUSED
        legs = (segment.leg(side) for segment in recording.segments for side in Side)
        return tuple(leg.name for leg in legs if leg.bytes is not None or all_of_it)

    def _ask(self, work: Callable[[AriClient], Coroutine[Any, Any, T]]) -> T:
        async def asked() -> T:
            async with self.connect() as client:
                return await work(client)

        return asyncio.run(asked())


async def _found(client: AriClient, recording: Recording) -> Found:
    known = {segment.number: segment.rate for segment in recording.segments}
    unknown = [number for number, rate in known.items() if not rate] + [max(known, default=0) + 1]
    found: dict[tuple[int, Side], int] = {}
    while unknown:
        number = unknown.pop()
        for side in Side:
            rate = await _rate_of(client, f"ari-recorder/{recording.id}/{number}-{side}")
            if rate is not None:
                found[number, side] = rate
        if number > max(known, default=0) and any((number, side) in found for side in Side):
            unknown.append(number + 1)
    return found


async def _rate_of(client: AriClient, name: str) -> int | None:
    """None when Asterisk says that it has no such leg; TransientError when it says anything else."""
    try:
        stored = await client.recordings.get_stored(name)
    except RefusedError as error:
        if error.code != "ari.not-found":
            raise _not_now(name, error) from error
        return None
    return rate_of_format(stored.format)


async def _fetch(client: AriClient, name: str, copy: Path) -> int:
    """Into a part file, synced, then renamed: what has the final name is whole."""
    if await _runs(client, name):
        raise TransientError("capture.no-legs", f"Asterisk still records the leg {name}.")
    part = copy.with_name(copy.name + ".part")
    try:
        with part.open("wb") as writer:
            async for piece in client.recordings.get_stored_file(name):
                writer.write(piece)
            writer.flush()
            os.fsync(writer.fileno())
            size = writer.tell()
        durable.publish(part, copy)
    except BaseException as error:
        # The next try begins anew (no `Range`), and others may need the space meanwhile.
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        if error.errno in durable.FULL:
            raise spool_full(copy) from error
        raise TransientError("spool.unusable", f"{part} cannot be written: {error.strerror}.") from error
    return size


async def _runs(client: AriClient, name: str) -> bool:
    """ARI forgets a recording once its file is closed."""
    try:
        await client.recordings.get_live(name)
    except RefusedError as error:
        if error.code != "ari.not-found":
            raise
        return False
    return True


def _not_now(name: str, error: RecorderError) -> TransientError:
    return TransientError(
        "capture.no-legs",
        f"Asterisk does not hand out the recorded leg {name}: {error.sentence}",
        remedy="Let Asterisk's user read its own recording folder, and see Asterisk's log.",
    )
