"""Which endpoint is a line to the outside (FEATURES R3)."""

from __future__ import annotations

from .patterns import endpoint_matches
from .policy import Policy, Trunk


def trunk_of(policy: Policy, endpoint: str, number: str | None = None) -> Trunk | None:
    """The trunk an endpoint such as `PJSIP/trunk-berlin` belongs to; None for everything else.

    Several trunks may share an endpoint and are then told apart by `number`, the PBX's own public number
    of the call: the first that holds it, else the first in the file.
    """
    trunks = [t for t in policy.trunks if any(endpoint_matches(glob, endpoint) for glob in t.endpoints)]
    if number is not None:
        holding = next((trunk for trunk in trunks if holds(policy, trunk, number)), None)
        if holding is not None:
            return holding
    return trunks[0] if trunks else None


def holds(policy: Policy, trunk: Trunk, number: str) -> bool:
    """Whether a number is one of the PBX's own on this trunk."""
    read = policy.numbering.read(number)
    return any(policy.pattern(text).matches(read) for text in trunk.numbers)
