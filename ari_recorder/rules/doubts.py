"""What a policy says that can be read, and yet cannot be meant: told by `ari-recorder check`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..model.call import Direction
from .policy import Policy, Setting


@dataclass(frozen=True, slots=True)
class Doubt:
    """One setting's trouble, with what to do about it."""

    setting: str
    sentence: str
    remedy: str


def doubts(policy: Policy) -> Iterator[Doubt]:
    """Of every setting that is switched on."""
    for setting in policy.settings:
        if setting.enabled:
            yield from _unheard(setting)


def _unheard(setting: Setting) -> Iterator[Doubt]:
    """A call that goes out passes the gate on its user's channel, before there is an outside party to hear
    anything: a required announcement can never be met."""
    announcement = setting.announcement
    if announcement is None or Direction.OUTBOUND not in announcement.directions or not announcement.required:
        return
    yield Doubt(
        setting.name,
        f'Setting "{setting.name}" requires an announcement in outbound calls, where none can be played '
        "before the outside party answers: no outbound call of this setting is ever recorded.",
        'Take "outbound" out of the announcement\'s directions, or write required = false.',
    )
