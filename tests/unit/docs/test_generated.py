"""The committed reference pages are what the code says now."""

from __future__ import annotations

from pathlib import Path

import pytest

from ari_recorder.cli.app import app
from ari_recorder.cli.console import Exit
from ari_recorder.config.reference import GENERATED
from ari_recorder.model.errors import CODES, RecorderError
from docs.generate import CLASSES, PAGES, REFERENCE, ROOMS, cli, errors, main


def test_the_committed_pages_are_current(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(PAGES)
    for made in tmp_path.iterdir():
        committed = (REFERENCE / made.name).read_text(encoding="utf-8")
        assert committed == made.read_text(encoding="utf-8"), f"{made.name} is not current: make docs"
        assert committed.startswith(GENERATED)


def test_too_many_words_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a", "b"]) == 2
    assert "at most one folder" in capsys.readouterr().err


def test_every_command_option_and_exit_code_is_told() -> None:
    text = cli()
    for command in app.registered_commands:
        assert f"## `ari-recorder {command.name}`" in text
    for written in ("`--from TEXT`", "`--config PATH`, `-c PATH`", "`PATHS`", r"inbound\|outbound\|internal"):
        assert written in text
    for code in Exit:
        assert f"| {code.value} |" in text


def test_every_error_code_is_told_once() -> None:
    text = errors()
    for code, (_, meaning) in CODES.items():
        assert text.count(f"| `{code}` |") == 1
        assert meaning in text
    assert {code.partition(".")[0] for code in CODES} == set(ROOMS)


def test_every_class_of_error_is_told() -> None:
    def below(kind: type[RecorderError]) -> set[type[RecorderError]]:
        return {kind, *(found for each in kind.__subclasses__() for found in below(each))}

    in_model = {kind for kind in below(RecorderError) if kind.__module__ == RecorderError.__module__}
    assert in_model - {RecorderError} == set(CLASSES)
