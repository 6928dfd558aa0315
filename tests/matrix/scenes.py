"""What a process does in the crash matrix. Each scene begins with nothing done, or takes up what was left.

A scene is small, but what is in it is the real thing: the rooms that a recorder is made of, without Asterisk.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ari_recorder.disk.reserve import Reserve
from ari_recorder.evidence.chain import Chain
from ari_recorder.evidence.found_seal import Log, Logs
from ari_recorder.evidence.keys import Keys, ensure_keys
from ari_recorder.model import document
from ari_recorder.model.call import Direction, Party, Side
from ari_recorder.model.recording import Call, Chosen, Leg, Recording, Segment, State
from ari_recorder.pipeline import Pipeline
from ari_recorder.runtime import requests
from ari_recorder.runtime.pbx import hearing
from ari_recorder.runtime.pbx.leg_stores import Leftovers
from ari_recorder.runtime.spool_desk import ADOPT
from ari_recorder.spool.adoption import Adoption
from ari_recorder.spool.delivery import Deliverer
from ari_recorder.spool.export import export
from ari_recorder.spool.folders import RecordingFolder, Spool
from ari_recorder.spool.places import Spools
from ari_recorder.targets.base import Target
from ari_recorder.targets.register import make_target
from ari_recorder.targets.vault import Vault
from tests.unit.spool import crashing, relocating
from tests.unit.spool.crashing import OWN
from tests.unit.spool.recordings import local_target, recording, sealed

SOURCE = "dead-host"
PBX = "pbx"
NOW = datetime(2026, 11, 21, 23, tzinfo=UTC)
LEG = b"\x08\x00" * 8000
"""One second."""
WORDS = ("one", "two", "three")


def deliver_to_folders(folder: Path) -> None:
    """A sealed recording goes to two folders, and then leaves the spool."""
    with Spool(folder / "spool") as spool:
        _made(spool, folder)
        asyncio.run(crashing.deliver(spool, folder))


def _made(spool: Spool, folder: Path) -> None:
    """A sealed recording is put into the spool, once."""
    if (folder / "made").exists():
        return
    found = spool.get(OWN)
    if found is not None and found.load() == recording(OWN, "a", "b"):  # killed before the seal
        found.remove()
        found = None
    if found is None:
        sealed(spool, OWN, "a", "b")
    (folder / "made").touch()


def deliver_to_server(folder: Path) -> None:
    """A sealed recording, which the test has put into the spool, goes to the target of `settings`."""
    settings = pickle.loads((folder / "settings").read_bytes())  # noqa: S301 - written by the test
    target = make_target(settings, Vault(folder / "state", folder / "seal.passphrase"))
    with Spool(folder / "spool") as spool:
        asyncio.run(_delivered(spool, target, folder / "certificate.crt"))


def move_between_folders(folder: Path) -> None:
    """A sealed recording moves into the second spool folder, and is delivered from there."""
    with relocating.spools(folder) as both:
        _made(both, folder)
        both.move(OWN, both.places[1])
        asyncio.run(crashing.deliver(both, folder))


def adopt(folder: Path) -> None:
    """A dead host's recording is adopted; the first life puts it there."""
    if (folder / SOURCE / OWN).exists():
        state = folder / "state"
        spool = Spools(folder / "spool", state=state)
        Adoption(spool, lambda own: _told(state, own), move=True).take(folder / SOURCE / OWN)


def seal_and_adopt(folder: Path) -> None:
    """The first life is a dead host's, which seals a recording there. Whoever comes then adopts it and brings
    it to the archive."""
    dead_chain = folder / "dead-chain.jsonl"
    if not (folder / "dead").exists():
        (folder / "dead").touch()
        with Chain(dead_chain) as chain, Spool(folder / SOURCE) as spool:
            for found in spool.all():
                Pipeline(_keys(folder), chain, {PBX: folder / "asterisk"}).advance(found)
    state = folder / "state"
    if (folder / SOURCE / OWN).exists():
        Adoption(
            Spools(folder / "spool", state=state),
            lambda own: _told(state, own),
            move=True,
            recordings=folder / "asterisk",
            logs=Logs(Log(dead_chain)),
        ).take(folder / SOURCE / OWN)
    with Spool(folder / "spool") as spool:
        _through(folder, spool, "asterisk-here")


def _told(state: Path, own: str) -> None:
    requests.ask(state, ADOPT, own)


def export_sealed(folder: Path) -> None:
    """A recording, which the test has put into the spool, is exported."""
    found = Spool(folder / "spool").get(OWN)
    assert found is not None
    export(found, found.load(), folder / "out", lambda _: folder / "certificate.crt")


