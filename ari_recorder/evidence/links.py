"""Step 8 of a verification: do the recordings form an unbroken chain?

Two counts can prove that nothing is missing: the chain's own (all recordings of one recorder) and, for an
archive that holds only some, the archive's (all recordings owed to one target). The count with the
fewest gaps is the one the archive is judged by; `target` fixes it. Where another target fits as well, and
by its count recordings are missing, only that name can tell a whole archive from a thinned-out one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..model.errors import ConfigError
from ..model.evidence import Link
from .archive import shown
from .chain import decode
from .examine import Member
from .findings import Coverage, Finding, Step
from .visible import visible

LONGEST_LINE = 1 << 20
NAMED = 10
"""At most so many missing recordings of one gap are named one by one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording's place in one count: its number there and the name it gives its predecessor."""

    number: int
    previous: str | None
    name: str
    member: Member | None
    """None for an entry known from the chain's log only."""


@dataclass(frozen=True, slots=True)
class Count:
    label: str
    entries: tuple[Entry, ...]
    """In the order of their numbers."""

    def gaps(self) -> Iterator[tuple[int, int]]:
        """Missing numbers as (first, last), from 1 on."""
        expected = 1
        for entry in self.entries:
            if entry.number > expected:
                yield expected, entry.number - 1
            expected = max(expected, entry.number + 1)


@dataclass(slots=True)
class ChainCheck:
    """Checks the chains of an archive. `broken`: base names whose recordings were found faulty already."""

    members: list[Member]
    broken: frozenset[str]
    whole: bool
    target: str | None = None
    log: dict[str, list[Link]] = field(default_factory=dict)
    log_file: str = ""
    trusted: bool = False
    """The certificates were given, so that several may have signed one chain."""
    findings: list[Finding] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)

    def run(self) -> None:
        chains: dict[str, list[Member]] = defaultdict(list)
        for member in sorted(self.members, key=lambda one: (one.link.number, one.file)):
            chains[member.link.chain].append(member)
        for name in sorted({*chains, *self.log}):
            self._chain(name, chains.get(name, []), self.log.get(name))

    def _chain(self, name: str, members: list[Member], log: list[Link] | None) -> None:
        for member in members:
            self._check_signer(member)
        unique = self._without_copies(members)
        self._check_predecessors(unique)
        if log is not None:
            self._check_log(unique, log)
        count = self._count(unique, log or [])
        self._check_order(count)
        if self.whole:
            self._check_gaps(count, {one.link.name for one in members})
        label = visible(count.label) if self.whole else "part"
        last = count.entries[-1].number if count.entries else 0
        self.coverage.append(Coverage(visible(name), len(members), label, last, log is not None))

    def _check_signer(self, member: Member) -> None:
        if not self.trusted and member.signer != member.link.chain:
            self._add(
                "evidence.certificate",
                member,
                f"was signed with the certificate {member.signer}, but its chain was begun with "
                f"{visible(member.link.chain)}.",
            )

    def _without_copies(self, members: list[Member]) -> list[Member]:
        """One recording for each number; every further one is a finding."""
        first: dict[int, Member] = {}
        for member in members:
            known = first.setdefault(member.link.number, member)
            if known is member:
                continue
            number = member.link.number
            if known.link.signature_sha256 == member.link.signature_sha256:
                self._add("evidence.extra", member, f"is a second copy of number {number}, {known.file}.")
            else:
                sentence = f"claims number {number} of the chain, as {known.file} does."
                self._add("evidence.link", member, sentence)
        return list(first.values())

    def _check_predecessors(self, members: list[Member]) -> None:
        known = {member.link.number: member.link for member in members}
        for member in members:
            number, previous = member.link.number, member.link.previous
            if (previous.number if previous else 0) != number - 1:
                self._add("evidence.link", member, f"has number {number} but does not follow {number - 1}.")
                continue
            before = known.get(number - 1)
            if previous is None or before is None:
                continue
            if (previous.name, previous.signature_sha256) != (before.name, before.signature_sha256):
                self._add(
                    "evidence.link",
                    member,
                    f"follows another recording than number {number - 1}, {visible(before.name)}, as it "
                    f"lies here: it names {visible(previous.name)} with another signature.",
                )

    def _check_log(self, members: list[Member], log: list[Link]) -> None:
        links = {link.number: link for link in log}
        for member in members:
            link = links.get(member.link.number)
            if link is None:
                self._add("evidence.link", member, "is not in the chain's log.")
            elif (link.name, link.signature_sha256) != (member.link.name, member.link.signature_sha256):
                sentence = f"is not what the chain's log has as number {link.number}, {visible(link.name)}."
                self._add("evidence.link", member, sentence)

    def _count(self, members: list[Member], log: list[Link]) -> Count:
        """The count with the fewest gaps, the chain's own before those of targets."""
        if self.target is not None:
            for member in members:
                if _placed(member.link, self.target) is None:
                    sentence = f"was never meant for the target {visible(self.target)}."
                    self._add("evidence.extra", member, sentence)
            return self._of_target(self.target, members, log)
        links = [member.link for member in members] or log
        shared = [{place.target for place in link.places} for link in links]
        targets = sorted(set.intersection(*shared)) if shared else []
        owed = [self._of_target(target, members, log) for target in targets]
        count = min([_counted("whole chain", members, log, _own), *owed], key=_lacking)
        if self.whole:
            self._check_rivals(count, owed)
        return count

    def _of_target(self, target: str, members: list[Member], log: list[Link]) -> Count:
        return _counted(f"archive of target {target}", members, log, lambda link: _placed(link, target))

    def _check_rivals(self, count: Count, others: list[Count]) -> None:
        """An archive thinned out to what another target also holds is whole when counted as that one's."""
        for other in others:
            lacking = _lacking(other)
            if lacking <= _lacking(count):
                continue
            known = _known(other)
            begun = next((last + 1 for _, last in known.gaps()), 0)
            after = next((entry.member for entry in known.entries if entry.number == begun), None)
            sentence = (
                f"this may be the {visible(count.label)}, or the {visible(other.label)} with {lacking} "
                "missing: name the target (--target, -t)."
            )
            where = after.file if after is not None else self.log_file
            self.findings.append(Finding("evidence.unnamed", Step.CHAIN, where, sentence))

    def _check_order(self, count: Count) -> None:
        before: Entry | None = None
        for entry in _known(count).entries:
            member = entry.member
            if member is None:
                continue
            if before is not None and entry.number == before.number:
                sentence = (
                    f"claims number {entry.number} ({visible(count.label)}), as {visible(before.name)} does."
                )
                self._add("evidence.link", member, sentence)
            elif (entry.number == 1) != (entry.previous is None):
                self._add("evidence.link", member, f"has number {entry.number} but a wrong predecessor.")
            elif before is not None and entry.number == before.number + 1 and entry.previous != before.name:
                sentence = (
                    f"names {visible(str(entry.previous))} before it, but {visible(before.name)} is there."
                )
                self._add("evidence.link", member, sentence)
            before = entry

    def _check_gaps(self, count: Count, present: set[str]) -> None:
        known = _known(count)
        highest = count.entries[-1].number if count.entries else 0
        tail = known.entries[-1].number if known.entries else 0
        successors = {entry.number: entry for entry in known.entries}
        names = {entry.number: entry.name for entry in count.entries if entry.member is None}
        for first, last in [*known.gaps(), *([(tail + 1, highest)] if highest > tail else [])]:
            successor = successors.get(last + 1)
            told = [names[n] for n in range(first, min(last, first + NAMED - 1) + 1) if n in names]
            if not told and successor is not None and successor.previous:
                told = [successor.previous]
            if len(told) == last - first + 1 and set(told) <= self.broken | present:
                continue  # they are here, and were found faulty already
            self._add_gap(count.label, first, last, told, successor)

    def _add_gap(self, label: str, first: int, last: int, told: list[str], successor: Entry | None) -> None:
        numbers = f"number {first} is" if first == last else f"numbers {first} to {last} are"
        faulty = " or faulty" if self.broken else ""
        named = ", ".join(visible(name) for name in told)
        by = f", named by {visible(successor.name)}" if successor else ""
        also = f" ({'among them ' if first < last else ''}{named}{by})" if named else ""
        where = successor.member.file if successor and successor.member else self.log_file
        sentence = f"{numbers} missing{faulty}{also}; counted as {visible(label)}."
        self.findings.append(Finding("evidence.missing", Step.CHAIN, where, sentence))

    def _add(self, code: str, member: Member, sentence: str) -> None:
        self.findings.append(Finding(code, Step.CHAIN, member.file, sentence))


