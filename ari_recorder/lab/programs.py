"""Other programs, each with a time limit and an error that people can read."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..model.errors import ConfigError, TransientError
from .progress import Progress

T = TypeVar("T")

_ELSEWHERE = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ended: exit status (negative: signal) and what it wrote."""

    status: int
    out: str
    err: str


def find(program: str) -> str | None:
    """The program's path; the system's folders are searched too, which an ordinary PATH may lack."""
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(_ELSEWHERE))


def need(program: str, package: str) -> str:
    """The program's path, or ConfigError `lab.missing` naming Debian's package that holds it."""
    path = find(program)
    if path is None:
        raise ConfigError(
            "lab.missing", f"The program {program} is missing.", remedy=f"Install Debian's package {package}."
        )
    return path


def call(
    argv: Sequence[str],
    *,
    limit: float,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    text: str | None = None,
) -> Finished:
    """Run a program to its end, at most `limit` seconds; `text` goes to its standard input.

    It has its own process group: a terminal's Ctrl-C is this process's to answer, not the program's.
    TransientError `lab.failed` when it takes longer or, with `check`, when it fails.
    """
    try:
        done = subprocess.run(
            list(argv),
            capture_output=True,
            input=(text or "").encode(),
            env=None if env is None else {**os.environ, **env},
            timeout=limit,
            check=False,
            process_group=0,
        )
    except subprocess.TimeoutExpired as error:
        raise TransientError("lab.failed", f"{_short(argv)} took more than {limit:g} s.") from error
    except OSError as error:
        raise ConfigError("lab.missing", f"{argv[0]} cannot be started: {error.strerror}.") from error
    finished = Finished(
        done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )
    if check and finished.status != 0:
        raise failure(argv, finished.status, finished.err or finished.out)
    return finished


def follow(
    argv: Sequence[str], *, limit: float, progress: Progress, env: Mapping[str, str] | None = None
) -> None:
    """Run a long program to its end and pass on what it writes, line by line; errors as in `call`.

    When this process is interrupted, the program ends first, with all it started.
    """
    with subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=None if env is None else {**os.environ, **env},
        process_group=0,
    ) as process:
        watch = threading.Timer(limit, _signal_group, (process.pid, signal.SIGKILL))
        watch.start()
        tail: list[str] = []
        try:
            assert process.stdout is not None  # noqa: S101 - asked for above
            for line in process.stdout:
                words = line.decode(errors="replace").rstrip()
                tail = [*tail[-39:], words]
                progress(words)
            status = process.wait()
        except BaseException:
            _end_group(process)
            raise
        finally:
            late = not watch.is_alive()
            watch.cancel()
    if late:
        raise TransientError("lab.failed", f"{_short(argv)} took more than {limit:g} s.")
    if status != 0:
        raise failure(argv, status, "\n".join(tail))


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, number)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, so that it may clean up, and SIGKILL for what is left."""
    _signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    _signal_group(process.pid, signal.SIGKILL)


def failure(argv: Sequence[str], status: int, said: str) -> TransientError:
    """The error for a program that ended badly, with the end of what it said."""
    end = "\n".join(said.strip().splitlines()[-20:])
    return TransientError("lab.failed", f"{_short(argv)} failed ({status}): {end or 'it said nothing'}")


def wait_until(what: str, ask: Callable[[], T | None], *, limit: float, every: float = 0.05) -> T:
    """The first truthy answer of `ask`; TransientError `lab.failed` when none comes in `limit` seconds.

    `what` completes the sentence "… did not come within N s".
    """
    deadline = time.monotonic() + limit
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise TransientError("lab.failed", f"{what} did not come within {limit:g} s.")
        time.sleep(every)


def _short(argv: Sequence[str]) -> str:
    words = " ".join(argv)
    return words if len(words) <= 120 else f"{words[:117]}…"
