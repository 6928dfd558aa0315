"""`ari-recorder spool orphans`: legs on a PBX whose journal is lost, and recordings made of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ..asterisk.ari.client import AriClient
from ..asterisk.legs import SharedFolder
from ..config.machine import Machine, Pbx
from ..config.problems import suggestion
from ..evidence.found_seal import Log
from ..model.errors import ConfigError, PermanentError, RecorderError
from ..model.recording import Chosen
from ..rules.policy import load_policy
from ..runtime.foundations import CHAIN, spools
from ..runtime.pbx.leg_stores import Leftovers, leg_stores
from ..runtime.pbx.orphans import in_folder, in_names
from ..spool.berth import demand_all_in_reach
from ..spool.orphan import begun_at, orphaned, take_in
from ..spool.places import Spools
from .console import ConfigPath, Exit, Json, emit, err, errors_explained, machine, out, shown
from .owner import make_folders
from .spool_news import News

Ids = Annotated[list[str] | None, typer.Argument(help="Those to make recordings of; none: list them.")]
SettingName = Annotated[
    str | None, typer.Option("--setting", help="The setting whose targets and sides they get.")
]
PbxName = Annotated[str | None, typer.Option("--pbx", help="Needed where several are configured.")]


def orphans(
    recordings: Ids = None,
    setting: SettingName = None,
    pbx: PbxName = None,
    config: ConfigPath = None,
    json: Json = False,
) -> None:
    """List legs on a PBX whose journal is lost, or make recordings of them.

    With ids and a setting they are fetched, sealed and delivered, and their metadata say what is not known of
    the call. Only do so when no other recorder works on that PBX, and when the calls were to be recorded: the
    journal that said so is gone. Exit code 1 when there are some, or one could not be taken in.
    """
    with errors_explained(json):
        if bool(recordings) != (setting is not None):
            raise typer.BadParameter("ids and --setting belong together; without both they are listed")
        settings = machine(config)
        desk = _Desk(settings, _the_pbx(settings, pbx))
        if recordings and setting is not None:
            desk.take_in(recordings, _chosen(settings, setting))
        else:
            desk.look()
    if json:
        emit({"pbx": desk.pbx, "orphans": desk.found, "taken_in": desk.taken,
              "refused": {own: str(error) for own, error in desk.refused.items()}})  # fmt: skip
    else:
        _print(desk)
    raise SystemExit(Exit.FINDINGS if desk.found or desk.refused else Exit.OK)


class _Desk:
    def __init__(self, settings: Machine, pbx: str) -> None:
        self.pbx = pbx
        self.found: list[str] = []
        self.taken: list[str] = []
        self.refused: dict[str, RecorderError] = {}
        self._settings = settings
        self._state = settings.recorder.state
        log = self._state / CHAIN
        self._log = Log(log) if log.exists() else None
        self._leftovers = Leftovers(self._state).of(pbx)

    def look(self) -> None:
        """RecorderError when the PBX, or a spool folder that may hold a journal, cannot be reached."""
        spool = spools(self._settings)
        demand_all_in_reach(spool)
        legs = _ids(self._settings.pbx[self.pbx])
        self.found = [own for own in legs if self._why_not(own, spool) is None]

    def take_in(self, ids: list[str], chosen: Chosen) -> None:
        spool, news = spools(self._settings), News(self._state)
        make_folders(spool, self._state)
        given = leg_stores(self._settings.pbx)[self.pbx]
        store = SharedFolder(given) if isinstance(given, Path) else given
        now = datetime.now(UTC)
        try:
            for own in ids:
                try:
                    if (error := self._why_not(own, spool)) is not None:
                        raise error
                    take_in(orphaned(own, self.pbx, chosen, now), spool, store, news.tell, now)
                    self.taken.append(own)
                except RecorderError as error:
                    self.refused[own] = error
        finally:
            news.gather()
        news.heard()

    def _why_not(self, own: str, spool: Spools) -> RecorderError | None:
        """What lies on the PBX of a recording that is not lost."""
        if spool.get(own) is not None:
            return PermanentError("spool.clash", f"The recording {own} is in the spool: it has its journal.")
        link = self._log.link_of(own) if self._log is not None else None
        if link is not None:
            return PermanentError(
                "spool.clash",
                f"The recording {own} was sealed already, as {link.name}.",
                remedy="Its archive has it. What lies on the PBX came after it was fetched.",
            )
        if any(name.startswith(f"ari-recorder/{own}/") for name in self._leftovers):
            return PermanentError("spool.clash", f"The legs of {own} only wait to be deleted on the PBX.")
        return None


def _ids(pbx: Pbx) -> tuple[str, ...]:
    """Recordings of which legs lie there; RecorderError."""
    if (folder := pbx.recording_folder) is not None:
        try:
            return in_folder(folder)
        except OSError as error:
            raise ConfigError("config.value", f"{folder} cannot be read: {error.strerror}.") from error

    async def asked() -> tuple[str, ...]:
        async with AriClient(pbx.url, pbx.user, pbx.read_password()) as client:
            return in_names(stored.name for stored in await client.recordings.list_stored())

    return asyncio.run(asked())


def _the_pbx(settings: Machine, name: str | None) -> str:
    names = tuple(settings.pbx)
    if name is None and len(names) == 1:
        return names[0]
    if name not in names:
        raise ConfigError(
            "config.reference", f'There is no PBX "{name or ""}"; {suggestion(name or "", names)}.'
        )
    return name


def _chosen(settings: Machine, name: str) -> Chosen:
    policy = load_policy(settings.recorder.policy)
    setting = policy.setting(name)
    if setting is None:
        known = [one.name for one in policy.settings]
        raise ConfigError("config.reference", f'There is no setting "{name}"; {suggestion(name, known)}.')
    return Chosen(setting.name, policy.revision, sides=setting.sides, targets=setting.targets)


def _print(desk: _Desk) -> None:
    for own in desk.found:
        at = begun_at(own)
        out.print(f"{shown(own)}{f'  begun {at.astimezone():%Y-%m-%d %H:%M:%S}' if at else ''}")
    if desk.found:
        out.print("ari-recorder spool orphans --setting NAME ID … makes recordings of them.")
    for own, error in desk.refused.items():
        err.print(f"[bold red]✗[/] {shown(own)}: {shown(error)}")
    for own in desk.taken:
        out.print(f"[green]✓[/] {shown(own)} is taken in: the recorder fetches, seals and delivers it.")
    if not (desk.found or desk.refused or desk.taken):
        out.print(f"On the PBX {shown(desk.pbx)} lie no legs whose journal is lost.")
