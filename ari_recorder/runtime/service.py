"""The composition root: everything is made here, joined here, and ended here."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog

from .. import __version__
from ..asterisk.ari.client import AriClient
from ..asterisk.ari.connection import AriConnection, Disconnected
from ..asterisk.orders import Orders
from ..capture import commands as cmd
from ..capture.ledger import Prompt, Surroundings
from ..capture.outcome import LATE_REFUSALS
from ..capture.switchboard import Switchboard
from ..config.machine import Pbx
from ..model.errors import RecorderError
from ..model.recording import Recording, State
from ..pipeline import Pipeline
from ..rules.policy import load_policy
from ..spool.stuck import no_pbx
from . import expiry, heap, presence, spool_mover
from .backlog import Backlog, survey
from .completion import Completion
from .conditions import Conditions, Severity
from .deliveries import Deliveries
from .disks.watch import DiskWatch
from .foundations import Foundations
from .journal import Journal
from .monitoring.lookout import Lookout, View
from .pbx.failure_desk import FailureDesk
from .pbx.gatekeeper import Gatekeeper
from .pbx.hearing import Hearing
from .pbx.judge import PbxJudge, PolicyJudge
from .pbx.leg_stores import Leftovers, leg_stores
from .pbx.link import Ears, PbxLink
from .pbx.orphans import Orphans
from .pbx.prompts import install_for
from .pbx.translator import drops_frames
from .presence import PbxPresence, Presence
from .proof import prove
from .refusals import Refusals
from .requests import Handler, Requests
from .signals import Signals
from .spool_desk import SpoolDesk, hand_over
from .spool_mover import SpoolMover

APPLICATION = "ari-recorder"
"""The Stasis application's name, as in `Stasis(ari-recorder,…)`."""

PATIENCE = 8.0
"""Seconds that steps and deliveries under way get to end when the recorder is told to stop."""

PROBE_AGAIN = 300.0
"""Seconds after which an Asterisk is probed again that could not be told sound or affected."""

log = structlog.get_logger()


def new_id(at: datetime) -> str:
    """`20261121T225046123-7f3a9c1b`: sorts by time, safe as a name everywhere, never given twice."""
    return f"{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03}-{secrets.token_hex(4)}"


