"""Tables written by hand name every word that the code knows, and no other."""

from __future__ import annotations

import re
import tomllib

from ari_recorder.capture.failure import Failure
from ari_recorder.capture.gate import UNKNOWN_WISH, result_variables
from ari_recorder.capture.wish import NOTHING, read_wish
from ari_recorder.model.call import Direction, Wish
from ari_recorder.model.errors import CODES
from ari_recorder.model.recording import ADOPTED, ORPHANED, RESEALED, Recording, State
from ari_recorder.rules.decide import REASONS
from ari_recorder.runtime.pbx.failure_desk import REMEDIES
from ari_recorder.spool.stuck import STUCK

from .pages import ROOT, page, pages

FILES = page("docs/reference/files.md")
VARIABLES = page("docs/reference/channel-variables.md")
CONF = (ROOT / "asterisk_conf" / "ari-recorder_extensions.conf").read_text(encoding="utf-8")
CAPTURE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "ari_recorder/capture").glob("*.py"))
RUNTIME = "\n".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "ari_recorder/runtime").rglob("*.py")
)

FILE_NAMES = ("ari.conf", "config.toml", "seal.passphrase", "spool.json")
"""Look like codes."""


def rows(text: str, heading: str) -> list[str]:
    """The words in the first column of the table below a heading."""
    section = re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], flags=re.M)[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.M)
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


def test_states_of_a_recording() -> None:
    assert sorted(rows(FILES.text, "States")) == sorted(state.value for state in State)


def test_keys_of_the_journal() -> None:
    assert sorted(rows(FILES.text, "In the spool")) == sorted(Recording.__slots__)


OF_ADMINS = {ADOPTED, ORPHANED, RESEALED}
"""Notes of what a person had done."""


def test_words_in_notes() -> None:
    written = re.findall(r"(?:ledger\.note|self\.note|\bNote)\(\s*[\w.]+,\s*\"([\w-]+)\"", CAPTURE)
    assert set(rows(FILES.text, "Words in notes")) == {*written, "hold", "unhold", STUCK, *OF_ADMINS}
    assert len(set(written)) > 6


def test_wishes_are_those_that_the_gate_understands() -> None:
    wishes = rows(VARIABLES.text, "Wishes")
    assert len(wishes) == 3 + len(Direction)
    for wish in wishes:
        understood, unknown = read_wish((wish,))
        assert understood != NOTHING, wish
        assert not unknown
        assert wish.partition("=")[0] in CONF


def test_results_and_variables_of_the_gate() -> None:
    words = rows(VARIABLES.text, "Results")
    variables = [word for word in words if word.startswith("ARI_RECORDER_")]
    told = {f"ARI_RECORDER_{word}" for word in ("RESULT", "FAILURE", "ID", "SETTING", "WISH")}
    assert set(variables) == told
    assert "ARI_RECORDER_WISH" in result_variables("noted", None, wish=Wish(forbid=True))
    assert variables[0] in result_variables("recording", None)
    results = set(words) - set(variables)
    documented = re.search(r"`result`: (.*?)\n    `failure`", CAPTURE, re.S)
    assert documented is not None
    assert results == set(re.findall(r"`(\w+)`", documented[1]))
    readme = (ROOT / "asterisk_conf" / "README.md").read_text(encoding="utf-8")
    for word in results:
        assert f"`{word}`" in readme, "what lies on the PBX says something else"


def test_failures_are_those_that_recorder_and_gate_tell() -> None:
    told = {UNKNOWN_WISH} | {failure.value for failure in Failure}
    told |= set(re.findall(r'result_variables\("failed", None, "([\w-]+)"\)', RUNTIME))
    told |= set(re.findall(r"Set\(ARI_RECORDER_FAILURE=([\w-]+)\)", CONF))
    assert set(rows(VARIABLES.text, "Failures")) == told
    assert set(REMEDIES) == {failure.value for failure in Failure}


def test_variables_that_the_gate_obeys() -> None:
    obeyed = {name for name in re.findall(r"\$\{(ARI_RECORDER_\w+)", CONF) if name != "ARI_RECORDER_ALIVE"}
    results = {"ARI_RECORDER_RESULT"}
    assert set(rows(VARIABLES.text, "Settings")) >= obeyed - results
    assert "ARI_RECORDER_ON_FAILURE" in obeyed


def test_gates_that_pages_name_exist() -> None:
    for it in pages():
        for gate in re.findall(r"Gosub\((ari-recorder[\w-]*)", it.text):
            assert f"[{gate}]" in CONF, f"{it}: {gate}"


def test_error_codes_that_pages_name_exist() -> None:
    kinds = "|".join(sorted({code.partition(".")[0] for code in CODES}))
    for it in pages():
        for code in re.findall(rf"`((?:{kinds})\.[a-z-]+)`", it.text):
            assert code in CODES or code in FILE_NAMES, f"{it}: {code}"


def test_reasons_that_troubleshoot_explains_are_given() -> None:
    for reason in rows(page("docs/howto/troubleshoot.md").text, "A call was not recorded"):
        assert f'"{reason}"' in CAPTURE or reason in REASONS, reason


def test_the_law_is_the_one_that_is_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    it = page("docs/explanation/architecture.md")
    assert "\n".join(layers) + "\n" in it.examples("")
    picture = (ROOT / "docs/explanation/house.svg").read_text(encoding="utf-8")
    for room in (room for layer in layers for room in layer.split(" | ")):
        assert f">{room}<" in picture or f">{room}:" in picture
        assert room == "pipeline" or f"| `{room}/` |" in it.text
