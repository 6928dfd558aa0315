"""A setting in plain English, for the person who must answer for what is recorded (FEATURES R10)."""

from __future__ import annotations

from collections.abc import Sequence

from ..model.recording import OnFailure, Sides, Start
from .policy import Policy, Setting

_START = {
    Start.RING: "from the first ring",
    Start.ANSWER: "from the answer",
    Start.AFTER_ANNOUNCEMENT: "from the end of the announcement",
}

_SIDES = {
    Sides.STEREO: "both sides in one stereo file",
    Sides.SEPARATE: "both sides in a file each",
    Sides.REMOTE: "the outside party's side only",
    Sides.LOCAL: "the own side only",
}

FAILING = {
    OnFailure.CARRY_ON: "the call goes on",
    OnFailure.ALARM: "the call goes on, with an alarm",
    OnFailure.HANG_UP: "the call is ended, with an alarm",
}


def describe(policy: Policy, setting: Setting) -> str:
    """One paragraph that says all that a setting does."""
    sentences = [_records(setting), *_exceptions(policy, setting), *_announcement(policy, setting)]
    sentences += [_kept(setting), *_failing(setting)]
    if not setting.enabled:
        sentences.insert(0, "Switched off. If it were on:")
    return " ".join(sentences)


def _records(setting: Setting) -> str:
    whose = f" of {_any(setting.users)}" if setting.users else ""
    other = f" with {_any(setting.remote)}" if setting.remote else ""
    lines = f" through the numbers {_any(setting.trunk_numbers)}" if setting.trunk_numbers else ""
    where = f" on the PBX {_any(setting.pbx)}" if setting.pbx else ""
    codes = ", feature codes included" if setting.feature_codes else ""
    return f"Records {_all(setting.directions)} calls{whose}{other}{lines}{where}{codes}."


def _exceptions(policy: Policy, setting: Setting) -> list[str]:
    if not setting.exceptions:
        return []
    counted = [f'"{name}" ({_count(policy, name)})' for name in setting.exceptions]
    return [f"Does not record calls with numbers on {_all(counted)}."]


def _count(policy: Policy, name: str) -> str:
    listed = policy.exception_list(name)
    entries = len(listed.entries) if listed is not None else 0
    return f"{entries} {'entry' if entries == 1 else 'entries'}"


def _announcement(policy: Policy, setting: Setting) -> list[str]:
    announcement = setting.announcement
    if announcement is None:
        return []
    prompt = policy.prompt(announcement.prompt)
    said = f" ({prompt.comment})" if prompt is not None and prompt.comment else ""
    otherwise = "is not recorded" if announcement.required else "is recorded all the same"
    return [
        f'Plays "{announcement.prompt}"{said} to the outside party of {_all(announcement.directions)} calls '
        f"first; a call that cannot hear it {otherwise}."
    ]


def _kept(setting: Setting) -> str:
    where = f"delivered to {_all(setting.targets)}" if setting.targets else "and stays on the recorder"
    return f"Keeps the call {_START[setting.start]}, {_SIDES[setting.sides]}, {where}."


def _failing(setting: Setting) -> list[str]:
    if setting.on_failure is OnFailure.CARRY_ON:
        return []
    said = (
        f', after "{setting.failure_announcement}" where it can hear it'
        if setting.failure_announcement
        else ""
    )
    return [f"When it cannot be recorded, {FAILING[setting.on_failure]}{said}."]


def _all(words: Sequence[str]) -> str:
    return _joined(words, "and")


def _any(words: Sequence[str]) -> str:
    return _joined(words, "or")


def _joined(words: Sequence[str], last: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
