"""A call as the rules see it: who, whom, which way, through which trunk."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


class Side(StrEnum):
    """One of the two audio directions: `remote` is the followed, outside party, `local` the PBX's side."""

    REMOTE = "remote"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Party:
    """A participant as Asterisk presents it. Both strings come from the network: never trust them."""

    number: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the dialplan asked for in `Stasis(ari-recorder,…)` (FEATURES R8); empty means nothing."""

    force: bool = False
    forbid: bool = False
    setting: str | None = None
    direction: Direction | None = None


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Everything a decision may depend on. Numbers are raw, as Asterisk presents them."""

    caller: Party
    callee: Party
    direction: Direction
    at: datetime
    trunk: str | None = None
    trunk_number: str | None = None
    """The PBX's own public number (DDI): dialled on inbound, presented on outbound calls."""
    caller_names: tuple[str, ...] = ()
    """What else the PBX calls the caller, where that is a user of its own: the endpoint, his own number."""
    callee_names: tuple[str, ...] = ()
    """The same of the user who is called, and what an outside caller dialled: known only once he is rung."""
    wish: Wish = field(default_factory=Wish)
    pbx: str = ""
    """The PBX's name in the recorder's settings; "" where it is not known (`explain` without one)."""

    @property
    def remote(self) -> Party:
        """The party outside the recorded user: the caller, except on outbound calls."""
        return self.callee if self.direction is Direction.OUTBOUND else self.caller

    @property
    def local(self) -> Party:
        return self.caller if self.direction is Direction.OUTBOUND else self.callee


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules say of one call.

    `reason` is a stable word (`selected`, `no-setting`, `exception`, `feature-code`, `forbidden`, …);
    `because` the sentence for people; `steps` every setting looked at, in order, with why it did or did
    not match. `revision` names the policy that decided. `awaits_user`: the call is not recorded so far, but a
    setting for certain users may take it, once it is known who of them is called.
    """

    record: bool
    reason: str
    because: str
    revision: str
    setting: str | None = None
    exception_list: str | None = None
    exception_entry: str | None = None
    steps: tuple[str, ...] = ()
    awaits_user: bool = False
