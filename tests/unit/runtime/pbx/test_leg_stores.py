"""Names of legs that Asterisk has still to delete outlive the recorder; orphans are told by their folders."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from ari_recorder.config.machine import parse_machine
from ari_recorder.runtime.pbx.leg_stores import Leftovers, leg_stores
from ari_recorder.runtime.pbx.orphans import in_folder, in_names


async def test_what_could_not_be_deleted_is_remembered_and_tried_again(tmp_path: Path) -> None:
    left = Leftovers(tmp_path)
    left.add("berlin", ("a", "b"))
    left.add("berlin", ("b", "c"))
    left.add("bonn", ("d",))

    async def only_a(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name == "a")

    await asyncio.gather(*(left.clear("berlin", only_a) for _ in range(3)))
    again = Leftovers(tmp_path)
    assert (again.of("berlin"), again.of("bonn"), again.of("köln")) == (("b", "c"), ("d",), ())
    again.gone("bonn", ["d"])
    assert Leftovers(tmp_path).of("bonn") == ()


def test_a_damaged_list_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "leftovers.json").write_text("{", encoding="ascii")
    left = Leftovers(tmp_path)
    left.add("berlin", ("a",))
    assert Leftovers(tmp_path).of("berlin") == ("a",)


def test_each_pbx_has_the_way_that_its_settings_say(tmp_path: Path) -> None:
    text = f"""
[pbx.here]
user = "u"
password = "p"
recordings = "{tmp_path}"
[pbx.there]
user = "u"
password = "q"
url = "https://pbx.example:8089"
"""
    stores = leg_stores(parse_machine(text).pbx)
    assert stores["here"] == tmp_path
    there = stores["there"]
    assert not isinstance(there, Path)
    assert "through ARI" in there.place


def test_orphans_are_folders_that_hold_legs(tmp_path: Path) -> None:
    assert in_folder(tmp_path) == ()
    for name in ("r2/1-remote.sln", "r1/2-local.sln16", "other/notes.txt"):
        path = tmp_path / "ari-recorder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "ari-recorder" / "probe-1.sln").touch()
    assert in_folder(tmp_path) == ("r1", "r2")
    names = ["ari-recorder/r3/1-remote", "ari-recorder/probe-1", "voicemail/1-remote", "x"]
    assert in_names(names) == ("r3",)
