"""What can go wrong with a phone; each message names the phone, the call and what was awaited."""

from __future__ import annotations


class PhoneError(Exception):
    """A phone could not do, or did not see, what the test asked for."""


class OverdueError(PhoneError):
    """A wait reached its deadline."""


class RejectedError(PhoneError):
    """The other end refused: `status` is the SIP status."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status
