"""Versions as Asterisk tells them, against the table of security holes."""

from __future__ import annotations

from datetime import date

import pytest

from ari_recorder.asterisk import advisories
from ari_recorder.asterisk.advisories import ADVISORIES, AS_OF, END_OF_LIFE, holes, judge, parse
from ari_recorder.asterisk.findings import Level

TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("text", "branch", "release", "packaged"),
    [
        ("22.10.1", "22", (22, 10, 1), False),
        ("22.10.1+dfsg+~cs6.17.60671434-1", "22", (22, 10, 1), True),
        ("16.28.0~dfsg-0+deb11u4", "16", (16, 28, 0), True),
        ("20.7-cert11", "20.7-cert", (11,), False),
        ("certified/18.9-cert1", "18.9-cert", (1,), False),
        ("certified-22.8-cert3", "22.8-cert", (3,), False),
        ("22.4", "22", (22, 4, 0), False),
    ],
)
def test_versions_are_understood(text: str, branch: str, release: tuple[int, ...], packaged: bool) -> None:
    version = parse(text)
    assert version is not None
    assert (version.branch, version.release, version.packaged) == (branch, release, packaged)


@pytest.mark.parametrize(
    ("text", "level", "words"),
    [
        ("22.10.1", Level.OK, str(AS_OF)),
        ("22.11.0", Level.OK, str(AS_OF)),
        ("22.10.0", Level.WARN, "GHSA-wcvv-g26m-wx5c"),
        ("22.8.1", Level.WARN, "GHSA-v6hp-wh3r-cwxh"),
        ("20.20.1", Level.OK, ""),
        ("20.9.2", Level.WARN, "GHSA-v428-g3cw-7hv9"),
        ("20.7-cert11", Level.OK, ""),
        ("20.7-cert10", Level.WARN, "GHSA-vrfp-mg3q-3959"),
        ("22.8-cert2", Level.WARN, "GHSA-vrfp-mg3q-3959"),
        ("21.12.3", Level.WARN, "2026-10-18"),
        ("18.26.4", Level.WARN, "2025-10-20"),
        ("16.28.0~dfsg-0+deb11u4", Level.WARN, "packager"),
        ("13.38.3", Level.FAIL, "16 and later"),
        ("GIT-master-abc123", Level.WARN, "GIT-master"),
        ("99.0.0", Level.OK, ""),
    ],
)
def test_each_version_is_judged(text: str, level: Level, words: str) -> None:
    finding = judge(text, TODAY)
    assert finding.level is level
    assert words in f"{finding.title} {finding.detail}"
    assert bool(finding.remedy) is (level is not Level.OK)
    assert str(AS_OF) in finding.detail or level is Level.FAIL or "GIT" in text


def test_the_remedy_names_the_release_that_mends_all() -> None:
    assert "22.10.1 or later" in judge("22.1.0", TODAY).remedy
    assert "20.7-cert11 or later" in judge("20.7-cert3", TODAY).remedy


def test_a_branch_is_maintained_until_its_last_day() -> None:
    assert "out of maintenance" not in judge("21.12.3", date(2026, 10, 17)).title
    assert "out of maintenance" in judge("21.12.3", date(2026, 10, 18)).title


def test_the_table_holds_together() -> None:
    """Newest first, none later than its date, each branch's releases of that branch."""
    published = [each.published for each in ADVISORIES]
    assert published == sorted(published, reverse=True)
    assert published[0] <= AS_OF
    for advisory in ADVISORIES:
        assert all(each.startswith("GHSA-") for each in advisory.ids)
        for branch, release in advisory.fixed.items():
            assert branch.endswith("-cert") or (release[0] == int(branch) and int(branch) in END_OF_LIFE)


def test_a_later_release_never_has_more_holes() -> None:
    for branch in ("18", "20", "21", "22", "23"):
        known = sorted({a.fixed[branch] for a in ADVISORIES if branch in a.fixed})
        counts = []
        for release in known:
            version = parse(".".join(map(str, release)))
            assert version is not None
            counts.append(len(holes(version)))
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] == 0


def test_the_code_is_stable() -> None:
    assert advisories.CODE == "pbx.version"
