"""What a command asks of the running recorder, and what comes back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from ari_recorder.model import document
from ari_recorder.model.errors import PermanentError
from ari_recorder.runtime import requests
from ari_recorder.runtime.requests import Answer, Handler, Outcome, Request, Requests, Tell


@asynccontextmanager
async def answering(state: Path, handlers: Mapping[str, Handler]) -> AsyncIterator[None]:
    task = asyncio.create_task(Requests(state, handlers).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def last_word(state: Path, request: Request) -> Answer:
    async with asyncio.timeout(10):
        while (word := requests.answer(state, request)) is None or word.outcome is Outcome.WORKING:
            await asyncio.sleep(0.01)
    return word


async def shout(request: Request, tell: Tell) -> Answer:
    await tell(Answer(Outcome.WORKING, done=1, total=2))
    return Answer(Outcome.DONE, " ".join(request.words).upper())


async def test_a_request_is_answered_once_and_cleared(tmp_path: Path) -> None:
    request = requests.ask(tmp_path, "shout", "so", "be", "it")
    assert requests.answer(tmp_path, request) is None
    async with answering(tmp_path, {"shout": shout}):
        assert (await last_word(tmp_path, request)).sentence == "SO BE IT"
        async with asyncio.timeout(10):  # the request goes after its answer has come
            while len(list((tmp_path / "requests").iterdir())) > 1:
                await asyncio.sleep(0.01)
    assert [p.name for p in (tmp_path / "requests").iterdir()] == [f"{request.id}.answer.json"]
    requests.forget(tmp_path, request)
    assert not list((tmp_path / "requests").iterdir())


async def test_what_a_killed_command_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / "requests"
    request = requests.ask(tmp_path, "shout")
    old, new = folder / ".old.request.json.tmp", folder / ".new.request.json.tmp"
    for path in (old, new):
        path.write_text('{"id"')
    os.utime(old, (1e9, 1e9))
    async with answering(tmp_path, {"shout": shout}):
        await last_word(tmp_path, request)
        async with asyncio.timeout(10):
            while old.exists():
                await asyncio.sleep(0.01)
    assert new.exists()  # it may be a command that is writing now


async def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    async def refuse(request: Request, tell: Tell) -> Answer:
        raise PermanentError("spool.unusable", "No.", remedy="Mount it.")

    async def break_down(request: Request, tell: Tell) -> Answer:
        raise KeyError("oops")

    asked = [requests.ask(tmp_path, kind) for kind in ("refuse", "break", "unheard-of")]
    async with answering(tmp_path, {"refuse": refuse, "break": break_down}):
        refused, broken, unknown = [await last_word(tmp_path, request) for request in asked]
    assert (refused.outcome, refused.code, refused.remedy) == (Outcome.REFUSED, "spool.unusable", "Mount it.")
    assert broken.outcome is Outcome.REFUSED
    assert "oops" in broken.sentence
    assert unknown.outcome is Outcome.REFUSED


async def test_an_interrupted_request_is_begun_again(tmp_path: Path) -> None:
    request = requests.ask(tmp_path, "slow")
    begun = asyncio.Event()

    async def forever(request: Request, tell: Tell) -> Answer:
        await tell(Answer(Outcome.WORKING, done=1, total=9))
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with answering(tmp_path, {"slow": forever}):
        await asyncio.wait_for(begun.wait(), 10)
    assert (word := requests.answer(tmp_path, request)) is not None
    assert word.outcome is Outcome.WORKING
    async with answering(tmp_path, {"slow": shout}):
        assert (await last_word(tmp_path, request)).outcome is Outcome.DONE


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"id": 1}', "[" * 100_000, "\x00\xff"], ids=lambda text: text[:8]
)
async def test_rubbish_in_the_folder_holds_up_nobody(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "requests"
    folder.mkdir()
    (folder / "a.request.json").write_bytes(text.encode("latin-1"))
    (folder / "b.answer.json").write_bytes(text.encode("latin-1"))
    (folder / "c.request.json").mkdir()
    request = requests.ask(tmp_path, "shout", "hey")
    async with answering(tmp_path, {"shout": shout}):
        assert (await last_word(tmp_path, request)).sentence == "HEY"


async def test_a_request_cannot_name_another_file(tmp_path: Path) -> None:
    request = requests.ask(tmp_path, "shout", "hey")
    evil = Request("../../evil", "shout", ("x",), request.asked_at)
    (tmp_path / "requests" / "evil.request.json").write_text(document.dump(evil))
    async with answering(tmp_path, {"shout": shout}):
        await last_word(tmp_path, request)
    assert not list(tmp_path.parent.glob("evil*"))
    assert (tmp_path / "requests" / "evil.request.json").exists()


async def test_a_folder_that_cannot_be_read_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / requests.FOLDER).write_text("in the way")
    looked = asyncio.Event()

    class Watched(Requests):
        def _look(self) -> list[Request]:
            try:
                return super()._look()
            finally:
                loop.call_soon_threadsafe(looked.set)

    loop = asyncio.get_running_loop()
    task = asyncio.create_task(Watched(tmp_path, {"shout": shout}).run())
    await asyncio.wait_for(looked.wait(), 10)
    (tmp_path / requests.FOLDER).unlink()
    request = requests.ask(tmp_path, "shout", "still", "there")
    assert (await last_word(tmp_path, request)).sentence == "STILL THERE"
    task.cancel()
    await asyncio.wait({task})


async def test_a_look_that_began_before_the_answer_begins_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a request that cannot be removed, for its disk became read-only."""
    served = 0

    async def count(request: Request, tell: Tell) -> Answer:
        nonlocal served
        served += 1
        return Answer(Outcome.DONE)

    looks = 0
    look = Requests._look
    request = requests.ask(tmp_path, "count")

    def late(self: Requests) -> list[Request]:
        nonlocal looks
        looks += 1
        return [request, *look(self)]

    monkeypatch.setattr(requests, "LOOK", 0.01)
    monkeypatch.setattr(Requests, "_look", late)
    async with answering(tmp_path, {"count": count}):
        await last_word(tmp_path, request)
        seen = looks
        async with asyncio.timeout(10):
            while looks < seen + 5:
                await asyncio.sleep(0.01)
    assert served == 1


async def test_an_answer_that_cannot_be_cleared_away_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = requests.ask(tmp_path, "shout", "old")
    async with answering(tmp_path, {"shout": shout}):
        await last_word(tmp_path, old)
    monkeypatch.setattr(requests, "KEPT", -requests.KEPT)
    unlink = Path.unlink

    def stuck(self: Path, missing_ok: bool = False) -> None:
        if self.name == f"{old.id}.answer.json":
            raise OSError(30, "read-only")
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", stuck)
    request = requests.ask(tmp_path, "shout", "hey")
    async with answering(tmp_path, {"shout": shout}):
        assert (await last_word(tmp_path, request)).sentence == "HEY"
