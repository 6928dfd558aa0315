"""In the end: every call accounted for, every archive whole, one unbroken chain."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from ari_recorder.evidence.verify import verify
from ari_recorder.targets.base import is_part
from tests.crash.calls import refusal_lines, spool_of
from tests.integration.scene import Result, moment
from tests.phones import Call
from tests.phones.judge import judge

from .ground import Ground
from .traffic import Fate, Lines

FLUSHED = 2.6
"""Seconds. Asterisk writes at least every 2 s what it recorded (ASTERISK.md, "Files"), in whole buffers."""

TAKEN_UP = 0.2
"""Seconds after a leg's begin in which frames that were sent before it may still be on their way."""


def account(ground: Ground, lines: Lines) -> Counter[str]:
    """How many calls met which end; AssertionError when one is missing, doubled or damaged."""
    results = [result for result in ground.stage.results() if "call" in result.metadata]
    ends = Counter(_end_of(fate, results, lines) for fate in lines.fates)
    recorded = Counter(result.call["sip_call_id"] for result in results)
    assert not [identity for identity, times in recorded.items() if times > 1]
    assert recorded.keys() <= {fate.spoken.caller.call_id for fate in lines.fates}
    refused = refusal_lines(ground.recorder.folder)
    assert ends["refused"] <= len(refused), f"{ends}, but only {len(refused)} refusals"
    failed = {journal["call"]["caller"]["number"] for journal in ground.recorder.journals()}
    empty = {fate.spoken.number for fate in lines.fates if fate.cut_at is not None}
    empty -= {result.call["caller"]["number"] for result in results}
    assert failed <= empty, f"recordings are left in the spool: {failed - empty}"
    _assert_archives(ground, len(results), len(failed))
    return ends


def _end_of(fate: Fate, results: list[Result], lines: Lines) -> str:
    mine = [r for r in results if r.call["sip_call_id"] == fate.spoken.caller.call_id]
    if not mine:
        told = f"the call from {fate.spoken.number} is lost"
        if fate.cut_at is not None:
            assert not fate.rolled_at or fate.cut_at - fate.rolled_at < FLUSHED, told
            return "cut before anything was written"
        assert not fate.rolled_at, told
        assert fate.met(lines.lame), told
        return "refused"
    if fate.cut_at is not None:
        _assert_begun(fate, mine[0])
        return "cut off"
    if not fate.rolled_at:
        _assert_whole_since_begun(fate, mine[0])
        return "recorded late"
    lines.traffic.judge(fate.spoken, mine)
    return "whole"


def _assert_whole_since_begun(fate: Fate, result: Result) -> None:
    """A call that was found late: from then on every frame is there, in order and unaltered."""
    first = result.metadata["segments"][0]
    for side, channel, end in _sides(fate, result):
        verdict = judge(channel, end.sent)
        leg = first["remote" if side == "left" else "local"]
        begin = TAKEN_UP + (moment(leg["started_at"]) if leg["started_at"] else result.begins_at)
        owed = {n for n, at in enumerate(end.sent_at) if at >= begin}
        wrong = [*({*verdict.missing, *verdict.damaged} & owed), *verdict.doubled, *verdict.backwards]
        assert not wrong, f"{side} of {result.file.stem}: {verdict}"


def _sides(fate: Fate, result: Result) -> list[tuple[str, bytes, Call]]:
    sides = (("left", result.left, fate.spoken.caller), ("right", result.right, fate.spoken.callee))
    return [(side, channel, end) for side, channel, end in sides if end is not None and end.sent]


def _assert_begun(fate: Fate, result: Result) -> None:
    """What was said until shortly before Asterisk died is there, in order and unaltered."""
    assert fate.cut_at is not None
    for side, channel, end in _sides(fate, result) if fate.rolled_at else ():
        verdict = judge(channel, end.sent)
        until = fate.cut_at - FLUSHED
        owed = [n for n, at in enumerate(end.sent_at) if at < until]
        # What was on the disk last may end in the middle of a frame.
        missing = {*verdict.missing, *verdict.damaged} & set(owed)
        assert not missing, f"{side} of {result.file.stem}: {sorted(missing)} of {len(owed)} frames are lost"
        wrong = [*verdict.damaged[1:], *verdict.doubled, *verdict.backwards]
        assert not wrong, f"{side} of {result.file.stem}: {verdict}"


def _assert_archives(ground: Ground, count: int, failed: int) -> None:
    """`count` recordings and their statements, the same in each archive; in the spool only what `failed`."""
    recorder = ground.recorder
    links = recorder.chain_links()
    assert [link["number"] for link in links] == list(range(1, len(links) + 1))
    held = {name: _held(root) for name, root in ground.archives.items()}
    for name, root in ground.archives.items():
        report = verify([root], certificate=recorder.certificate, chain_log=recorder.chain, target=name)
        assert report.ok, (name, report.findings)
        assert (report.recordings, report.intact) == (count, count), name
        assert not [path for path in held[name] if is_part(Path(path).name)], f"{name} holds torn files"
        assert held[name] == held["archive"], f"{name} differs from the folder"
    left = [name for name in spool_of(recorder.spool) if not name.startswith((".", "reserve"))]
    assert len(left) == failed, left


def _held(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
