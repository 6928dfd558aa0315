"""Names: what the recorder makes, OneDrive takes; what OneDrive refuses, the recorder refuses before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_recorder.targets.graph.names import forbidden
from ari_recorder.targets.paths import component
from tests.graph_peer.names import refused

NASTY = ["~$x", "~x", ".lock", "CON", "con.txt", "Lpt1.wav", "desktop.ini", "a_VTI_b", "x.", " x", "x ",
         'a"b', "a*b", "a#b", "a%b", "a:b", "a\\b", "a\nb", "x" * 256]  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_what_the_service_refuses_is_not_even_asked(name: str) -> None:
    assert refused(name) is not None
    assert forbidden(name) is not None


@pytest.mark.parametrize(
    "name", ["x", ".hidden", "x~", "Grüße-日本", "console", "a.lock", "forms", "x" * 255]
)
def test_what_it_takes(name: str) -> None:
    assert refused(name) is None
    assert forbidden(name) is None


@given(st.text(min_size=1, max_size=300) | st.sampled_from(NASTY))
def test_no_stricter_and_no_laxer_than_the_peer(name: str) -> None:
    if "\0" not in name and name not in (".", ".."):
        assert not (refused(name) is not None and forbidden(name) is None), name


@given(st.text(max_size=200) | st.sampled_from(NASTY))
def test_every_folder_that_a_template_makes_is_taken(text: str) -> None:
    made = component(text)
    assert forbidden(made) is None
    assert refused(made, at_root=True) is None
