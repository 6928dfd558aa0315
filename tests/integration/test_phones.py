"""The phones against a real Asterisk: what one party sends is what the other hears, bit for bit.

Everything the recordings are judged by rests on this.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from ari_recorder.lab.pbx import Pbx
from tests.phones import (
    G722,
    PCMA,
    PCMU,
    Call,
    Codec,
    Exchange,
    Identity,
    Numbers,
    Phone,
    RejectedError,
)
from tests.phones.judge import assert_bit_exact, find_payload

pytestmark = pytest.mark.engine


@dataclass
class House:
    """The PBX with three phones and a trunk."""

    exchange: Exchange
    trunk: Phone
    one: Phone
    two: Phone
    three: Phone

    async def connect(
        self, codecs: tuple[Codec, ...] = (PCMA,), answer: tuple[Codec, ...] | None = None
    ) -> tuple[Call, Call]:
        """A call from outside to 1001, up and talking."""
        call = await self.trunk.call("+49301001001", codecs=codecs)
        incoming = await self.one.ring()
        await incoming.ringing()
        await incoming.answer(codecs=answer)
        await call.answered()
        return call, incoming


@pytest.fixture
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    """On `pbx22`, unless the test is parametrised with another PBX's fixture."""
    pbx: Pbx = request.getfixturevalue(getattr(request, "param", "pbx22"))
    async with Exchange(pbx.host, pbx.sip_port) as exchange:
        names = ("trunk-berlin", "1001", "1002", "1003")
        trunk, one, two, three = [await exchange.phone(name, register=True) for name in names]
        yield House(exchange, trunk, one, two, three)
        for phone in exchange.phones:
            await phone.hang_up_all()
            await phone.register(expires=0)


async def finish(*calls: Call) -> None:
    """All fall silent, what was said is through, the first hangs up."""
    await asyncio.gather(*(call.hush() for call in calls))
    await calls[0].hang_up()
    for call in calls:
        await call.hung_up()


@pytest.mark.parametrize("house", ["pbx22", "pbx16"], indirect=True)
@pytest.mark.parametrize("codec", [PCMA, PCMU, G722], ids=lambda codec: codec.name)
async def test_both_hear_exactly_what_the_other_says(house: House, codec: Codec) -> None:
    call, incoming = await house.connect((codec,), (codec,))
    await call.talk(3)
    await finish(call, incoming)
    assert len(call.sent) >= 3 * 8000
    assert_bit_exact(incoming.received, call.sent, what="what 1001 heard")
    assert_bit_exact(call.received, incoming.sent, what="what the caller heard")


async def test_a_busy_number_is_refused(house: House) -> None:
    call = await house.trunk.call("+49301004030")
    with pytest.raises(RejectedError, match="486"):
        await call.answered()


async def test_numbers_wrap_without_loss(house: House) -> None:
    numbers = Numbers(sequence=65_500, timestamp=2**32 - 8000)
    call = await house.trunk.call("+49301001001", numbers=numbers)
    incoming = await house.one.ring()
    await incoming.answer()
    await call.talk(2)
    await finish(call, incoming)
    assert_bit_exact(incoming.received, call.sent)


