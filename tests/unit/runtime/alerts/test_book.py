"""What is told when, played through with two clocks that the test sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.model import document
from ari_recorder.runtime.alerts.book import LONGER, MOST, Book, Item, Memory, Terms, What
from ari_recorder.runtime.alerts.matters import Matter, matters
from ari_recorder.runtime.conditions import Condition, Severity

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TERMS = Terms(hold_off=30, settle=60, remind_every=86400)
TARGET = ("target:vault", "target.unreachable")
PBX = ("pbx:main", "ari.unreachable")


@dataclass
class Play:
    """A book, a clock, and what is wrong; everything told goes into `told`, unless the outlet is down."""

    terms: Terms = TERMS
    memory: Memory = field(default_factory=lambda: Memory("mail"))
    at: float = 0.0
    up: bool = True
    told: list[tuple[float, tuple[Item, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = Book(self.terms, self.memory)
        self.wrong: dict[str, Matter] = {}

    @property
    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.at)

    def begin(self, what: tuple[str, str] = TARGET, severity: Severity = Severity.CRITICAL) -> None:
        key, code = what
        self.wrong[key] = Matter(key, code, severity, f"{key} fails.", "", self.now)

    def end(self, what: tuple[str, str] = TARGET) -> None:
        del self.wrong[what[0]]

    def wait(self, seconds: float, step: float = 1.0) -> None:
        until = self.at + seconds
        while self.at < until:
            self.at = min(self.at + step, until)
            self.book.see(self.wrong, self.now, self.at)
            items = self.book.due(self.now, self.at)
            if items and self.up:
                self.told.append((self.at, items))
                self.book.tell(items, self.now, self.at)

    def restart(self, away: float = 5.0) -> None:
        """A new life with what was written, read from its JSON."""
        self.memory = document.load(Memory, document.dump(self.book.memory()))
        self.book = Book(self.terms, self.memory)
        self.wrong = {}
        self.at += away

    @property
    def words(self) -> list[list[str]]:
        return [[f"{item.what.value} {item.matter.key}" for item in items] for _, items in self.told]


def test_begin_and_end_are_told_once_each() -> None:
    play = Play()
    play.wait(5)
    play.begin()
    play.wait(29)
    assert play.told == []
    play.wait(600)
    assert play.words == [["began target:vault"]]
    assert play.told[0][0] == 36.0  # first seen at 6
    play.end()
    play.wait(59)
    assert len(play.told) == 1
    play.wait(600)
    assert play.words == [["began target:vault"], ["ended target:vault"]]
    (ended,) = play.told[1][1]
    assert ended.until is not None
    assert (ended.until - ended.matter.since).total_seconds() == 630


def test_what_lasts_less_than_the_hold_off_is_not_told() -> None:
    play = Play()
    play.begin()
    play.wait(29)
    play.end()
    play.wait(3600)
    assert play.told == []


def test_several_that_begin_at_once_are_one_message() -> None:
    play = Play()
    play.begin(PBX)
    play.wait(14)
    play.begin(TARGET)
    play.wait(100)
    assert play.words == [["began pbx:main", "began target:vault"]]
    play.end(PBX)
    play.wait(20)
    play.end(TARGET)
    play.wait(300)
    assert play.words[1:] == [["ended pbx:main", "ended target:vault"]]


def test_two_messages_keep_their_distance() -> None:
    play = Play()
    play.begin(PBX)
    play.wait(32)
    assert len(play.told) == 1
    for number in range(10):
        play.begin((f"target:{number}", "target.login"))
        play.wait(3)
    play.wait(60)
    times = [at for at, _ in play.told]
    assert all(later - earlier >= 30 for earlier, later in pairwise(times))
    assert sorted(w for words in play.words[1:] for w in words) == [f"began target:{n}" for n in range(10)]


def test_flapping_is_summarised() -> None:
    """20 s on, 20 s off: never wrong for the hold-off in one piece, and told all the same, once."""
    play = Play()
    for _ in range(20):
        play.begin()
        play.wait(20)
        play.end()
        play.wait(20)
    assert play.words == [["began target:vault"]]
    play.wait(300)
    assert play.words == [["began target:vault"], ["ended target:vault"]]
    assert play.told[1][1][0].times > 15


def test_what_comes_and_goes_slowly_is_told_three_times_and_then_as_one() -> None:
    play = Play()
    for _ in range(12):
        play.begin()
        play.wait(100)
        play.end()
        play.wait(100)
    assert play.words == [["began target:vault"], ["ended target:vault"]] * 2 + [["began target:vault"]]
    assert play.told[-1][1][0].times == 3
    play.wait(60 * LONGER + 10)
    assert play.words[-1] == ["ended target:vault"]


def test_reminders_come_every_so_often_and_together() -> None:
    play = Play(Terms(hold_off=30, settle=60, remind_every=3600))
    play.begin(PBX)
    play.wait(900)
    play.begin(TARGET)
    play.wait(2 * 3600, step=10)
    both = ["lasts pbx:main", "lasts target:vault"]
    assert play.words == [["began pbx:main"], ["began target:vault"], both, both]
    never = Play(Terms(remind_every=0))
    never.begin()
    never.wait(40)
    never.wait(40 * 86400, step=3600)
    assert len(never.told) == 1


def test_a_change_for_the_worse_is_told_at_once_and_errors_that_take_turns_are_not() -> None:
    play = Play()
    play.begin(TARGET, Severity.WARNING)
    play.wait(100)
    for code in ("target.torn", "target.unreachable") * 20:
        play.begin(("target:vault", code), Severity.WARNING)
        play.wait(60)
    assert play.words == [["began target:vault"]]
    play.begin(TARGET, Severity.CRITICAL)
    play.wait(5)
    assert play.words[1:] == [["changed target:vault"]]
    assert play.told[1][1][0].matter.since == NOON  # since it began, not since it changed
    play.begin(("target:vault", "target.login"), Severity.CRITICAL)
    play.wait(3700)
    assert play.words[2:] == [["changed target:vault"]]


def test_an_outlet_for_what_is_critical_hears_no_warnings() -> None:
    play = Play(Terms(least=Severity.CRITICAL))
    play.begin(TARGET, Severity.WARNING)
    play.wait(600)
    assert play.told == []
    play.begin(TARGET, Severity.CRITICAL)
    play.wait(40)
    play.begin(TARGET, Severity.WARNING)
    play.wait(4000)
    play.end()
    play.wait(600)
    assert play.words == [["began target:vault"], ["changed target:vault"], ["ended target:vault"]]


def test_a_restart_neither_repeats_nor_forgets() -> None:
    play = Play()
    play.begin()
    play.wait(40)
    for _ in range(10):  # a restart loop
        play.restart()
        play.wait(3)
        play.begin()
        play.wait(20)
    assert play.words == [["began target:vault"]]
    assert play.book.memory().entries[0].times == 1
    play.restart()
    play.wait(59)
    assert len(play.told) == 1
    play.wait(30)
    assert play.words[1:] == [["ended target:vault"]]
    play.restart()
    play.wait(600)
    assert len(play.told) == 2


def test_what_could_not_be_sent_is_told_as_it_stands_when_it_can() -> None:
    play = Play()
    play.up = False
    play.begin(TARGET)
    play.wait(600)
    play.end(TARGET)
    play.begin(PBX)
    play.wait(600)
    play.restart()
    play.begin(PBX)
    play.wait(600)
    play.up = True
    play.wait(5)
    assert play.words == [["passed target:vault", "began pbx:main"]]
    play.wait(600)
    assert len(play.told) == 1


def test_back_while_its_end_is_being_told() -> None:
    play = Play()
    play.begin()
    play.wait(40)
    play.end()
    play.up = False
    play.wait(100)
    items = play.book.due(play.now, play.at)
    play.begin()
    play.wait(2)
    play.book.tell(items, play.now, play.at)
    play.up = True
    play.wait(100)
    assert play.words[1:] == [["began target:vault"]]


def test_a_flood_is_bounded() -> None:
    play = Play()
    play.up = False
    for number in range(MOST + 100):
        play.begin((f"target:{number}", "target.login"))
    play.wait(200, step=40)
    assert len(play.book.memory().entries) == MOST


def test_thousands_of_recordings_are_one_matter() -> None:
    def stuck(number: int, code: str = "target.conflict") -> Condition:
        since = NOON + timedelta(seconds=number)
        return Condition(f"recording:{number}", code, f"No {number}.", "Compare.", Severity.WARNING, since)

    found = matters([*(stuck(n) for n in range(5, 5000)), stuck(1, "spool.damaged")])
    assert set(found) == {"recording:target.conflict", "recording:spool.damaged"}
    many = found["recording:target.conflict"]
    assert many.count == 4995
    assert "4995 recordings" in many.sentence
    assert "No 5." in many.sentence
    assert many.since == NOON + timedelta(seconds=5)
    assert found["recording:spool.damaged"].sentence == "No 1."
    assert matters([stuck(1)], ["recording:*"]) == {}
    assert matters([stuck(1)], ["target:*", "recording:2"]) != {}


@given(st.lists(st.tuples(st.sampled_from(["on", "off", "down", "up", "restart"]),
                          st.integers(1, 400)), max_size=25))  # fmt: skip
def test_whatever_happens_begin_and_end_take_turns(script: list[tuple[str, int]]) -> None:
    """And in the end, when all is well for long enough, nothing told is left open."""
    play = Play()
    for what, seconds in script:
        match what:
            case "on":
                play.begin()
            case "off":
                play.wrong.clear()
            case "restart":
                play.restart()
            case _:
                play.up = what == "up"
        play.wait(seconds, step=5)
    play.up = True
    play.wrong.clear()
    play.wait(60 * LONGER * 3, step=10)
    told = [item.what for _, items in play.told for item in items]
    state = "well"
    for what in told:
        if what is What.PASSED:
            assert state == "well"
        elif what is What.BEGAN:
            assert state == "well"
            state = "wrong"
        elif what is What.ENDED:
            assert state == "wrong"
            state = "well"
    assert state == "well"
    assert play.book.memory().entries == ()
