"""Carries out the orders of `capture.commands` over ARI. Saving, waking and the like are the runtime's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from ..capture.commands import (
    Alarm,
    AllClear,
    Command,
    DropChannel,
    HangUp,
    LetGo,
    Play,
    PollRtp,
    ReadChannel,
    Record,
    StopRecord,
    TakeSnoop,
    Together,
)
from ..capture.events import ChannelRead, CommandFailed, Event
from ..capture.pair import recording_of
from ..model.call import Side
from ..model.errors import PermanentError, RecorderError, TransientError
from ..model.recording import OnFailure
from .ari.client import AriClient
from .ari.events import SNOOP_ARGUMENT
from .ari.transport import RefusedError

FORMATS = {
    8000: "sln",
    12000: "sln12",
    16000: "sln16",
    24000: "sln24",
    32000: "sln32",
    44100: "sln44",
    48000: "sln48",
    96000: "sln96",
    192000: "sln192",
}
"""Sampling rate → Asterisk's name of the headerless 16-bit format, which is the file's extension too."""

SPY = {Side.REMOTE: "in", Side.LOCAL: "out"}
"""What the followed party says comes *in* to Asterisk; what it hears goes *out*."""

MOST_POLLS = 10
"""Polls at a time, of `transport.CONNECTIONS` that orders need as well: with hundreds of calls polls alone
would keep Asterisk busy. One that has to wait is left out, for only a prompt answer is of use."""

FAILURE_VARIABLE = "ARI_RECORDER_FAILURE"
ALARM_EVENT = "AriRecorderAlarm"

LET_GO_ATTEMPTS = 3
"""A caller must not be stranded because Asterisk was busy for a moment."""

Keep = Callable[[str, dict[str, Any]], None]
"""Takes a recording's id and a line of its `rtp.jsonl`: a poll of one channel, or when a leg was ordered."""


