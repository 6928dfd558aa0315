"""The client over real HTTP: what it sends, how refusals and failures are told apart."""

from __future__ import annotations

import asyncio
import base64
import socket

import pytest

from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.asterisk.ari.transport import RefusedError, ari_root
from ari_recorder.model.errors import ConfigError, PermanentError, RecorderError, TransientError

from .stand_in import PASSWORD, USER, StandIn, channel


@pytest.mark.parametrize(
    ("status", "answer", "kind", "code"),
    [
        (401, {"message": "Authentication required"}, ConfigError, "ari.unauthorised"),
        (403, {"message": "Write access denied"}, ConfigError, "ari.unauthorised"),
        (403, "<html>proxy</html>", ConfigError, "ari.unauthorised"),
        (403, {"message": "Unsupported channel type"}, PermanentError, "ari.refused"),
        (404, {"message": "Channel not found"}, PermanentError, "ari.not-found"),
        (409, {"message": "Channel not in Stasis application"}, PermanentError, "ari.refused"),
        (422, {"message": "unknown format"}, PermanentError, "ari.refused"),
        (500, {"error": "Allocation failed"}, PermanentError, "ari.refused"),
        (302, "elsewhere", PermanentError, "ari.refused"),
        (503, "Asterisk not booted", TransientError, "ari.unreachable"),
        (502, "<html>bad gateway</html>", TransientError, "ari.unreachable"),
        (200, "<html>hello</html>", PermanentError, "ari.refused"),
        (200, ["not", "a", "channel"], PermanentError, "ari.refused"),
        (200, {"name": "no id"}, PermanentError, "ari.refused"),
    ],
)
async def test_every_answer_has_its_error(
    pbx: StandIn, client: AriClient, status: int, answer: object, kind: type[RecorderError], code: str
) -> None:
    pbx.answers["GET", "/channels/c1"] = (status, answer)
    with pytest.raises(kind) as caught:
        await client.channels.get("c1")
    assert caught.value.code == code
    assert type(caught.value) in (kind, RefusedError)


async def test_asterisks_own_words_are_shown_without_control_characters(
    pbx: StandIn, client: AriClient
) -> None:
    pbx.answers["GET", "/channels/c1"] = (409, {"message": "no\r\n\x1b[31m" + "x" * 1000})
    with pytest.raises(RefusedError) as caught:
        await client.channels.get("c1")
    assert caught.value.status == 409
    assert "no\\r\\n\\x1b[31mxxx" in caught.value.sentence
    assert len(caught.value.sentence) < 500


async def test_the_password_is_in_the_header_and_nowhere_else(pbx: StandIn, client: AriClient) -> None:
    await client.channels.list()
    (request,) = pbx.requests
    assert base64.b64decode(request.authorization.removeprefix("Basic ")).decode() == f"{USER}:{PASSWORD}"
    assert PASSWORD not in request.path
    assert request.query == {}
    pbx.answers["GET", "/channels"] = (401, {"message": "x"})
    with pytest.raises(ConfigError) as caught:
        await client.channels.list()
    assert PASSWORD not in str(caught.value)


async def test_a_frozen_asterisk_is_a_time_out(pbx: StandIn, client: AriClient) -> None:
    pbx.freeze()
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TransientError) as caught:
        await client.asterisk.ping(limit=0.2)
    assert caught.value.code == "ari.timeout"
    assert loop.time() - began < 2


async def test_nobody_listening_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with AriClient(f"http://127.0.0.1:{port}", USER, PASSWORD) as client:
        with pytest.raises(TransientError) as caught:
            await client.channels.list()
    assert caught.value.code == "ari.unreachable"
    assert caught.value.remedy


async def test_names_cannot_leave_their_place_in_the_path(pbx: StandIn, client: AriClient) -> None:
    name = "2026/11/a b?c#d%../../x"
    with pytest.raises(RefusedError):
        await client.recordings.get_live(name)
    (request,) = pbx.requests
    assert request.path == "/recordings/live/2026%2F11%2Fa%20b%3Fc%23d%25..%2F..%2Fx"


async def test_variables_travel_in_the_body(pbx: StandIn, client: AriClient) -> None:
    pbx.answers["POST", "/channels/c1/variable"] = (204, None)
    await client.channels.set_variable("c1", "X", "a&b=c ☃" * 2000)
    (request,) = pbx.requests
    assert request.query == {}
    assert request.body == {"variable": "X", "value": "a&b=c ☃" * 2000}


async def test_a_snoop_says_all_it_must(pbx: StandIn, client: AriClient) -> None:
    pbx.answers["POST", "/channels/c1/snoop/s1"] = (200, channel("s1", "Snoop/c1-00000000"))
    made = await client.channels.snoop("c1", snoop_id="s1", app="ari-recorder", app_args="snoop", spy="in")
    assert made.id == "s1"
    assert pbx.requests[0].query == {
        "app": "ari-recorder",
        "appArgs": "snoop",
        "spy": "in",
        "whisper": "none",
    }


async def test_a_stored_file_comes_whole(pbx: StandIn, client: AriClient) -> None:
    content = bytes(range(256)) * 4096
    pbx.answers["GET", "/recordings/stored/a%2Fb/file"] = (200, content)
    pieces = [piece async for piece in client.recordings.get_stored_file("a/b")]
    assert b"".join(pieces) == content


async def test_a_torn_stored_file_is_an_error_not_a_short_file() -> None:
    async def torn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(torn, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, AriClient(f"http://127.0.0.1:{port}", USER, PASSWORD) as client:
        pieces = client.recordings.get_stored_file("a")
        with pytest.raises(TransientError):
            [piece async for piece in pieces]


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("http://127.0.0.1:8088", "http://127.0.0.1:8088/ari"),
        ("http://127.0.0.1:8088/", "http://127.0.0.1:8088/ari"),
        ("http://pbx:8088/ari/", "http://pbx:8088/ari"),
        ("https://pbx/asterisk", "https://pbx/asterisk/ari"),
        ("http://[::1]:8088", "http://[::1]:8088/ari"),
    ],
)
def test_the_root_is_found_from_what_people_write(given: str, root: str) -> None:
    assert str(ari_root(given)) == root


@pytest.mark.parametrize(
    "given", ["", "pbx:8088", "ftp://pbx", "http://", "http://pbx:99999", "http://u:p@x"]
)
def test_an_address_that_is_none_is_refused_without_showing_it(given: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AriClient(given, USER, PASSWORD)
    assert caught.value.code == "config.value"
