"""The checkout the laboratory works from: its images and configurations are not part of the package."""

from __future__ import annotations

from pathlib import Path

from ..model.errors import ConfigError


def root() -> Path:
    """The checkout's top folder; ConfigError `lab.missing` when the package runs from somewhere else."""
    top = Path(__file__).resolve().parents[2]
    if not (top / "docker" / "pbx").is_dir() or not (top / "asterisk_conf").is_dir():
        raise ConfigError(
            "lab.missing",
            "The demo and the tests need ari-recorder's source tree (docker/ and asterisk_conf/).",
            remedy="Clone the repository and run `make demo` there.",
        )
    return top
