"""Which endpoint is a line to the outside, and which way a call goes (FEATURES R3)."""

from __future__ import annotations

from ..model.call import Direction
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


def direction_of(policy: Policy, from_endpoint: str, to_endpoint: str | None) -> Direction:
    """Which way a call goes: in when it comes through a trunk, out when it leaves through one, else internal.

    A call from trunk to trunk is inbound: its caller is the outside party. `to_endpoint` is None while
    nobody is being called yet.
    """
    if trunk_of(policy, from_endpoint) is not None:
        return Direction.INBOUND
    if to_endpoint is not None and trunk_of(policy, to_endpoint) is not None:
        return Direction.OUTBOUND
    return Direction.INTERNAL
