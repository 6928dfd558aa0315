"""A snoop's rate is frozen at its creation: pairs that cannot be exact are given back (FEATURES C1, C2)."""

from __future__ import annotations

from ari_recorder.capture import commands as cmd
from ari_recorder.model.recording import Recording, State

from .simulated_pbx import SimulatedPbx, user


def settling(pbx: SimulatedPbx, rates: list[str]) -> None:
    """Each snoop gets the next of these rates; the last one stays."""
    original = pbx._do

    def do(command: cmd.Command) -> None:
        original(command)
        if isinstance(command, cmd.TakeSnoop):
            pbx.snoop_rate[command.snoop] = rates.pop(0) if len(rates) > 1 else rates[0]

    pbx._do = do  # type: ignore[method-assign]


def recorded(pbx: SimulatedPbx) -> Recording:
    pbx.answer("in-1", user())
    pbx.hang_up("in-1")
    (recording,) = pbx.finished
    return recording


def test_snoops_of_different_rates_are_given_back_before_anything_records() -> None:
    """Seen on Asterisk 22: the caller's formats settled between the first snoop and the second; both sides
    were then resampled for good, though the first snoop, whose rate was looked at, had the right one."""
    pbx = SimulatedPbx()
    settling(pbx, ["slin", "slin16", "slin"])
    pbx.inbound(fmt="(alaw|g722)")
    assert len(pbx.open_files) == 2
    pbx.formats["in-1"] = "(alaw)"
    recording = recorded(pbx)
    assert [(s.rate, s.why, s.codec) for s in recording.segments] == [(8000, "start", "alaw")]
    assert "retaken" in [note.what for note in recording.notes]


def test_a_pair_that_stays_uneven_is_recorded_and_taken_anew_once_the_codec_is_final() -> None:
    pbx = SimulatedPbx()
    settling(pbx, ["slin", "slin16"] * 4 + ["slin"])
    pbx.inbound(fmt="(alaw|g722)")
    assert len(pbx.open_files) == 2
    pbx.formats["in-1"] = "(alaw)"
    recording = recorded(pbx)
    assert recording.state is State.CAPTURED
    assert [(s.rate, s.why) for s in recording.segments] == [(16000, "start"), (8000, "codec")]


def test_the_channel_is_asked_while_the_snoops_are_taken() -> None:
    """Its answer, 5 ms later, must not hold up the recording."""
    pbx = SimulatedPbx()
    pbx.inbound()
    together = next(c for c in pbx.script if isinstance(c, cmd.Together))
    assert "in-1" in [c.channel for c in together.commands if isinstance(c, cmd.ReadChannel)]
