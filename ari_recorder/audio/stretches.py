"""Where something happened in a long stretch of samples, told in few words and bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_KEPT = 1000


class Stretches:
    """Collects positions that only ever grow, as ranges; those closer than `near` samples become one."""

    def __init__(self, near: int) -> None:
        self.ranges: list[tuple[int, int]] = []
        """(first, past the last)."""
        self.count = 0
        """Positions added."""
        self._near = near

    def add(self, positions: NDArray[np.intp], offset: int) -> None:
        """Positions in rising order, each counted from `offset`."""
        if not len(positions):
            return
        self.count += len(positions)
        breaks = np.flatnonzero(np.diff(positions) > self._near)
        firsts = positions[np.concatenate(([0], breaks + 1))] + offset
        lasts = positions[np.concatenate((breaks, [len(positions) - 1]))] + offset
        self._extend(list(zip(firsts.tolist(), (lasts + 1).tolist(), strict=True)))
        if len(self.ranges) > MOST_KEPT:
            self._coarsen(MOST_KEPT // 2)

    def at_most(self, limit: int) -> list[tuple[int, int]]:
        """The ranges, the nearest ones joined until there are no more than `limit` (1 or more)."""
        self._coarsen(limit)
        return self.ranges

    def _coarsen(self, limit: int) -> None:
        while len(self.ranges) > limit:
            self._near = max(1, 2 * self._near)
            ranges, self.ranges = self.ranges, []
            self._extend(ranges)

    def _extend(self, ranges: list[tuple[int, int]]) -> None:
        for first, end in ranges:
            if self.ranges and first - self.ranges[-1][1] <= self._near:
                self.ranges[-1] = (self.ranges[-1][0], end)
            else:
                self.ranges.append((first, end))
