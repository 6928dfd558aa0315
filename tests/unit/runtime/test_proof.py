"""The chain's log is proved after the start, in the background."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest

from ari_recorder.evidence.chain import Chain
from ari_recorder.model.errors import IntegrityError, RecorderError, TransientError
from ari_recorder.runtime.conditions import Conditions
from ari_recorder.runtime.proof import prove


@dataclass
class Proved:
    """A chain whose proofs end one after another as told."""

    ends: list[RecorderError | None]
    asked: int = field(default=0)

    def prove(self) -> None:
        self.asked += 1
        if (error := self.ends.pop(0)) is not None:
            raise error


AWAY = TransientError("spool.unusable", "The disk is away.")
CHANGED = IntegrityError("seal.chain", "The log was changed.")


@pytest.mark.parametrize(
    ("ends", "told"),
    [([None], []), ([AWAY, None], []), ([CHANGED], ["seal.chain"]), ([AWAY, CHANGED], ["seal.chain"])],
)
def test_once_and_again_while_it_cannot_be_read(ends: list[RecorderError | None], told: list[str]) -> None:
    chain, conditions = Proved([*ends]), Conditions()
    asyncio.run(prove(cast("Chain", chain), conditions, again=0))
    assert chain.asked == len(ends)
    assert [(one.key, one.code) for one in conditions.active()] == [("chain", code) for code in told]
