"""`ari-recorder run`: record until told to stop."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

from ..config.machine import Machine
from ..model.errors import RecorderError
from ..runtime import logs
from ..runtime.foundations import foundations
from ..runtime.service import Service
from .console import ConfigPath, Json, errors_explained, machine


def run(config: ConfigPath = None, json: Json = False) -> None:
    """Record calls until SIGTERM or Ctrl-C; SIGHUP reads the policy again.

    Log lines go to standard error. Stopping or killing the recorder does not stop recordings: Asterisk goes
    on writing them, and the next start finds them again.
    """
    with errors_explained(json):
        # Until the service listens, SIGHUP would kill the process; what is asked now is obeyed then.
        hung_up: list[int] = []
        signal.signal(signal.SIGHUP, lambda number, _frame: hung_up.append(number))
        settings = machine(config)
        logs.set_up(settings.recorder.log_level, settings.recorder.log_format)
        try:
            asyncio.run(_serve(settings, hung_up))
        except* RecorderError as group:
            raise _first(group) from None


THREADS = 32
"""For work on disks. The usual number, six on two cores, a few mounts that hang would use up."""


async def _serve(settings: Machine, hung_up: list[int]) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "disk"))
    async with foundations(settings) as base:
        service = Service(base)
        if hung_up:
            service.reload()
        await service.run()


def _first(group: BaseExceptionGroup[RecorderError]) -> RecorderError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
