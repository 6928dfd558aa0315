"""The judge must find every kind of damage that a recorder can do, and nothing where there is none."""

from __future__ import annotations

import random

import pytest

from tests.phones.judge import (
    FRAME,
    Run,
    assert_bit_exact,
    assert_sides,
    find_payload,
    foreign,
    judge,
    offset_ms,
    placements,
)

SILENT = b"\xd5"


def noise(seed: int, frames: int = 500) -> bytes:
    return random.Random(seed).randbytes(frames * FRAME)


def frame(number: int) -> slice:
    return slice(number * FRAME, (number + 1) * FRAME)


def recorded(sent: bytes, *, lead: int = 1234, tail: int = 777) -> bytes:
    return SILENT * lead + sent + SILENT * tail


def test_an_untouched_recording_is_one_run() -> None:
    sent = noise(1)
    assert find_payload(recorded(sent), sent) == [Run(1234, 0, len(sent))]
    verdict = assert_bit_exact(recorded(sent), sent, most_shift_ms=0)
    assert verdict.exact
    assert foreign(recorded(sent), verdict.runs) == []


def test_inserted_silence_that_looks_like_the_last_byte_before_it_is_no_repetition() -> None:
    sent = noise(7, 20)[: 10 * FRAME - 1] + SILENT + noise(8, 20)
    channel = recorded(sent[: 10 * FRAME] + SILENT * FRAME + sent[10 * FRAME :])
    verdict = assert_bit_exact(channel, sent)
    assert verdict.shifts == [(1234 + 11 * FRAME, FRAME)]


def test_a_lost_frame_is_named_with_its_time() -> None:
    sent = noise(2)
    channel = recorded(sent[: 100 * FRAME] + sent[101 * FRAME :])
    with pytest.raises(AssertionError, match=r"missing: 1 of 500 frames: 100 \(2\.000–2\.020 s\)"):
        assert_bit_exact(channel, sent)
    assert assert_bit_exact(channel, sent, missing_frames_allowed=1).missing == [100]
    with pytest.raises(AssertionError, match=r"shifted: -20 ms"):
        assert_bit_exact(channel, sent, missing_frames_allowed=1, most_shift_ms=0)


def test_a_frame_replaced_by_silence_is_missing_but_shifts_nothing() -> None:
    sent = noise(3)
    channel = recorded(sent[: 100 * FRAME] + SILENT * FRAME + sent[101 * FRAME :])
    verdict = assert_bit_exact(channel, sent, missing_frames_allowed=1, most_shift_ms=0)
    assert verdict.missing == [100]


def test_the_first_and_the_last_frame_are_judged_too() -> None:
    sent = noise(4)
    assert judge(recorded(sent[FRAME:]), sent).missing == [0]
    assert judge(recorded(sent[:-FRAME]), sent).missing == [499]
    assert judge(recorded(sent[:-1]), sent).damaged == [499]
    assert judge(recorded(sent[1:]), sent).damaged == [0]


def test_a_doubled_frame_is_found() -> None:
    sent = noise(5)
    channel = recorded(sent[: 101 * FRAME] + sent[frame(100)] + sent[101 * FRAME :])
    verdict = judge(channel, sent)
    assert (verdict.missing, verdict.damaged, verdict.doubled) == ([], [], [100])
    with pytest.raises(AssertionError, match="doubled: 1 of 500 frames: 100"):
        assert_bit_exact(channel, sent)


def test_two_frames_that_changed_places_are_found() -> None:
    sent = noise(6)
    swapped = sent[: 100 * FRAME] + sent[frame(101)] + sent[frame(100)] + sent[102 * FRAME :]
    verdict = judge(recorded(swapped), sent)
    assert verdict.missing == []
    assert verdict.backwards
    with pytest.raises(AssertionError, match="out of order"):
        assert_bit_exact(recorded(swapped), sent)


