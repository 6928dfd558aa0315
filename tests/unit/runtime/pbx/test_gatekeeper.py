"""Whoever stays too long in the gate is sent away, whatever Asterisk says of the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from ari_recorder.asterisk.ari.client import AriClient
from ari_recorder.asterisk.ari.transport import RefusedError
from ari_recorder.capture.gate import Stay
from ari_recorder.capture.switchboard import Switchboard
from ari_recorder.runtime.pbx.gatekeeper import Gatekeeper
from ari_recorder.runtime.pbx.judge import PolicyJudge


class Pbx:
    """Says what is in `answers`, and keeps who was sent away."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers
        self.gone: list[str] = []
        self.channels = SimpleNamespace(get=self._get, hangup=self._hang_up)

    async def __aenter__(self) -> Pbx:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def _get(self, channel: str) -> Any:
        answer = self._answers[channel]
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(app=answer)

    async def _hang_up(self, channel: str, **_: object) -> None:
        self.gone.append(channel)


async def test_a_call_that_asterisk_cannot_describe_strands_no_other() -> None:
    odd = RefusedError("ari.refused", "Asterisk cannot describe it.", status=500)
    left = RefusedError("ari.not-found", "No such channel.", status=404)
    pbx = Pbx({"odd": odd, "left": left, "talks": "Dial", "waits": "Stasis"})
    board = cast(Switchboard, SimpleNamespace(pbx="main"))
    gate = Gatekeeper(lambda: cast(AriClient, pbx), "app", board, cast(PolicyJudge, None))
    await gate._send_away({name: Stay(1.0, strict=True) for name in ("odd", "left", "talks", "waits")})
    assert pbx.gone == ["waits"]
