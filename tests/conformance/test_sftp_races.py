"""Two bring the same file at the same time: at whatever moment, the slower one adopts what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ari_recorder.disk import faults
from ari_recorder.lab.sftpd import SftpServer
from ari_recorder.targets import sftp
from ari_recorder.targets.base import part_name
from ari_recorder.targets.ssh import session as sftp_session
from ari_recorder.targets.steps import Step

from .test_contract import PATH, MakeSample, put
from .test_sftp import Scene, failure, names

Overtaking = Callable[[str, Path, Path], None]


@pytest.fixture
def scene(sftp_server: SftpServer, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(sftp_server, tmp_path)
    yield made
    made.close()


@pytest.fixture
def overtaking(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Overtaking:
    """Have the part file get its final name at a step, at a fault point, or just before it is opened so."""

    def overtake_at(moment: str, part: Path, final: Path) -> None:
        def overtake(seen: str) -> None:
            if seen == moment and part.exists() and not final.exists():
                part.rename(final)

        opened = sftp_session.Client.open

        def opening(client: Any, name: str, mode: str = "r", *more: Any) -> Any:
            if name == str(part):
                overtake(mode)
            return opened(client, name, mode, *more)

        monkeypatch.setattr(sftp_session.Client, "open", opening)
        monkeypatch.setattr(faults, "hook", overtake)
        monkeypatch.setattr(sftp, "at", overtake)

    return overtake_at


MOMENTS = [Step.WRITE, "wx", "r+", "sftp.opened", "r", "sftp.written", Step.READ_BACK, Step.RENAME]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_faster_writer_of_the_same_file(
    scene: Scene, sample: MakeSample, moment: str, overtaking: Overtaking
) -> None:
    one = sample(b"whole")
    final = scene.root / PATH
    part = final.with_name(part_name(PATH.name, one.sha256))
    final.parent.mkdir(parents=True)
    part.write_bytes(b"whole")
    overtaking(str(moment), part, final)
    put(scene.target(), one)
    assert names(scene.root) == [str(PATH)]
    assert final.read_bytes() == b"whole"


@pytest.mark.parametrize("moment", MOMENTS[:3])
def test_a_faster_writer_of_another_file(
    scene: Scene, sample: MakeSample, moment: str, overtaking: Overtaking
) -> None:
    """Before it is written over, the part file gets its name from somebody who did not look into it."""
    one = sample(b"whole")
    final = scene.root / PATH
    part = final.with_name(part_name(PATH.name, one.sha256))
    final.parent.mkdir(parents=True)
    part.write_bytes(b"other")
    overtaking(str(moment), part, final)
    assert failure(scene.target(), one).code == "target.conflict"
    assert final.read_bytes() == b"other"


def test_a_part_file_that_somebody_clears_away_meanwhile(
    scene: Scene, sample: MakeSample, overtaking: Overtaking
) -> None:
    one = sample(b"whole")
    final = scene.root / PATH
    part = final.with_name(part_name(PATH.name, one.sha256))
    final.parent.mkdir(parents=True)
    part.write_bytes(b"who")
    overtaking("r+", part, scene.root / "elsewhere")
    put(scene.target(), one)
    assert final.read_bytes() == b"whole"
