"""Where each PBX's legs are got from, and the names of those that Asterisk still has to delete.

Legs of a PBX on another host can only be deleted by Asterisk itself, and it may be away in that moment: their
names are kept in `<state>/leftovers.json` until it has done so.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

import structlog

from ...asterisk.ari.client import AriClient
from ...asterisk.legs import LegStore
from ...asterisk.remote_legs import RemoteLegs
from ...config.machine import Pbx
from ...disk import durable

FILE = "leftovers.json"
CONNECTIONS = 2

Delete = Callable[[Iterable[str]], Awaitable[tuple[str, ...]]]
"""Asks Asterisk to delete legs by their names; returns those that are gone."""

log = structlog.get_logger()


def leg_stores(pbxs: Mapping[str, Pbx]) -> dict[str, Path | LegStore]:
    """For the pipeline: the folder that is shared with a PBX, or the way through ARI."""
    return {name: pbx.recording_folder or RemoteLegs(_Client(pbx)) for name, pbx in pbxs.items()}


class _Client:
    """Makes a client for one PBX; a class, so that each keeps its own settings."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx

    def __call__(self) -> AriClient:
        pbx = self._pbx
        return AriClient(pbx.url, pbx.user, pbx.read_password(), connections=CONNECTIONS)


class Leftovers:
    """Used from any thread. A state folder that cannot be written is logged: a restart then forgets."""

    def __init__(self, state: Path) -> None:
        self._path = state / FILE
        self._turn = threading.Lock()
        self._one_at_a_time = asyncio.Lock()
        self._names = self._read()

    def add(self, pbx: str, names: Iterable[str]) -> None:
        """Durable on return: what is sealed here need no longer lie there."""
        with self._turn:
            known = self._names.setdefault(pbx, [])
            known.extend(name for name in names if name not in known)
            self._write()

    def of(self, pbx: str) -> tuple[str, ...]:
        with self._turn:
            return tuple(self._names.get(pbx, ()))

    async def clear(self, pbx: str, delete: Delete) -> None:
        """Have Asterisk delete what it can now; the rest waits for its next connection."""
        async with self._one_at_a_time:
            if names := self.of(pbx):
                gone = await delete(names)
                await asyncio.to_thread(self.gone, pbx, gone)

    def gone(self, pbx: str, names: Iterable[str]) -> None:
        with self._turn:
            done = set(names)
            self._names[pbx] = [name for name in self._names.get(pbx, ()) if name not in done]
            self._write()

    def _read(self) -> dict[str, list[str]]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.error(f"{self._path}: {error}", action="leftovers.unreadable")
            return {}
        return {str(pbx): [str(name) for name in names] for pbx, names in known.items()}

    def _write(self) -> None:
        new = self._path.with_name(f".{FILE}.new")
        try:
            durable.remove(new)
            durable.write_new(new, json.dumps({p: n for p, n in self._names.items() if n}).encode())
            durable.publish(new, self._path)
        except OSError as error:
            log.error(f"{self._path}: {error}", action="leftovers.not-written")
