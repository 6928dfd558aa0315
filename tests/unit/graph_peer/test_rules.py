"""The stand-in for Microsoft 365 keeps the rules that the tests rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.graph_peer.server import GraphPeer
from tests.graph_peer.uploads import STEP

TOKEN = "token"


class Client:
    def __init__(self, peer: GraphPeer) -> None:
        self.peer = peer
        peer.entra.tokens.add(TOKEN)

    def ask(self, method: str, address: str, token: str | None = TOKEN, **more: Any) -> requests.Response:
        url = address if address.startswith("https://") else self.peer.address + address
        headers = more.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        return requests.request(
            method,
            url,
            headers=headers,
            verify=str(self.peer.ca_file),
            timeout=10,
            allow_redirects=False,
            **more,
        )

    def session(self) -> str:
        wish = {"item": {"@microsoft.graph.conflictBehavior": "fail", "name": "x"}}
        answer = self.ask("POST", "/v1.0/drives/b%21drive-1/root:/x:/createUploadSession", json=wish)
        url: str = answer.json()["uploadUrl"]
        return url

    def put(self, url: str, first: int, size: int, total: int, token: str | None = None) -> requests.Response:
        headers = {"Content-Range": f"bytes {first}-{first + size - 1}/{total}"}
        return self.ask("PUT", url, token, data=bytes(size), headers=headers)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with GraphPeer(tmp_path_factory.mktemp("peer") / "home") as peer:
        yield Client(peer)


@pytest.mark.parametrize(
    ("first", "size", "total", "token", "status"),
    [
        (0, STEP, 3 * STEP, None, 202),
        (0, STEP, 3 * STEP, "token", 401),
        (0, STEP - 1, 3 * STEP, None, 400),
        (0, STEP + 1, 3 * STEP, None, 400),
        (STEP, STEP, 3 * STEP, None, 416),
        (0, 60 * 1024 * 1024, 80 * 1024 * 1024, None, 413),
    ],
    ids=["right", "with a token", "too short", "too long", "out of order", "60 MiB"],
)
def test_fragments(client: Client, first: int, size: int, total: int, token: str | None, status: int) -> None:
    answer = client.put(client.session(), first, size, total, token)
    assert answer.status_code == status, answer.text


def test_the_total_may_not_change_and_nothing_comes_twice(client: Client) -> None:
    url = client.session()
    assert client.put(url, 0, STEP, 3 * STEP).json()["nextExpectedRanges"] == [f"{STEP}-"]
    assert client.put(url, STEP, STEP, 4 * STEP).status_code == 400
    assert client.put(url, 0, STEP, 3 * STEP).status_code == 416
    assert client.ask("GET", url, None).json()["nextExpectedRanges"] == [f"{STEP}-"]
    assert client.ask("DELETE", url, None).status_code == 204
    assert client.ask("GET", url, None).status_code == 404


def test_nobody_gets_in_without_a_token(client: Client) -> None:
    for token in (None, "another"):
        assert client.ask("GET", "/v1.0/me/drive", token).status_code == 401
    assert client.ask("GET", "/v1.0/me/drive").status_code == 200


@pytest.mark.parametrize("name", ["a*b", "~$x", ".lock", "x.", "a_vti_b", "CON"])
def test_names_that_are_refused(client: Client, name: str) -> None:
    wish = {"name": name, "folder": {}, "@microsoft.graph.conflictBehavior": "fail"}
    answer = client.ask("POST", "/v1.0/drives/b%21drive-1/items/01ROOT/children", json=wish)
    assert answer.status_code == 400


def test_content_is_behind_an_address_that_takes_no_token(client: Client, tmp_path: Path) -> None:
    (client.peer.drive.folder / "file").write_bytes(b"content")
    answer = client.ask("GET", "/v1.0/drives/b%21drive-1/root:/file:/content")
    assert answer.status_code == 302
    assert client.ask("GET", answer.headers["Location"], None).content == b"content"
    assert client.ask("GET", answer.headers["Location"]).status_code == 401
