"""What a service tells systemd: one datagram a message (sd_notify(3)), nothing where nobody listens."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

SOCKET, WATCHDOG, WATCHDOG_PROCESS = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class ServiceManager:
    """Talks to the service manager that started this process, if one did. Never raises, never waits."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get(SOCKET, "")
        # "@" stands for the NUL byte of an abstract socket; anything else (vsock) is not spoken here.
        self._address = "\0" + path[1:] if path.startswith("@") else path if path.startswith("/") else None
        self._limit = _limit(environment)
        self._said = ""

    @property
    def listens(self) -> bool:
        return self._address is not None

    @property
    def watchdog(self) -> float | None:
        """Seconds within which a sign of life is expected; None where nobody watches."""
        return self._limit if self.listens else None

    def ready(self) -> None:
        """The start, or reading the policy again, is over."""
        self._send("READY=1")

    def status(self, sentence: str) -> None:
        """One line for `systemctl status`; sent only when it differs."""
        line = " ".join(sentence.split())
        if line != self._said:
            self._said = line
            self._send(f"STATUS={line}")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """With the time at which it began, as Type=notify-reload wants it; `ready` says that it is over."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError:
            return  # it is the manager's loss; a missed sign of life is its to judge


def _limit(environment: Mapping[str, str]) -> float | None:
    """Seconds of $WATCHDOG_USEC when it is meant for this process."""
    microseconds = environment.get(WATCHDOG, "")
    meant = environment.get(WATCHDOG_PROCESS) in (None, "", str(os.getpid()))
    if not meant or not (microseconds.isascii() and microseconds.isdigit()):
        return None
    return int(microseconds) / 1e6 or None
