"""Which recordings a person means: some by their ids, those of some targets, or all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..model.errors import PermanentError
from ..model.recording import State
from .folders import RecordingFolder, Spool
from .glance import glance

_IDS, _TARGETS, _ALL = "ids", "targets", "all"


@dataclass(frozen=True, slots=True)
class Selection:
    """`recordings` None: all; `targets` None: all, and what is not sealed yet as well."""

    recordings: tuple[str, ...] | None = None
    targets: frozenset[str] | None = None

    def words(self) -> tuple[str, ...]:
        """For a request to the running recorder."""
        if self.recordings is not None:
            return (_IDS, *self.recordings)
        return (_ALL,) if self.targets is None else (_TARGETS, *sorted(self.targets))

    def states(self, spool: Spool) -> Iterator[tuple[RecordingFolder, State | None]]:
        """The chosen recordings, as `Spool.states` tells them. Blocks. What is not there is left out."""
        if self.recordings is None:
            yield from spool.states()
            return
        for own in self.recordings:
            if (folder := spool.get(own)) is not None:
                yield folder, glance(str(folder.path / "recording.json"), own)

    def unknown(self, spool: Spool) -> list[str]:
        """The ids that are not there."""
        return [own for own in self.recordings or () if spool.get(own) is None]


def read_words(words: Sequence[str]) -> Selection:
    """The selection of `Selection.words`; PermanentError `config.value`."""
    match words:
        case [kind, *recordings] if kind == _IDS:
            return Selection(recordings=tuple(recordings))
        case [kind, *targets] if kind == _TARGETS:
            return Selection(targets=frozenset(targets))
        case [kind] if kind == _ALL:
            return Selection()
    raise PermanentError("config.value", f"It is not said what is meant: {' '.join(words)!r}.")
