"""Facts in, findings out: each thing that can be wrong is named, with a way to mend it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ari_recorder.asterisk import inspect as module
from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.asterisk.ari.models import AsteriskInfo
from ari_recorder.asterisk.clock import Offset, kernel_synchronised, read_offset
from ari_recorder.asterisk.defect import Verdict
from ari_recorder.asterisk.facts import Facts, LocalFolder, holds, look, read_direct_media
from ari_recorder.asterisk.findings import Finding, Level
from ari_recorder.asterisk.inspect import inspect, judge
from ari_recorder.model.errors import PermanentError

from .stand_in import AT, PASSWORD, USER, StandIn

TODAY = date(2026, 11, 21)
PROMPTS = ("sound:ari-recorder/a", "sound:ari-recorder/b")
FOLDER = LocalFolder(Path("/srv/recording"), exists=True, held_the_probe=True, free_bytes=50 * 2**30)

WELL = Facts(
    secure=True,
    info=AsteriskInfo("22.10.1", "asterisk", "asterisk", "", datetime(2026, 11, 21, tzinfo=UTC)),
    write_error=None,
    offset=Offset(timedelta(milliseconds=3), timedelta(milliseconds=2)),
    synchronised=True,
    missing_modules=(),
    direct_media=(),
    settings={"websocket_write_timeout": "5000", "sessionlimit": "1000"},
    verdict=Verdict(False, "59 of 60"),
    folder=FOLDER,
    spool="/var/spool/asterisk",
)


def findings(facts: Facts) -> dict[str, Finding]:
    found = judge(facts, prompts=PROMPTS, application="ari-recorder", today=TODAY)
    assert len({each.code for each in found}) == len(found)
    for each in found:
        assert each.title
        assert each.level is Level.OK or each.remedy, f"{each.code} does not say how to mend it"
    return {each.code: each for each in found}


def test_a_well_kept_pbx_has_nothing_to_mend() -> None:
    found = findings(WELL)
    assert {each.level for each in found.values()} == {Level.OK}
    assert len(found) == 16


REFUSED = PermanentError("ari.refused", "Asterisk refused POST channels/s/record (500): failed.")


@pytest.mark.parametrize(
    ("facts", "code", "level", "words"),
    [
        (replace(WELL, secure=False), "pbx.transport", Level.WARN, "in clear"),
        (replace(WELL, missing_modules=("res_stasis_snoop.so",)), "pbx.modules", Level.FAIL, "snoop"),
        (replace(WELL, write_error=REFUSED), "pbx.user", Level.FAIL, "may not write"),
        (replace(WELL, events_error=REFUSED), "pbx.events", Level.FAIL, "refused"),
        (
            replace(WELL, recording_error=REFUSED),
            "pbx.recording",
            Level.FAIL,
            "/var/spool/asterisk/recording",
        ),
        (replace(WELL, settings=None), "pbx.write-timeout", Level.WARN, "cannot be read"),
        (replace(WELL, settings=None), "pbx.session-limit", Level.WARN, "cannot be read"),
        (replace(WELL, settings={}), "pbx.write-timeout", Level.FAIL, "100 ms"),
        (
            replace(WELL, settings={"websocket_write_timeout": "4999"}),
            "pbx.write-timeout",
            Level.FAIL,
            "4999 ms",
        ),
        (replace(WELL, settings={"sessionlimit": "50"}), "pbx.session-limit", Level.WARN, "50"),
        (replace(WELL, verdict=Verdict(True, "0 of 60")), "pbx.defect", Level.WARN, "opus_plc"),
        (replace(WELL, verdict=Verdict(None, "no UDP")), "pbx.defect", Level.WARN, "no UDP"),
        (replace(WELL, unplayable=PROMPTS[:1]), "pbx.prompts", Level.FAIL, "sound:ari-recorder/a"),
        (replace(WELL, direct_media=None), "pbx.direct-media", Level.WARN, "cannot be read"),
        (
            replace(WELL, direct_media=tuple(f"e{n}" for n in range(12))),
            "pbx.direct-media",
            Level.WARN,
            "e9 and 2 more",
        ),
        (replace(WELL, synchronised=False), "recorder.clock", Level.WARN, "not synchronised"),
        (replace(WELL, synchronised=None), "recorder.clock", Level.WARN, "cannot be read"),
        (replace(WELL, folder=None), "pbx.disk", Level.WARN, "cannot be seen"),
        (
            replace(WELL, folder=replace(FOLDER, held_the_probe=False)),
            "pbx.folder",
            Level.FAIL,
            "/var/spool/asterisk/recording",
        ),
        (
            replace(WELL, folder=replace(FOLDER, exists=False, held_the_probe=None, free_bytes=None)),
            "pbx.folder",
            Level.FAIL,
            "does not exist",
        ),
        (replace(WELL, folder=replace(FOLDER, held_the_probe=None)), "pbx.folder", Level.WARN, "tried"),
        (replace(WELL, folder=replace(FOLDER, free_bytes=5 * 2**30)), "pbx.disk", Level.WARN, "5.0 GiB"),
        (replace(WELL, folder=replace(FOLDER, free_bytes=2**29)), "pbx.disk", Level.FAIL, "0.5 GiB"),
        (replace(WELL, folder=replace(FOLDER, free_bytes=None)), "pbx.disk", Level.WARN, "cannot be read"),
    ],
)
def test_each_fault_is_found_named_and_mendable(facts: Facts, code: str, level: Level, words: str) -> None:
    finding = findings(facts)[code]
    assert finding.level is level
    assert words in f"{finding.title} {finding.detail} {finding.remedy}"


@pytest.mark.parametrize(
    ("seconds", "uncertain", "level"),
    [(0.2, 0.001, Level.OK), (-0.3, 0.001, Level.WARN), (0.4, 0.5, Level.OK), (-31, 0.001, Level.FAIL)],
)
def test_clocks_are_compared_within_what_can_be_known(seconds: float, uncertain: float, level: Level) -> None:
    offset = Offset(timedelta(seconds=seconds), timedelta(seconds=uncertain))
    assert findings(replace(WELL, offset=offset))["pbx.clock"].level is level


def test_a_user_that_may_not_write_is_not_blamed_for_what_follows() -> None:
    found = findings(replace(WELL, write_error=REFUSED, settings=None))
    assert not {"pbx.events", "pbx.recording", "pbx.write-timeout", "pbx.prompts"} & found.keys()


async def test_without_an_answer_there_is_one_finding() -> None:
    async with AriClient("http://127.0.0.1:9", USER, PASSWORD, limit=0.5) as client:
        (finding,) = await inspect(client, recording_folder=None, prompts=(), application="x")
    assert (finding.code, finding.level) == ("pbx.reachable", Level.FAIL)
    assert finding.remedy


async def test_a_wrong_password_is_one_finding(pbx: StandIn, client: AriClient) -> None:
    pbx.answers["GET", "/asterisk/info"] = (401, {"message": "Authentication required"})
    (finding,) = await inspect(client, recording_folder=None, prompts=(), application="x")
    assert (finding.code, finding.level) == ("pbx.user", Level.FAIL)
    assert "ari.conf" in finding.remedy


async def test_an_asterisk_that_can_do_next_to_nothing_is_still_described(
    pbx: StandIn, client: AriClient, tmp_path: Path
) -> None:
    """No modules, no external media, no settings: findings, not errors."""
    pbx.answers["GET", "/asterisk/info"] = (
        200,
        {"system": {"version": "22.10.1"}, "status": {"startup_time": AT}, "config": {}, "build": {}},
    )
    said: list[str] = []
    found = await inspect(
        client, recording_folder=tmp_path, prompts=PROMPTS, application="x", progress=said.append
    )
    levels = {each.code: each.level for each in found}
    assert levels["pbx.events"] is Level.FAIL
    assert levels["pbx.direct-media"] is Level.WARN
    assert levels["pbx.clock"] is Level.FAIL  # the stand-in's clock stands still
    assert said


async def test_direct_media_is_read_from_each_pjsip_endpoint(pbx: StandIn, client: AriClient) -> None:
    def endpoint(name: str, technology: str = "PJSIP") -> dict[str, object]:
        return {"technology": technology, "resource": name, "state": "online", "channel_ids": []}

    pbx.answers["GET", "/endpoints"] = (
        200,
        [endpoint("b"), endpoint("a"), endpoint("c"), endpoint("d", "SIP")],
    )
    place = "/asterisk/config/dynamic/res_pjsip/endpoint/"
    for name, value in (("a", "true"), ("b", "yes"), ("c", "false")):
        pbx.answers["GET", place + name] = (200, [{"attribute": "direct_media", "value": value}])
    assert await read_direct_media(client) == ("a", "b")


async def test_direct_media_of_thousands_of_endpoints_is_read(pbx: StandIn, client: AriClient) -> None:
    many = [f"e{number}" for number in range(2000)]
    pbx.answers["GET", "/endpoints"] = (
        200,
        [{"technology": "PJSIP", "resource": e, "state": "online", "channel_ids": []} for e in many],
    )
    for name in many:
        value = [{"attribute": "direct_media", "value": "yes" if name == "e1999" else "no"}]
        pbx.answers["GET", f"/asterisk/config/dynamic/res_pjsip/endpoint/{name}"] = (200, value)
    assert await read_direct_media(client) == ("e1999",)


async def test_the_offset_is_taken_from_the_quickest_ping(pbx: StandIn, client: AriClient) -> None:
    before = datetime.now(UTC)
    found = await read_offset(client, rounds=3)
    told = datetime.fromisoformat(AT)
    assert abs(found.offset - (told - before)) < timedelta(seconds=5)
    assert timedelta(0) < found.uncertainty < timedelta(seconds=2)
    assert len(pbx.asked("GET", "/asterisk/ping")) == 3


def test_the_kernel_is_asked_without_needing_rights() -> None:
    assert kernel_synchronised() in (True, False)


def test_the_common_folder_is_looked_at(tmp_path: Path) -> None:
    assert look(tmp_path).exists
    assert look(tmp_path).free_bytes
    gone = look(tmp_path / "gone")
    assert (gone.exists, gone.free_bytes) == (False, None)
    (tmp_path / "f.sln").write_bytes(b"1234")
    assert holds(tmp_path / "f.sln", 4)
    assert not holds(tmp_path / "f.sln", 5)
    assert not holds(tmp_path / "g.sln", 4)


def test_little_is_more_than_very_little() -> None:
    assert module.VERY_LITTLE < module.LITTLE


@pytest.mark.parametrize(
    ("version", "warned"),
    [
        ("16.28.0~dfsg-0+deb11u4", True), ("16.29.1", True), ("16.30.0", False), ("18.15.1", True),
        ("18.16.0", False), ("19.7.1", True), ("20.0.1", True), ("20.1.0", False), ("13.38.3", True),
        ("22.10.1", False), ("GIT-master-abc", False), ("certified/18.9-cert13", False),
    ],
)  # fmt: skip
def test_a_release_that_empties_snoop_queues_is_warned_of(version: str, warned: bool) -> None:
    found = findings(replace(WELL, info=replace(WELL.info, version=version)))
    assert ("pbx.snoop-queue" in found) is warned


def test_prompts_of_a_pbx_on_another_host_are_to_be_copied(tmp_path: Path) -> None:
    facts = replace(WELL, unplayable=PROMPTS, host="pbx.example", folder=None)
    found = judge(facts, prompts=PROMPTS, application="a", today=TODAY, prompt_source=tmp_path)
    (copy,) = [each for each in found if each.code == "pbx.prompts"]
    assert f"rsync -a {tmp_path}/ root@pbx.example:" in copy.remedy
