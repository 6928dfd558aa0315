#!/usr/bin/env python3
"""Make the shipped prompts and the demo's speeches anew: `python sounds/make.py`.

Needs espeak-ng (Debian package of that name) and the recorder's own dependencies. Writes
`<language>/<prompt>.flac`, `demo/*.wav` and `manifest.json` beside this file. Run it after a change of a
text; other versions of espeak-ng make other bytes, so all files and the manifest are committed together.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
LICENCE = (
    "Texts: written by the project, Apache-2.0. Sound: generated speech, the output of the synthesiser "
    "espeak-ng run on these texts; no recording of a person is in it. The synthesiser's own licence "
    "(GPL-3.0-or-later) covers the program, not what it speaks. Distributed with the project under "
    "Apache-2.0."
)
PROMPT_RATE = 16_000
DEMO_RATE = 8_000
WORDS_A_MINUTE = 170
EDGE_SECONDS = 0.25
"""Silence before and after, so that no first syllable is lost while media starts to flow."""

VOICES = {"en": "en-gb", "de": "de", "fr": "fr-fr", "nl": "nl", "sv": "sv"}

PROMPTS: dict[str, dict[str, str]] = {
    "recorded": {
        "en": "This call may be recorded.",
        "de": "Dieses Gespräch kann aufgezeichnet werden.",
        "fr": "Cet appel est susceptible d'être enregistré.",
        "nl": "Dit gesprek kan worden opgenomen.",
        "sv": "Det här samtalet kan komma att spelas in.",
    },
    "consent-inbound": {
        "en": "This call may be recorded for quality, training and legal purposes. If you do not agree, "
        "please tell us.",
        "de": "Dieses Gespräch kann zur Qualitätssicherung, zur Schulung und aus rechtlichen Gründen "
        "aufgezeichnet werden. Wenn Sie damit nicht einverstanden sind, sagen Sie es uns bitte.",
        "fr": "Cet appel est susceptible d'être enregistré à des fins de qualité, de formation et de preuve. "
        "Si vous n'êtes pas d'accord, veuillez nous le dire.",
        "nl": "Dit gesprek kan worden opgenomen voor kwaliteitsbewaking, training en juridische doeleinden. "
        "Als u hiermee niet akkoord gaat, laat het ons dan weten.",
        "sv": "Det här samtalet kan komma att spelas in för kvalitetssäkring, utbildning och juridiska "
        "ändamål. Om du inte samtycker till det ber vi dig att säga till.",
    },
    "is-recorded": {
        "en": "This call is being recorded.",
        "de": "Dieses Gespräch wird aufgezeichnet.",
        "fr": "Cet appel est enregistré.",
        "nl": "Dit gesprek wordt opgenomen.",
        "sv": "Det här samtalet spelas in.",
    },
    "is-not-recorded": {
        "en": "This call is not being recorded.",
        "de": "Dieses Gespräch wird nicht aufgezeichnet.",
        "fr": "Cet appel n'est pas enregistré.",
        "nl": "Dit gesprek wordt niet opgenomen.",
        "sv": "Det här samtalet spelas inte in.",
    },
    "press-key-opt-out": {
        "en": "If you do not want this call to be recorded, please press any key now.",
        "de": "Wenn Sie nicht möchten, dass dieses Gespräch aufgezeichnet wird, drücken Sie jetzt bitte eine "
        "beliebige Taste.",
        "fr": "Si vous ne souhaitez pas que cet appel soit enregistré, veuillez appuyer maintenant sur "
        "n'importe quelle touche.",
        "nl": "Als u niet wilt dat dit gesprek wordt opgenomen, druk dan nu op een willekeurige toets.",
        "sv": "Om du inte vill att det här samtalet spelas in, tryck på valfri knapp nu.",
    },
    "cannot-be-recorded": {
        "en": "This call cannot be recorded now, and must end. Please call again later.",
        "de": "Dieses Gespräch kann gerade nicht aufgezeichnet werden und wird beendet. Bitte rufen Sie "
        "später noch einmal an.",
        "fr": "Cet appel ne peut pas être enregistré et va être interrompu. Veuillez rappeler plus tard.",
        "nl": "Dit gesprek kan nu niet worden opgenomen en wordt beëindigd. Bel later nog eens.",
        "sv": "Samtalet kan inte spelas in just nu och avslutas. Ring igen senare.",
    },
}

DEMO = {
    "caller": (
        "en-gb+m3",
        "Hello, I am the caller. I speak from outside, and every word of mine stands in the left channel of "
        "the recording. With headphones, you hear me on your left.",
    ),
    "callee": (
        "en-us+f3",
        "Good morning, I was called. I speak from inside, and every word of mine stands in the right channel "
        "of the recording. With headphones, I am on your right.",
    ),
}


def main() -> None:
    entries = []
    for name, texts in PROMPTS.items():
        for language, text in texts.items():
            path = f"{language}/{name}.flac"
            entries.append(make(path, name, language, VOICES[language], text, PROMPT_RATE))
    for name, (voice, text) in DEMO.items():
        entries.append(make(f"demo/{name}.wav", name, "en", voice, text, DEMO_RATE))
    manifest = {"version": 1, "source": synthesiser(), "licence": LICENCE, "files": entries}
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    total = sum((HERE / str(entry["file"])).stat().st_size for entry in entries)
    sys.stdout.write(f"{len(entries)} files, {total} bytes\n")


def make(path: str, name: str, language: str, voice: str, text: str, rate: int) -> dict[str, object]:
    """Speak one text into one file; the manifest's entry for it."""
    target = HERE / path
    target.parent.mkdir(exist_ok=True)
    sound = spoken(voice, text, rate)
    soundfile.write(
        target, sound, rate, subtype="PCM_16", **({"compression_level": 1.0} if path.endswith("flac") else {})
    )
    return {
        "file": path,
        "name": name,
        "language": language,
        "text": text,
        "voice": voice,
        "rate": rate,
        "seconds": round(len(sound) / rate, 3),
        "sha256": sha256(target.read_bytes()).hexdigest(),
    }


def spoken(voice: str, text: str, rate: int) -> NDArray[np.int16]:
    command = ["espeak-ng", "-v", voice, "-s", str(WORDS_A_MINUTE), "--stdout", text]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    sound, made_at = soundfile.read(io.BytesIO(output), dtype="float32")
    sound = soxr.resample(sound, made_at, rate, quality="HQ")
    edge = np.zeros(round(EDGE_SECONDS * rate), dtype=np.float32)
    whole = np.concatenate((edge, sound, edge)) * 32768
    samples: NDArray[np.int16] = np.clip(np.rint(whole), -32768, 32767).astype(np.int16)
    return samples


def synthesiser() -> str:
    answer = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    return answer.split("Data at")[0].strip()


if __name__ == "__main__":
    main()
