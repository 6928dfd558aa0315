"""The product's image and compose file: built, and used as docs/howto/run-in-containers.md says."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ari_recorder import __version__
from ari_recorder.lab import debian, images, product
from ari_recorder.lab.engine import Engine
from ari_recorder.lab.pbx import OWNER, RUN, Pbx
from ari_recorder.lab.processes import Process
from ari_recorder.lab.programs import Finished, call, find, wait_until
from ari_recorder.lab.progress import spoken
from tests.bench.figures import Way
from tests.bench.rounds import NUMBERS
from tests.bench.traffic import talking
from tests.unit.docs.pages import ROOT, page

COMPOSE = ROOT / "docker/compose.yaml"
# The first build makes a Debian and fetches packages; later ones take seconds.
pytestmark = pytest.mark.timeout(1500)


@dataclass(frozen=True)
class Product:
    engine: Engine
    image: str

    def command(self, *words: str, folder: Path, status: int = 0) -> Finished:
        """One command in a container of its own, as `docker compose run --rm recorder` gives it."""
        done = self.engine.docker(
            "run", "--rm", *self.labels, "--network", "none", "--user", f"{os.getuid()}:{os.getgid()}",
            "--volume", f"{folder}:/etc/ari-recorder", self.image, *words, check=False,
        )  # fmt: skip
        assert done.status == status, done.out + done.err
        return done

    @property
    def labels(self) -> tuple[str, ...]:
        """By which `make clean` and later runs find what a killed run left."""
        return (
            "--label",
            f"{RUN}={self.image.rpartition(':')[2]}",
            "--label",
            f"{OWNER}={Process.current()}",
        )


@pytest.fixture(scope="module")
def built(engine: Engine, run_folder: Path) -> Iterator[Product]:
    image = f"ari-recorder/product-lab:{run_folder.name}"
    product.build(engine, image, progress=spoken)
    yield Product(engine, image)
    engine.docker("image", "rm", image, check=False)


@pytest.fixture
def etc(built: Product, tmp_path: Path) -> Path:
    """Stands for docker/etc/ari-recorder, after the page's second step."""
    folder = tmp_path / "docker/etc/ari-recorder"
    folder.mkdir(parents=True)
    built.command("init", folder=folder)
    (edit,) = re.findall(r"^sed .*$", page("docs/howto/run-in-containers.md").examples("sh")[1], re.M)
    subprocess.run(["sh", "-ec", edit], cwd=tmp_path, check=True, timeout=30)
    assert 'folder = "/srv/recordings"' in (folder / "policy.toml").read_text(encoding="utf-8")
    return folder


def test_it_knows_its_version_and_what_is_missing(built: Product, etc: Path) -> None:
    assert built.command("--version", folder=etc).out.strip() == f"ari-recorder {__version__}"
    told = json.loads(built.command("check", "--json", folder=etc, status=1).out)
    found = {finding["code"]: finding for section in told["sections"].values() for finding in section}
    assert found["config.valid"]["level"] == "ok"
    assert found["pbx.reachable"]["level"] == "fail"
    assert {path.name for path in (etc / "asterisk").iterdir()} >= {"README.md", "ari-recorder_ari.conf"}


def test_it_records_a_call_and_ends_in_order(built: Product, etc: Path, pbx22: Pbx, tmp_path: Path) -> None:
    configure(etc, pbx22)
    engine, name = built.engine, f"ari-recorder-product-{os.urandom(4).hex()}"
    archive = tmp_path / "recordings"
    words = ["run", "--detach", "--name", name, *built.labels, "--network", "host"]
    words += ["--user", f"{os.getuid()}:{os.getgid()}"]
    mounts = {
        etc: "/etc/ari-recorder",
        pbx22.recording_folder: "/var/spool/asterisk/recording",
        pbx22.sounds_folder / "ari-recorder": "/usr/share/asterisk/sounds/ari-recorder",
        archive: "/srv/recordings",
    }
    for here, there in mounts.items():
        here.mkdir(exist_ok=True)
        words += ["--volume", f"{here.resolve()}:{there}"]

    def inside(*words: str) -> Finished:
        return engine.docker("exec", name, "ari-recorder", *words, check=False)

    engine.docker(*words, built.image)
    try:
        wait_until("a recorder that is connected", lambda: inside("status").status == 0, limit=60, every=0.5)
        told = json.loads(inside("check", "--json").out)
        assert told["ok"], told
        asyncio.run(one_call(pbx22))
        wait_until("the recording", lambda: list(archive.rglob("*.sig")), limit=60)
        assert "1 of 1 recording(s) intact" in inside("verify", "/srv/recordings").out
        engine.docker("stop", "--time", "30", name)
        state = engine.docker("inspect", "--format", "{{.State.ExitCode}}", name)
        assert state.out.strip() == "0", engine.docker("logs", name).err
    finally:
        engine.docker("rm", "--force", "--volumes", name, check=False)


def configure(etc: Path, pbx: Pbx) -> None:
    """The PBX's address and password, and a setting that is on and needs no gate."""
    config, policy = etc / "config.toml", etc / "policy.toml"
    text = config.read_text(encoding="utf-8").replace("http://127.0.0.1:8088", pbx.ari_url)
    config.write_text(text, encoding="utf-8")
    (etc / "asterisk.password").write_text(pbx.ari_password + "\n", encoding="ascii")
    text = policy.read_text(encoding="utf-8").replace("enabled = false", "enabled = true")
    policy.write_text(re.sub("^announcement = .*\n", "", text, flags=re.M), encoding="utf-8")


async def one_call(pbx: Pbx) -> None:
    async with talking(pbx, NUMBERS[Way.RECORDER], 1):
        await asyncio.sleep(1)  # of talk


def test_the_compose_file_is_valid_and_names_what_exists() -> None:
    done = call([*compose(), "--file", str(COMPOSE), "config"], limit=60)
    contexts = [Path(context) for context in re.findall(r"context: (\S+)", done.out)]
    assert {context.relative_to(ROOT).as_posix() for context in contexts} == {".", "docker/asterisk22"}
    for name in re.findall(r"dockerfile: (\S+)", done.out):
        assert (ROOT / name).is_file() or name == "Dockerfile"
    assert set(re.findall(r"^  (\w+):$", done.out, re.M)) >= {"asterisk", "recorder", "ownership"}


def compose() -> list[str]:
    """Docker's plugin, or the program of its own that Debian has."""
    docker = find("docker") or "docker"
    if call([docker, "compose", "version"], limit=30, check=False).status == 0:
        return [docker, "compose"]
    debian.ensure({"docker-compose": "docker-compose"}, progress=spoken)
    return [find("docker-compose") or "docker-compose"]


def test_the_number_of_asterisks_user_is_the_one_in_its_image(engine: Engine) -> None:
    image = images.ensure(engine, "asterisk22", progress=spoken)
    asked = engine.docker("run", "--rm", "--network", "none", image, "sh", "-c",
                          "id -u asterisk && id -g asterisk")  # fmt: skip
    numbers = "-".join(asked.out.split())
    text = COMPOSE.read_text(encoding="utf-8")
    assert set(re.findall(r"ASTERISK_[UG]ID:-(\d+)", text)) == set(numbers.split("-"))
