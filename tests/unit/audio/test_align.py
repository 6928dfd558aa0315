"""Placing legs on one timeline, from times and lengths alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.audio.align import SIDES, LegKey, align
from ari_recorder.audio.plan import Piece, Plan, Track
from ari_recorder.model.call import Side
from ari_recorder.model.errors import PermanentError, RecorderError
from ari_recorder.model.recording import Coding, Leg, Recording, Segment, Sides, Start

from .calls import BEGIN, at, leg, recording, segment

HALF_A_MINUTE = 240_000


def planned(rec: Recording, silent: frozenset[LegKey] = frozenset()) -> Plan:
    """The plan where every leg has its journalled size and, unless silent, sounds throughout."""
    sizes = {
        (seg.number, side): size
        for seg in rec.segments
        for side in SIDES[rec.setting.sides]
        if (size := seg.leg(side).bytes) is not None
    }

    def sounding(number: int, side: Side, first: int) -> int:
        return 0 if (number, side) in silent else sizes[number, side] // 2 - first

    return align(rec, sizes, sounding)


def shape(track: Track) -> list[tuple[str, int, int]]:
    """(`1` for segment 1 or `-` for silence, place, length) of each part."""
    return [(str(p.segment) if isinstance(p, Piece) else "-", p.at, p.length) for p in track.parts]


def told(plan: Plan) -> list[tuple[str, float, float | None]]:
    """(what, from, until) of the notes, in ms after BEGIN."""
    tick = timedelta(milliseconds=1)
    return [
        (note.what, (note.at - BEGIN) / tick, None if note.until is None else (note.until - BEGIN) / tick)
        for note in plan.notes
    ]


def test_one_segment_is_copied_whole_and_exact() -> None:
    plan = planned(recording(segment(1, leg(0, 8000), leg(0, 8000))))
    assert [shape(track) for track in plan.tracks] == [[("1", 0, 8000)], [("1", 0, 8000)]]
    assert [track.side for track in plan.tracks] == [Side.REMOTE, Side.LOCAL]
    assert (plan.begins_at, plan.frames, plan.exact, plan.notes) == (BEGIN, 8000, True, ())
    assert plan.format.coding is Coding.ALAW


def test_sides_stand_by_their_own_start_without_a_word_about_the_slack() -> None:
    plan = planned(recording(segment(1, leg(3, 800), leg(0, 800))))
    assert shape(plan.tracks[0]) == [("-", 0, 24), ("1", 24, 800)]
    assert shape(plan.tracks[1]) == [("1", 0, 800), ("-", 800, 24)]
    assert plan.notes == ()
    assert plan.exact


def test_a_re_taken_segment_leaves_a_gap_with_times() -> None:
    rec = recording(segment(1, leg(0, 8000), leg(0, 8000)), segment(2, leg(1020, 8000), leg(1020, 8000)))
    plan = planned(rec)
    assert shape(plan.tracks[0]) == [("1", 0, 8000), ("-", 8000, 160), ("2", 8160, 8000)]
    assert told(plan) == [("gap", 1000, 1020)] * 2
    assert "remote: 160 samples (0.020 s)" in plan.notes[0].detail
    assert plan.exact


def test_a_segment_that_begins_too_early_is_pushed_with_both_its_sides() -> None:
    rec = recording(segment(1, leg(0, 8000), leg(0, 7920)), segment(2, leg(990, 800), leg(992, 800)))
    plan = planned(rec)
    assert shape(plan.tracks[0]) == [("1", 0, 8000), ("2", 8000, 800), ("-", 8800, 16)]
    assert shape(plan.tracks[1]) == [("1", 0, 7920), ("-", 7920, 96), ("2", 8016, 800)]
    assert plan.exact
    assert told(plan) == [("gap", 990, 1002)]


def test_a_push_beyond_the_clocks_slack_is_told_and_not_exact() -> None:
    rec = recording(segment(1, leg(0, 8000), leg(0, 8000)), segment(2, leg(900, 800), leg(900, 800)))
    plan = planned(rec)
    assert told(plan) == [("moved", 1000, None)]
    assert "0.100 s later" in plan.notes[0].detail
    assert not plan.exact


def test_a_missing_leg_is_silence_and_says_why() -> None:
    rec = recording(segment(1, leg(0, 8000), leg(0, None, error="snoop vanished")))
    plan = planned(rec)
    assert shape(plan.tracks[1]) == [("-", 0, 8000)]
    assert told(plan) == [("gap", 0, 1000)]
    assert "snoop vanished" in plan.notes[0].detail


def test_a_leg_never_fetched_is_silence_and_says_so() -> None:
    plan = planned(recording(segment(1, leg(0, 8000), leg(0, None))))
    assert "no file" in plan.notes[0].detail


def test_a_leg_cut_short_is_padded_and_told() -> None:
    plan = planned(recording(segment(1, leg(0, 8000), leg(0, 4000, error="Asterisk stopped"))))
    assert shape(plan.tracks[1]) == [("1", 0, 4000), ("-", 4000, 4000)]
    assert told(plan) == [("gap", 500, 1000)]
    assert "Asterisk stopped" in plan.notes[0].detail


def test_an_error_that_cost_nothing_is_told_all_the_same() -> None:
    plan = planned(recording(segment(1, leg(0, 8000), leg(0, 8000, error="stop not confirmed"))))
    assert told(plan) == [("leg-error", 1000, None)]


def test_a_missing_second_segment_does_not_make_the_timeline_longer() -> None:
    lost = segment(2, leg(1000, None, error="refused"), leg(1000, None, error="refused"))
    plan = planned(recording(segment(1, leg(0, 8000), leg(0, 8000)), lost))
    assert plan.frames == 8000
    assert told(plan) == [("leg-error", 1000, None)] * 2


def test_empty_legs_need_no_word_and_do_not_begin_the_recording() -> None:
    plan = planned(recording(segment(1, leg(-50, 0), leg(-50, 0)), segment(2, leg(0, 800), leg(0, 800))))
    assert (plan.begins_at, plan.frames, plan.notes) == (BEGIN, 800, ())


def test_an_unreported_start_is_taken_from_the_other_side_and_told() -> None:
    plan = planned(recording(segment(1, leg(0, 800), leg(None, 800))))
    assert [shape(track) for track in plan.tracks] == [[("1", 0, 800)]] * 2
    assert told(plan) == [("placed", 0, None)]


def test_without_any_time_a_later_segment_follows_the_one_before() -> None:
    rec = recording(segment(1, leg(0, 800), leg(0, 800)), segment(2, leg(None, 80), leg(None, 80)))
    plan = planned(rec)
    assert shape(plan.tracks[0]) == [("1", 0, 800), ("2", 800, 80)]
    assert {note.what for note in plan.notes} == {"placed", "moved"}


def test_the_time_of_the_order_serves_when_nothing_else_is_known() -> None:
    ordered = Leg("x", "y", asked_at=at(1000), bytes=160)
    rec = recording(segment(1, leg(0, 800), leg(0, 800)), segment(2, ordered, ordered))
    assert shape(planned(rec).tracks[0])[-1] == ("2", 8000, 80)


def test_a_trailing_odd_byte_is_left_out_and_told() -> None:
    plan = planned(recording(segment(1, leg(0, 800, odd=1), leg(0, 800))))
    assert plan.frames == 800
    assert told(plan) == [("odd-byte", 100, None)]


class TestFromAnswerOn:
    def test_everything_before_is_cut(self) -> None:
        rec = recording(segment(1, leg(0, 8000), leg(1, 8000)), start=Start.ANSWER, answered=400)
        plan = planned(rec)
        first, second = plan.tracks[0].parts[0], plan.tracks[1].parts[0]
        assert plan.begins_at == at(400)
        assert first == Piece(1, Side.REMOTE, 8000, 3200, 4800, 0, 4800)
        assert second == Piece(1, Side.LOCAL, 8000, 3192, 4808, 0, 4808)
        assert plan.exact

    def test_a_segment_wholly_before_leaves_no_trace(self) -> None:
        rec = recording(
            segment(1, leg(0, 800), leg(0, 800), codec="g722", rate=16000),
            segment(2, leg(200, 800), leg(200, 800)),
            start=Start.ANSWER,
            answered=200,
        )
        plan = planned(rec)
        assert shape(plan.tracks[0]) == [("2", 0, 800)]
        assert (plan.format.coding, plan.notes) == (Coding.ALAW, ())

    def test_what_was_missed_after_the_answer_is_told(self) -> None:
        rec = recording(segment(1, leg(29, 800), leg(29, 800)), start=Start.ANSWER, answered=0)
        plan = planned(rec)
        assert (plan.begins_at, told(plan)) == (BEGIN, [("gap", 0, 29)] * 2)

    def test_never_answered_is_empty(self) -> None:
        plan = planned(recording(segment(1, leg(0, 800), leg(0, 800)), start=Start.ANSWER))
        assert (plan.frames, told(plan)) == (0, [("unanswered", 0, None)])
        assert planned(recording(start=Start.ANSWER)).frames == 0


class TestAfterTheAnnouncement:
    def test_begins_when_the_last_one_ended(self) -> None:
        rec = recording(
            segment(1, leg(0, 8000), leg(0, 8000)), start=Start.AFTER_ANNOUNCEMENT, announced=(100, 250)
        )
        assert planned(rec).begins_at == at(250)

    def test_adds_no_silence_when_capture_began_later_still(self) -> None:
        rec = recording(
            segment(1, leg(300, 800), leg(300, 800)), start=Start.AFTER_ANNOUNCEMENT, announced=(250,)
        )
        plan = planned(rec)
        assert (plan.begins_at, plan.frames, plan.notes) == (at(300), 800, ())

    def test_an_end_that_was_not_reported_cuts_nothing(self) -> None:
        rec = recording(
            segment(1, leg(0, 800), leg(0, 800)), start=Start.AFTER_ANNOUNCEMENT, announced=(None,)
        )
        assert planned(rec).frames == 800


class TestChangedCodec:
    def test_two_seconds_of_another_rate_make_pcm_at_the_highest(self) -> None:
        rec = recording(
            segment(1, leg(0, HALF_A_MINUTE), leg(0, HALF_A_MINUTE)),
            segment(2, leg(30_000, 64_000), leg(30_000, 64_000), codec="g722", rate=16000),
        )
        plan = planned(rec)
        assert (plan.format.coding, plan.format.rate, plan.exact) == (Coding.PCM16, 16000, False)
        assert plan.tracks[0].parts == (
            Piece(1, Side.REMOTE, 8000, 0, HALF_A_MINUTE, 0, 2 * HALF_A_MINUTE, converted=True),
            Piece(2, Side.REMOTE, 16000, 0, 64_000, 2 * HALF_A_MINUTE, 64_000),
        )
        assert told(plan) == [("resampled", 0, 30_000), ("coding", 0, 34_000)]

    def test_less_is_brought_to_the_calls_own_coding(self) -> None:
        rec = recording(
            segment(1, leg(0, 8000), leg(0, 8000), codec="g722", rate=16000),
            segment(2, leg(500, HALF_A_MINUTE), leg(500, HALF_A_MINUTE)),
        )
        plan = planned(rec)
        assert plan.format.coding is Coding.ALAW
        assert shape(plan.tracks[0]) == [("1", 0, 4000), ("2", 4000, HALF_A_MINUTE)]
        assert told(plan) == [("resampled", 0, 500)]
        assert not plan.exact

    def test_a_single_sample_of_a_higher_rate_is_not_rounded_away(self) -> None:
        rec = recording(
            segment(1, leg(0, 8000), leg(0, 8000)),
            segment(2, leg(1000, 1), leg(1000, 1), codec="slin48", rate=48000),
        )
        assert shape(planned(rec).tracks[0]) == [("1", 0, 8000), ("2", 8000, 1)]

    def test_the_other_law_at_the_same_rate_is_converted_not_resampled(self) -> None:
        rec = recording(
            segment(1, leg(0, HALF_A_MINUTE), leg(0, HALF_A_MINUTE)),
            segment(2, leg(30_000, 800), leg(30_000, 800), codec="ulaw"),
        )
        assert told(planned(rec)) == [("converted", 30_000, 30_100)]

    def test_silence_at_another_rate_stays_true_in_length_and_is_no_conversion(self) -> None:
        rec = recording(
            segment(1, leg(0, 80_000), leg(0, 80_000), codec="g722", rate=16000),
            segment(2, leg(5000, 8000), leg(5000, 8000)),
        )
        plan = planned(rec, silent=frozenset({(1, Side.REMOTE), (1, Side.LOCAL)}))
        assert plan.format.coding is Coding.ALAW
        assert shape(plan.tracks[0]) == [("-", 0, 40_000), ("2", 40_000, 8000)]
        assert (plan.notes, plan.exact) == ((), True)

    def test_only_the_side_that_sounds_is_called_converted(self) -> None:
        rec = recording(
            segment(1, leg(0, 1600), leg(10, 1600), codec="g722", rate=16000),
            segment(2, leg(200, HALF_A_MINUTE), leg(200, HALF_A_MINUTE)),
        )
        plan = planned(rec, silent=frozenset({(1, Side.REMOTE)}))
        assert [note for note in told(plan) if note[0] == "resampled"] == [("resampled", 10, 110)]

    def test_a_frozen_rate_is_kept_as_it_was_recorded(self) -> None:
        plan = planned(recording(segment(1, leg(0, 1600), leg(0, 1600), codec="alaw", rate=16000)))
        assert (plan.format.coding, plan.format.rate) == (Coding.PCM16, 16000)


class TestClockThatWasSet:
    def test_back_nothing_is_cut_and_no_silence_put_before(self) -> None:
        for start in (Start.RING, Start.ANSWER):
            rec = recording(
                segment(1, leg(0, 8000), leg(0, 8000)),
                segment(2, leg(-3_600_000, 800), leg(-3_599_999, 800)),
                start=start,
                answered=500,
            )
            plan = planned(rec)
            kept = 8000 if start is Start.RING else 4000
            assert shape(plan.tracks[0])[:2] == [("1", 0, kept), ("2", kept, 800)]
            assert [note.what for note in plan.notes] == ["moved"]
            assert not plan.exact

    def test_forward_by_days_does_not_fill_the_disk(self) -> None:
        days = 3 * 86_400_000
        rec = recording(segment(1, leg(0, 8000), leg(0, 8000)), segment(2, leg(days, 800), leg(days, 800)))
        with pytest.raises(PermanentError, match="72 hours") as caught:
            planned(rec)
        assert caught.value.code == "audio.too-long"

    def test_a_call_of_days_is_no_trouble(self) -> None:
        days = 3 * 86_400 * 8000
        assert planned(recording(segment(1, leg(0, days), leg(0, days)))).frames == days


@pytest.mark.parametrize("sides", [Sides.REMOTE, Sides.LOCAL])
def test_one_side_alone_does_not_look_at_the_other(sides: Sides) -> None:
    rec = recording(segment(1, leg(0, 800), leg(0, 800)), sides=sides)
    plan = planned(rec)
    assert [str(track.side) for track in plan.tracks] == [str(sides)]


def test_no_leg_at_all_is_an_error_for_people() -> None:
    for rec in (recording(), recording(segment(1, leg(0, None), leg(0, None)))):
        with pytest.raises(RecorderError) as caught:
            planned(rec)
        assert caught.value.code == "capture.no-legs"


CODECS = st.sampled_from([("alaw", 8000), ("ulaw", 8000), ("g722", 16000), ("slin48", 48000)])
LEGS = st.builds(
    leg, st.one_of(st.none(), st.integers(-50, 5000)), st.one_of(st.none(), st.integers(0, 50_000))
)


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    segments: list[Segment] = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        codec, rate = draw(CODECS)
        segments.append(segment(number, draw(LEGS), draw(LEGS), codec=codec, rate=rate))
    return recording(
        *segments,
        sides=draw(st.sampled_from(Sides)),
        start=draw(st.sampled_from(Start)),
        answered=draw(st.one_of(st.none(), st.integers(-100, 6000))),
    )


@given(recordings(), st.frozensets(st.tuples(st.integers(1, 5), st.sampled_from(Side))))
def test_a_plan_covers_the_timeline_without_hole_or_overlap(
    rec: Recording, silent: frozenset[LegKey]
) -> None:
    try:
        plan = planned(rec, silent)
    except RecorderError as error:
        assert error.code == "capture.no-legs"  # noqa: PT017 - drawn recordings without legs are legal
        return
    for track in plan.tracks:
        end = 0
        for part in track.parts:
            assert part.at == end
            assert part.length > 0
            end += part.length
        assert end == plan.frames
        check_nothing_lost(rec, plan, track, silent)
    assert list(plan.notes) == sorted(plan.notes, key=lambda note: note.at)


def check_nothing_lost(rec: Recording, plan: Plan, track: Track, silent: frozenset[LegKey]) -> None:
    """Each leg's samples from the cut to its end stand in exactly one piece, or were all silent."""
    pieces = {part.segment: part for part in track.parts if isinstance(part, Piece)}
    assert len(pieces) == sum(isinstance(part, Piece) for part in track.parts)
    for seg in rec.segments:
        samples = (seg.leg(track.side).bytes or 0) // 2
        piece = pieces.get(seg.number)
        if piece is not None:
            assert piece.first + piece.count == samples
            assert piece.first == 0 or rec.setting.start is Start.ANSWER
            assert piece.converted or piece.length == piece.count
        elif rec.setting.start is Start.RING:
            assert samples == 0 or (seg.number, track.side) in silent
