"""The state of a recording from the first bytes of its journal, without reading the rest.

At start 20 000 recordings may wait, and what has to be known before a PBX is connected is only which of them
were being recorded. `recording.json` stays the truth: its writer puts id and state first (the order of the
fields in `model/recording.py`), and a journal that does not begin so says nothing here and is read whole.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

from ..model.recording import State

ENOUGH = 512
"""Bytes in which the head stands: the longest id has 120 characters."""

_HEAD = re.compile(
    rb'\s*\{\s*"format":\s*"ari-recorder/recording/1",\s*"recording":\s*\{'
    rb'\s*"id":\s*"(?P<id>[A-Za-z0-9._@+-]+)",\s*"state":\s*"(?P<state>[a-z]+)"'
)
_STATES = {state.value.encode(): state for state in State}


def glance(journal: str, recording_id: str) -> State | None:
    """The state of the recording of that id in a journal file; None where only reading it whole can tell."""
    try:
        handle = os.open(journal, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        with suppress(OSError):
            found = _HEAD.match(os.read(handle, ENOUGH))
            if found is not None and found["id"] == recording_id.encode():
                return _STATES.get(found["state"])
    finally:
        os.close(handle)
    return None
