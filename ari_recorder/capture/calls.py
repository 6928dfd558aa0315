"""What is known of a call, as the rules want it: from its channels, by the way that it goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ..model.call import CallFacts, Direction, Party, Wish
from . import events as ev


def names_of(user: ev.Channel) -> tuple[str, ...]:
    """What the PBX calls the user of a leg: the endpoint, and the number that it has of its own."""
    return tuple(name for name in (user.endpoint, user.caller.number) if name)


def inbound(at: datetime, channel: ev.Channel, trunk: str) -> CallFacts:
    """A call that comes in through a trunk; who will be rung nobody knows yet."""
    return CallFacts(
        caller=channel.caller,
        callee=Party(channel.exten),
        direction=Direction.INBOUND,
        at=at,
        trunk=trunk,
        trunk_number=channel.exten,
    )


def rung(facts: CallFacts, peer: ev.Channel) -> CallFacts:
    """With the user whom a leg rings. What was dialled stays known, whoever of a group is rung: a setting or
    an exception list may name it. In an internal call it stays the callee."""
    if facts.direction is Direction.INTERNAL:
        return replace(facts, callee_names=names_of(peer))
    dialled = (facts.trunk_number,) if facts.trunk_number else ()
    return replace(facts, callee=peer.caller, callee_names=(*names_of(peer), *dialled))


def outbound(
    at: datetime, origin: ev.Channel, peer: ev.Channel, trunk: str, dialstring: str, wish: Wish
) -> CallFacts:
    """A call of `origin` that leaves through a trunk's leg."""
    number = _dialled(dialstring, peer) or origin.exten
    return CallFacts(
        caller=origin.caller,
        callee=Party(number, peer.caller.name),
        direction=wish.direction or Direction.OUTBOUND,
        at=at,
        trunk=trunk,
        trunk_number=peer.connected.number or None,
        caller_names=(origin.endpoint,),
        wish=wish,
    )


def originated(at: datetime, peer: ev.Channel, trunk: str, dialstring: str) -> CallFacts:
    """A call that a program (AMI, ARI, a call file) places towards a trunk: no channel calls.

    Asterisk shows on the leg as caller and as connected line what the program named as caller id."""
    return CallFacts(
        caller=peer.connected,
        callee=Party(_dialled(dialstring, peer)),
        direction=Direction.OUTBOUND,
        at=at,
        trunk=trunk,
        trunk_number=peer.connected.number or None,
    )


def internal(
    at: datetime, origin: ev.Channel, peer: ev.Channel, dialstring: str = "", wish: Wish | None = None
) -> CallFacts:
    """A call of one user to another. Each goes by endpoint and number: what was dialled may be a group's."""
    wish = wish or Wish()
    return CallFacts(
        caller=origin.caller,
        callee=Party(origin.exten or peer.caller.number or dialstring, peer.caller.name),
        direction=wish.direction or Direction.INTERNAL,
        at=at,
        caller_names=(origin.endpoint,),
        callee_names=names_of(peer),
        wish=wish,
    )


def _dialled(dialstring: str, peer: ev.Channel) -> str:
    """The number in `0170@trunk-berlin` or `trunk-berlin/sip:0170@…`; "" where only the endpoint is named."""
    dialled = dialstring.partition("@")[0].rpartition("/")[2]
    named = dialled == peer.endpoint.partition("/")[2]
    return "" if named or not any(c.isdigit() for c in dialled) else dialled