class Service:
    """One recorder. `run()` lasts until a signal, `stop()` or cancellation."""

    def __init__(self, base: Foundations) -> None:
        self._base = base
        machine = base.machine
        self.conditions = Conditions()
        self.answers: dict[str, Handler] = {}
        """Who answers which kind of request (`runtime/requests.py`)."""
        self._judge = PolicyJudge(base.policy)
        self.disks = DiskWatch.of(
            base, self.conditions, lambda: self._view().running, lambda: self._judge.policy, self._spool_back
        )
        self.mover = SpoolMover(base.spool, self._spool_back, lambda: self._deliveries.hung())
        self.answers[spool_mover.KIND] = self.mover.answer
        self._journal = Journal(base.spool, self.disks.demand_room, self.conditions)
        self._leftovers = Leftovers(machine.recorder.state)
        pipeline = Pipeline(base.keys, base.chain, leg_stores(machine.pbx), self._undeletable)
        self._deliveries = Deliveries(base, self.conditions, self._delivery_changed)
        self._completion = Completion(pipeline, self._deliveries.submit, self.conditions)
        self.answers.update(SpoolDesk(base.spool, self._completion, self._deliveries).handlers)
        self._refusals = Refusals(machine.recorder.state, self.conditions)
        self._hearing = Hearing(
            machine.recorder.state, base.spool, base.chain, self._statement_targets, self._completion.submit
        )
        self._hearing.remember(machine.pbx)
        self._failures = FailureDesk(self.conditions, self._refused)
        self._gates: dict[str, Gatekeeper] = {}
        self._links: dict[str, PbxLink] = {}
        self._waiting: list[Recording] = []
        """Whose calls may still run; taken by the links when they are made."""
        self._loop = asyncio.get_running_loop()
        self._errands: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._news = asyncio.Event()
        """What `status` shows has changed."""
        self.conditions.listen(lambda _change, _condition: self._news.set())
        now = presence.now()
        pbxs = tuple(PbxPresence(name, connected=False, since=now) for name in machine.pbx)
        self._presence = Presence(os.getpid(), __version__, now, now, base.policy.revision, pbxs)
        self.lookout = Lookout(base, self.conditions, self._view)

    def stop(self) -> None:
        """Let go in order: running calls go on being recorded by Asterisk and are found again."""
        self._stop.set()

    def reload(self) -> None:
        """Read the policy again."""
        self._reload.set()

    async def run(self) -> None:
        with self._signals():
            await self._run()
        self._presence = replace(self._presence, ended_at=presence.now())
        await self._write_presence()

    async def _run(self) -> None:
        self._waiting += await self._take_up()
        heap.set_apart()
        async with asyncio.TaskGroup() as tasks:
            eternal = [
                tasks.create_task(self._completion.run(), name="completion"),
                tasks.create_task(self._deliveries.run(), name="delivery"),
                tasks.create_task(self.disks.run(), name="disks"),
                tasks.create_task(self.mover.run(), name="spool-mover"),
                tasks.create_task(self._beat(), name="presence"),
                tasks.create_task(self.lookout.run(), name="lookout"),
                tasks.create_task(self._hearing.run(), name="hearing"),
                tasks.create_task(prove(self._base.chain, self.conditions), name="chain"),
                tasks.create_task(
                    expiry.watch(lambda: self._deliveries.targets, self.conditions), name="logins"
                ),
                tasks.create_task(self._reload_when_asked(), name="policy"),
                tasks.create_task(
                    Requests(self._base.machine.recorder.state, self.answers).run(), name="requests"
                ),
            ]
            for name, pbx in self._base.machine.pbx.items():
                eternal.append(tasks.create_task(self._serve(name, pbx), name=f"pbx-{name}"))
            await self._stop.wait()
            log.info("Stopping", action="recorder.stopping")
            self.lookout.manager.stopping()
            await asyncio.gather(self._completion.close(PATIENCE), self._deliveries.close(PATIENCE))
            for task in eternal:
                task.cancel()
        self._journal.close()
        self._refusals.close()

    # -- beginning ---------------------------------------------------------------------------------

    async def _take_up(self) -> list[Recording]:
        """Re-enter the step that each recording was in; returns those whose calls may still run."""
        found: Backlog = await asyncio.to_thread(survey, self._base.spool)
        self._let_go_on(found)
        waiting = len(found.to_complete) + len(found.to_deliver)
        log.info("Recorder starts", action="recorder.start", version=__version__, waiting=waiting,
                 interrupted=len(found.running), policy=self._base.policy.revision)  # fmt: skip
        return found.running

    def _let_go_on(self, found: Backlog) -> None:
        """All but the calls that may still run; with what people have to know of it."""
        hand_over(found, self._completion.submit, self._deliveries.submit)
        self._deliveries.failed(found.failed)
        for recording in found.refused:
            self._late_refusal(recording)
        self._tell_homeless(found.running)
        for folder, error in found.damaged:
            log.error(str(error), action="spool.damaged", recording=folder.id, code=error.code)
            self._deliveries.damaged(folder, error)

    def _tell_homeless(self, running: list[Recording]) -> None:
        """Nobody ever ends a recording whose PBX was renamed or taken out of the configuration."""
        lost = Counter(r.call.pbx for r in running if r.call.pbx not in self._base.machine.pbx)
        for pbx, count in lost.items():
            error = no_pbx(pbx)
            log.error(str(error), action="recording.homeless", pbx=pbx, recordings=count)
            self.conditions.begin_with(f"homeless:{pbx}", error)

    def _spool_back(self, found: Backlog) -> None:
        """A spool folder is back."""
        self._let_go_on(found)
        for recording in found.running:
            if (link := self._links.get(recording.call.pbx)) is not None:
                link.take_up([recording])
            else:
                self._waiting.append(recording)

    async def _serve(self, name: str, pbx: Pbx) -> None:
        async with AriClient(pbx.url, pbx.user, pbx.read_password()) as client:
            prompts = await asyncio.to_thread(install_for, self._base.machine, name, self._judge.policy)
            board = Switchboard(name, PbxJudge(self._judge, name), new_id, self._world(name, prompts))
            connect = partial(AriClient, pbx.url, pbx.user, pbx.read_password())
            gate = self._gates[name] = Gatekeeper(connect, APPLICATION, board, self._judge)
            link: PbxLink
            connection = AriConnection(
                client, APPLICATION, pbx.technologies, wanted=lambda: link.live_names()
            )
            orders = Orders(client, APPLICATION, self._journal.keep_poll)
            salvage = (pbx.recording_folder, pbx.salvage_after)
            link = PbxLink(board, client, connection, orders, self._journal, self._ears(name), *salvage)
            link.remember(r for r in self._waiting if r.call.pbx == name)
            self._links[name] = link
            known = self._is_known if pbx.recording_folder is None else self._is_at_work
            orphans = Orphans(name, pbx.recording_folder, client, known, self.conditions)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(link.run(), name=f"link-{name}")
                tasks.create_task(orphans.run(), name=f"orphans-{name}")
                tasks.create_task(gate.keep(client), name=f"gate-{name}")
                tasks.create_task(self._probe(name, link), name=f"translator-{name}")

    def _is_known(self, recording: str) -> bool:
        """At work, or sealed: Asterisk may still have to delete its legs. Blocks: spool, chain."""
        return self._is_at_work(recording) or self._base.chain.link_of(recording) is not None

    def _is_at_work(self, recording: str) -> bool:
        """Between its call and its last target. From a shared folder its legs go with its seal; what stays
        there is more than was fetched. What is in no spool folder may wait in one that is out of reach."""
        running = any(recording in link.board.sessions for link in list(self._links.values()))
        # First whether all can be reached: a folder that comes back between the two questions is looked into.
        return running or not self._base.spool.whole or self._base.spool.get(recording) is not None

    def _world(self, name: str, prompts: dict[str, Prompt]) -> Surroundings:
        return Surroundings(
            prompts,
            {},
            announcement_required=self._judge.announcement_required,
            refused=partial(self._refusals.holds, name),
        )

    async def _probe(self, name: str, link: PbxLink) -> None:
        """After each connection, for it may be another Asterisk: does it drop frames? Again where it was
        too busy to tell."""
        lost: bool | None = False
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_AGAIN if lost is None else None):
                    await link.connections.wait()
            link.connections.clear()
            try:
                lost = await drops_frames(link.client, self._base.machine.recorder.state, name)
            except Exception:  # recording does not depend on it
                log.exception("The translator could not be probed", action="translator.defect", pbx=name)
                continue
            if lost is not None:
                link.distrust_translator(lost)
            word = {True: "drops reordered frames", False: "sound", None: "unknown"}[lost]
            self._change_pbx(name, partial(replace, translator=word))

    # -- while it runs ------------------------------------------------------------------------------

    def _ears(self, name: str) -> Ears:
        deaf_since = partial(self._hearing.deaf_since, name)
        failing, seen = self._failures.take, self._gates[name].see
        return Ears(self._finished, self._refused, self._connected, deaf_since, failing, seen)

    def _finished(self, recording: Recording) -> None:
        log.info("The call is over", action="recording.finished", recording=recording.id,
                 state=recording.state.value, reason=recording.reason)  # fmt: skip
        self.lookout.metrics.reached(recording)
        self._late_refusal(recording)
        self._completion.submit(self._base.spool.handle(recording.id))

    def _late_refusal(self, recording: Recording) -> None:
        """Of a recording that had begun; told once, also when the recorder died before it could tell."""
        channel, reason = recording.call.channel, recording.reason or ""
        because = LATE_REFUSALS.get(reason)
        if recording.state is not State.REFUSED or because is None:
            return
        if not self._refusals.holds(recording.call.pbx, channel):
            self._refusals.add(presence.now(), recording.call.pbx, channel, reason, because)
            self.lookout.metrics.refused(reason)

    def _delivery_changed(self, recording: Recording) -> None:
        self.lookout.metrics.delivery_changed(recording)

    def _undeletable(self, pbx: str, names: tuple[str, ...]) -> None:
        """Called in the pipeline's thread."""
        self._leftovers.add(pbx, names)
        self._loop.call_soon_threadsafe(self._ask_asterisk_to_delete, pbx)

    def _ask_asterisk_to_delete(self, pbx: str) -> None:
        if (link := self._links.get(pbx)) is not None:
            clearing = self._leftovers.clear(pbx, link.delete_legs)
            task = asyncio.create_task(clearing, name=f"delete-legs-{pbx}")
            self._errands.add(task)
            task.add_done_callback(self._errands.discard)

    async def _refused(self, pbx: str, refusal: cmd.Refuse) -> None:
        self.lookout.metrics.refused(refusal.reason)
        await self._refusals.told(presence.now(), pbx, refusal.channel, refusal.reason, refusal.because)

    def _connected(self, pbx: str, lost: Disconnected | None) -> None:
        link, now = self._links[pbx], presence.now()
        if lost is None:
            self._hearing.connected(pbx, link.heard_at)
            self.conditions.end(f"pbx:{pbx}")
            self._ask_asterisk_to_delete(pbx)
        else:
            self._hearing.lost(pbx, lost.heard_at, lost.error.sentence)
            self.conditions.begin_with(f"pbx:{pbx}", lost.error)
        error, version = (str(lost.error) if lost is not None else None), link.board.pbx_version
        change = partial(replace, connected=lost is None, since=now, error=error, version=version)
        self._change_pbx(pbx, change)
        self.lookout.tried(pbx)

    def _change_pbx(self, name: str, change: Callable[[PbxPresence], PbxPresence]) -> None:
        pbxs = tuple(change(p) if p.name == name else p for p in self._presence.pbxs)
        self._presence = replace(self._presence, pbxs=pbxs)
        self._news.set()

    async def _beat(self) -> None:
        while True:
            self._news.clear()
            self._presence = replace(self._presence, beat_at=presence.now())
            await self._write_presence()
            with suppress(TimeoutError):
                async with asyncio.timeout(presence.BEAT):
                    await self._news.wait()

    async def _write_presence(self) -> None:
        known = replace(self._presence, targets=self._deliveries.presence())
        shown = presence.with_conditions(known, self.conditions.active())
        try:
            await asyncio.to_thread(presence.write, self._base.machine.recorder.state, shown)
        except OSError as error:
            log.warning(str(error), action="presence.not-written")

    def _view(self) -> View:
        running = {name: len(link.board.sessions) for name, link in self._links.items()}
        return View(self._presence, running, self._deliveries.health())

    # -- the policy -----------------------------------------------------------------------------------

    def _statement_targets(self) -> tuple[str, ...]:
        """Every archive that recordings could be missing from."""
        settings = (setting for setting in self._judge.policy.settings if setting.enabled)
        return tuple(dict.fromkeys(name for setting in settings for name in setting.targets))

    async def _reload_when_asked(self) -> None:
        """SIGHUP: settings, numbers, lists, prompts and targets at once."""
        while True:
            await self._reload.wait()
            self._reload.clear()
            self.lookout.manager.reloading()
            try:
                await self._read_policy_again()
                self.conditions.end("policy")
            except RecorderError as error:
                log.error(str(error), action="policy.refused", code=error.code)
                self.conditions.begin_with("policy", error, Severity.WARNING)
            except Exception:  # the policy that is in force goes on
                log.exception("The policy could not be read again", action="policy.defect")
            self.lookout.manager.ready()

    async def _read_policy_again(self) -> None:
        # In a thread: a policy with long exception lists takes seconds to read.
        policy = await asyncio.to_thread(load_policy, self._base.machine.recorder.policy)
        prompts = {
            name: await asyncio.to_thread(install_for, self._base.machine, name, policy)
            for name in list(self._links)
        }
        await self._deliveries.exchange(policy)
        # All at once: a call that came between would miss its prompt, and with it its recording.
        for name, installed in prompts.items():
            board = self._links[name].board
            board.world = replace(board.world, prompts=installed)
        self._judge.policy = policy
        self._presence = replace(self._presence, policy_revision=policy.revision)
        log.info("The policy was read again", action="policy.reloaded", policy=policy.revision)

    def _signals(self) -> Signals:
        return Signals({signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self.reload})
