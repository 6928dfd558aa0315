"""The real servers the tests use: each started once, when a test first asks for it, and gone at the end.

A test that needs one is never skipped: without an engine it fails with the sentence of the RecorderError.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from _pytest.terminal import TerminalReporter

from ari_recorder.lab.engine import Engine
from ari_recorder.lab.pbx import Pbx, sweep
from ari_recorder.lab.progress import spoken
from ari_recorder.lab.runfolder import RunFolder
from ari_recorder.lab.sftpd import SftpServer

pytest_plugins = ("tests.skips",)

hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    # The same examples each time, so that a change fails by what it changed; new ones are for everybody else.
    hypothesis.settings.load_profile("ci")

_SERVERS = {"engine", "pbx22", "pbx22_debian", "pbx16"}
_IN_REAL_TIME = {"integration", "crash", "soak"}
"""Folders whose tests hold calls; every other test has one try."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses an Asterisk is marked `engine`, so that `-m "not engine"` is the quick half."""
    for item in items:
        if isinstance(item, pytest.Function) and _SERVERS.intersection(item.fixturenames):
            item.add_marker(pytest.mark.engine)
        if _IN_REAL_TIME.intersection(item.path.parts):
            item.add_marker(pytest.mark.flaky(reruns=1))


SECOND_TRIES = 5
"""Calls in real time may fail by a shared machine that stands still; so many of a whole run, and no more."""


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """What needed a second try is shown with the first try's failure, never only counted."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first try of {report.nodeid}", sep="-")
        terminalreporter.write_line(report.longreprtext)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not isinstance(reporter, TerminalReporter):
        return
    if (again := len(reporter.stats.get("rerun", []))) > SECOND_TRIES:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"{again} tests needed a second try; at most {SECOND_TRIES} may", red=True)


@pytest.fixture(scope="session")
def run_folder() -> Iterator[Path]:
    """This run's own folder, removed at the end."""
    with RunFolder() as folder:
        yield folder.path


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with Engine(progress=spoken) as found:
        sweep(found)
        yield found


@pytest.fixture(scope="session")
def pbx22(engine: Engine, run_folder: Path) -> Iterator[Pbx]:
    """Asterisk 22 as upstream releases it."""
    with Pbx(engine, run_folder / "pbx22", "asterisk22", progress=spoken) as pbx:
        yield pbx


@pytest.fixture(scope="session")
def pbx22_debian(engine: Engine, run_folder: Path) -> Iterator[Pbx]:
    """Asterisk 22 as Debian ships it, with the defect of its opus_plc patch."""
    with Pbx(engine, run_folder / "pbx22-debian", "asterisk22-debian", progress=spoken) as pbx:
        yield pbx


@pytest.fixture(scope="session")
def pbx16(engine: Engine, run_folder: Path) -> Iterator[Pbx]:
    """Asterisk 16, the oldest release that is tested."""
    with Pbx(engine, run_folder / "pbx16", "asterisk16", progress=spoken) as pbx:
        yield pbx


@pytest.fixture
def sftp_server(tmp_path: Path) -> Iterator[SftpServer]:
    """A fresh OpenSSH server on an empty folder."""
    with SftpServer(tmp_path / "sftp") as server:
        yield server
