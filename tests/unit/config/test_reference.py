"""The committed reference is the generated one, and every key has its text."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from ari_recorder.config import reference
from ari_recorder.config.complaints import keys_of
from ari_recorder.config.machine import Machine
from ari_recorder.config.reference import configuration, tables_of, write

DOCS = Path(__file__).parents[3] / "docs" / "reference"


def every_table(model: type[BaseModel]) -> list[type[BaseModel]]:
    inner = [t for f in keys_of(model).values() for t in tables_of(f.annotation).values()]
    return [model, *(found for table in inner for found in every_table(table))]


def test_the_committed_reference_is_current() -> None:
    assert (DOCS / "configuration.md").read_text() == configuration(), "run: make docs"


def test_every_key_is_explained_and_listed() -> None:
    text = configuration()
    for table in every_table(Machine):
        for key, field in keys_of(table).items():
            assert field.description, f"{table.__name__}.{key} has no docstring"
            assert tables_of(field.annotation) or f"| `{key}` |" in text
    assert len(every_table(Machine)) == 9


def test_ranges_defaults_and_secrets_are_told() -> None:
    text = configuration()
    assert "| `key_bits` | whole number, 3072 to 16384 | `3072` |" in text
    assert "| `user` | text | **required** |" in text
    assert "| `password` | text, secret | – |" in text
    assert '| `technologies` | list: text | `["PJSIP"]` |' in text


def test_the_page_is_written_where_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert write("x.md", "ü", [str(tmp_path / "new")]) == 0
    assert (tmp_path / "new" / "x.md").read_text(encoding="utf-8") == "ü"
    assert write("x.md", "", []) == 2
    assert "Name one folder" in capsys.readouterr().err
    assert reference.GENERATED in configuration()
