"""Watches the logins of targets that do not last for ever: `login:NAME` among the conditions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from ..model.errors import RecorderError, TransientError
from ..spool.lane import in_thread
from ..targets.base import Expiring, Target
from .conditions import Conditions, Severity

EVERY = 3600.0
"""Seconds between two looks at a login."""

log = structlog.get_logger()


async def watch(
    targets: Callable[[], Mapping[str, Target]], conditions: Conditions, every: float = EVERY
) -> None:
    """Tell of logins that have ended or soon will, until cancelled. A target that hangs holds up no other."""
    looking: dict[str, asyncio.Task[None]] = {}
    told: set[str] = set()
    try:
        while True:
            expiring = {name: one for name, one in targets().items() if isinstance(one, Expiring)}
            for name in told - expiring.keys():
                conditions.end(_key(name))
            told = set(expiring)
            for name, target in expiring.items():
                if name not in looking or looking[name].done():
                    look = _look(name, target, targets, conditions)
                    looking[name] = asyncio.create_task(look, name=f"login-{name}")
            await asyncio.sleep(every)
    finally:
        for task in looking.values():
            task.cancel()


async def _look(
    name: str, target: Expiring, targets: Callable[[], Mapping[str, Target]], conditions: Conditions
) -> None:
    try:
        found = await in_thread(target.login_warnings, f"login-{name}")
    except TransientError as error:  # what was told goes on; deliveries tell of a service that is away
        log.info(error.sentence, action="login.unasked", target=name, code=error.code)
        return
    except RecorderError as error:
        found = (error,)
    except Exception:  # a defect here must not end the recorder
        log.exception("A login could not be looked at", action="login.defect", target=name)
        found = ()
    now: object = targets().get(name)
    if now is target:  # it may have been taken out meanwhile, or exchanged
        _tell(name, found, conditions)


def _key(name: str) -> str:
    return f"login:{name}"


def _tell(name: str, found: tuple[RecorderError, ...], conditions: Conditions) -> None:
    key = _key(name)
    if not found:
        conditions.end(key)
        return
    worst = min(found, key=lambda error: error.code == "target.expiring")
    severity = Severity.WARNING if worst.code == "target.expiring" else Severity.CRITICAL
    log.warning(worst.sentence, action="login.warning", target=name, code=worst.code)
    conditions.begin_with(key, worst, severity)
