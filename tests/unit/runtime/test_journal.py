"""A disk that fails under the journal is told as such, whatever it fails with."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ari_recorder.capture.events import CommandFailed
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.recording import Call, Chosen, Recording, State
from ari_recorder.runtime.journal import Journal
from ari_recorder.spool.folders import Spool


async def test_a_disk_that_answers_no_question_fails_the_recording_and_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As XFS after it shut down: EIO from every call, also from a mere look for a folder."""

    def dead(self: Spool, recording_id: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    call = Call("pbx", "c1", Direction.INBOUND, Party(), Party())
    recording = Recording("r1", State.DECIDED, datetime.now(UTC), call, Chosen("all", "r1"))
    with Spool(tmp_path / "spool") as spool:
        journal = Journal(spool)
        with monkeypatch.context() as patched:
            patched.setattr(Spool, "get", dead)
            (failed,) = await journal.told(recording)
            assert not await journal.save(recording)
        assert isinstance(failed, CommandFailed)
        assert failed.code == "spool.unusable"
        assert await journal.save(recording)
        journal.close()
