"""Help is quick: it imports no command, and says all the same what the commands say of themselves."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ari_recorder.cli.entries import ENTRIES, GROUPS, Entry
from ari_recorder.cli.front import assembled

HEAVY = {
    "aiohttp", "cryptography", "msal", "numpy", "paramiko", "phonenumbers", "prometheus_client", "requests",
    "smbprotocol", "soxr", "structlog",
}  # fmt: skip
"""Without pydantic: typer itself reads the words of a group with it."""

PROBE = """
import sys
from ari_recorder.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("imported:", *sys.modules)
"""


@pytest.mark.parametrize("words", [["--help"], ["--version"], *([group, "--help"] for group in GROUPS)])
def test_help_imports_nothing_that_only_commands_need(words: list[str]) -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=True, timeout=60
    )
    modules = said.stdout.rpartition("imported:")[2].split()
    assert "ari_recorder.cli.entries" in modules
    assert HEAVY.intersection(modules) == set()
    assert {f"ari_recorder.cli.{entry.file}" for entry in ENTRIES}.intersection(modules) == set()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.words)
def test_what_is_listed_is_what_the_command_says(entry: Entry) -> None:
    documented = (entry.load().__doc__ or "").split("\n\n")[0]
    assert " ".join(documented.split()) == entry.summary


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.words)
def test_a_command_that_is_typed_is_there_with_its_options(entry: Entry) -> None:
    words = [*entry.words.split(), "--help"]
    alone, among_all = (CliRunner().invoke(assembled(said), words) for said in (words, None))
    assert alone.exit_code == 0
    assert "--json" in alone.output or "--user" in alone.output
    assert alone.output == among_all.output