class Orders:
    """Carries out one order at a time, as often as asked and concurrently."""

    def __init__(
        self,
        client: AriClient,
        application: str,
        keep: Keep,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._application = application
        self._keep = keep
        self._clock = clock
        self._monotonic = monotonic
        self._polls = 0

    async def carry_out(self, command: Command) -> list[Event]:
        """Do it and say what came of it: `ChannelRead`, `CommandFailed`, or nothing to be said.

        TypeError for orders that are not for Asterisk (Save, Finish, Refuse, Misread, Wake).
        """
        match command:
            case Together():
                results = await asyncio.gather(*(self.carry_out(each) for each in command.commands))
                return [event for events in results for event in events]
            case ReadChannel():
                return [await self._read(command)]
            case PollRtp():
                await asyncio.gather(*(self._poll(command.recording, each) for each in command.channels))
                return []
            case _:
                return await self._attempt(command)

    async def _attempt(self, command: Command) -> list[Event]:
        try:
            await self._do(command)
        except RecorderError as error:
            return [CommandFailed(self._clock(), command, error.code, error.sentence)]
        return []

    async def _do(self, command: Command) -> None:
        match command:
            case TakeSnoop():
                await self._client.channels.snoop(
                    command.channel,
                    snoop_id=command.snoop,
                    app=self._application,
                    app_args=SNOOP_ARGUMENT,
                    spy=SPY[command.side],
                )
            case Record():
                await self._record(command)
            case StopRecord():
                await _unless_gone(self._client.recordings.stop(command.name))
            case DropChannel():
                await _unless_gone(self._client.channels.hangup(command.channel))
            case Play():
                await self._client.channels.play(
                    command.channel, playback_id=command.playback, media=command.media
                )
            case LetGo():
                await self._let_go(command)
            case HangUp() | Alarm() | AllClear():
                await self._fail(command)
            case _:
                raise TypeError(f"{type(command).__name__} is not an order for Asterisk")

    async def _record(self, command: Record) -> None:
        """Keeps `{"record", "before", "after", "took_ms"}` (see `_times`). A leg's own `asked_at` is not the
        request's time but that of the event which allowed it, by Asterisk's clock or the recorder's."""
        begun = self._clock(), self._monotonic()
        await self._client.channels.record(
            command.snoop, name=command.name, file_format=format_of(command.rate)
        )
        if (recording := recording_of(command)) is not None:
            self._keep(recording, {"record": command.name, **self._times(*begun)})

    async def _let_go(self, command: LetGo) -> None:
        """A call must never be stranded: it continues even when its variables cannot be set."""
        channels = self._client.channels
        setting = (
            _unless_gone(channels.set_variable(command.channel, name, value), outside=True)
            for name, value in command.variables.items()
        )
        results = await asyncio.gather(*setting, return_exceptions=True)
        await self._continue(command.channel)
        for result in results:
            if result is not None:
                raise result

    async def _fail(self, command: HangUp | Alarm | AllClear) -> None:
        """What `capture/failure.py` orders."""
        match command:
            case HangUp():
                await _unless_gone(self._client.channels.hangup(command.channel, reason="congestion"))
            case Alarm():
                await self._alarm(command)
            case AllClear() if any(note.what == "failure" for note in command.recording.notes):
                await self._failure(command.channel, "")

    async def _alarm(self, command: Alarm) -> None:
        """A call in the gate learns it by a variable, whoever listens on AMI by an event: unless
        the policy is to carry on in silence."""
        await self._failure(command.channel, command.failure)
        setting = command.recording.setting
        if setting.on_failure is OnFailure.CARRY_ON:
            return
        told = {
            "Failure": command.failure,
            "Recording": command.recording.id,
            "Setting": setting.name,
            "Action": setting.on_failure.value,
        }
        event = self._client.events.user_event(
            ALARM_EVENT, application=self._application, channel=command.channel, variables=told
        )
        await _unless_gone(event)

    async def _failure(self, channel: str, word: str) -> None:
        """ARI sets no variable of a channel that is not in Stasis (409) [measured, 22]."""
        told = self._client.channels.set_variable(channel, FAILURE_VARIABLE, word)
        await _unless_gone(told, outside=True)

    async def _continue(self, channel: str) -> None:
        for left in reversed(range(LET_GO_ATTEMPTS)):
            try:
                await _unless_gone(self._client.channels.continue_in_dialplan(channel), outside=True)
                return
            except TransientError:
                if not left:
                    raise

    async def _read(self, command: ReadChannel) -> Event:
        answers = await asyncio.gather(
            *(self._function(command.channel, function) for function in command.functions)
        )
        values = {
            function: value
            for function, value in zip(command.functions, answers, strict=True)
            if value is not None
        }
        return ChannelRead(self._clock(), command.channel, values)

    async def _function(self, channel: str, function: str) -> str | None:
        try:
            return await self._client.channels.get_variable(channel, function)
        except RecorderError:
            return None

    async def _poll(self, recording: str, channel: str) -> None:
        """Keeps `{"channel", "before", "after", "took_ms", "statistics"}`: the last is ARI's RTPstat as it
        came, for the others see `_times`."""
        if self._polls >= MOST_POLLS:
            return
        self._polls += 1
        begun = self._clock(), self._monotonic()
        try:
            statistics = await self._client.channels.rtp_statistics(channel)
        except RecorderError:
            return
        finally:
            self._polls -= 1
        sample = {"channel": channel, **self._times(*begun), "statistics": statistics}
        self._keep(recording, sample)

    def _times(self, before: datetime, started: float) -> dict[str, Any]:
        """Of a request: recorder's clock in ISO 8601 UTC, its duration by the monotonic clock."""
        return {
            "before": before.isoformat(timespec="microseconds"),
            "after": self._clock().isoformat(timespec="microseconds"),
            "took_ms": round((self._monotonic() - started) * 1000, 3),
        }


def format_of(rate: int) -> str:
    """`sln16` for 16000; PermanentError for a rate that Asterisk cannot record."""
    try:
        return FORMATS[rate]
    except KeyError:
        raise PermanentError(
            "capture.no-recording", f"Asterisk has no headerless format for {rate} samples a second."
        ) from None


async def _unless_gone(doing: Awaitable[None], *, outside: bool = False) -> None:
    """What is gone already need not be ended; `outside`: neither what has left Stasis (409)."""
    try:
        await doing
    except RefusedError as error:
        if error.code != "ari.not-found" and not (outside and error.status == 409):
            raise
