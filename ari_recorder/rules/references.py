"""What a policy's tables say of one another: names that must exist, names that must differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..config.lines import KeyPath
from ..config.problems import Flaw, suggestion
from ..model.recording import OnFailure, Start

if TYPE_CHECKING:
    from .policy import Named, Policy, Setting


def flaws_of(policy: Policy) -> Iterator[Flaw]:
    """Everything in a well-formed policy that cannot be meant."""
    tables: dict[str, Sequence[Named]] = {
        "trunk": policy.trunks,
        "exception_list": policy.exception_lists,
        "prompt": policy.prompts,
        "target": policy.targets,
        "setting": policy.settings,
    }
    for key, things in tables.items():
        yield from _repeated(key, things)
    for index, setting in enumerate(policy.settings):
        yield from _unknown(policy, setting, index)
        yield from _contradictions(setting, index)


def _repeated(key: str, things: Sequence[Named]) -> Iterator[Flaw]:
    first: dict[str, int] = {}
    for index, thing in enumerate(things):
        folded = thing.name.casefold()
        if folded in first:
            says = f'"{thing.name}" is the name of {key}[{first[folded] + 1}] already'
            yield Flaw((key, index, "name"), says)
        first.setdefault(folded, index)


def _unknown(policy: Policy, setting: Setting, index: int) -> Iterator[Flaw]:
    named: list[tuple[str, Sequence[str], Sequence[Named]]] = [
        ("target", setting.targets, policy.targets),
        ("exception_list", setting.exceptions, policy.exception_lists),
    ]
    for table, names, things in named:
        key = "targets" if table == "target" else "exceptions"
        for place, name in enumerate(names):
            path: KeyPath = ("setting", index, key, place)
            if name in names[:place]:
                yield Flaw(path, f'names "{name}" a second time')
            yield from _missing(path, name, table, things)
    if setting.announcement is not None:
        path = ("setting", index, "announcement", "prompt")
        yield from _missing(path, setting.announcement.prompt, "prompt", policy.prompts)
    if setting.failure_announcement is not None:
        path = ("setting", index, "failure_announcement")
        yield from _missing(path, setting.failure_announcement, "prompt", policy.prompts)


def _missing(path: KeyPath, name: str, table: str, things: Iterable[Named]) -> Iterator[Flaw]:
    known = [thing.name for thing in things]
    if name not in known:
        says = f'names "{name}", but no [[{table}]] has that name; {suggestion(name, known, "defined")}'
        yield Flaw(path, says, "config.reference")


def _contradictions(setting: Setting, index: int) -> Iterator[Flaw]:
    place = ("setting", index)
    announcement = setting.announcement
    if setting.failure_announcement is not None and setting.on_failure is not OnFailure.HANG_UP:
        says = f'is for calls that are ended, but "on_failure" is "{setting.on_failure}"'
        yield Flaw((*place, "failure_announcement"), says)
    if announcement is None:
        if setting.start is Start.AFTER_ANNOUNCEMENT:
            yield Flaw((*place, "start"), 'is "after-announcement", but the setting has no announcement')
        return
    never = [str(d) for d in announcement.directions if d not in setting.directions]
    if never:
        taken = " and ".join(setting.directions)
        says = f"hold {' and '.join(never)}, but the setting takes {taken} calls only"
        yield Flaw((*place, "announcement", "directions"), says)
