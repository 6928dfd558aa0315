"""One PBX: its events in, the switchboard's orders out, for ever.

Everything that can happen to the calls of a PBX comes through one inbox, in order: Asterisk's events, the
results of orders, timers. The switchboard answers each at once; only carrying out its orders takes time, and
that happens in one ordered queue per recording.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from ...asterisk.ari.client import AriClient
from ...asterisk.ari.connection import AriConnection, Connected, Disconnected, Item
from ...asterisk.orders import Orders
from ...capture import commands as cmd
from ...capture import events as ev
from ...capture.gate import result_variables
from ...capture.reconcile import Work, reconcile, take_up
from ...capture.switchboard import Order, Switchboard
from ...disk.faults import fault_point
from ...model.errors import RecorderError, TransientError
from ...model.recording import Recording
from ...rules.numbers import printable
from ..journal import Journal
from .clocks import difference
from .salvage import Salvage
from .workers import Workers

log = structlog.get_logger()

RETRY_SAVE = 5.0
"""Seconds after which a recording that could not be journalled at its end is tried again."""
MOST_ENDED = 1000

_SEAMS: dict[type, str] = {
    cmd.TakeSnoop: "order.snoop",
    cmd.Record: "order.record",
    cmd.Play: "order.play",
    cmd.LetGo: "order.let-go",
}


async def _unheard(_pbx: str, _what: cmd.Alarm | cmd.AllClear) -> None:
    """Nobody wants to know."""


def _unseen(_item: Item) -> None:
    """Nobody wants to know."""


class _Late:
    """There are recordings to be taken up on a connection that stands."""


@dataclass(frozen=True, slots=True)
class Ears:
    """Who else wants to know what happens on a PBX."""

    finished: Callable[[Recording], None]
    refused: Callable[[str, cmd.Refuse], Awaitable[None]]
    """Notes it; no disk keeps it long."""
    connected: Callable[[str, Disconnected | None], None]
    """PBX and, when the connection is lost, why."""
    deaf_since: Callable[[], datetime | None] = lambda: None
    """Since when nothing was heard (the recorder's clock); asked before `connected` is told."""
    failing: Callable[[str, cmd.Alarm | cmd.AllClear], Awaitable[None]] = _unheard
    seen: Callable[[Item], None] = _unseen
    """Hears everything that is about to be handled."""


class PbxLink:
    """Keeps one PBX's calls and recordings in step with its Asterisk."""

    def __init__(
        self,
        board: Switchboard,
        client: AriClient,
        connection: AriConnection,
        orders: Orders,
        journal: Journal,
        ears: Ears,
        legs: Path | None = None,
        salvage_after: float = 120.0,
    ) -> None:
        """`legs`: Asterisk's recording folder where it is shared; `salvage_after`: see `Salvage`."""
        self.board = board
        self.client = client
        self._connection = connection
        self._orders = orders
        self._journal = journal
        self._ears = ears
        self._inbox: asyncio.Queue[Item | _Late] = asyncio.Queue()
        self._timers: dict[str, list[asyncio.TimerHandle]] = {}
        self._unfinished: dict[str, Recording] = {}
        """Recordings whose calls run, as last journalled."""
        self._late: dict[str, Recording] = {}
        """Those of them that came after the connection, and are to be taken up on it."""
        self._ended: deque[str] = deque(maxlen=MOST_ENDED)
        """Recordings that ended in this life."""
        self.connections = asyncio.Event()
        """Set at every connection; whoever waits for it clears it."""
        self._tasks: asyncio.TaskGroup | None = None
        self._remote = legs is None
        board.each = lambda work: self._guarded(work, "Session") or []
        self._salvage = Salvage(legs, salvage_after, self._unfinished.values, self._presume_dead)

    def remember(self, recordings: Iterable[Recording]) -> dict[str, Recording]:
        """What an earlier life left running; taken up at the next connection. What this life has or had is
        known better here: a journal on a disk that hung may be old. Those that were news, by id."""
        known = {*self._ended, *self._unfinished}
        new = {r.id: r for r in recordings if r.id not in known}
        self._unfinished |= new
        return new

    def take_up(self, recordings: Iterable[Recording]) -> None:
        """As `remember`; at once where Asterisk is connected."""
        self._late |= self.remember(recordings)
        if self._late and self.heard_at() is not None:
            self._inbox.put_nowait(_Late())

    def heard_at(self) -> datetime | None:
        """When an event last arrived (the recorder's clock); None while none do."""
        return self._connection.heard_at

    def live_names(self) -> list[str]:
        """Names of the recordings that should be running now."""
        last = (r.segments[-1] for r in self._unfinished.values() if r.segments)
        return [leg.name for segment in last for leg in (segment.remote, segment.local)]

    async def run(self) -> None:
        """Until cancelled. Asterisk may come and go."""
        async with asyncio.TaskGroup() as tasks, self._connection as connection:
            self._tasks = tasks
            workers = Workers(tasks, self._carry_out)
            tasks.create_task(self._listen(connection), name=f"events-{self.board.pbx}")
            while True:
                await self._take(await self._inbox.get(), workers)

    async def _listen(self, connection: AriConnection) -> None:
        async for item in connection:
            self._inbox.put_nowait(item)

    async def _take(self, item: Item | _Late, workers: Workers) -> None:
        if not isinstance(item, _Late):
            self._ears.seen(item)
        match item:
            case _Late():
                await self._catch_up(workers)
            case Connected(snapshot=snapshot) if snapshot.presumed_dead:
                await self._bury(snapshot, workers)
            case Connected(snapshot=snapshot):
                self._salvage.found()
                await self._reconcile(self._on_its_clock(snapshot), workers)
                self.connections.set()
                self._ears.connected(self.board.pbx, None)
            case Disconnected():
                log.warning(str(item.error), action="pbx.lost", pbx=self.board.pbx, code=item.error.code)
                self._ears.connected(self.board.pbx, item)
                # As after a kill: the next connection finds out what is to be ordered.
                workers.drop(_outlived)
                if self._tasks is not None:
                    self._salvage.lost(self._tasks)
            case _:
                self._dispatch(self._answer(item), workers)

    def _answer(self, event: ev.Event) -> list[Order]:
        orders = self._guarded(partial(self.board.handle, event), type(event).__name__)
        if orders is None and isinstance(event, ev.GateEntered):
            stranded = event.channel.id
            return [Order(stranded, cmd.LetGo(stranded, result_variables("failed", None, "defect")))]
        return orders or []

    def _guarded(self, work: Work, kind: str) -> list[Order] | None:
        """A defect of ours in one call must not take the others with it: it is logged, and None."""
        try:
            return work()
        except Exception:
            log.exception(
                "An event could not be handled", action="event.defect", pbx=self.board.pbx, kind=kind
            )
            return None

    def _presume_dead(self) -> None:
        dead = ev.Snapshot(datetime.now(UTC), (), {}, frozenset(), presumed_dead=True)
        self._inbox.put_nowait(Connected(dead))

    async def _bury(self, snapshot: ev.Snapshot, workers: Workers) -> None:
        """What runs according to the journal ended with Asterisk."""
        if self._connection.heard_at is not None or not self._unfinished:
            return  # it came back in this very moment
        log.warning(
            f"Asterisk gives no sign any more: {len(self._unfinished)} recordings end as cut off",
            action="pbx.presumed-dead",
            pbx=self.board.pbx,
        )
        await self._begin_anew(snapshot, workers)

    def _on_its_clock(self, snapshot: ev.Snapshot) -> ev.Snapshot:
        """Since when nothing was heard, on Asterisk's clock: by how much that is off, the snapshot tells."""
        since = self._ears.deaf_since()
        if since is None:
            return snapshot
        return replace(snapshot, deaf_since=snapshot.at - (datetime.now(UTC) - since))

    async def _reconcile(self, snapshot: ev.Snapshot, workers: Workers) -> None:
        self.board.pbx_version = await self._version()
        clock = await difference(self.client, always=self._remote)
        self.board.world = replace(self.board.world, clock=clock)
        await self._begin_anew(snapshot, workers)
        log.info(
            f"Connected to Asterisk {self.board.pbx_version}",
            action="pbx.connected",
            pbx=self.board.pbx,
            channels=len(snapshot.channels),
            recordings=len(self.board.sessions),
        )

    async def _catch_up(self, workers: Workers) -> None:
        """Nothing else is handled meanwhile: what happens after the snapshot is told to its sessions."""
        if not self._late:
            return  # a connection has come between
        try:
            snapshot = await self._connection.snapshot()
        except RecorderError as error:
            log.warning(str(error), action="pbx.not-caught-up", pbx=self.board.pbx, code=error.code)
            return  # the next connection takes them up
        late, self._late = list(self._late.values()), {}
        self._dispatch(take_up(self.board, late, snapshot, each=self.board.each), workers)
        log.info(f"Took up {len(late)} recording(s)", action="pbx.caught-up", pbx=self.board.pbx)

    async def _begin_anew(self, snapshot: ev.Snapshot, workers: Workers) -> None:
        # Orders of the lost connection fail by themselves; what they say of it is of no interest.
        await workers.idle()
        for recording in list(self._timers):
            self._cancel_timers(recording)
        self.board.sessions.clear()
        self._forget_results()
        self._late.clear()
        unfinished = list(self._unfinished.values())
        orders = reconcile(
            self.board, unfinished, snapshot, each=lambda work: self._guarded(work, "Connected") or []
        )
        self._dispatch(orders, workers)

    def _forget_results(self) -> None:
        """What timers and orders of the old sessions said meanwhile; Asterisk's own events stay."""
        waiting = [self._inbox.get_nowait() for _ in range(self._inbox.qsize())]
        for item in waiting:
            if not isinstance(item, ev.Woke | ev.ChannelRead | ev.CommandFailed):
                self._inbox.put_nowait(item)

    async def _version(self) -> str | None:
        try:
            return (await self.client.asterisk.info()).version
        except RecorderError:
            return self.board.pbx_version

    def _dispatch(self, orders: list[Order], workers: Workers) -> None:
        for order in orders:
            if isinstance(order.command, cmd.PollRtp | cmd.ReadChannel):
                # A question holds up nothing and waits for nothing: at the answer of a call each millisecond
                # counts until its codec is known (capture/microphone.py).
                workers.submit(f"{order.worker}/asked", order.command)
            else:
                workers.submit(order.worker, order.command)

    async def _carry_out(self, worker: str, command: cmd.Command) -> None:
        match command:
            case cmd.Together(commands=commands):
                await asyncio.gather(*(self._carry_out(worker, each) for each in commands))
            case cmd.Save(recording=recording):
                self._unfinished[recording.id] = recording
                for event in await self._journal.told(recording):
                    self._inbox.put_nowait(event)
            case cmd.Finish(recording=recording):
                await self._finish(recording)
            case cmd.Wake():
                # In its turn: patience with Asterisk begins once Asterisk was asked, however busy we are.
                self._set_timer(worker, command)
            case cmd.Refuse():
                await self._ears.refused(self.board.pbx, command)
            case cmd.Alarm() | cmd.AllClear() | cmd.Misread():
                await self._tell(command)
            case _:
                for event in await self._orders.carry_out(command):
                    self._inbox.put_nowait(event)
                if seam := _SEAMS.get(type(command)):
                    fault_point(seam)

    async def _tell(self, news: cmd.Alarm | cmd.AllClear | cmd.Misread) -> None:
        """People and the PBX; what the PBX does not want to hear is only logged."""
        if isinstance(news, cmd.Misread):
            _warn_of_wish(self.board.pbx, news)
            return
        await self._ears.failing(self.board.pbx, news)
        for event in await self._orders.carry_out(news):
            log.warning(str(event), action="alarm.not-told", pbx=self.board.pbx)

    async def _finish(self, recording: Recording) -> None:
        """Hand the recording on. While it cannot be journalled it waits beside the queue of its orders,
        for nothing may hold up a reconnection."""
        self._cancel_timers(recording.id)
        self._unfinished.pop(recording.id, None)
        self._ended.append(recording.id)
        if await self._journal.save(recording):
            self._over(recording)
        elif self._tasks is not None:
            self._tasks.create_task(self._finish_later(recording), name=f"finish-{recording.id}")

    async def _finish_later(self, recording: Recording) -> None:
        while True:
            await asyncio.sleep(RETRY_SAVE)
            if await self._journal.save(recording):
                self._over(recording)
                return

    def _over(self, recording: Recording) -> None:
        fault_point("finish.journalled")
        self._ears.finished(recording)

    def _set_timer(self, worker: str, wake: cmd.Wake) -> None:
        def due() -> None:
            self._timers[worker].remove(handle)
            self._inbox.put_nowait(ev.Woke(datetime.now(UTC), wake.token))

        handle = asyncio.get_running_loop().call_later(wake.seconds, due)
        self._timers.setdefault(worker, []).append(handle)

    def _cancel_timers(self, worker: str) -> None:
        for handle in self._timers.pop(worker, []):
            handle.cancel()

    async def delete_legs(self, names: Iterable[str]) -> tuple[str, ...]:
        """Legs that lie here already, and that this process cannot delete, are deleted by Asterisk.

        The names of those that are gone; the others are tried again at the next connection.
        """
        gone = []
        for name in names:
            try:
                await self.client.recordings.delete_stored(name)
                gone.append(name)
            except RecorderError as error:
                if error.code == "ari.not-found":
                    gone.append(name)
                    continue
                log.warning(
                    f"The raw leg {name} stays on the PBX: {error.sentence} Let the recorder's user delete "
                    "files in Asterisk's recording folder",
                    action="legs.left",
                    pbx=self.board.pbx,
                )
                if isinstance(error, TransientError):
                    break
        return tuple(gone)

    def distrust_translator(self, lost: bool) -> None:
        """The probe's verdict on Debian's defect; counts also for calls that were taken up before it."""
        self.board.world = replace(self.board.world, reorders_lost=lost)
        for session in self.board.sessions.values():
            session.ledger.world = replace(session.ledger.world, reorders_lost=lost)
            if lost:
                session.ledger.defective(datetime.now(UTC))  # journalled with what happens next


def _warn_of_wish(pbx: str, misread: cmd.Misread) -> None:
    words = ", ".join(f'"{printable(word)}"' for word in misread.words)
    log.warning(
        f"The dialplan asks at the gate for {words}, which means nothing: the call is decided without it. "
        "Correct the Gosub(ari-recorder-gate,…): force, forbid, setting=NAME or direction=inbound, outbound, "
        "internal",
        action="gate.unknown-wish",
        pbx=pbx,
        channel=misread.channel,
        name=misread.name,
    )


def _outlived(command: cmd.Command) -> bool:
    """An order that only means something on the connection it was made for. Whoever waits in the gate is let
    go all the same: Asterisk may well answer requests."""
    if isinstance(command, cmd.Together):
        return all(_outlived(each) for each in command.commands)
    return isinstance(
        command,
        cmd.TakeSnoop
        | cmd.Record
        | cmd.StopRecord
        | cmd.DropChannel
        | cmd.ReadChannel
        | cmd.PollRtp
        | cmd.Play,
    )
