"""Policies and calls for the tests of this room."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ari_recorder.model.call import CallFacts, Direction, Party, Wish
from ari_recorder.rules.policy import Policy, parse_policy

FOLDER = Path("/etc/ari-recorder")
AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

OFFICE = """\
country = "DE"

[[trunk]]
name = "berlin"
endpoints = ["PJSIP/trunk-berlin"]
numbers = ["+49301234*"]

[[trunk]]
name = "others"
endpoints = ["PJSIP/trunk-*", "IAX2/out"]

[[exception_list]]
name = "doctors"
entries = [
    { number = "030 999999", comment = "Dr. Example" },
    { number = "/^[+]4989(10|20)/" },
    { number = "anonymous", comment = "Withheld" },
]

[[prompt]]
name = "recorded"
file = "shipped:en/recorded"
comment = "This call is recorded"

[[prompt]]
name = "own"
file = "own.wav"

[[target]]
kind = "local"
name = "archive"
folder = "archive"

[[target]]
kind = "local"
name = "vault"
folder = "/vault"

[[setting]]
name = "Old"
enabled = false
directions = ["inbound", "outbound", "internal"]

[[setting]]
name = "Sales"
users = ["1001", "20??", "alice"]
remote = ["+49*"]
exceptions = ["doctors"]
targets = ["archive", "vault"]
start = "after-announcement"
announcement = { prompt = "recorded" }

[[setting]]
name = "Hotline"
directions = ["inbound"]
trunk_numbers = ["+4930123450"]
feature_codes = true
sides = "separate"
announcement = { prompt = "own", required = false }

[[setting]]
name = "Inside"
directions = ["internal"]
users = ["1003"]
exceptions = ["doctors"]
start = "answer"
targets = ["archive"]
"""


def policy(text: str = OFFICE) -> Policy:
    return parse_policy(text, folder=FOLDER)


def call(
    caller: str = "+4930555555",
    callee: str = "1001",
    direction: Direction = Direction.INBOUND,
    *,
    wish: Wish | None = None,
    caller_names: tuple[str, ...] = (),
    callee_names: tuple[str, ...] = (),
    trunk_number: str | None = None,
) -> CallFacts:
    return CallFacts(
        Party(caller), Party(callee), direction, AT, trunk_number=trunk_number, wish=wish or Wish(),
        caller_names=caller_names, callee_names=callee_names,
    )  # fmt: skip