async def test_the_held_party_hears_music(house: House) -> None:
    call, incoming = await house.connect()
    await call.talk(1)
    await incoming.hush()  # what it says while it puts the call on hold may or may not get through
    await incoming.hold()
    before = len(call.received)
    await call.hear(1)
    music = call.received[before:]
    assert sum(run.length for run in find_payload(music, incoming.sent)) < 160 * 5
    assert len(set(music)) > 20, "nothing but silence was heard on hold"
    await incoming.unhold()
    resumed = len(incoming.sent)
    await call.talk(1)
    await finish(call, incoming)
    assert_bit_exact(call.received, incoming.sent)
    assert len(incoming.sent) - resumed > 8000 * 0.8
    assert_bit_exact(incoming.received, call.sent, missing_frames_allowed=len(call.sent) // 160)


@pytest.mark.parametrize("house", ["pbx22", "pbx16"], indirect=True)
async def test_blind_transfer_connects_the_caller_with_a_third(house: House) -> None:
    call, incoming = await house.connect()
    await call.talk(1)
    await incoming.hush()  # what it says while it is being replaced may or may not get through
    transfer = asyncio.create_task(incoming.refer("1002"))
    third = await house.two.ring(numbers=Numbers(sequence=5))
    await third.answer()
    assert await transfer == "200 OK"
    await third.hear(1)
    await finish(call, third)
    assert_bit_exact(call.received, incoming.sent + third.sent)
    assert find_payload(third.received, call.sent)


@pytest.mark.parametrize("house", ["pbx22", "pbx16"], indirect=True)
async def test_attended_transfer_connects_the_caller_with_a_third(house: House) -> None:
    call, incoming = await house.connect()
    await call.talk(0.5)
    await incoming.hold()
    asking = await house.one.call("1003")
    third = await house.three.ring()
    await third.answer()
    await asking.answered()
    await asking.talk(0.5)
    assert await incoming.refer_to(asking) == "200 OK"
    await asking.hung_up()
    heard = len(call.received)
    await call.hear(1)
    await finish(call, third)
    assert find_payload(call.received[heard:], third.sent)
    assert find_payload(third.received, asking.sent)
    assert find_payload(third.received, call.sent)


async def test_fifty_calls_at_once_are_paced_and_exact(
    house: House, record_testsuite_property: Callable[[str, object], None]
) -> None:
    async def one(number: int) -> tuple[Call, Call]:
        caller = Identity(f"+49170555{number:04}")
        call = await house.trunk.call("+49301001001", caller=caller, headers=[("X-Trunk", "berlin")])
        incoming = await house.one.ring(timeout=30, caller=caller.number)
        await incoming.ringing()
        await incoming.answer(timeout=30)
        await call.answered(timeout=30)
        return call, incoming

    pairs = await asyncio.gather(*(one(number) for number in range(50)))
    await asyncio.gather(*(call.talk(5) for pair in pairs for call in pair))
    await asyncio.gather(*(call.hush() for pair in pairs for call in pair))
    await asyncio.gather(*(call.hang_up() for call, _ in pairs))
    await asyncio.gather(*(incoming.hung_up() for _, incoming in pairs))
    for number, (call, incoming) in enumerate(pairs):
        assert_bit_exact(incoming.received, call.sent, what=f"what the callee of call {number} heard")
        assert_bit_exact(call.received, incoming.sent, what=f"what caller {number} heard")
    late = sorted(1000 * lateness for pair in pairs for leg in pair for lateness in leg.stream.sent.lateness)
    record_testsuite_property("packets", len(late))
    for share in (0.5, 0.99, 1):
        record_testsuite_property(f"lateness_p{share:.0%}_ms", round(late[int(share * (len(late) - 1))], 3))
    assert late[len(late) // 2] < 20, "half of all packets left later than their successors were due"


HOSTILE = [
    Identity("../../x", "../../../etc/passwd"),
    Identity("9" * 300, "N" * 300),
    Identity("📞", "Zoë 📞"),
    Identity("1\r\nX-Evil: 1", "tab\tbell\a"),
    Identity("1\0002", "nul\0byte"),
    Identity("%s%n$(id)`id`", 'say "hi" \\ <sip:evil@x>;tag=1'),
    Identity("a'; DROP TABLE calls;--", "\udcff\udcfe\udc80"),
    Identity("", raw="Anonymous <sip:anonymous@anonymous.invalid>"),
]


@pytest.mark.parametrize("caller", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_callers_get_through(house: House, caller: Identity) -> None:
    call = await house.trunk.call("+49301001001", caller=caller, headers=[("X-Trunk", "berlin")])
    incoming = await house.one.ring()
    await incoming.answer()
    await call.talk(0.5)
    await finish(call, incoming)
    assert_bit_exact(incoming.received, call.sent)
