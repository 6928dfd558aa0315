"""A test that is skipped has tested nothing: it fails the run, unless what it lacks is named here."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.terminal import TerminalReporter

ALLOWED = (
    "only root may start a dockerd; others use one that answers",
    "not Debian",
)
"""Reasons for which tests of the laboratory itself may be skipped on a developer's machine. Nothing else may:
a server that is not installed is installed by `make`, and a target that cannot be tried is not proven."""


def unwanted(reports: Iterable[pytest.TestReport | pytest.CollectReport]) -> list[str]:
    """The tests that were skipped for any other reason, with it."""
    found = []
    for report in reports:
        told = report.longrepr
        why = str(told[2] if isinstance(told, tuple) else told).removeprefix("Skipped: ")
        if why not in ALLOWED:
            found.append(f"{report.nodeid}: {why}")
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not isinstance(reporter, TerminalReporter):
        return
    if skipped := unwanted(reporter.stats.get("skipped", [])):
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        for one in skipped:
            reporter.write_line(f"\nskipped, which counts as failed (tests/skips.py): {one}", red=True)
