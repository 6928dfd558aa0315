"""What stands in the examples can be typed: settings are read, commands exist, explanations come out so."""

from __future__ import annotations

import configparser
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ari_recorder.cli.app import app
from ari_recorder.config.machine import parse_machine
from ari_recorder.config.starter import MACHINE, POLICY
from ari_recorder.rules.policy import parse_policy
from docs.generate import cli

from .pages import OUTSIDE, Page, commands, page, pages

ALL = pages()
Ask = Callable[[list[str]], str]


@pytest.fixture
def ask(tmp_path: Path) -> Callable[[str], Ask]:
    """Runs commands of ari-recorder under a policy; gives what they print."""

    def under(policy: str) -> Ask:
        (tmp_path / "config.toml").write_text(MACHINE, encoding="utf-8")
        (tmp_path / "policy.toml").write_text(policy, encoding="utf-8")

        def run(words: list[str]) -> str:
            environment = {"ARI_RECORDER_CONFIG": str(tmp_path / "config.toml")}
            result = CliRunner().invoke(app, words, env=environment)
            assert result.exit_code == 0, result.output
            return result.output

        return run

    return under


MACHINES = re.compile(r"^\[+(recorder|pbx|seal|disk|alerts|monitoring)\b", re.M)
"""Begins a section of the machine's settings; other TOML is a policy."""
A_PBX = '[pbx.example]\nuser = "u"\npassword_file = "p"\n'


def explains(it: Page) -> list[list[str]]:
    found = [words for text in it.examples("sh") for words in commands(text) if words[:1] == ["explain"]]
    return [words for words in found if "--from" in words]


@pytest.mark.parametrize("it", [it for it in ALL if it.examples("toml")], ids=str)
def test_policies_are_read(it: Page) -> None:
    for text in it.examples("toml"):
        if MACHINES.search(text):
            assert parse_machine(text if "[pbx." in text else f"{A_PBX}{text}").pbx
        else:
            assert parse_policy(text).settings


@pytest.mark.parametrize("it", [it for it in ALL if it.examples("ini")], ids=str)
def test_units_are_read(it: Page) -> None:
    for text in it.examples("ini"):
        parser = configparser.ConfigParser(strict=True)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read_string(text)
        assert "Service" in parser


@pytest.mark.parametrize("it", [it for it in ALL if it.examples("sh")], ids=str)
def test_shell_examples_are_shell(it: Page) -> None:
    for text in it.examples("sh"):
        done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{it}: {done.stderr}\n{text}"


@pytest.mark.parametrize("it", [it for it in ALL if it.examples("sh")], ids=str)
def test_commands_and_options_exist(it: Page) -> None:
    known = {
        name: set(re.findall(r"(--?[a-z]+(?:-[a-z]+)*)", section)) | {"--help"}
        for name, section in re.findall(r"## `ari-recorder ([\w ]+)`\n(.*?)(?=\n## )", cli(), re.S)
    }
    inline = re.findall(r"`(ari-recorder [^`]+)`", it.prose)
    for words in (words for text in [*it.examples("sh"), *inline] for words in commands(text)):
        if words == ["--version"] or words[:1] == ["[--version]"]:
            continue
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in known), None)
        assert name is not None, f"{it}: {words}"
        for option in (word for word in words if word.startswith("-")):
            assert option in known[name], f"{it}: {words}"


def test_only_what_needs_another_machine_is_left_out() -> None:
    assert {str(it): it.text.count(OUTSIDE) for it in ALL if OUTSIDE in it.text} == {
        "docs/tutorial.md": 1,
    }


def test_explanations_without_dialplan(ask: Callable[[str], Ask]) -> None:
    it = page("docs/howto/integrate-without-dialplan.md")
    run = ask(it.examples("toml")[0])
    inbound, excepted, outbound = [run(words) for words in explains(it)]
    assert "\nRecorded (selected)" in inbound
    assert "\nNot recorded (exception)" in excepted
    assert "\nRecorded (selected)" in outbound


def test_explanations_with_dialplan(ask: Callable[[str], Ask]) -> None:
    it = page("docs/howto/integrate-with-dialplan.md")
    run = ask(it.examples("toml")[0])
    forbidden, chosen = [run(words) for words in explains(it)]
    assert "\nNot recorded (forbidden)" in forbidden
    assert "\nRecorded (chosen)" in chosen


def test_the_tutorial_shows_what_explain_prints(ask: Callable[[str], Ask]) -> None:
    it = page("docs/tutorial.md")
    run = ask(re.sub("^enabled = false", "enabled = true", POLICY, flags=re.M))
    (words,) = explains(it)
    (shown,) = [text for text in it.examples("console") if text.startswith("Inbound call")]
    revision = r"policy [0-9a-f]{12}"
    assert re.sub(revision, "", run(words)) == re.sub(revision, "", shown)


@pytest.mark.parametrize("name", ["docs/reference/policy.md", "docs/howto/troubleshoot.md"])
def test_explanations_elsewhere(name: str, ask: Callable[[str], Ask]) -> None:
    run = ask(POLICY)
    inline = [words for text in re.findall(r"`(ari-recorder explain [^`]+)`", page(name).prose)
              for words in commands(text)]  # fmt: skip
    found = [words for words in (*explains(page(name)), *inline) if "…" not in words]
    assert found
    for words in found:
        assert "ecorded (" in run(words)


def test_the_readme_installs_as_the_tutorial_does() -> None:
    """The tutorial was run on a fresh machine; what the README says more is said here."""
    tutorial = "\n".join(page("docs/tutorial.md").examples("sh"))
    _demo, _test, *install = page("README.md").examples("sh")
    more = [line for text in install for line in text.splitlines() if line not in tutorial.splitlines()]
    assert more == [
        "/opt/ari-recorder/bin/pip install .",
        "asterisk -rx 'module reload http'",
        "asterisk -rx 'module reload res_ari.so'",
        "asterisk -rx 'dialplan reload'",
    ]
