"""What every table of a TOML file has in common: unknown keys are refused, values are frozen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationInfo

from ..model.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Called:
    """What the reference calls a type, as metadata of an `Annotated` one."""

    name: str


class Table(BaseModel):
    """A table of a configuration file. A field's docstring is its text in the reference."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_default=True,
        hide_input_in_errors=True,
    )


def absolute(path: Path, info: ValidationInfo) -> Path:
    """A validator: the path, made relative to the folder of the file that it stands in."""
    if not path.name and not path.root:
        raise ValueError("must not be empty")
    if "\0" in str(path):
        raise ValueError("must not hold a NUL character")
    folder = (info.context or {}).get("folder")
    return (folder / path) if folder is not None else path


ResolvedPath = Annotated[Path, AfterValidator(absolute)]
"""A path; a relative one is made relative to the folder of the file it stands in."""


def _word(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError(
            "must be a name of at most 64 letters (a to z), digits, dots, dashes and underscores, "
            "beginning with a letter or digit"
        )
    return text


Word = Annotated[str, AfterValidator(_word), Called("name")]
"""A name that is safe in a path, a log line and a dialplan."""


def secret_of(given: SecretStr | None, file: Path | None, what: str) -> str | None:
    """A secret given directly or as the first line of a file; None when neither is given.

    Raises ConfigError `config.unreadable`, which never holds the secret.
    """
    if given is not None:
        return given.get_secret_value()
    if file is None:
        return None
    try:
        with file.open("rb") as stream:
            raw = stream.read(64 * 1024)
        return raw.decode("utf-8").split("\n", 1)[0].removesuffix("\r")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        remedy = "Let the recorder's user read the file."
        if isinstance(error, FileNotFoundError):
            remedy = "Make the file, with the secret in its first line, or correct its path."
        raise ConfigError(
            "config.unreadable",
            f"{what} cannot be read from {file}: {why}.",
            remedy=remedy,
        ) from error
