"""The package as `pip install` leaves it, far from any source tree: its commands, and the files they need."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from ari_recorder import __version__
from ari_recorder.config.starter import MACHINE
from ari_recorder.lab.product import sources

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Installed:
    wheel: Path
    prefix: Path
    elsewhere: Path
    """An empty folder, in which everything is typed."""

    def run(self, *words: str, status: int = 0, program: str = "ari-recorder") -> str:
        command = [str(self.prefix / "bin" / program), *words]
        done = subprocess.run(
            command,
            cwd=self.elsewhere,
            env=_without_python_settings() | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout or done.stderr

    @property
    def shipped(self) -> Path:
        return self.prefix / "share" / "ari-recorder"


def _without_python_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ARI_"))}


def _pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--no-input", *words]
    done = subprocess.run(
        command,
        env=os.environ | {"PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A wheel of this source tree in an environment of its own, which borrows the packages of this one."""
    folder = tmp_path_factory.mktemp("install")
    tree, prefix = folder / "tree", folder / "ari recorder"
    sources(tree)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(tree))
    (wheel,) = folder.glob("*.whl")
    shutil.rmtree(tree)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(prefix)], check=True, timeout=60)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # A folder named in a .pth is searched, but its own .pth files are not: not this source tree's either.
    borrowed = prefix / "lib" / version / "site-packages" / "borrowed.pth"
    borrowed.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    _pip("--python", str(prefix / "bin" / "python"), "install", "--no-deps", str(wheel))
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return Installed(wheel, prefix, elsewhere)


@pytest.fixture
def etc(installed: Installed, tmp_path: Path) -> Path:
    """Stands for /etc/ari-recorder, as the installed `init` writes it."""
    folder = tmp_path / "etc"
    installed.run("init", "--folder", str(folder))
    return folder


def test_it_is_the_installed_package_that_runs(installed: Installed) -> None:
    where = installed.run("-c", "import ari_recorder; print(ari_recorder.__file__)", program="python")
    assert Path(where.strip()).is_relative_to(installed.prefix)
    assert installed.run("--version").strip() == f"ari-recorder {__version__}"


def test_the_wheel_holds_the_package_and_its_files_and_nothing_else(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/")}
    package = {name for name in names if name.startswith("ari_recorder/")}
    there = (path for path in (ROOT / "ari_recorder").rglob("*") if path.is_file())
    assert package == {path.relative_to(ROOT).as_posix() for path in there if path.suffix != ".pyc"}
    data = {name.partition(".data/data/share/ari-recorder/")[2] for name in names if ".data/" in name}
    manifest = json.loads((ROOT / "sounds/manifest.json").read_text(encoding="utf-8"))
    prompts = {f"sounds/{one['file']}" for one in manifest["files"] if not one["file"].startswith("demo/")}
    conf = {f"asterisk_conf/{path.name}" for path in (ROOT / "asterisk_conf").iterdir()}
    assert data == prompts | conf | {"sounds/manifest.json"}
    others = {name.partition("/")[2] for name in names - package if ".data/" not in name}
    assert others == {
        "METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt",
        "licenses/LICENSE", "licenses/NOTICE",
    }  # fmt: skip


def test_init_writes_what_asterisk_includes(installed: Installed, etc: Path) -> None:
    for original in (ROOT / "asterisk_conf").iterdir():
        assert (installed.shipped / "asterisk_conf" / original.name).read_bytes() == original.read_bytes()
        if original.suffix in (".conf", ".md"):
            assert (etc / "asterisk" / original.name).read_bytes() == original.read_bytes()
    assert (etc / "config.toml").read_text(encoding="utf-8") == MACHINE


def test_explain_and_service_and_the_script(installed: Installed, etc: Path) -> None:
    config = ("--config", str(etc / "config.toml"))
    explained = installed.run("explain", *config, "--from", "+4930987654", "--to", "100")
    assert "Not recorded" in explained
    unit = installed.run("service", *config)
    program = re.search(r'^ExecStart="?([^"]+ari-recorder)"? run --config', unit, re.M)
    assert program is not None
    assert Path(program[1]) == installed.prefix / "bin" / "ari-recorder"
    script = installed.run("verify", "--script")
    assert script == (ROOT / "ari_recorder/evidence/check.sh").read_text(encoding="utf-8")


def test_a_shipped_prompt_is_found_and_converted(installed: Installed, etc: Path) -> None:
    sounds = etc.parent / "sounds"
    (sounds / "ari-recorder").mkdir(parents=True)
    text = MACHINE.replace("[pbx.asterisk]\n", f'[pbx.asterisk]\nsounds = "{sounds}"\n')
    text = text.replace("http://127.0.0.1:8088", "http://127.0.0.1:9")
    text = text.replace("[recorder]\n", f'[recorder]\nspool = "{etc / "spool"}"\nstate = "{etc / "state"}"\n')
    (etc / "config.toml").write_text(text, encoding="utf-8")
    told = installed.run("check", "--json", "--config", str(etc / "config.toml"), status=1)
    assert "prompt.installed" not in {
        finding["code"] for section in json.loads(told)["sections"].values() for finding in section
    }
    made = {path.suffix for path in (sounds / "ari-recorder").iterdir()}
    assert made == {".alaw", ".ulaw", ".sln", ".sln16", ".json"}


def test_the_demo_says_that_it_needs_the_source_tree(installed: Installed) -> None:
    told = installed.run("demo", status=3)
    assert "need ari-recorder's source tree" in told