def captured(spool: Spool) -> RecordingFolder:
    """A recording whose call is over."""
    legs = [
        Leg(f"ari-recorder/{OWN}/1-{side}", f"{OWN}.1-{side}", NOW, NOW, NOW + timedelta(seconds=1))
        for side in Side
    ]
    call = Call(PBX, "c", Direction.INBOUND, Party("+4930123456"), Party("1001"), created_at=NOW)
    segment = Segment(1, 8000, "alaw", "start", *legs)
    return spool.create(
        Recording(OWN, State.CAPTURED, NOW, call, Chosen("All", "r1", targets=("a",)), (segment,))
    )


def legs_of_asterisk(folder: Path) -> None:
    """As Asterisk leaves them."""
    for side in Side:
        path = folder / f"asterisk/ari-recorder/{OWN}/1-{side}.sln"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(LEG)


def call_to_archive(folder: Path) -> None:
    """From the last sample of a call to the archive."""
    with Spool(folder / "spool") as spool:
        _through(folder, spool)


def statement_to_archive(folder: Path) -> None:
    """A gap in hearing, remembered or stated already, becomes a link of the chain and goes to the archive."""
    with Spool(folder / "spool") as spool, Chain(folder / "state/chain.jsonl") as chain:
        found: list[RecordingFolder] = []
        ears = hearing.Hearing(folder / "state", spool, chain, lambda: ("a",), found.append, lambda: NOW)
        ears.remember({PBX: None})
        since = ears.deaf_since(PBX)
        if since is not None and since < NOW:
            ears.connected(PBX, lambda: NOW)
        if ears._memory.gaps or ears._memory.outgoing:
            asyncio.run(ears._state_gaps())
    with Spool(folder / "spool") as spool:
        _through(folder, spool)


def heard(folder: Path) -> None:
    """What an earlier life heard, half a minute ago."""
    memory = hearing.Memory(heard=(hearing.Heard(PBX, NOW - timedelta(seconds=30)),))
    (folder / "state" / hearing.FILE).write_text(document.dump(memory), encoding="utf-8")


def open_torn_chain(folder: Path) -> None:
    """The chain's log ends in a torn line, which the test has put there."""
    Chain(folder / "state/chain.jsonl").close()


def reserve(folder: Path) -> None:
    """Space is kept back, given up, and kept back again."""
    kept = Reserve(folder, 1 << 16)
    assert kept.hold()
    kept.release()
    kept.release(last=True)
    assert kept.hold()


def leftovers(folder: Path) -> None:
    """Legs that only Asterisk can delete are remembered until it has."""
    kept = Leftovers(folder)
    kept.add(PBX, WORDS)
    kept.gone(PBX, WORDS[:2])


def request(folder: Path) -> None:
    """A command asks and the recorder answers, in one process."""
    (folder / "state").mkdir(exist_ok=True)
    asked = folder / "state" / requests.FOLDER
    if not any(asked.glob("[!.]*")):
        requests.ask(folder / "state", "work")

    async def work(_request: requests.Request, tell: requests.Tell) -> requests.Answer:
        await tell(requests.Answer(requests.Outcome.WORKING, done=1, total=2))
        with (folder / "work").open("a") as done:
            done.write("done\n")
        return requests.Answer(requests.Outcome.DONE, "done")

    async def serve() -> None:
        serving = asyncio.create_task(requests.Requests(folder / "state", {"work": work}).run())
        async with asyncio.timeout(20):
            while any(asked.glob("*.request.json")):
                await asyncio.sleep(0.005)
        serving.cancel()

    asyncio.run(serve())


def _keys(folder: Path) -> Keys:
    return ensure_keys(
        folder / "state/seal/seal.key", folder / "state/seal/seal.crt", folder / "seal.passphrase", "test"
    )


def _through(folder: Path, spool: Spool, asterisk: str = "asterisk") -> None:
    with Chain(folder / "state/chain.jsonl") as chain:
        pipeline = Pipeline(_keys(folder), chain, {PBX: folder / asterisk})
        for found in spool.all():
            pipeline.advance(found)
        asyncio.run(_delivered(spool, local_target(folder / "a", "a"), folder / "state/seal/seal.crt"))


async def _delivered(spool: Spool, target: Target, certificate: Path) -> None:
    """Until nothing is left in the spool."""
    deliverer = Deliverer({target.name: target}, certificate=lambda _: certificate)
    running = asyncio.create_task(deliverer.run())
    for one in spool.all():
        deliverer.submit(one)
    async with asyncio.timeout(30):
        while any(spool.all()) or any(spool.root.glob(".trash-*")):
            await asyncio.sleep(0.005)
    await deliverer.close()
    await running


SCENES: dict[str, Callable[[Path], None]] = {
    scene.__name__: scene
    for scene in (
        deliver_to_folders, deliver_to_server, move_between_folders, adopt, seal_and_adopt, export_sealed,
        call_to_archive, statement_to_archive, open_torn_chain, reserve, leftovers, request,
    )
}  # fmt: skip
