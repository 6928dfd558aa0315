"""Legs through ARI: whole or not at all, asked for once, and never while they grow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.asterisk.legs import collect, discard
from ari_recorder.asterisk.remote_legs import RemoteLegs
from ari_recorder.audio.legs import leg_file
from ari_recorder.model.call import Direction, Party, Side
from ari_recorder.model.errors import ConfigError, PermanentError, TransientError
from ari_recorder.model.recording import Call, Chosen, Leg, Recording, Segment, State

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AUDIO = {side: bytes([number]) * 400_000 for number, side in enumerate(Side, 1)}


@dataclass
class Asterisk:
    """An ARI that knows stored recordings only; threads, for what it is asked by blocks."""

    stored: dict[str, bytes] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    send: Callable[[bytes], bytes] = lambda data: data
    """What really leaves of a file whose whole length was announced."""
    status: int = 200
    looks: int = 200
    """How it answers to the question whether a stored recording is there."""
    url: str = ""

    def fetches(self) -> list[str]:
        return [name for name in self.asked if name.endswith("/file")]


@pytest.fixture
def asterisk() -> Iterator[Asterisk]:
    served = Asterisk({f"ari-recorder/r1/1-{side}": AUDIO[side] for side in Side})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path.removeprefix("/ari/recordings/"))
            served.asked.append(path)
            kind, _, name = path.partition("/")
            if kind == "live":
                known = name in served.live
                body = f'{{"name": "{name}", "state": "recording"}}'.encode() if known else b"{}"
                self.answer(200 if known else 404, body, body)
            elif served.looks != 200 and not name.endswith("/file"):
                self.answer(served.looks, b"{}", b"{}")
            elif name.removesuffix("/file") not in served.stored:
                self.answer(404, b"{}", b"{}")
            elif name.endswith("/file"):
                data = served.stored[name.removesuffix("/file")]
                self.answer(served.status, data, served.send(data))
            else:
                body = f'{{"name": "{name}", "format": "sln16"}}'.encode()
                self.answer(200, body, body)

        def answer(self, status: int, announced: bytes, sent: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(announced)))
            self.end_headers()
            self.wfile.write(sent)
            if len(sent) < len(announced):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    yield served
    server.shutdown()
    server.server_close()
    thread.join(5)


def legs_of(asterisk: Asterisk) -> RemoteLegs:
    return RemoteLegs(lambda: AriClient(asterisk.url, "u", "p", limit=2.0))


def recording(*, rate: int = 8000, finished: bool = True) -> Recording:
    ended = NOW if finished else None
    made = (Leg(f"ari-recorder/r1/1-{side}", f"r1.1-{side}", NOW, NOW, ended) for side in Side)
    call = Call("pbx", "c1", Direction.INBOUND, Party(), Party())
    segment = Segment(1, rate, "alaw", "start", *made)
    return Recording("r1", State.CAPTURED, NOW, call, Chosen("all", "r1"), segments=(segment,))


def test_both_legs_come_whole_and_only_once(asterisk: Asterisk, tmp_path: Path) -> None:
    store = legs_of(asterisk)
    done = collect(recording(), store, tmp_path / "legs", leg_file)
    for side in Side:
        assert (tmp_path / "legs" / f"1-{side}.sln").read_bytes() == AUDIO[side]
        assert done.segments[0].leg(side).bytes == 400_000
    assert done.call.ended_at == NOW.replace(second=25)
    assert len(asterisk.fetches()) == 2
    assert collect(recording(), store, tmp_path / "legs", leg_file) == done
    assert len(asterisk.fetches()) == 2
    assert discard(done, store) == ("ari-recorder/r1/1-remote", "ari-recorder/r1/1-local")


@pytest.mark.parametrize("sent", [0, 1, 255_000, 399_999])
def test_a_torn_leg_is_never_kept(asterisk: Asterisk, tmp_path: Path, sent: int) -> None:
    asterisk.send = lambda data: data[:sent]
    with pytest.raises(TransientError):
        collect(recording(), legs_of(asterisk), tmp_path / "legs", leg_file)
    assert not list((tmp_path / "legs").iterdir())  # nor does its beginning take space
    asterisk.send = lambda data: data
    collect(recording(), legs_of(asterisk), tmp_path / "legs", leg_file)
    assert (tmp_path / "legs" / "1-remote.sln").read_bytes() == AUDIO[Side.REMOTE]
    assert not list((tmp_path / "legs").glob("*.part"))


def test_a_leg_that_is_still_recorded_is_waited_for(asterisk: Asterisk, tmp_path: Path) -> None:
    asterisk.live.add("ari-recorder/r1/1-local")
    with pytest.raises(TransientError, match="still records"):
        collect(recording(finished=False), legs_of(asterisk), tmp_path / "legs", leg_file)
    asterisk.live.clear()
    done = collect(recording(finished=False), legs_of(asterisk), tmp_path / "legs", leg_file)
    assert done.segments[0].local.bytes == 400_000
    assert asterisk.fetches().count("stored/ari-recorder/r1/1-remote/file") == 1


def test_a_leg_that_asterisk_never_wrote_is_stated(asterisk: Asterisk, tmp_path: Path) -> None:
    del asterisk.stored["ari-recorder/r1/1-local"]
    done = collect(recording(), legs_of(asterisk), tmp_path / "legs", leg_file)
    assert done.segments[0].local.error == "Asterisk left no file"
    assert discard(done, legs_of(asterisk)) == ("ari-recorder/r1/1-remote",)


def test_no_leg_at_all_is_an_end_and_an_asterisk_that_is_away_is_not(
    asterisk: Asterisk, tmp_path: Path
) -> None:
    asterisk.stored.clear()
    with pytest.raises(PermanentError, match="through ARI"):
        collect(recording(), legs_of(asterisk), tmp_path / "legs", leg_file)
    asterisk.url = "http://127.0.0.1:9"
    with pytest.raises(TransientError):
        collect(recording(), legs_of(asterisk), tmp_path / "legs", leg_file)


def test_what_asterisk_may_not_read_itself_is_tried_again(asterisk: Asterisk, tmp_path: Path) -> None:
    asterisk.status = 500
    with pytest.raises(TransientError, match="does not hand out"):
        collect(recording(), legs_of(asterisk), tmp_path / "legs", leg_file)


def test_rates_and_segments_that_no_journal_knows_are_asked_for(asterisk: Asterisk, tmp_path: Path) -> None:
    asterisk.stored["ari-recorder/r1/2-remote"] = b"\1\2" * 800
    done = collect(recording(rate=0), legs_of(asterisk), tmp_path / "legs", leg_file)
    assert [(s.number, s.rate, s.why) for s in done.segments] == [(1, 16000, "start"), (2, 16000, "adopted")]
    assert done.segments[1].remote.bytes == 1600
    assert done.segments[1].local.error == "Asterisk left no file"


@pytest.mark.parametrize("status", [403, 500])
@pytest.mark.parametrize("rate", [0, 8000])
def test_a_refused_question_does_not_mean_that_there_is_none(
    asterisk: Asterisk, tmp_path: Path, status: int, rate: int
) -> None:
    """Neither for the rate of a segment, nor for one that no journal knows."""
    asterisk.stored["ari-recorder/r1/2-remote"] = b"\1\2" * 800
    asterisk.looks = status
    with pytest.raises((TransientError, ConfigError)) as told:  # either is waited for
        collect(recording(rate=rate), legs_of(asterisk), tmp_path / "legs", leg_file)
    assert told.value.code == ("capture.no-legs" if status == 500 else "ari.unauthorised")
    asterisk.looks = 200
    done = collect(recording(rate=rate), legs_of(asterisk), tmp_path / "legs", leg_file)
    assert [s.why for s in done.segments] == ["start", "adopted"]


def test_of_a_refused_call_every_leg_is_to_be_deleted(asterisk: Asterisk) -> None:
    refused = replace(recording(), state=State.REFUSED)
    assert len(discard(refused, legs_of(asterisk))) == 2


def test_a_full_disk_is_told_as_such(
    asterisk: Asterisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ari_recorder.asterisk.remote_legs.os.fsync", full)
    with pytest.raises(TransientError) as told:
        collect(recording(), legs_of(asterisk), tmp_path / "legs", leg_file)
    assert told.value.code == "spool.full"
    assert not list((tmp_path / "legs").iterdir())


async def test_it_may_be_used_beside_a_running_loop(asterisk: Asterisk, tmp_path: Path) -> None:
    done = await asyncio.to_thread(collect, recording(), legs_of(asterisk), tmp_path / "legs", leg_file)
    assert done.segments[0].remote.bytes == 400_000
