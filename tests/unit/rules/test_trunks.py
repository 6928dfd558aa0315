"""Which endpoint is a trunk."""

from __future__ import annotations

import pytest

from ari_recorder.rules.trunks import trunk_of

from .policies import policy

SHARED = """
[[trunk]]
name = "north"
endpoints = ["PJSIP/sbc"]
numbers = ["+4940*"]
[[trunk]]
name = "south"
endpoints = ["PJSIP/sbc"]
numbers = ["+4989*"]
"""


@pytest.mark.parametrize(
    ("endpoint", "trunk"),
    [
        ("PJSIP/trunk-berlin", "berlin"),
        ("PJSIP/trunk-hamburg", "others"),
        ("IAX2/out", "others"),
        ("PJSIP/1001", None),
        ("PJSIP/1001-trunk-berlin", None),
        ("", None),
        ("\0" * 500, None),
    ],
)
def test_the_trunk_of_an_endpoint(endpoint: str, trunk: str | None) -> None:
    found = trunk_of(policy(), endpoint)
    assert (found.name if found is not None else None) == trunk


@pytest.mark.parametrize(
    ("number", "trunk"),
    [("089123456", "south"), ("+4940123456", "north"), ("1001", "north"), (None, "north")],
)
def test_trunks_on_one_endpoint_are_told_apart_by_number(number: str | None, trunk: str) -> None:
    found = trunk_of(policy(SHARED), "PJSIP/sbc", number)
    assert found is not None
    assert found.name == trunk
