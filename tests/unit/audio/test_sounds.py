"""The shipped prompts are complete, are what the manifest says, and can be converted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ari_recorder.audio.prompts import convert
from ari_recorder.disk.digest import digest_of

SOUNDS = Path(__file__).resolve().parents[3] / "sounds"
LANGUAGES = {"en", "de", "fr", "nl", "sv"}
PROMPTS = {
    "recorded",
    "consent-inbound",
    "is-recorded",
    "is-not-recorded",
    "press-key-opt-out",
    "cannot-be-recorded",
}


def entries() -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = json.loads((SOUNDS / "manifest.json").read_text())["files"]
    return files


def test_every_prompt_is_there_in_every_language() -> None:
    there = {(e["language"], e["name"]) for e in entries() if not e["file"].startswith("demo/")}
    assert there == {(language, name) for language in LANGUAGES for name in PROMPTS}


def test_the_manifest_names_every_file_and_no_other() -> None:
    on_disk = {
        p.relative_to(SOUNDS).as_posix() for p in SOUNDS.rglob("*") if p.suffix in (".flac", ".wav", ".mp3")
    }
    assert on_disk == {e["file"] for e in entries()}


def test_every_text_is_said_once_and_has_a_source() -> None:
    manifest = json.loads((SOUNDS / "manifest.json").read_text())
    assert "eSpeak NG" in manifest["source"]
    assert "Apache-2.0" in manifest["licence"]
    texts = [entry["text"] for entry in entries()]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: str(entry["file"]))
def test_a_file_is_what_the_manifest_says(entry: dict[str, Any]) -> None:
    path = SOUNDS / entry["file"]
    assert digest_of(path)[0] == entry["sha256"]
    samples, rate = soundfile.read(path, dtype="int16")
    assert (samples.ndim, rate) == (1, entry["rate"])
    assert len(samples) / rate == pytest.approx(entry["seconds"], abs=0.001)
    assert 4000 < np.abs(samples.astype(int)).max() < 32767
    assert len(entry["text"]) / 22 < entry["seconds"] < len(entry["text"]) / 8 + 1


def test_a_shipped_prompt_converts(tmp_path: Path) -> None:
    prompt = convert(SOUNDS / "de" / "recorded.flac", tmp_path, "recorded-de")
    size = (tmp_path / "recorded-de.alaw").stat().st_size
    assert size % 160 == 0, "a prompt is made of whole frames, or Asterisk pads the last one"
    assert 8000 * prompt.seconds <= size + 1 < 8000 * prompt.seconds + 162


def test_the_phones_of_the_demo_speak_differently_and_long_enough() -> None:
    caller, rate = soundfile.read(SOUNDS / "demo" / "caller.wav", dtype="int16")
    callee, _ = soundfile.read(SOUNDS / "demo" / "callee.wav", dtype="int16")
    assert rate == 8000
    assert min(len(caller), len(callee)) > 8 * rate
    assert caller[: 8 * rate].tolist() != callee[: 8 * rate].tolist()


def test_the_folder_stays_small() -> None:
    assert sum(path.stat().st_size for path in SOUNDS.rglob("*") if path.is_file()) < 2_700_000
