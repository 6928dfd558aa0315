"""What the kernel says of processes, read right: names that mislead, children, processes that vanish."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ari_recorder.model.errors import TransientError
from tests.bench.accounting import (
    TICKS,
    Stat,
    busy_ticks,
    cpu_seconds,
    family,
    machine_seconds,
    peak_bytes,
    peak_memory,
)


def line(pid: int, parent: int, *, name: str = "asterisk", cpu: str = "700 300 20 5") -> str:
    """A line of `/proc/<pid>/stat`; `cpu`: utime, stime, cutime and cstime."""
    return f"{pid} ({name}) S {parent} 1 1 0 -1 4194560 900 0 3 0 {cpu} 20 0 30 0 8123 900000 9000 18446\n"


def put(proc: Path, pid: int, text: str) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "stat").write_text(text, encoding="utf-8")


def test_a_stat_line_gives_parent_and_time_with_that_of_ended_children() -> None:
    assert Stat.parse(line(4711, 42)) == Stat(4711, 42, 1025)


@pytest.mark.parametrize("name", ["Web Content", "a) S 1 (b", "(sd-pam)", ") ", "ü", ""])
def test_a_programs_name_may_be_anything(name: str) -> None:
    assert Stat.parse(line(7, 3, name=name)) == Stat(7, 3, 1025)


@pytest.mark.parametrize("text", ["", "7 (cut off) S 3 1 1", "no line at all", "x (a) S " + "1 " * 30])
def test_what_is_no_stat_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Stat.parse(text)


def test_peak_memory_is_vmhwm_in_bytes() -> None:
    assert (
        peak_bytes("Name:\tpython\nVmPeak:\t  999 kB\nVmHWM:\t   97280 kB\nVmRSS:\t 1 kB\n") == 97280 * 1024
    )


@pytest.mark.parametrize("status", ["", "Name:\tkthreadd\n", "VmHWM:\t 3 MB\n"])
def test_a_process_without_memory_is_refused(status: str) -> None:
    with pytest.raises(ValueError):
        peak_bytes(status)


def test_busy_is_all_but_idle_and_waiting_for_disks() -> None:
    assert busy_ticks("cpu  1 2 4 1000 2000 8 16 32 0 0\ncpu0 9 9 9 9 9 9 9 9 9 9\nintr 5\n") == 63


@pytest.mark.parametrize("stat", ["", "intr 5 0\n", "cpu 1 2 3\n"])
def test_a_machine_without_cpus_is_refused(stat: str) -> None:
    with pytest.raises(ValueError):
        busy_ticks(stat)


def test_a_family_is_the_root_with_all_below_and_nobody_else() -> None:
    stats = [Stat(1, 0, 1), Stat(10, 1, 1), Stat(11, 10, 1), Stat(12, 11, 1), Stat(13, 10, 1), Stat(20, 1, 1)]
    assert {stat.pid for stat in family(10, stats)} == {10, 11, 12, 13}
    assert family(99, stats) == []


def test_the_cost_of_a_process_includes_its_descendants(tmp_path: Path) -> None:
    put(tmp_path, 10, line(10, 1, cpu="100 50 7 3"))
    put(tmp_path, 11, line(11, 10, cpu="30 10 0 0"))
    put(tmp_path, 20, line(20, 1, cpu="9999 9999 0 0"))
    (tmp_path / "self").mkdir()
    (tmp_path / "21").mkdir()  # it ended between the listing and the reading
    assert cpu_seconds(10, proc=tmp_path) == 200 / TICKS


def test_a_process_that_has_ended_is_said_to_have(tmp_path: Path) -> None:
    put(tmp_path, 10, line(10, 1))
    with pytest.raises(TransientError, match="Process 12 ended"):
        cpu_seconds(12, proc=tmp_path)


def test_this_process_is_measured_as_it_measures_itself() -> None:
    before, itself = cpu_seconds(os.getpid()), time.process_time()
    while time.process_time() < itself + 0.1:
        sum(range(1000))
    assert cpu_seconds(os.getpid()) - before >= 0.1 - 2 / TICKS
    assert machine_seconds() >= cpu_seconds(os.getpid())
    assert peak_memory(os.getpid()) > 1 << 20
