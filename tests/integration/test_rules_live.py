"""The rules in real calls: who is recorded, who is not and why, and whatever a caller claims to be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from ari_recorder.evidence.info import read
from ari_recorder.lab.pbx import Pbx
from ari_recorder.lab.recorder import Recorder
from tests.phones import Call, Identity

from .scene import ARCHIVE, LIMIT, TRUNKS, Result, Scene, phones_of, serving

pytestmark = pytest.mark.engine

EXCEPTED, PLAIN, FOR_USER, FROM_ANSWER, STRANGER = (
    Identity(f"+4917150{n}0001", name)
    for n, name in enumerate(("Excepted", "Plain", "For User", "From Answer", "Stranger"))
)
MOBILE = "+491701234567"
"""To whom the dialplan forwards 6200."""
OPEN_NUMBER = "+49301001006"
"""The public number on which everybody is recorded, whatever they claim to be."""
COMMENT = "works council: never"

POLICY = f"""{TRUNKS}{ARCHIVE}
[[exception_list]]
name = "private"
comment = "not to be recorded"
entries = [{{ number = "+49170999*" }}, {{ number = "{EXCEPTED.number}", comment = "{COMMENT}" }}]

[[setting]]
name = "plain"
remote = ["{EXCEPTED.number}", "{PLAIN.number}", "{MOBILE}"]
exceptions = ["private"]
targets = ["archive"]

[[setting]]
name = "of 1001"
users = ["1001"]
remote = ["{FOR_USER.number}"]
targets = ["archive"]

[[setting]]
name = "from the answer"
remote = ["{FROM_ANSWER.number}"]
start = "answer"
targets = ["archive"]

[[setting]]
name = "outside calls of 1003"
directions = ["inbound", "outbound"]
users = ["1003"]
targets = ["archive"]

[[setting]]
name = "whatever 1002 dials outside"
directions = ["outbound"]
users = ["1002"]
targets = ["archive"]

