"""No caller stays in the gate, whatever becomes of the recorder.

Three things see to it, none of which trusts the one before:

1. A thread with an event loop and a connection of its own gives back, or ends, every call that stayed longer
   than it may: also while the recorder's own loop is blocked, or its disk hangs.
2. The recorder's loop says every `BEAT` seconds that it lives, in the PBX's global variable
   ARI_RECORDER_ALIVE: the gate in the dialplan lets no call in when that is old (asterisk_conf/).
3. The same variable tells the gate how long a stay can take: it takes a call back by itself after that.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import structlog

from ...asterisk.ari.client import AriClient
from ...asterisk.ari.connection import Connected, Item
from ...asterisk.ari.transport import RefusedError
from ...asterisk.orders import Orders
from ...capture import commands as cmd
from ...capture import events as ev
from ...capture.gate import SOON, Stay, result_variables
from ...capture.switchboard import Switchboard
from ...model.errors import RecorderError
from .judge import PolicyJudge

BEAT = 3.0
"""Seconds between two signs of life; the dialplan believes one for 10."""
SPARE = 2.0
"""Seconds by which the dialplan is more patient than the thread."""
LOOK = 0.25
AGAIN = 2.0
"""Seconds after which a call that did not go is told so again."""
ALIVE = "ARI_RECORDER_ALIVE"
OVERDUE = "A call stayed in the gate longer than it may"

log = structlog.get_logger()

Connect = Callable[[], AriClient]


@dataclass(slots=True)
class _Guest:
    since: float
    stay: Stay


class Gatekeeper:
    """One PBX's. `see` and `keep` belong to the recorder's loop."""

    def __init__(self, connect: Connect, application: str, board: Switchboard, judge: PolicyJudge) -> None:
        self._connect = connect
        self._application = application
        self._board = board
        self._judge = judge
        self._guests: dict[str, _Guest] = {}
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"gate-{board.pbx}", daemon=True)

    async def keep(self, client: AriClient) -> None:
        """Until cancelled."""
        self._thread.start()
        try:
            await self._beat(client)
        finally:
            self._stop.set()

    # -- on the recorder's loop ----------------------------------------------------------------------

    def see(self, item: Item) -> None:
        """Whoever is in the gate now; asked before the event is handled, for that may take for ever."""
        match item:
            case ev.GateEntered(channel=channel):
                self._enter(channel.id)
                # How long it may take is known when it was decided: after the handling of this event.
                asyncio.get_running_loop().call_soon(self._decided, channel.id)
            case ev.GateLeft(channel=channel) | ev.ChannelGone(channel=channel):
                self._forget(channel.id)
            case Connected(snapshot=snapshot):
                with self._guard:
                    self._guests.clear()
                for channel in snapshot.channels:
                    if channel.id in snapshot.gated and channel.technology != "Snoop":
                        self._enter(channel.id)

    def _forget(self, channel: str) -> None:
        with self._guard:
            self._guests.pop(channel, None)

    def _enter(self, channel: str) -> None:
        with self._guard:
            self._guests[channel] = _Guest(monotonic(), Stay(self._longest()))

    def _decided(self, channel: str) -> None:
        stay = self._board.stay(channel)
        with self._guard:
            if channel in self._guests:
                self._guests[channel].stay = stay

    def _longest(self) -> float:
        """Seconds that any call may be in the gate, whatever is decided of it."""
        prompts = self._board.world.prompts
        lengths = [0.0]
        for setting in self._judge.policy.settings:
            announced = setting.announcement.prompt if setting.announcement is not None else ""
            named = (announced, setting.failure_announcement or "")
            lengths.append(sum(prompts[name].seconds for name in named if name in prompts))
        return SOON + max(lengths)

    async def _beat(self, client: AriClient) -> None:
        """For ever: say on the PBX that this loop turns, by Asterisk's own clock."""
        while True:
            try:
                now = (await client.asterisk.ping()).at
                patience = round(self._longest() + SPARE + 0.5)
                await client.asterisk.set_variable(ALIVE, f"{int(now.timestamp())} {patience}")
            except RecorderError:
                pass  # the connection tells of it
            await asyncio.sleep(BEAT)

    # -- in the thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.wait(LOOK):
            try:
                if overdue := self._overdue():
                    asyncio.run(self._send_away(overdue))
            except Exception:
                log.exception("The gate could not be cleared", action="gate.defect", pbx=self._board.pbx)

    def _overdue(self) -> dict[str, Stay]:
        now = monotonic()
        with self._guard:
            found = {c: g.stay for c, g in self._guests.items() if now - g.since > g.stay.seconds}
            for channel in found:
                self._guests[channel].since = now - found[channel].seconds + AGAIN
        return found

    async def _send_away(self, overdue: dict[str, Stay]) -> None:
        async with self._connect() as client:
            orders = Orders(client, self._application, lambda _recording, _sample: None)
            for channel, stay in overdue.items():
                try:
                    waits = await _waits(client, channel)
                except RecorderError as error:  # it stays a guest, and keeps no other one waiting
                    log.warning(str(error), action="gate.unknown", channel=channel, code=error.code)
                    continue
                if waits:
                    await self._end_stay(orders, channel, stay)
                else:
                    self._forget(channel)

    async def _end_stay(self, orders: Orders, channel: str, stay: Stay) -> None:
        log.error(OVERDUE, action="gate.overdue", pbx=self._board.pbx, channel=channel,
                  seconds=stay.seconds, hung_up=stay.strict)  # fmt: skip
        go = cmd.LetGo(channel, result_variables("failed", None, "overdue"))
        for failed in await orders.carry_out(cmd.HangUp(channel) if stay.strict else go):
            log.error("It could not be sent away", action="gate.stuck", channel=channel, event=str(failed))


async def _waits(client: AriClient, channel: str) -> bool:
    """Whether it is in Stasis still: that it left may have been said while nobody listened."""
    try:
        return (await client.channels.get(channel)).app == "Stasis"
    except RefusedError as error:
        if error.code != "ari.not-found":
            raise
        return False
