"""What the next line of the chain's log has to continue, and where the log ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

from ..model.evidence import ArchivePlace, Predecessor

FORMAT = "ari-recorder/link/1"
"""Of a line of the log."""


@dataclass(slots=True)
class Standing:
    """The state of a chain after some lines of its log. Plain dictionaries go in, for a quick start."""

    size: int = 0
    """Bytes of these lines."""
    last: int = 0
    """Offset of the last of them."""
    head: Predecessor | None = None
    """The last link, as the next one will name it."""
    chain: str = ""
    places: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Target → number and name of the last recording owed to it."""

    @property
    def number(self) -> int:
        """Of the last link, which is how many there are."""
        return self.head.number if self.head else 0

    def place(self, target: str) -> ArchivePlace:
        """The next one in the archive of a target."""
        number, previous = self.places.get(target, (0, None))
        return ArchivePlace(target, number + 1, previous)

    def misfit(self, row: dict[str, Any]) -> str | None:
        """Why a row does not continue what was read so far. TypeError or KeyError when it is no link."""
        if row["format"] != FORMAT:
            return f"its format is not {FORMAT}"
        if row["number"] != self.number + 1:
            return f"its number is {row['number']!r}, expected {self.number + 1}"
        head, previous = self.head, row["previous"]
        told = (previous["number"], previous["name"], previous["signature_sha256"]) if previous else None
        if told != (None if head is None else (head.number, head.name, head.signature_sha256)):
            return "it names another predecessor than the line before it"
        if self.chain and row["chain"] != self.chain:
            return "it belongs to another chain"
        for place in row["places"]:
            number, name = self.places.get(place["target"], (0, None))
            if (place["number"], place["previous"]) != (number + 1, name):
                return f"its place in the archive {place['target']!r} does not follow the one before"
        fields = (row["name"], row["recording"], row["signature_sha256"], row["chain"], row["sealed_at"])
        return None if all(type(field) is str and field for field in fields) else "a field is missing"

    def take(self, row: dict[str, Any], size: int) -> None:
        """Go on by a row that fits, whose line has `size` bytes."""
        name = row["name"]
        self.head = Predecessor(row["number"], name, row["signature_sha256"])
        self.chain = row["chain"]
        for place in row["places"]:
            self.places[place["target"]] = (place["number"], name)
        self.last, self.size = self.size, self.size + size

    def copy(self) -> Standing:
        return replace(self, places=dict(self.places))

    def plain(self) -> dict[str, Any]:
        """For JSON; `load` takes it back."""
        head = self.head
        return {
            "size": self.size,
            "last": self.last,
            "head": [head.number, head.name, head.signature_sha256] if head else None,
            "chain": self.chain,
            "places": self.places,
        }

    @classmethod
    def load(cls, row: dict[str, Any]) -> Self:
        """KeyError, TypeError or ValueError when it was not made by `plain`."""
        places = {target: (int(number), str(name)) for target, (number, name) in row["places"].items()}
        head = Predecessor(*row["head"]) if row["head"] else None
        return cls(int(row["size"]), int(row["last"]), head, str(row["chain"]), places)