[[setting]]
name = "open number"
directions = ["inbound"]
trunk_numbers = ["{OPEN_NUMBER}"]
targets = ["archive"]
"""


@pytest.fixture(scope="module")
def recorder(pbx22: Pbx, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    """At its end both verifiers go over all that these tests recorded, hostile callers included."""
    with serving(pbx22, tmp_path_factory.mktemp("recorder"), POLICY) as running:
        yield running


@pytest.fixture
async def stage(recorder: Recorder) -> AsyncIterator[Scene]:
    async with phones_of(recorder.pbx, recorder) as found:
        yield found


@pytest.fixture
def sent_on(recorder: Recorder) -> Iterator[str]:
    """A code that the dialplan, other than its `*11`, sends on to the trunk as it was dialled."""
    code = "*12"
    recorder.pbx.cli(f"dialplan add extension {code},1,Dial(PJSIP/{code}@trunk-berlin) into from-internal")
    yield code
    recorder.pbx.cli(f"dialplan remove extension {code}@from-internal")


async def talked(stage: Scene, number: str = "+49301001001", **how: Any) -> tuple[Call, Call]:
    """A call of a second from its beginning to its end."""
    pair = await stage.connect(number, **how)
    await pair[0].talk(1)
    await stage.finish(*pair)
    return pair


async def refused(stage: Scene, known: int, reason: str) -> dict[str, Any]:
    """The first refusal for this reason behind the `known` ones."""

    def there() -> dict[str, Any] | None:
        return next((line for line in stage.refusals()[known:] if line["reason"] == reason), None)

    found: dict[str, Any] = await stage.until(f"a refusal for {reason}", there)
    return found


def names(stage: Scene) -> set[str]:
    return {result.file.stem for result in stage.results()}


async def recorded_since(stage: Scene, known: set[str]) -> list[Result]:
    """What came into the archive besides the `known` recordings, once a call made now has come, too.

    The recorder takes events in their order: whatever it made of the calls before is there by then.
    """
    last, _ = await talked(stage, caller=PLAIN)
    await stage.recording(last)
    new = [result for result in await stage.delivered() if result.file.stem not in known]
    assert last.call_id in {result.call["sip_call_id"] for result in new}
    return [result for result in new if result.call["sip_call_id"] != last.call_id]


async def assert_nothing_kept(stage: Scene, known: set[str]) -> None:
    """Neither in the archive nor in the spool, where what was delivered is still being removed."""
    assert await recorded_since(stage, known) == []

    def empty() -> bool:
        return not any(
            name.endswith(".wav") for _, _, files in os.walk(stage.recorder.spool) for name in files
        )

    await stage.until("a spool without audio", empty)


# -- who is not recorded ----------------------------------------------------------------------------------


async def test_a_call_on_an_exception_list_is_refused_by_list_and_entry(stage: Scene) -> None:
    known, refusals = names(stage), len(stage.refusals())
    await talked(stage, caller=EXCEPTED)
    line = await refused(stage, refusals, "exception")
    assert '"private"' in line["because"]
    assert f"{EXCEPTED.number} ({COMMENT})" in line["because"]
    assert line["pbx"]
    assert line["channel"]
    await assert_nothing_kept(stage, known)
    assert stage.refusals()[refusals:] == [line]


async def test_a_feature_code_that_the_pbx_obeys_is_not_recorded(stage: Scene) -> None:
    known = names(stage)
    call = await (await stage.phone("1002")).call("*11")
    await call.answered(timeout=LIMIT)
    await call.hear(0.5)
    await stage.finish(call)
    await assert_nothing_kept(stage, known)


async def test_a_feature_code_that_goes_on_through_a_trunk_is_refused(stage: Scene, sent_on: str) -> None:
    known, refusals = names(stage), len(stage.refusals())
    phone, trunk = await stage.phone("1002"), await stage.phone("trunk-berlin")
    call = await phone.call(sent_on)
    incoming = await trunk.ring(timeout=LIMIT)
    await incoming.answer(timeout=LIMIT)
    await call.answered(timeout=LIMIT)
    line = await refused(stage, refusals, "feature-code")
    assert line["because"].startswith(f"{sent_on} is a feature code")
    await call.talk(0.5)
    await stage.finish(call, incoming)
    await assert_nothing_kept(stage, known)


async def test_a_setting_for_one_user_waits_for_who_is_rung(stage: Scene) -> None:
    known, refusals = names(stage), len(stage.refusals())
    await talked(stage, "+49301001002", user="1002", caller=FOR_USER)
    assert (await refused(stage, refusals, "no-setting"))["because"]
    await assert_nothing_kept(stage, known)
    call, _ = await talked(stage, "+49301001001", user="1001", caller=FOR_USER)
    result = await stage.recording(call)
    assert result.metadata["setting"]["name"] == "of 1001"
    assert result.call["callee"]["number"] == "1001"


async def test_internal_calls_are_left_out_of_a_setting_for_the_outside(stage: Scene) -> None:
    known, refusals = names(stage), len(stage.refusals())
    await talked(stage, "1003", trunk="1001", user="1003")
    await refused(stage, refusals, "no-setting")
    await talked(stage, "1001", trunk="1003", user="1001")
    await assert_nothing_kept(stage, known)
    inbound, _ = await talked(stage, "+49301001003", user="1003", caller=STRANGER)
    _, outbound = await talked(stage, "0307654321", trunk="1003", user="trunk-berlin")
    for leg, way in ((inbound, "inbound"), (outbound, "outbound")):
        result = await stage.recording(leg)
        assert result.call["direction"] == way
        assert result.metadata["setting"]["name"] == "outside calls of 1003"


# -- one call, one recording ------------------------------------------------------------------------------


async def test_a_ring_group_makes_one_recording(stage: Scene) -> None:
    known = names(stage)
    caller, _, _ = await asyncio.gather(*(stage.phone(name) for name in ("trunk-berlin", "1001", "1002")))
    call = await caller.call("+49301006300", caller=PLAIN)
    missed, taken = await asyncio.gather(stage.ring("1001"), stage.ring("1002"))
    await taken.answer(timeout=LIMIT)
    await call.answered(timeout=LIMIT)
    await missed.hung_up(timeout=LIMIT)
    await call.talk(1)
    await stage.finish(call, taken)
    (result,) = await recorded_since(stage, known)
    assert result.call["sip_call_id"] == call.call_id
    assert result.call["callee"]["number"] == "1002"


async def test_a_call_forwarded_to_a_mobile_makes_one_recording(stage: Scene) -> None:
    """Also the mobile's number is one that the setting selects: of a call of its own."""
    known = names(stage)
    call, mobile = await talked(stage, "+49301006200", user="trunk-berlin", caller=PLAIN)
    (result,) = await recorded_since(stage, known)
    assert result.call["sip_call_id"] == call.call_id != mobile.call_id
    assert result.call["direction"] == "inbound"
    assert result.call["caller"]["number"] == PLAIN.number
    assert result.call["answered_at"] is not None


