"""SIP messages as text and back (RFC 3261), no more of it than a phone on loopback needs.

Header values are `str` decoded as UTF-8 with surrogateescape, so that any byte survives the way in and out.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass, field

_COMPACT = {
    "v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
    "c": "content-type", "s": "subject", "k": "supported", "r": "refer-to", "o": "event",
}  # fmt: skip
_USER_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()&=+$,;?/")
Headers = list[tuple[str, str]]


class MalformedError(ValueError):
    """The bytes are no SIP message."""


@dataclass(slots=True)
class Message:
    """A request or a response. `start` is its first line; header order is kept."""

    start: str
    headers: Headers
    body: bytes = b""

    @property
    def is_request(self) -> bool:
        return not self.start.startswith("SIP/2.0 ")

    @property
    def method(self) -> str:
        """The request's method; for a response the one in its CSeq."""
        return self.start.split(" ", 1)[0] if self.is_request else self.cseq[1]

    @property
    def status(self) -> int:
        return int(self.start.split(" ", 2)[1])

    @property
    def reason(self) -> str:
        """`486 Busy Here`"""
        return self.start.removeprefix("SIP/2.0 ")

    @property
    def cseq(self) -> tuple[int, str]:
        number, method = self.need("CSeq").split()
        return int(number), method

    @property
    def branch(self) -> str:
        return parameter(self.need("Via"), "branch") or ""

    def all(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for key, value in self.headers if _COMPACT.get(key.lower(), key.lower()) == wanted]

    def get(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    def need(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise MalformedError(f"{self.start!r} has no {name}")
        return value

    def encode(self) -> bytes:
        lines = [self.start, *(f"{key}: {value}" for key, value in self.headers)]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


def parse(data: bytes) -> Message:
    """The message in one datagram; MalformedError when it is none (keep-alives for instance)."""
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        raise MalformedError("no empty line after the headers")
    text = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "surrogateescape"))
    start, *lines = text.split("\r\n")
    if "SIP/2.0" not in start:
        raise MalformedError(f"not a SIP start line: {start!r}")
    headers: Headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise MalformedError(f"not a header: {line!r}")
        if name.strip().lower() not in ("content-length", "l"):
            headers.append((name.strip(), value.strip()))
    return Message(start, headers, body)


def request(method: str, uri: str, headers: Iterable[tuple[str, str]], body: bytes = b"") -> Message:
    return Message(f"{method} {uri} SIP/2.0", list(headers), body)


def response(to: Message, status: int, *, tag: str, headers: Headers, body: bytes = b"") -> Message:
    """A response with what RFC 3261 8.2.6 wants copied from the request."""
    answer_to = to.need("To")
    if parameter(answer_to, "tag") is None and status > 100:
        answer_to = f"{answer_to};tag={tag}"
    copied: Headers = [("Via", via) for via in to.all("Via")]
    copied += [("Record-Route", route) for route in to.all("Record-Route")]
    copied += [("From", to.need("From")), ("To", answer_to)]
    copied += [("Call-ID", to.need("Call-ID")), ("CSeq", to.need("CSeq"))]
    return Message(f"SIP/2.0 {status} {REASONS.get(status, 'Because')}", [*copied, *headers], body)


def parameter(value: str, name: str) -> str | None:
    """A header parameter, looked for behind the closing bracket of an address where there is one."""
    behind = value.rpartition(">")[2]
    found = re.search(rf";\s*{re.escape(name)}\s*=\s*([^;\s]+)", behind, re.IGNORECASE)
    return found.group(1) if found else None


def address(value: str) -> str:
    """The URI in a From, To or Contact header."""
    unquoted = re.sub(r'"(?:[^"\\]|\\.)*"', "", value, flags=re.DOTALL)
    found = re.search(r"<([^>]*)>", unquoted)
    return found.group(1) if found else unquoted.partition(";")[0].strip()


def user(value: str) -> str:
    """The user part of the address in a header, unescaped: the number that a call claims to come from."""
    before, at, _ = address(value).removeprefix("sip:").rpartition("@")
    return urllib.parse.unquote(before, errors="surrogateescape") if at else ""


def escape(user: str) -> str:
    """The user part of a URI: every byte that RFC 3261 does not allow there becomes `%XX`."""
    octets = user.encode("utf-8", "surrogateescape")
    return "".join(chr(b) if chr(b) in _USER_SAFE else f"%{b:02X}" for b in octets)


def quote(name: str) -> str:
    """A display name as quoted-string: `"`, `\\` and control characters as quoted pairs.

    CR and LF cannot stand in a SIP header in any way (RFC 3261 25.1) and are refused with ValueError:
    send them through the number, where they travel as `%0D` and `%0A`.
    """
    if "\r" in name or "\n" in name:
        raise ValueError("a display name cannot hold a line break in SIP; the number can")
    return '"' + "".join(f"\\{c}" if c in '"\\' or ord(c) < 0x20 or c == "\x7f" else c for c in name) + '"'


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a call claims to come from, any text. `raw` overrides both; only a tag is added to it."""

    number: str
    name: str = ""
    raw: str | None = field(default=None)

    def header(self, host: str) -> str:
        if self.raw is not None:
            return self.raw
        uri = f"<sip:{escape(self.number)}@{host}>"
        return f"{quote(self.name)} {uri}" if self.name else uri


REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted",
    404: "Not Found", 405: "Method Not Allowed", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 486: "Busy Here", 487: "Request Terminated",
    488: "Not Acceptable Here", 491: "Request Pending", 501: "Not Implemented", 603: "Decline",
}  # fmt: skip
