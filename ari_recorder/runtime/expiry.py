"""Watches the logins of targets that do not last for ever: `login:NAME` among the conditions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from ..model.errors import RecorderError
from ..spool.lane import in_thread
from ..targets.base import Expiring, Target
from .conditions import Conditions, Severity

EVERY = 3600.0
"""Seconds between two looks at a login."""

log = structlog.get_logger()


async def watch(targets: Mapping[str, Target], conditions: Conditions, every: float = EVERY) -> None:
    """Tell of logins that have ended or soon will, until cancelled. A target that hangs holds up no other."""
    async with asyncio.TaskGroup() as tasks:
        for name, target in targets.items():
            if isinstance(target, Expiring):
                tasks.create_task(_watch_one(name, target, conditions, every), name=f"login-{name}")


async def _watch_one(name: str, target: Expiring, conditions: Conditions, every: float) -> None:
    while True:
        try:
            found = await in_thread(target.login_warnings, f"login-{name}")
        except RecorderError as error:
            found = (error,)
        except Exception:  # a defect here must not end the recorder
            log.exception("A login could not be looked at", action="login.defect", target=name)
            found = ()
        _tell(name, found, conditions)
        await asyncio.sleep(every)


def _tell(name: str, found: tuple[RecorderError, ...], conditions: Conditions) -> None:
    key = f"login:{name}"
    if not found:
        conditions.end(key)
        return
    worst = min(found, key=lambda error: error.code == "target.expiring")
    severity = Severity.WARNING if worst.code == "target.expiring" else Severity.CRITICAL
    log.warning(worst.sentence, action="login.warning", target=name, code=worst.code)
    conditions.begin_with(key, worst, severity)
