"""One thread sends and receives for all streams, on a schedule that never drifts.

Packet n of a stream is due at its start + n × 20 ms, whatever happened to packet n-1. One heap holds the
next moment of every stream, so that a hundred streams cost no more wake-ups than they have packets.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from .rtp import Stream
from .weather import SLOT

_DRAIN = 5_000_000
"""Nanoseconds between two looks at what has arrived; the kernel stamps the true time of arrival."""
_GRID = 1_000_000
"""Streams start on whole milliseconds: neighbours then share one wake-up."""
_NICE = -10
"""The thread's priority: real phones do not share two cores with the PBX. Three busy processes beside fifty
calls: 99 % of packets less than 10 to 25 ms late, and 120 ms and more without it (measured)."""
_SWITCH = 0.0005
"""The interpreter's thread switch interval meanwhile, so that a busy test cannot hold a packet for long."""


class Pacer:
    def __init__(self) -> None:
        self._orders: deque[Callable[[], None]] = deque()
        self._due: list[tuple[int, int, Callable[[int], None]]] = []
        self._serial = 0
        self._streams: dict[int, Stream] = {}
        self._poll = select.epoll()
        self._awake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="rtp-pacer", daemon=True)
        self._interval = sys.getswitchinterval()
        self.failure: BaseException | None = None

    def start(self) -> None:
        sys.setswitchinterval(_SWITCH)
        self._thread.start()

    def stop(self) -> None:
        self._closing = True
        self._awake.set()
        self._thread.join(5)
        sys.setswitchinterval(self._interval)
        for stream in self._streams.values():
            stream.close()
        self._poll.close()
        if self.failure is not None:
            raise self.failure

    def add(self, stream: Stream) -> None:
        """Receive for this stream from now on."""
        self._order(lambda: self._register(stream))

    def begin(self, stream: Stream, after: float = 0) -> None:
        """Start to send, `after` seconds from now; the stream's payload and remote address are known."""
        moment = time.monotonic_ns() + round(after * 1e9)
        self._order(lambda: self._begin(stream, moment))

    def pause(self, stream: Stream) -> None:
        self._order(lambda: setattr(stream, "paused", True))

    def resume(self, stream: Stream) -> None:
        """Go on with the next frame; the timestamp jumps by the time that passed."""
        self._order(lambda: self._resume(stream))

    def remove(self, stream: Stream) -> None:
        """Take in what has arrived, then close the stream's ports."""
        self._order(lambda: self._remove(stream))

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.append(order)
        self._awake.set()

    def _register(self, stream: Stream) -> None:
        self._streams[stream.socket.fileno()] = stream
        self._poll.register(stream.socket.fileno(), select.EPOLLIN)

    def _remove(self, stream: Stream) -> None:
        number = stream.socket.fileno()
        if number < 0:
            return
        stream.drain()
        self._poll.unregister(number)
        del self._streams[number]
        stream.close()
        stream.watch.tell()

    def _begin(self, stream: Stream, moment: int) -> None:
        stream.started = -(-moment // _GRID) * _GRID
        self._plan(stream)

    def _resume(self, stream: Stream) -> None:
        if not stream.paused:
            return
        stream.paused = False
        if stream.started is None or stream.finished:
            return
        passed = time.monotonic_ns() - stream.started
        stream.slot = max(stream.slot, int(passed // stream.weather.interval) + 1)
        stream.fresh = True
        self._plan(stream)

    def _plan(self, stream: Stream) -> None:
        assert stream.started is not None
        due = stream.started + round(stream.slot * stream.weather.interval)
        slot = stream.slot
        self._at(due, lambda moment: self._tick(stream, slot, moment))

    def _at(self, due: int, action: Callable[[int], None]) -> None:
        self._serial += 1
        heapq.heappush(self._due, (due, self._serial, action))

    def _tick(self, stream: Stream, slot: int, due: int) -> None:
        if stream.paused or stream.finished or slot != stream.slot:
            return
        if stream.weather.speaking(slot):
            if not self._speak(stream, slot, due):
                return
        else:
            stream.fresh = True
        stream.slot += 1
        self._plan(stream)

    def _speak(self, stream: Stream, slot: int, due: int) -> bool:
        assert stream.payload is not None
        payload = stream.payload(stream.frame)
        if payload is None:
            stream.finished = True
            stream.watch.tell()
            return False
        packet, frame = stream.build(payload), stream.frame
        stream.sent.spoken += payload
        stream.frame += 1
        stream.fresh = False
        if not stream.weather.lost(slot):
            delay = max(stream.weather.delay(slot), stream.held_until - due, 0)
            if delay:
                self._at(due + delay, lambda moment: stream.leave(packet, frame, moment))
            else:
                stream.leave(packet, frame, due)
        stream.watch.tell()
        return True

    def _run(self) -> None:
        with contextlib.suppress(PermissionError):  # who may not do this is paced less well
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        try:
            drained = 0
            while not self._closing:
                self._awake.clear()
                while self._orders:
                    self._orders.popleft()()
                self._fire()
                now = time.monotonic_ns()
                if now - drained >= _DRAIN:
                    drained = now
                    self._receive()
                self._rest(drained)
        except BaseException as failure:
            self.failure = failure

    def _fire(self) -> None:
        now = time.monotonic_ns()  # once: who is late must not starve orders and receiving
        while self._due and self._due[0][0] <= now:
            due, _, action = heapq.heappop(self._due)
            action(due)

    def _receive(self) -> None:
        for number, _ in self._poll.poll(0, max(1, len(self._streams))):
            stream = self._streams[number]
            stream.drain()
            stream.watch.tell()

    def _rest(self, drained: int) -> None:
        if not self._streams:
            self._awake.wait(1)
            return
        wake = drained + _DRAIN
        if self._due:
            wake = min(wake, self._due[0][0])
        pause = wake - time.monotonic_ns()
        if pause > 0 and not self._orders:
            time.sleep(min(pause, SLOT) / 1e9)
