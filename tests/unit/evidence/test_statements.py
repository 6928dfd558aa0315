"""E6: what is not in a recording is a link too, and every verifier takes it in its stride."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from ari_recorder.evidence import info
from ari_recorder.evidence.chain import Chain
from ari_recorder.evidence.keys import Keys
from ari_recorder.evidence.seal import seal
from ari_recorder.evidence.verify import verify
from ari_recorder.model.call import Direction, Party
from ari_recorder.model.document import dump, load
from ari_recorder.model.evidence import Sealed
from ari_recorder.model.recording import Assembled, Call, Chosen, Recording, State
from ari_recorder.model.statement import Entry, Kind
from ari_recorder.targets.paths import base_name as name_of

from .archives import NOON, Archive, seal_one
from .verifiers import check, told

LATER = NOON + timedelta(seconds=90)
GAP = Entry(Kind.GAP, "berlin", NOON, LATER, "connection-lost", "for 90.0 s nothing was heard: \u202e…")
REFUSAL = Entry(Kind.REFUSAL, "berlin", NOON, None, "opted-out", "the caller pressed 9")


def statement(*entries: Entry, targets: tuple[str, ...] = ("archive",)) -> Recording:
    call = Call("berlin", "", Direction.INTERNAL, Party(), Party())
    return Recording(
        "20260301T120000000-0badcafe-gap",
        State.ASSEMBLED,
        LATER,
        call,
        Chosen("statement", "", targets=targets),
        assembled=Assembled((), LATER, 0.0, exact=True),
        statement=entries,
    )


@pytest.fixture
def place(tmp_path: Path, keys: Keys) -> Path:
    """A folder with a certificate and, sealed after one another, a recording, a statement, a recording."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / keys.certificate_name).write_bytes(keys.certificate_pem)
    with Chain(tmp_path / "chain.log") as chain:
        seal_one(1, tmp_path / "out", keys, chain)
        seal_statement(tmp_path / "out", keys, chain)
        seal_one(2, tmp_path / "out", keys, chain)
    return tmp_path


def seal_statement(folder: Path, keys: Keys, chain: Chain) -> Sealed:
    made = statement(GAP, REFUSAL)
    return seal(made, folder, name_of(made), keys, chain, now=LATER)


def sealed_statement(place: Path, suffix: str) -> Path:
    (found,) = (place / "out").glob(f"*_statement_berlin_*{suffix}")
    return found


def test_it_is_a_link_between_recordings_and_says_what_it_states(place: Path) -> None:
    report = verify([place / "out"], chain_log=place / "chain.log")
    assert report.ok, told(report)
    assert (report.recordings, report.intact, report.statements) == (2, 2, 1)
    assert report.coverage[0].last == 3
    gap, refusal = report.stated
    assert (gap.kind, gap.pbx, gap.reason) == ("gap", "berlin", "connection-lost")
    assert (gap.at, gap.until) == ("2026-03-01T12:00:00.000000Z", "2026-03-01T12:01:30.000000Z")
    assert gap.detail.isprintable()
    assert (refusal.kind, refusal.until, refusal.detail) == ("refusal", "", "the caller pressed 9")


def test_four_files_and_no_sound(place: Path) -> None:
    names = {path.name.rpartition("_")[2] for path in (place / "out").glob("*_statement_*")}
    assert len(names) == 4
    assert not list((place / "out").glob("*_statement_*.wav"))
    content = json.loads(sealed_statement(place, ".json").read_text(encoding="utf-8"))
    assert "call" not in content
    assert content["audio"] == []


def test_the_script_that_knows_nothing_of_statements_takes_it_for_a_link(place: Path) -> None:
    for given in ("out", sealed_statement(place, ".sig")):
        done = check(given, cwd=place)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "3 recordings checked, 3 intact" in check("out", cwd=place).stdout


def test_the_text_holds_every_key_that_an_older_verifier_asks_for(place: Path) -> None:
    text = info.read(sealed_statement(place, "_info.txt").read_bytes())
    assert {key for group in info.GROUPS for key, _ in group} <= set(text)
    assert text["Caller number"] == ""
    assert text["Statement 1"] == "gap"
    assert text["Statement 1 detail"] == GAP.detail


@pytest.mark.parametrize(
    ("suffix", "before", "after"),
    [("_info.txt", b"connection-lost", b"connection-kept"), (".json", b"12:01:30", b"12:00:01")],
)
def test_a_changed_statement_is_found(place: Path, suffix: str, before: bytes, after: bytes) -> None:
    path = sealed_statement(place, suffix)
    path.write_bytes(path.read_bytes().replace(before, after))
    report = verify([place / "out"])
    assert [finding.code for finding in report.findings] == ["evidence.altered"]
    assert check("out", cwd=place).returncode == 1


def test_a_removed_statement_is_a_gap_in_the_chain(place: Path) -> None:
    for path in list((place / "out").glob("*_statement_*")):
        path.unlink()
    report = verify([place / "out"])
    assert "number 2 is missing" in told(report)
    assert check("out", cwd=place).returncode == 1


def test_only_statements_are_an_archive_too(tmp_path: Path, keys: Keys) -> None:
    (tmp_path / keys.certificate_name).write_bytes(keys.certificate_pem)
    with Chain(tmp_path / "chain.log") as chain:
        seal_statement(tmp_path, keys, chain)
    report = verify([tmp_path])
    assert report.ok
    assert (report.recordings, report.statements) == (0, 1)


def test_what_was_sealed_before_there_were_statements_is_still_intact(pristine: Archive) -> None:
    report = verify([pristine.root], chain_log=pristine.log)
    assert report.ok
    assert (report.statements, report.stated) == (0, ())


def test_the_journal_carries_it_and_reads_what_has_none() -> None:
    made = statement(GAP)
    assert load(Recording, dump(made)) == made
    older = json.loads(dump(statement()))
    del older["statement"]
    assert load(Recording, json.dumps(older)).statement == ()