@pytest.mark.parametrize("place", [0, 7, 8, 80, 159, 160, 40_000, 79_999])
@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_one_flipped_bit_anywhere_is_found(place: int, bit: int) -> None:
    sent = noise(7)
    channel = bytearray(recorded(sent))
    channel[1234 + place] ^= bit
    verdict = judge(bytes(channel), sent)
    assert verdict.damaged == [place // FRAME]
    assert (verdict.missing, verdict.doubled, verdict.shifts) == ([], [], [])
    with pytest.raises(AssertionError, match="damaged: 1 of 500 frames"):
        assert_bit_exact(bytes(channel), sent, missing_frames_allowed=10)


def test_inserted_silence_is_a_shift() -> None:
    sent = noise(8)
    channel = recorded(sent[: 50 * FRAME] + SILENT * 480 + sent[50 * FRAME :])
    verdict = assert_bit_exact(channel, sent)
    assert verdict.shifts == [(1234 + 50 * FRAME + 480, 480)]
    with pytest.raises(AssertionError, match=r"\+60 ms at 1\.214 s"):
        assert_bit_exact(channel, sent, most_shift_ms=20)


def test_swapped_channels_are_called_so() -> None:
    caller, callee = noise(9), noise(10)
    sent = {"left": caller, "right": callee}
    assert_sides({"left": recorded(caller), "right": recorded(callee)}, sent)
    with pytest.raises(AssertionError, match="channels are swapped"):
        assert_sides({"left": recorded(callee), "right": recorded(caller)}, sent)
    with pytest.raises(AssertionError, match="nothing of the 500 frames"):
        assert_bit_exact(recorded(callee), caller)


def test_one_stray_frame_of_the_other_side_is_enough_to_complain() -> None:
    caller, callee = noise(11), noise(12)
    left = recorded(caller) + callee[frame(3)]
    with pytest.raises(AssertionError, match="channel 'left'"):
        assert_sides({"left": left, "right": recorded(callee)}, {"left": caller, "right": callee})


def test_an_announcement_is_foreign() -> None:
    sent, announcement = noise(13), noise(14, 5)
    channel = SILENT * 400 + announcement + SILENT * 400 + sent
    (found,) = foreign(channel, find_payload(channel, sent))
    assert abs(found.at - 400) < 8
    assert abs(found.length - 5 * FRAME) < 16


def test_sixteen_bit_samples_are_found_on_whole_samples_only() -> None:
    sent = noise(15)
    channel = bytes(2 * 1000) + sent + bytes(2 * 10)
    assert find_payload(channel, sent, width=2) == [Run(1000, 0, len(sent) // 2)]
    verdict = assert_bit_exact(channel, sent, width=2, rate=16000)
    assert verdict.frames == len(sent) // 2 // 320
    assert find_payload(b"\0" + channel, sent, width=2) == []


def test_silence_within_what_was_sent_does_not_tear_the_run() -> None:
    sent = noise(16, 20) + SILENT * 8000 + noise(17, 20) + SILENT * 8000 + noise(18, 20)
    assert find_payload(sent, sent) == [Run(0, 0, len(sent))]


def test_placement_tells_early_from_late() -> None:
    sent = noise(19, 10)
    sent_at = [1000.5 + 0.02 * n for n in range(10)]
    channel = SILENT * 4160 + sent  # 520 ms
    runs = find_payload(channel, sent)
    assert offset_ms(runs, sent_at, begins_at=1000.0) == pytest.approx(20)
    errors = [place.error_ms for place in placements(runs, sent_at, begins_at=1000.03)]
    assert errors == pytest.approx([50] * 10)


def test_nothing_sent_is_no_success() -> None:
    with pytest.raises(AssertionError, match="nothing was sent"):
        assert_bit_exact(SILENT * 1000, b"")


def test_an_hour_is_judged_in_seconds() -> None:
    sent = noise(20, 3 * 60 * 50)
    damaged = bytearray(recorded(sent))
    for place in range(5000, len(sent), 50_000):
        damaged[place + 1234] ^= 1
    assert len(judge(bytes(damaged), sent).damaged) == 29
