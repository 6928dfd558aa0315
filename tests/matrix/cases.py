"""The scenes that need no server: what each finds at its begin, and what is demanded at its end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ari_recorder.disk.reserve import Reserve
from ari_recorder.evidence.chain import Chain
from ari_recorder.evidence.verify import verify
from ari_recorder.model.recording import ADOPTED, State
from ari_recorder.runtime import requests
from ari_recorder.runtime.pbx.leg_stores import Leftovers
from ari_recorder.spool.folders import Spool
from ari_recorder.targets.base import is_part
from tests.unit.spool import relocating
from tests.unit.spool.crashing import OWN
from tests.unit.spool.recordings import contents, sealed, stored
from tests.unit.spool.test_crash import archive, finished

from . import scenes
from .driver import Case


class Folders(Case):
    """Two archives, and a spool or several."""

    scene = "deliver_to_folders"
    spools: tuple[str, ...] = ("spool",)

    def __init__(self) -> None:
        self._inodes: dict[Path, int] = {}

    def prepare(self, folder: Path) -> None:
        self._inodes = {}

    def died(self, folder: Path, moment: str) -> None:
        for target in ("a", "b"):  # nothing torn stands under a final name, at any moment
            assert finished(folder / target).items() <= archive().items()
        if (folder / "made").exists() and not any((folder / s / OWN).exists() for s in self.spools):
            # The local copy is gone, so everything must have arrived.
            assert finished(folder / "a") == finished(folder / "b") == archive()
        paths = [p for t in ("a", "b") for p in (folder / t).rglob("*.*") if not is_part(p.name)]
        self._inodes = {path: path.stat().st_ino for path in paths}

    def settled(self, folder: Path, moment: str) -> None:
        for target in ("a", "b"):
            assert stored(folder / target) == archive()  # once, whole, and no part file is left
        for path, inode in self._inodes.items():
            assert path.stat().st_ino == inode  # what had arrived was not sent again
        for name in self.spools:
            with Spool(folder / name):  # every start clears the trash
                pass
            assert {p.name for p in (folder / name).iterdir()} <= {"lock", ".place", ".reserve"}


class Moves(Folders):
    scene = "move_between_folders"
    spools = ("first", "second")

    def died(self, folder: Path, moment: str) -> None:
        super().died(folder, moment)
        with relocating.spools(folder) as both:  # exactly one counts, whatever stands on the disks
            found = list(both.all())
            assert both.damaged == {}
            assert len([s for s in self.spools if (folder / s / OWN).exists()]) == len(found) <= 1
            if found and (folder / "made").exists() and found[0].load().sealed is not None:
                assert {n: (found[0].path / n).read_bytes() for n in contents(OWN)} == contents(OWN)
        assert not [p for s in self.spools for p in (folder / s).glob(".move-*")]

    def settled(self, folder: Path, moment: str) -> None:
        super().settled(folder, moment)
        assert not list((folder / "state/spool-moves").iterdir())


class Adopts(Case):
    scene = "adopt"

    def prepare(self, folder: Path) -> None:
        with Spool(folder / scenes.SOURCE) as spool:
            sealed(spool, OWN, "a", "b")
        for name in ("spool", "state"):
            (folder / name).mkdir()

    def died(self, folder: Path, moment: str) -> None:
        if not (folder / scenes.SOURCE / OWN).exists():
            self._demand_told(folder)
        places = [folder / name / OWN for name in (scenes.SOURCE, "spool")]
        assert any(contents(OWN).items() <= stored(place).items() for place in places if place.exists())

    def settled(self, folder: Path, moment: str) -> None:
        with Spool(folder / "spool") as spool:
            found = spool.get(OWN)
            assert found is not None
            now = found.load()
            assert [note.what for note in now.notes] == [ADOPTED]
            assert now.state is State.SEALED
            assert stored(found.path).keys() == {"recording.json", "legs/leg.sln", *contents(OWN)}
            assert {n: (found.path / n).read_bytes() for n in contents(OWN)} == contents(OWN)
        assert not (folder / scenes.SOURCE / OWN).exists()
        with Spool(folder / scenes.SOURCE):  # and its trash goes when it is opened again
            pass
        for name in ("spool", scenes.SOURCE):
            left = {p.name for p in (folder / name).iterdir()} - {OWN}
            assert left <= {"lock", ".adopting"}
        self._demand_told(folder)

    def _demand_told(self, folder: Path) -> None:
        """A recorder that runs, or the next one, learns of it, whoever was killed."""
        asked = (folder / "state" / requests.FOLDER).glob("[!.]*.request.json")
        assert [json.loads(path.read_bytes())["words"] for path in asked][:1] == [[OWN]]


class Exports(Case):
    scene = "export_sealed"

    def prepare(self, folder: Path) -> None:
        with Spool(folder / "spool") as spool:
            sealed(spool, OWN)
        (folder / "certificate.crt").write_bytes(b"certificate")

    def died(self, folder: Path, moment: str) -> None:
        if (folder / "out" / OWN).exists():  # under its final name it is whole
            self.settled(folder, moment)
            shutil.rmtree(folder / "out")  # who exports twice must choose another folder

    def settled(self, folder: Path, moment: str) -> None:
        assert [path.name for path in (folder / "out").iterdir()] == [OWN]
        found = stored(folder / "out" / OWN)
        assert contents(OWN).items() <= found.items()
        assert len(found) == len(contents(OWN)) + 3


class Calls(Case):
    """From the last sample to the archive; `keys` is a folder with a key pair and its passphrase."""

    scene = "call_to_archive"
    counted = (1, 0)
    """Recordings and statements."""

    def __init__(self, keys: Path) -> None:
        self._keys = keys

    def prepare(self, folder: Path) -> None:
        shutil.copytree(self._keys, folder, dirs_exist_ok=True)
        self.begin(folder)

    def begin(self, folder: Path) -> None:
        with Spool(folder / "spool") as spool:
            scenes.captured(spool)
        scenes.legs_of_asterisk(folder)

    def died(self, folder: Path, moment: str) -> None:
        whole = {p.suffix for p in (folder / "a").rglob("*.sig")}
        if whole and not (folder / "spool" / OWN).exists():
            self._demand_intact(folder)

    def settled(self, folder: Path, moment: str) -> None:
        self._demand_intact(folder)
        assert not [p for p in (folder / "a").rglob("*") if is_part(p.name)]
        with Spool(folder / "spool"):  # every start clears the trash
            pass
        assert [p.name for p in (folder / "spool").iterdir()] == ["lock"]
        assert not [p for p in (folder / "asterisk").rglob("*") if p.is_file()]

    def _demand_intact(self, folder: Path) -> None:
        links = (folder / "state/chain.jsonl").read_text("ascii").splitlines()
        assert [json.loads(line)["number"] for line in links] == [1]  # sealed once
        report = verify([folder / "a"], chain_log=folder / "state/chain.jsonl")
        assert report.ok, report.findings
        assert (report.recordings, report.statements) == self.counted


class Statements(Calls):
    scene = "statement_to_archive"
    counted = (0, 1)

    def begin(self, folder: Path) -> None:
        (folder / "spool").mkdir()
        (folder / "asterisk").mkdir()
        scenes.heard(folder)

    def died(self, folder: Path, moment: str) -> None:
        """Until it is sealed a gap stands in the memory or in the spool; `settled` shows that it does."""


class SealsAndAdopts(Calls):
    """Whenever the other host died: sealed once, in its chain or in ours, and never in both."""

    scene = "seal_and_adopt"

    def begin(self, folder: Path) -> None:
        (folder / "spool").mkdir()
        with Spool(folder / scenes.SOURCE) as spool:
            scenes.captured(spool)
        scenes.legs_of_asterisk(folder)

    def settled(self, folder: Path, moment: str) -> None:
        self._demand_intact(folder)
        assert not [p for p in (folder / "a").rglob("*") if is_part(p.name)]
        for name in ("spool", scenes.SOURCE):
            with Spool(folder / name):  # every start clears the trash
                pass
            assert {p.name for p in (folder / name).iterdir()} <= {"lock", ".adopting"}

    def _demand_intact(self, folder: Path) -> None:
        logs = [folder / "dead-chain.jsonl", folder / "state/chain.jsonl"]
        (log,) = (path for path in logs if path.exists() and path.stat().st_size)
        assert len(log.read_bytes().splitlines()) == 1
        report = verify([folder / "a"], chain_log=log)
        assert report.ok, report.findings
        assert report.recordings == 1


class TornChain(Case):
    scene = "open_torn_chain"

    def __init__(self, log: bytes) -> None:
        self._log = log

    def prepare(self, folder: Path) -> None:
        (folder / "state").mkdir()
        (folder / "state/chain.jsonl").write_bytes(self._log + self._log[:40])

    def settled(self, folder: Path, moment: str) -> None:
        log = folder / "state/chain.jsonl"
        assert log.read_bytes() == self._log
        (aside,) = log.parent.glob("*.torn-*")
        assert aside.read_bytes() == self._log[:40]
        with Chain(log) as chain:
            assert len(chain) == 1


class Reserves(Case):
    scene = "reserve"

    def prepare(self, folder: Path) -> None:
        """It begins without any."""

    def died(self, folder: Path, moment: str) -> None:
        kept = Reserve(folder, 1 << 16)
        if kept.held:  # what is said to be kept back is really there
            self.settled(folder, moment)

    def settled(self, folder: Path, moment: str) -> None:
        assert Reserve(folder, 1 << 16).held
        facts = {p.name: p.stat() for p in (folder / ".reserve").iterdir()}
        assert facts["space"].st_blocks * 512 >= 1 << 16
        assert facts["last"].st_blocks * 512 >= 1 << 16
        assert {name for name in facts if name.startswith("space-")} == {f"space-{n}" for n in range(32)}


class Remembers(Case):
    """Legs that Asterisk has to delete: a life begins anew, for adding again is no harm."""

    scene = "leftovers"

    def prepare(self, folder: Path) -> None:
        """Nothing is remembered."""

    def died(self, folder: Path, moment: str) -> None:
        names = Leftovers(folder).of(scenes.PBX)
        assert names in ((), scenes.WORDS, scenes.WORDS[2:])

    def settled(self, folder: Path, moment: str) -> None:
        assert sorted(Leftovers(folder).of(scenes.PBX)) == sorted(scenes.WORDS[2:])
        assert len(list(folder.iterdir())) == 1


class Asks(Case):
    scene = "request"

    def prepare(self, folder: Path) -> None:
        """Nobody has asked."""

    def settled(self, folder: Path, moment: str) -> None:
        (path,) = (folder / "state" / requests.FOLDER).glob("[!.]*")
        assert json.loads(path.read_bytes())["outcome"] == "done"
        times = (folder / "work").read_text().count("done")
        # Begun again by the next life where the last word was not out: never left undone.
        assert times in (1, 2)


LOCAL = (Folders, Moves, Adopts, Exports, Reserves, Remembers, Asks)
