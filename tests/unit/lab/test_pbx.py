"""The PBX's configuration, without an Asterisk."""

from __future__ import annotations

import filecmp
import re
from pathlib import Path

import pytest

from ari_recorder.lab import checkout
from ari_recorder.lab.engine import Engine
from ari_recorder.lab.pbx import Pbx


@pytest.fixture
def configured(tmp_path: Path) -> Pbx:
    pbx = Pbx(
        Engine(),
        tmp_path / "pbx",
        contacts={"1002": "sip:1002@127.0.0.1:5"},
        added={"rtp.conf": "; added"},
        replaced={"cdr.conf": "[general]\n"},
    )
    pbx.configure()
    return pbx


def test_every_placeholder_is_filled(configured: Pbx) -> None:
    for file in (configured.folder / "etc").glob("*.conf"):
        assert re.search(r"@[A-Z]\w*( [\w-]+)?@", file.read_text()) is None, file.name


def test_contacts_additions_and_replacements_arrive(configured: Pbx) -> None:
    etc = configured.folder / "etc"
    assert (etc / "pjsip.conf").read_text().count("contact = ") == 1
    assert "contact = sip:1002@127.0.0.1:5" in (etc / "pjsip.conf").read_text()
    assert (etc / "rtp.conf").read_text().endswith("; added")
    assert (etc / "cdr.conf").read_text() == "[general]\n"


def test_the_shipped_files_are_mounted_as_they_are(configured: Pbx) -> None:
    shipped = sorted((checkout.root() / "asterisk_conf").glob("*.conf"))
    assert len(shipped) == 3
    for file in shipped:
        assert filecmp.cmp(file, configured.folder / "etc" / "ari-recorder" / file.name, shallow=False)


def test_every_shipped_file_is_included_by_the_laboratory(configured: Pbx) -> None:
    included = "".join(file.read_text() for file in (configured.folder / "etc").rglob("*.conf"))
    for file in (configured.folder / "etc" / "ari-recorder").iterdir():
        assert re.search(rf'#(try)?include "ari-recorder/{re.escape(file.name)}"', included), file.name


def test_the_shipped_files_hold_no_password() -> None:
    for file in (checkout.root() / "asterisk_conf").glob("*.conf"):
        assert re.search(r"^\s*password\s*=", file.read_text(), re.MULTILINE) is None


def test_an_unknown_file_to_add_to_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing"):
        Pbx(Engine(), tmp_path, added={"nothing.conf": "x"}).configure()