# -- nobody answers ---------------------------------------------------------------------------------------


async def unanswered(stage: Scene, caller: Identity, end: str) -> Call:
    """A call that rings until it is being recorded, and ends so without an answer."""
    outside, _ = await stage.phone("trunk-berlin"), await stage.phone("1001")
    call = await outside.call("+49301001001", caller=caller)
    incoming = await stage.ring("1001")
    await stage.rolling(call)
    if end == "busy":
        await incoming.reject(486)
    else:
        await call.cancel(timeout=LIMIT)
    await call.hung_up(timeout=LIMIT)
    await incoming.hung_up(timeout=LIMIT)
    return call


@pytest.mark.parametrize("end", ["busy", "given up"])
async def test_from_the_answer_on_an_unanswered_call_leaves_nothing(stage: Scene, end: str) -> None:
    known, refusals = names(stage), len(stage.refusals())
    await unanswered(stage, FROM_ANSWER, end)
    line = await refused(stage, refusals, "not-answered")
    assert "nobody answered" in line["because"]
    await assert_nothing_kept(stage, known)


@pytest.mark.parametrize("end", ["busy", "given up"])
async def test_from_the_ringing_on_an_unanswered_call_is_kept(stage: Scene, end: str) -> None:
    refusals = len(stage.refusals())
    result = await stage.recording(await unanswered(stage, PLAIN, end))
    assert result.call["answered_at"] is None
    assert result.wave.seconds > 0
    assert stage.refusals()[refusals:] == []


# -- whatever a caller claims to be -----------------------------------------------------------------------

HOSTILE = {
    "path": Identity("../../x", "../../../etc/cron.d/x"),
    "long": Identity("9" * 300, "N" * 300),
    "emoji": Identity("☎🦊", "📞 Zoë 👩‍👩‍👧 🦄"),
    "brackets": Identity("\"<1>\"; '$(id)' | `id`", '"Eve" <sip:1001@example.org>;tag=1, \\'),
    "lines": Identity("1\r\nCaller name: Bob\r\n\r\n2", "Eve\x1b[2J\x07\tX"),
    "nul": Identity("12\x00345", "Eve\x01"),
    "bidi": Identity("1\u202e2\u20283", "\u202egpj.exe\u2066\u0085\ufeff"),
    "latin-1": Identity("M\udcfcller", "M\udcfcller \udcff\udcfe"),
    "template": Identity("{caller}%s$Y", "%n%n {0.__class__}"),
    "reserved": Identity("con", "NUL"),
}


def assert_safe(stage: Scene, result: Result) -> None:
    """One recording, all its files in the archive under a name that every file system takes."""
    assert result.file.resolve().is_relative_to(stage.archive.resolve())
    stem = result.file.stem
    files = {path.name.removeprefix(stem) for path in result.file.parent.iterdir() if stem in path.name}
    assert files == {".wav", ".json", "_info.txt", ".sha256", ".sig"}
    assert stem.isprintable()
    assert not set(stem) & set("/\\:*?\"<>|#%$`'; ")
    assert len(stem.encode()) <= 110
    assert stem.count("_") == 3


def assert_visible(result: Result) -> None:
    """Each value stands escaped on its own line, and what it says is what the metadata says."""
    assert all(line.isprintable() for line in result.info.split("\n"))
    told = read(result.info.encode())
    for key, field in (("Caller number", "number"), ("Caller name", "name")):
        assert told[key] == result.call["caller"][field]
    assert result.info.count("\nCaller name:") == 1


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_caller_is_recorded_under_a_safe_name(stage: Scene, kind: str) -> None:
    call, _ = await talked(stage, OPEN_NUMBER, user="1006", caller=HOSTILE[kind])
    result = await stage.recording(call)
    assert result.metadata["setting"]["name"] == "open number"
    assert_safe(stage, result)
    assert_visible(result)


@pytest.mark.parametrize(
    "caller",
    [
        Identity("anonymous", "Anonymous"),
        Identity("", raw='"Anonymous" <sip:anonymous@anonymous.invalid>'),
        Identity("", raw="<sip:127.0.0.1>"),
    ],
    ids=["number", "RFC 3323", "no user"],
)
async def test_an_anonymous_caller_is_recorded(stage: Scene, caller: Identity) -> None:
    call, _ = await talked(stage, OPEN_NUMBER, user="1006", caller=caller)
    result = await stage.recording(call)
    assert_safe(stage, result)
    assert_visible(result)
