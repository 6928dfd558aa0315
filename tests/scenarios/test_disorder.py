"""Whatever is lost, late, refused or repeated: a session ends once, strands nobody and leaves no snoop."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from ari_recorder.capture import commands as cmd
from ari_recorder.capture import events as ev
from ari_recorder.model.recording import TRANSITIONS, Start, State

from .simulated_pbx import Rules, SimulatedPbx, user


class UnreliablePbx(SimulatedPbx):
    """Refuses orders and swallows or repeats their consequences, as the dice say."""

    def __init__(self, rules: Rules, dice: random.Random, *, trouble: float) -> None:
        super().__init__(rules, reorders_lost=dice.random() < 0.5)
        self.dice = dice
        self.trouble = trouble
        self.disobey = lambda c: False if self._bad_luck(c) else None

    def _bad_luck(self, command: cmd.Command) -> bool:
        fallible = isinstance(command, cmd.TakeSnoop | cmd.Record | cmd.Play | cmd.StopRecord)
        return fallible and self.dice.random() < self.trouble

    def tell(self, event: ev.Event) -> None:
        if not isinstance(event, ev.ChannelGone | ev.Woke) and self.dice.random() < self.trouble:
            return
        super().tell(event)
        if self.dice.random() < self.trouble:
            super().tell(event)


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    start=st.sampled_from(Start),
    announcement=st.sampled_from([None, "consent", "not installed"]),
    trouble=st.sampled_from([0.0, 0.1, 0.4]),
)
def test_every_session_ends(seed: int, start: Start, announcement: str | None, trouble: float) -> None:
    dice = random.Random(seed)
    pbx = UnreliablePbx(Rules(start=start, announcement=announcement), dice, trouble=trouble)
    caller = pbx.inbound(fmt=dice.choice(["(alaw)", "(g722|alaw)", ""]))

    def playback() -> None:
        if pbx.playing:
            pbx.playback_ends(failed=dice.random() < 0.3)

    def lose_a_snoop() -> None:
        for snoop in list(pbx.snoops)[:1]:
            pbx._end_snoop(snoop)

    def change_codec() -> None:
        pbx.formats[caller] = dice.choice(["(alaw)", "(ulaw)", "(g722)"])

    steps: list[Callable[[], None]] = [
        lambda: pbx.gate(caller),
        playback,
        lambda: pbx.answer(caller, user()),
        lambda: pbx.tell(ev.Held(pbx.now, pbx.channels[caller])),
        change_codec,
        lambda: pbx.pass_time(dice.uniform(0, 3)),
        lambda: pbx.change(caller, "Up"),
        lose_a_snoop,
    ]
    for _ in range(dice.randrange(12)):
        dice.choice(steps)()
        assert len(pbx.open_files) <= 2
    pbx.hang_up(caller)
    pbx.pass_time(30)

    assert not pbx.board.sessions
    assert not pbx.open_files
    ends = [r.id for r in pbx.finished]
    assert len(ends) == len(set(ends))
    for recording in pbx.finished:
        assert recording.state in (State.CAPTURED, State.FAILED, State.REFUSED)
        assert pbx.saved[recording.id] == recording


def test_the_gate_lets_go_before_a_caller_could_lose_patience() -> None:
    for seed in range(60):
        dice = random.Random(seed)
        pbx = UnreliablePbx(Rules(announcement="consent"), dice, trouble=0.3)
        caller = pbx.inbound()
        SimulatedPbx.tell(pbx, ev.GateEntered(pbx.now, pbx.channels[caller], ()))
        pbx.pass_time(10)
        while pbx.playing and caller not in pbx.let_go:
            playback, pbx.playing = pbx.playing, None
            SimulatedPbx.tell(pbx, ev.PlaybackFinished(pbx.now, playback, dice.random() < 0.5))
            pbx.pass_time(10)
        assert pbx.let_go[caller]["ARI_RECORDER_RESULT"] in ("recording", "refused", "failed"), seed


def test_every_state_can_be_reached_and_left_as_the_table_says() -> None:
    reachable = {State.DECIDED}
    while more := {s for r in reachable for s in TRANSITIONS[r]} - reachable:
        reachable |= more
    assert reachable == set(State)
