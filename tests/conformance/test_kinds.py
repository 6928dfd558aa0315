"""No kind of target gets by without the suite."""

from __future__ import annotations

from typing import get_args

from ari_recorder.config import targets as config

from .conftest import NETWORKED, RIGS


def test_every_kind_of_target_has_its_rig() -> None:
    union = get_args(config.Target)[0]
    kinds = {get_args(member.model_fields["kind"].annotation)[0] for member in get_args(union)}
    assert kinds == set(RIGS)
    assert set(NETWORKED) == kinds - {"local"}