def read_log(path: Path) -> tuple[dict[str, list[Link]], list[Finding]]:
    """The links of a chain's log by chain, with what is wrong in it. ConfigError when it cannot be read."""
    chains: dict[str, list[Link]] = defaultdict(list)
    findings: list[Finding] = []
    before: Link | None = None
    try:
        with path.open("rb") as log:
            for number, line in enumerate(iter(lambda: log.readline(LONGEST_LINE), b""), 1):
                link = _logged(line)
                if link is None or not _follows(before, link):
                    sentence = f"line {number} is damaged or does not follow the line before it."
                    findings.append(Finding("evidence.link", Step.CHAIN, shown(path), sentence))
                if link is not None:
                    chains[link.chain].append(link)
                    before = link
    except OSError as error:
        raise ConfigError(
            "evidence.unreadable", f"The chain's log {shown(path)} cannot be read: {error.strerror}."
        ) from error
    return dict(chains), findings


def _logged(line: bytes) -> Link | None:
    try:
        return decode(line) if line.endswith(b"\n") else None
    except ValueError:
        return None


def _follows(before: Link | None, link: Link) -> bool:
    previous = link.previous
    if before is None or previous is None:
        return before is None and previous is None and link.number == 1
    told = (previous.number, previous.name, previous.signature_sha256, link.chain, link.number)
    return told == (before.number, before.name, before.signature_sha256, before.chain, before.number + 1)


def _counted(
    label: str, members: list[Member], log: list[Link], place: Callable[[Link], tuple[int, str | None] | None]
) -> Count:
    present = {member.link.number for member in members}
    every: Iterable[tuple[Link, Member | None]] = [
        *((member.link, member) for member in members),
        *((link, None) for link in log if link.number not in present),
    ]
    entries = [Entry(*at, link.name, member) for link, member in every if (at := place(link)) is not None]
    return Count(label, tuple(sorted(entries, key=lambda entry: entry.number)))


def _lacking(count: Count) -> int:
    known = {entry.number for entry in count.entries if entry.member is not None}
    return (count.entries[-1].number if count.entries else 0) - len(known)


def _known(count: Count) -> Count:
    """The count without what only the log tells."""
    return Count(count.label, tuple(entry for entry in count.entries if entry.member is not None))


def _own(link: Link) -> tuple[int, str | None]:
    return link.number, link.previous.name if link.previous else None


def _placed(link: Link, target: str) -> tuple[int, str | None] | None:
    return next(((place.number, place.previous) for place in link.places if place.target == target), None)
