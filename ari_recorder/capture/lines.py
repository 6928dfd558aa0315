"""Which channels exist, who called whom, and who is bridged with whom, on one PBX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from . import events as ev


class Lines:
    """Read by the switchboard and the sessions; fed with every event before they are."""

    def __init__(self) -> None:
        self.channels: dict[str, ev.Channel] = {}
        self._first_seen: dict[str, ev.Channel] = {}
        self._caller: dict[str, str] = {}
        self._bridges: dict[str, tuple[str, ...]] = {}

    def see(self, event: ev.Event) -> None:
        match event:
            case ev.ChannelGone():
                return  # the last event of a channel: `forget` follows once everybody has seen it
            case ev.BridgeEntered() | ev.BridgeLeft():
                self._bridges[event.bridge] = event.members
                if not event.members:
                    del self._bridges[event.bridge]
                self._keep(event.channel)
            case ev.ChannelEvent(channel=channel):
                self._keep(channel)
            case ev.Dialled(peer=peer, caller=caller):
                self._keep(peer)
                if caller is not None:
                    self._keep(caller)
                    self._caller.setdefault(peer.id, caller.id)

    def adopt(self, snapshot: ev.Snapshot) -> None:
        """Begin anew with what the PBX holds now; of living channels it is kept who called them."""
        living = {channel.id for channel in snapshot.channels}
        self.channels.clear()
        self._bridges = dict(snapshot.bridges)
        self._first_seen = {each: seen for each, seen in self._first_seen.items() if each in living}
        self._caller = {callee: caller for callee, caller in self._caller.items() if callee in living}
        for channel in snapshot.channels:
            self._keep(channel)

    def forget(self, channel: str) -> None:
        """A channel is gone and everybody has been told."""
        self.channels.pop(channel, None)
        self._first_seen.pop(channel, None)
        self._caller.pop(channel, None)

    def origin(self, channel: str) -> ev.Channel | None:
        """The channel on whose behalf this one acts, as it was first seen: follows Local/ pairs back."""
        seen: set[str] = set()
        current = channel
        while current not in seen:
            seen.add(current)
            before = self._caller.get(self._other_half(current) or current)
            if before is None:
                break
            current = before
        first, now = self._first_seen.get(current), self.channels.get(current)
        if first is None or now is None:
            return now
        # What was dialled is known at creation; the dialplan moves `exten` about afterwards.
        return now if now.state == "Down" else _with_exten(now, first.exten or now.exten)

    def callers_of(self, channel: str) -> set[str]:
        """Every channel up the line that (indirectly) called this one."""
        found: set[str] = set()
        current = channel
        while (before := self._caller.get(self._other_half(current) or current)) and before not in found:
            found.add(before)
            current = before
        return found

    def bridged_with(self, channel: str) -> set[str]:
        """The others in the channel's bridges."""
        others: set[str] = set()
        for members in self._bridges.values():
            if channel in members:
                others.update(members)
        return others - {channel}

    def members(self, channel: str) -> tuple[str, ...]:
        return tuple(sorted(self.bridged_with(channel)))

    def _keep(self, channel: ev.Channel) -> None:
        self.channels[channel.id] = channel
        self._first_seen.setdefault(channel.id, channel)

    def _other_half(self, channel: str) -> str | None:
        """`Local/x@y-00000001;1` for `;2`: the half that was called, whose caller is the origin."""
        known = self.channels.get(channel)
        if known is None or known.technology != "Local" or not known.name.endswith(";2"):
            return None
        wanted = known.name[:-1] + "1"
        return next((c.id for c in self.channels.values() if c.name == wanted), None)


def _with_exten(channel: ev.Channel, exten: str) -> ev.Channel:
    return replace(channel, exten=exten)


def presented(channel: ev.Channel | None, channel_id: str) -> str:
    """Channel, number and name for people; the id of a channel that is no longer known."""
    if channel is None:
        return channel_id
    return " ".join(part for part in (channel.name, channel.caller.number, channel.caller.name) if part)


def transfer(event: ev.BlindTransferred | ev.AttendedTransferred, channels: Mapping[str, ev.Channel]) -> str:
    """Who transferred a call to whom, for people."""
    if isinstance(event, ev.BlindTransferred):
        return f"blind, by {event.channel.name}, to {event.exten}"
    target = presented(channels.get(event.target or ""), event.target or "?")
    return f"attended, by {event.channel.name}, to {target}"
