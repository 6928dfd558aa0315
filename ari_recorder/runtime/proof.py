"""Proves the chain's log while the recorder already works: what the start took on trust from its index."""

from __future__ import annotations

import asyncio

import structlog

from ..evidence.chain import Chain
from ..model.errors import IntegrityError, TransientError
from ..spool.lane import in_thread
from .conditions import Conditions

AGAIN = 300.0
"""Seconds after which a log that could not be read is tried again."""

log = structlog.get_logger()


async def prove(chain: Chain, conditions: Conditions, again: float = AGAIN) -> None:
    """Once, after each start. A changed log is the condition `chain`; nothing is sealed from then on."""
    while True:
        try:
            await in_thread(chain.prove, "chain-proof")
        except IntegrityError as error:
            log.critical(str(error), action="chain.damaged", code=error.code)
            conditions.begin_with("chain", error)
        except TransientError as error:
            log.warning(str(error), action="chain.unproved", code=error.code)
            await asyncio.sleep(again)
            continue
        return
