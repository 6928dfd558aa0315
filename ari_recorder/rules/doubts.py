"""What a policy says that can be read, and yet cannot be meant: told by `ari-recorder check`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..model.call import Direction
from .patterns import misunderstood
from .policy import Policy, Setting


@dataclass(frozen=True, slots=True)
class Doubt:
    """Trouble of one setting, exception list or trunk, with what to do about it."""

    name: str
    """What it is the trouble of."""
    sentence: str
    remedy: str


def doubts(policy: Policy) -> Iterator[Doubt]:
    """Of every setting that is switched on, and of every number pattern."""
    for setting in policy.settings:
        if setting.enabled:
            yield from _unheard(setting)
    yield from _futile(policy)


def _futile(policy: Policy) -> Iterator[Doubt]:
    """Globs that fit no number, because what is written so is read as another one."""
    for what, name, text in _patterns(policy):
        number = misunderstood(text, policy.numbering)
        if number is not None:
            yield Doubt(
                name,
                f'{what} "{name}" holds "{text}", which fits no number: what is written so is read as '
                f"{number}.",
                "Write it as that number is shown, with + or as the country writes it; where it means "
                "extensions, raise extension_length.",
            )


def _patterns(policy: Policy) -> Iterator[tuple[str, str, str]]:
    """What holds it, the holder's name, the pattern."""
    for trunk in policy.trunks:
        yield from (("Trunk", trunk.name, text) for text in trunk.numbers)
    for listed in policy.exception_lists:
        yield from (("Exception list", listed.name, entry.number) for entry in listed.entries)
    for setting in policy.settings:
        patterns = (*setting.users, *setting.remote, *setting.trunk_numbers)
        yield from (("Setting", setting.name, text) for text in patterns)


def _unheard(setting: Setting) -> Iterator[Doubt]:
    """An announcement that is required and can never be played."""
    announcement = setting.announcement
    if announcement is None or not announcement.required:
        return
    # A user's own call passes the gate before anybody is there to hear anything.
    for way in (each for each in announcement.directions if each is not Direction.INBOUND):
        before = " before the outside party answers" if way is Direction.OUTBOUND else ""
        yield Doubt(
            setting.name,
            f'Setting "{setting.name}" requires an announcement in {way} calls, where none can be played'
            f"{before}: no {way} call of this setting is ever recorded.",
            f'Take "{way}" out of the announcement\'s directions, or write required = false.',
        )
    if setting.users and Direction.INBOUND in announcement.directions:
        yield Doubt(
            setting.name,
            f'Setting "{setting.name}" requires an announcement and is for certain users, but the gate does '
            "not know who will be rung: it plays none, and the call is not recorded.",
            f"Where the dialplan knows who will be rung, let it ask for setting={setting.name} at the gate; "
            "or write required = false.",
        )
