"""Two phones that call each other without a PBX between them: what one sends is what the other hears."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.phones import (
    G722,
    PCMA,
    PCMU,
    Call,
    CallState,
    Codec,
    Exchange,
    Gap,
    Identity,
    Jitter,
    Loss,
    Numbers,
    OverdueError,
    Phone,
    RejectedError,
    Skew,
    Stall,
    noise,
)
from tests.phones.judge import assert_bit_exact, judge


@dataclass
class Pair:
    exchange: Exchange
    alice: Phone
    bob: Phone

    async def up(self, codecs: tuple[Codec, ...] = (PCMA,)) -> tuple[Call, Call]:
        call = await self.alice.call("bob", codecs=codecs)
        incoming = await self.bob.ring()
        await incoming.answer()
        await call.answered()
        return call, incoming


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with Exchange("127.0.0.1", 9) as exchange:
        bob = await exchange.phone("bob")
        alice = await exchange.phone("alice", peer=("127.0.0.1", bob.port))
        bob.wire.peer = ("127.0.0.1", alice.port)
        yield Pair(exchange, alice, bob)


@pytest.mark.parametrize("codec", [PCMA, PCMU, G722])
async def test_what_one_says_the_other_hears(pair: Pair, codec: Codec) -> None:
    call = await pair.alice.call("bob", noise("a", codec, seconds=0.5), codecs=(codec, PCMA))
    incoming = await pair.bob.ring()
    await incoming.ringing()
    assert await call.progress() == 180
    await incoming.answer(noise("b", codec, seconds=0.5))
    await call.answered()
    await call.talk_to_end()
    await incoming.talk_to_end()
    await call.hang_up()
    await incoming.hung_up()
    assert call.codec == incoming.codec == codec
    assert len(call.sent) == len(incoming.sent) == 25 * 160
    assert incoming.received == call.sent
    assert call.received == incoming.sent
    assert {packet.payload_type for packet in call.packets} == {codec.payload_type}
    assert (call.ended_by, incoming.ended_by) == ("us", "them")


async def test_the_answer_chooses_the_codec(pair: Pair) -> None:
    call = await pair.alice.call("bob", codecs=(G722, PCMA))
    incoming = await pair.bob.ring()
    await incoming.answer(codecs=(PCMA,))
    await call.answered()
    assert call.codec == incoming.codec == PCMA


async def test_packets_are_numbered_as_asked_and_wrap(pair: Pair) -> None:
    numbers = Numbers(sequence=65533, timestamp=2**32 - 160, ssrc=7)
    call = await pair.alice.call("bob", numbers=numbers)
    incoming = await pair.bob.ring()
    await incoming.answer()
    await call.answered()
    await incoming.hear(0.12)
    first = incoming.packets[:5]
    assert [packet.sequence for packet in first] == [65533, 65534, 65535, 0, 1]
    assert [packet.timestamp for packet in first] == [2**32 - 160, 0, 160, 320, 480]
    assert {packet.ssrc for packet in first} == {7}


async def test_hold_silences_and_unhold_goes_on_with_a_later_timestamp(pair: Pair) -> None:
    call, incoming = await pair.up()
    await call.talk(0.1)
    await call.hold()
    assert incoming.theirs is not None
    assert incoming.theirs.direction == "sendonly"
    frames = len(call.sent) // 160
    await call.unhold()
    assert incoming.theirs.direction == "sendrecv"
    await call.talk(0.1)
    await call.hang_up()
    await incoming.hung_up()
    assert incoming.received == call.sent
    before, after = incoming.packets[frames - 1], incoming.packets[frames]
    assert (after.sequence - before.sequence) == 1
    assert (after.timestamp - before.timestamp) % 160 == 0


async def test_a_call_can_be_given_up(pair: Pair) -> None:
    call = await pair.alice.call("bob")
    incoming = await pair.bob.ring()
    await incoming.ringing()
    await call.cancel()
    await incoming.hung_up()
    assert call.ended_by == "487 Request Terminated"
    with pytest.raises(RejectedError, match="487"):
        await call.answered()


async def test_a_refusal_tells_its_status(pair: Pair) -> None:
    call = await pair.alice.call("bob")
    await (await pair.bob.ring()).reject(486)
    with pytest.raises(RejectedError, match="486 Busy Here") as caught:
        await call.answered()
    assert caught.value.status == 486


async def test_every_wait_has_its_deadline(pair: Pair) -> None:
    with pytest.raises(OverdueError, match=r"phone alice did not ring within 0\.05 s"):
        await pair.alice.ring(timeout=0.05)
    call = await pair.alice.call("bob")
    with pytest.raises(OverdueError, match=r"phone alice did not get an answer within 0\.05 s.*\n.*> INVITE"):
        await call.answered(timeout=0.05)


async def test_early_media_flows_before_the_answer(pair: Pair) -> None:
    call = await pair.alice.call("bob", early=True)
    incoming = await pair.bob.ring()
    await incoming.early_media()
    assert await call.progress() == 183
    await call.hear(0.1)
    await incoming.hear(0.1)
    await incoming.answer()
    await call.answered()
    await call.hang_up()
    await incoming.hung_up()
    assert incoming.received == call.sent


async def test_a_codec_can_be_changed_in_the_call(pair: Pair) -> None:
    call, incoming = await pair.up()
    await call.talk(0.1)
    await call.switch((G722,), noise("wide", G722))
    await call.talk(0.1)
    assert call.codec == incoming.codec == G722
    assert {packet.payload_type for packet in incoming.packets} == {8, 9}
    assert call.sent.endswith(noise("wide", G722)(4) or b"none")


async def talked(
    pair: Pair, *weather: Stall | Gap | Loss | Jitter | Skew, seconds: float = 1
) -> tuple[Call, Call]:
    call = await pair.alice.call("bob", noise("weather", PCMA, seconds=seconds), weather=weather)
    incoming = await pair.bob.ring()
    await incoming.answer()
    await call.answered()
    await call.talk_to_end()
    await call.hang_up()
    await incoming.hung_up()
    return call, incoming


async def test_a_stall_holds_back_and_then_bursts(pair: Pair) -> None:
    call, incoming = await talked(pair, Stall(at=0.4, seconds=0.2))
    assert_bit_exact(incoming.received, call.sent)
    steps = [b - a for a, b in zip(call.stream.sent.monotonic, call.stream.sent.monotonic[1:], strict=False)]
    assert 0.19 < steps[19] < 0.25
    assert sum(steps[20:29]) < 0.02
    assert incoming.packets[30].timestamp - incoming.packets[0].timestamp == 30 * 160


async def test_a_gap_jumps_the_timestamp_only(pair: Pair) -> None:
    call, incoming = await talked(pair, Gap(at=0.4, seconds=0.2))
    assert incoming.received == call.sent
    assert incoming.packets[20].timestamp - incoming.packets[19].timestamp == 11 * 160
    assert incoming.packets[20].sequence - incoming.packets[19].sequence == 1


async def test_lost_frames_are_known_to_have_been_spoken(pair: Pair) -> None:
    call, incoming = await talked(pair, Loss(at=0.4, seconds=0.04))
    assert incoming.received == call.sent
    assert judge(incoming.received, bytes(call.stream.sent.spoken)).missing == [20, 21]
    assert incoming.packets[20].sequence - incoming.packets[19].sequence == 3


async def test_jitter_overtakes_but_loses_nothing(pair: Pair) -> None:
    call, incoming = await talked(pair, Jitter(most=0.06))
    order = list(call.stream.sent.frames)
    assert sorted(order) == list(range(50))
    assert order != sorted(order)
    assert incoming.received == call.sent
    first = incoming.packets[0].sequence - order[0]
    assert [packet.sequence - first for packet in incoming.packets] == order


async def test_a_slow_clock_sends_further_apart(pair: Pair) -> None:
    call, _ = await talked(pair, Skew(ppm=100_000))
    lasted = call.stream.sent.monotonic[49] - call.stream.sent.monotonic[0]
    assert lasted == pytest.approx(49 * 0.022, abs=0.02)


async def test_a_payload_of_bytes_is_sent_once(pair: Pair) -> None:
    call = await pair.alice.call("bob", bytes(range(256)) * 5)
    incoming = await pair.bob.ring()
    await incoming.answer()
    await call.answered()
    await call.talk_to_end()
    assert call.sent == bytes(range(256)) * 5
    assert call.state is CallState.ANSWERED


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("../../x", "../../x"),
        ("9" * 300, "N" * 300),
        ("📞", "Zoë 📞 \U0001f525"),
        ("a\0b\r\nVia: evil", "tab\tand nul\0"),
        ('"><sip:evil@x>', 'say "hi" \\ <sip:evil@x>;tag=1'),
        ("%00", "\udcff\udcfe"),
    ],
)
async def test_a_hostile_caller_id_arrives_as_sent(pair: Pair, number: str, name: str) -> None:
    identity = Identity(number, name)
    call = await pair.alice.call("bob", caller=identity)
    incoming = await pair.bob.ring()
    await incoming.answer()
    await call.answered()
    assert incoming.remote.startswith(identity.header(f"127.0.0.1:{pair.alice.port}"))
    await incoming.hang_up()
    await call.hung_up()


def test_a_display_name_cannot_hold_a_line_break() -> None:
    with pytest.raises(ValueError, match="line break"):
        Identity("1", "a\nb").header("h")
