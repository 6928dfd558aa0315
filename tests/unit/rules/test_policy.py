"""Reading the policy: what it says, its revision, and every mistake with line, key and suggestion."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.config.problems import ConfigFileError
from ari_recorder.config.starter import POLICY
from ari_recorder.config.targets import LocalTarget, SftpTarget
from ari_recorder.model.call import Direction
from ari_recorder.model.recording import Sides, Start
from ari_recorder.rules.decide import decide
from ari_recorder.rules.describe import describe
from ari_recorder.rules.policy import load_policy, parse_policy

from .policies import FOLDER, OFFICE, call, policy


def test_a_policy() -> None:
    got = policy()
    sales = got.setting("Sales")
    assert sales is not None
    assert sales.directions == (Direction.INBOUND, Direction.OUTBOUND)
    assert (sales.start, sales.sides) == (Start.AFTER_ANNOUNCEMENT, Sides.STEREO)
    assert sales.announcement is not None
    assert sales.announcement.directions == (Direction.INBOUND,)
    assert got.target("archive") == LocalTarget(kind="local", name="archive", folder=FOLDER / "archive")
    assert [setting.name for setting in got.settings] == ["Old", "Sales", "Hotline", "Inside"]
    assert got.setting("sales") is None
    assert got.trunk("berlin") is not None
    assert got.exception_list("doctors") is not None


def test_prompts_are_shipped_or_ones_own() -> None:
    shipped, own = policy().prompts
    assert (shipped.shipped, shipped.path) == ("en/recorded", None)
    assert (own.shipped, own.path) == (None, FOLDER / "own.wav")


def test_whether_an_announcement_must_be_heard() -> None:
    got = policy()
    assert got.announcement_required("Sales")
    assert not got.announcement_required("Hotline")
    assert got.announcement_required("gone since then")


def test_an_empty_policy_records_nothing_and_is_valid() -> None:
    assert policy("").settings == ()


def test_the_starter_file_is_valid_and_switched_off() -> None:
    got = policy(POLICY)
    assert [setting.enabled for setting in got.settings] == [False]


def test_the_starter_files_comments_are_valid_too() -> None:
    got = policy(re.sub(r"^( *)# (\w+ = |\[\[|\{)", r"\1\2", POLICY, flags=re.MULTILINE))
    assert isinstance(got.target("vault"), SftpTarget)
    assert got.outside_prefix == "0"
    assert got.settings[0].users == ("1001", "10??")
    assert len(got.exception_lists[0].entries) == 3


def test_a_policy_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "policy.toml").write_text(OFFICE)
    monkeypatch.chdir(tmp_path)
    got = load_policy(Path("policy.toml"))
    assert got.prompts[1].path == tmp_path / "own.wav"
    assert got.revision == policy().revision, "the folder is no part of the content"


# -- revision -----------------------------------------------------------------------------------------------

SECRET = '[[target]]\nkind = "sftp"\nname = "x"\nhost = "h"\nuser = "u"\nknown_hosts = "k"\npassword = "{}"\n'


def test_a_revision_changes_with_the_content_only() -> None:
    revision = policy().revision
    assert len(revision) == 12
    assert int(revision, 16) >= 0
    assert policy(OFFICE + "# a comment\n\n").revision == revision
    assert policy(OFFICE.replace('"DE"', "'DE'").replace("\n", "\r\n")).revision == revision
    assert policy(OFFICE.replace("20??", "21??")).revision != revision
    sales, hotline = (OFFICE.index(f'[[setting]]\nname = "{name}"') for name in ("Sales", "Hotline"))
    inside = OFFICE.index('[[setting]]\nname = "Inside"')
    swapped = OFFICE[:sales] + OFFICE[hotline:inside] + OFFICE[sales:hotline] + OFFICE[inside:]
    assert policy(swapped).revision != revision, "the order of settings is content"


def test_a_secret_leaves_no_trace_in_the_revision() -> None:
    assert policy(SECRET.format("one")).revision == policy(SECRET.format("two")).revision
    assert policy(SECRET.format("one")).revision != policy("").revision


# -- mistakes -----------------------------------------------------------------------------------------------

S = '[[setting]]\nname = "Sales"\n'
T = '[[target]]\nkind = "local"\nname = "archive"\nfolder = "a"\n'
V = '[[target]]\nkind = "sftp"\nname = "v"\nhost = "h"\nuser = "u"\nknown_hosts = "k"\n'
P = '[[prompt]]\nname = "recorded"\nfile = "shipped:en/recorded"\n'
X = '[[exception_list]]\nname = "doctors"\n'
R = '[[trunk]]\nname = "t"\n'


@pytest.mark.parametrize(
    ("text", "line", "key", "code", "says"),
    [
        ('contry = "DE"', 1, "contry", "unknown-key", 'did you mean "country"?'),
        ('country = "de"', 1, "country", "value", 'did you mean "DE"?'),
        ('country = "UK"', 1, "country", "value", 'did you mean "GB"?'),
        ('country = "Germany"', 1, "country", "value", "two letters"),
        ('\noutside_prefix = "zero"', 2, "outside_prefix", "value", "digits, * and #"),
        ("extension_length = 99", 1, "extension_length", "value", "at most 12"),
        ("settings = []", 1, "settings", "unknown-key", 'did you mean "setting"?'),
        ("[setting]\nname = 'x'", 1, "setting", "value", "write [[setting]], with two brackets"),
        ("[[settings]]\nname = 'x'", 1, "settings", "unknown-key", 'did you mean "setting"?'),
        (S + 'directons = ["inbound"]', 3, "setting[1].directons", "unknown-key", 'mean "directions"?'),
        (S + 'directions = ["inbound",\n"in"]', 4, "setting[1].directions[2]", "value", 'not "in"'),
        (S + 'directions = "inbound"', 3, "setting[1].directions", "value", "a list in square brackets"),
        (S + "directions = []", 3, "setting[1].directions", "value", "enabled = false"),
        (S + 'enabled = "yes"', 3, "setting[1].enabled", "value", 'must be true or false, not "yes"'),
        (S + "enabled = 1", 3, "setting[1].enabled", "value", "must be true or false, not 1"),
        (S + 'directions = ["inbuond"]', 3, "setting[1].directions[1]", "value", 'did you mean "inbound"?'),
        (S + 'start = "rings"', 3, "setting[1].start", "value", 'did you mean "ring"?'),
        (S + 'sides = "setreo"', 3, "setting[1].sides", "value", 'did you mean "stereo"?'),
        (S + 'country = "DE"', 3, "setting[1].country", "unknown-key", "belongs at the top of the file"),
        (S + 'xyzzy = "DE"', 3, "setting[1].xyzzy", "unknown-key", "known here: name, enabled, directions"),
        (S + 'users = [\n  "1001",\n  "_10XX",\n]', 5, "setting[1].users[2]", "value", 'as in "10??"'),
        (S + r"remote = ['/(\d+)+$/']", 3, "setting[1].remote[1]", "value", "take very long"),
        (S + "remote = ['/(/']", 3, "setting[1].remote[1]", "value", "is not a regular expression"),
        (S + "remote = [49]", 3, "setting[1].remote[1]", "value", "must be text in quotes, not 49"),
        (S + "trunk_numbers = ['^49']", 3, "setting[1].trunk_numbers[1]", "value", "between slashes"),
        ("\n\n[[setting]]\nenabled = true", 3, "setting[1]", "value", 'needs "name"'),
        (S + S, 4, "setting[2].name", "value", "is the name of setting[1] already"),
        ('[[setting]]\nname = "a,b"', 2, "setting[1].name", "value", "commas"),
        ('[[setting]]\nname = " "', 2, "setting[1].name", "value", "1 to 80 characters"),
        (T + S + 'targets = ["archiv"]', 7, "setting[1].targets[1]", "reference", 'did you mean "archive"?'),
        (S + 'targets = ["archive"]', 3, "setting[1].targets[1]", "reference", "none is defined"),
        (T + S + 'targets = ["archive", "archive"]', 7, "setting[1].targets[2]", "value", "a second time"),
        (X + S + 'exceptions = ["doctor"]', 5, "setting[1].exceptions[1]", "reference", 'mean "doctors"?'),
        (P + S + 'announcement = { prompt = "recordd" }', 6, "setting[1].announcement.prompt", "reference",
         'did you mean "recorded"?'),
        (P + S + 'announcement = { promt = "x", prompt = "recorded" }', 6, "setting[1].announcement.promt",
         "unknown-key", 'did you mean "prompt"?'),
        (P + S + '[setting.announcement]\nprompt = "recorded"\ndirections = ["internal"]', 8,
         "setting[1].announcement.directions", "value", "inbound and outbound calls only"),
        (P + S + 'announcement = "recorded"', 6, "setting[1].announcement", "value", "must be a table"),
        (S + 'start = "after-announcement"', 3, "setting[1].start", "value", "has no announcement"),
        (P + S + 'failure_announcement = "recorded"', 6, "setting[1].failure_announcement", "value",
         'but "on_failure" is "carry-on"'),
        (P + S + 'on_failure = "hang-up"\nfailure_announcement = "x"', 7, "setting[1].failure_announcement",
         "reference", "no [[prompt]] has that name"),
        (S + 'on_failure = "hangup"', 3, "setting[1].on_failure", "value", "hang-up"),
        (T + 'port = 22', 5, "target[1].port", "unknown-key", "known here: name, path"),
        ("[[target]]\nname = 'x'", 1, "target[1]", "value", 'needs "kind", one of "local", "sftp"'),
        (T.replace("local", "sfpt"), 2, "target[1].kind", "value", 'did you mean "sftp"?'),
        (T + 'path = "$Y/$callr"', 5, "target[1].path", "value", 'did you mean "$caller"?'),
        (T + T.replace("archive", "ARCHIVE"), 7, "target[2].name", "value", "the name of target[1]"),
        (V + "password = 'p'\npassword_file = 'x'", 1, "target[1]", "value", 'only one of "password"'),
        (V + "password = 4711", 7, "target[1].password", "value", "must be text in quotes."),
        (V + "password = 'p'\nport = 70000", 8, "target[1].port", "value", "at most 65535"),
        (V + "password = 'p'\npasssword = 'p'", 8, "target[1].passsword", "unknown-key", '"password"?'),
        (P + "coment = ''", 4, "prompt[1].coment", "unknown-key", 'did you mean "comment"?'),
        (P.replace("en/", "EN/"), 3, "prompt[1].file", "value", "such as shipped:en/recorded"),
        (P.replace("en/", "../"), 3, "prompt[1].file", "value", "such as shipped:en/recorded"),
        (X + 'entries = ["+4930"]', 3, "exception_list[1].entries[1]", "value", "must be a table"),
        (X + 'entries = [\n {number = "1"},\n {nummer = "2"},\n]', 5, "exception_list[1].entries[2].nummer",
         "unknown-key", 'did you mean "number"?'),
        (X + "[[exception_list.entries]]\nnumber = '1,2'", 4, "exception_list[1].entries[1].number", "value",
         "as a list"),
        (R + "endpoints = ['trunk-berlin']", 3, "trunk[1].endpoints[1]", "value", "PJSIP/trunk-berlin"),
        (R + "endpoints = []", 3, "trunk[1].endpoints", "value", "must not be empty"),
        (R + "endpoint = ['PJSIP/x']\nendpoints = ['PJSIP/x']", 3, "trunk[1].endpoint", "unknown-key",
         'did you mean "endpoints"?'),
    ],
)  # fmt: skip
def test_mistakes(text: str, line: int, key: str, code: str, says: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        parse_policy(text)
    problem = next(problem for problem in caught.value.problems if problem.key == key)
    assert (problem.line, problem.code) == (line, f"config.{code}")
    assert says in problem.sentence
    assert problem.sentence.startswith(key)
    assert f"policy.toml line {line}: {key} " in str(caught.value)
    assert "4711" not in str(caught.value)


def test_several_mistakes_are_told_together_in_the_order_of_the_file() -> None:
    text = 'contry = "DE"\n' + S + 'start = "rng"\n' + R + T.replace("kind", "knd") + S + "enabled = 0\n"
    with pytest.raises(ConfigFileError) as caught:
        parse_policy(text)
    lines = [problem.line for problem in caught.value.problems]
    assert lines == sorted(lines, key=lambda line: line or 0)
    assert {1, 4, 5, 7, 13} <= set(lines)


@given(st.text(max_size=20) | st.text(alphabet="+0123456789*?/@;:sip ", max_size=20))
def test_any_text_as_a_pattern_is_refused_or_works(text: str) -> None:
    quoted = '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'
    entries = f"[[exception_list]]\nname = 'x'\nentries = [{{ number = {quoted} }}]\n"
    try:
        got = parse_policy(f"{entries}{S}users = [{quoted}]\nexceptions = ['x']\n")
    except ConfigFileError as error:
        assert {problem.line for problem in error.problems} == {3, 6}  # noqa: PT017 - both outcomes are right
        return
    assert decide(got, call(text, text)).reason in ("exception", "no-setting", "feature-code")


@given(st.binary(max_size=40), st.integers(0, len(OFFICE)))
def test_a_damaged_policy_is_refused_or_read(damage: bytes, place: int) -> None:
    text = OFFICE.encode()[:place] + damage + OFFICE.encode()[place:]
    try:
        got = parse_policy(text.decode("utf-8", "surrogateescape"))
    except ConfigFileError as error:
        told = str(error)
    else:
        told = "".join(describe(got, setting) for setting in got.settings)
    assert "Traceback" not in told
    assert "pydantic" not in told
