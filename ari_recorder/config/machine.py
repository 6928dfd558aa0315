"""The machine's settings: where things lie, which PBXs there are, which key seals.

What is recorded stands in the policy (`ari_recorder/rules/policy.py`), not here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationInfo, model_validator

from .alerts import AlertSettings
from .disk import DiskSettings
from .monitoring import MonitoringSettings
from .problems import ConfigFileError, Problem
from .table import ResolvedPath, Table, Word, absolute, secret_of
from .toml import Document, build, parse, read

USUAL = Path("/etc/ari-recorder/config.toml")
ENVIRONMENT = "ARI_RECORDER_CONFIG"

RECORDINGS, SOUNDS = Path("/var/spool/asterisk/recording"), Path("/usr/share/asterisk/sounds")
"""Asterisk's usual folders."""


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class RecorderSettings(Table):
    """The recorder itself. May be left out: every key has a default."""

    spool: ResolvedPath = Path("/var/spool/ari-recorder")
    """Folder of the recordings on their way: from the first moment of a call until every target confirmed."""
    second_spool: ResolvedPath | None = None
    """A second spool folder, on another disk or a RAM disk: new recordings begin there while the first has no
    room or cannot be written, and it can take the spool over during maintenance."""
    state: ResolvedPath = Path("/var/lib/ari-recorder")
    """Folder of what must outlive a restart: the log of the chain and, unless `[seal]` says else, the key."""
    policy: ResolvedPath = Path("/etc/ari-recorder/policy.toml")
    """The policy file: what is recorded, and where it goes."""
    log_level: LogLevel = LogLevel.INFO
    """The least weighty messages that are logged."""
    log_format: LogFormat = LogFormat.TEXT
    """`text` for people, `json` for one JSON object a line."""


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("must be an address such as http://127.0.0.1:8088")
    if parts.username is not None or parts.password is not None:
        raise ValueError('must not hold a user or password; use "user" and "password"')
    if parts.query or parts.fragment:
        raise ValueError('must not hold "?" or "#"')
    return text.rstrip("/").removesuffix("/ari")


def _technology(text: str) -> str:
    if not text.isascii() or not text.replace("_", "").isalnum():
        raise ValueError("must be a channel technology such as PJSIP")
    return text


NOT_SHARED = Path("ari")
"""In the place of a folder: there is none that Asterisk and the recorder both see."""


def _shared(path: Path, info: ValidationInfo) -> Path:
    return path if path == NOT_SHARED else absolute(path, info)


SharedPath = Annotated[Path, AfterValidator(_shared)]


class Pbx(Table):
    """One Asterisk server: `[pbx.NAME]`. The name stands in the metadata of every recording."""

    url: Annotated[str, AfterValidator(_url)] = "http://127.0.0.1:8088"
    """Address of Asterisk's HTTP server (`http.conf`), with its prefix if it has one, without `/ari`."""
    user: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    """ARI user (`ari.conf`); it must not be `read_only`."""
    password: SecretStr | None = None
    """The ARI user's password. Better kept in a file of its own, see `password_file`."""
    password_file: ResolvedPath | None = None
    """File whose first line is the password. Exactly one of the two must be given."""
    recordings: SharedPath | None = None
    """Asterisk's recording folder, as the recorder sees it, or `"ari"`: they are fetched through ARI.
    Default: `/var/spool/asterisk/recording` when `url` names this machine (localhost, 127.…), else
    `"ari"`."""
    sounds: SharedPath | None = None
    """The folder in which Asterisk looks for sounds, as the recorder sees it; prompts are put there. `"ari"`:
    they have to be copied to the PBX, `check` says how. Default: `/usr/share/asterisk/sounds` when `url`
    names this machine, else `"ari"`."""
    salvage_after: Annotated[float, Field(ge=5, le=86400)] = 120.0
    """Seconds without any sign of Asterisk, neither an answer nor a growing leg, after which what it recorded
    is sealed as cut off. Where legs are fetched through ARI they wait until Asterisk is back."""
    technologies: Annotated[tuple[Annotated[str, AfterValidator(_technology)], ...], Field(min_length=1)] = (
        "PJSIP",
    )
    """Channel technologies whose calls are followed."""

    @model_validator(mode="after")
    def _one_password(self) -> Pbx:
        if (self.password is None) == (self.password_file is None):
            raise ValueError('needs exactly one of "password" and "password_file"')
        return self

    @property
    def local(self) -> bool:
        """Asterisk runs on this machine, as far as its address tells."""
        host = urlsplit(self.url).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")

    @property
    def recording_folder(self) -> Path | None:
        """Asterisk's recording folder as the recorder sees it; None where legs are fetched through ARI."""
        return self._seen(self.recordings, RECORDINGS)

    @property
    def sounds_folder(self) -> Path | None:
        """Asterisk's folder for sounds as the recorder sees it; None where it sees none."""
        return self._seen(self.sounds, SOUNDS)

    def _seen(self, given: Path | None, usual: Path) -> Path | None:
        if given is None:
            return usual if self.local else None
        return None if given == NOT_SHARED else given

    def read_password(self) -> str:
        """The password, from its file where it is kept in one; ConfigError when that cannot be read."""
        return secret_of(self.password, self.password_file, f'The password of ARI user "{self.user}"') or ""


class SealSettings(Table):
    """Key and certificate that seal recordings. Both are made at first start when they are missing."""

    key: ResolvedPath = Path("/var/lib/ari-recorder/seal/key.pem")
    """Private RSA key, encrypted, PEM. Default: `seal/key.pem` in `state`."""
    certificate: ResolvedPath = Path("/var/lib/ari-recorder/seal/certificate.pem")
    """Its certificate, PEM. Default: `seal/certificate.pem` in `state`."""
    passphrase_file: ResolvedPath = Path("seal.passphrase")
    """File whose first line is the key's passphrase, by default beside the configuration file: not where the
    key is, so that a copy of the one without the other is worth nothing. Made at first start when missing."""
    common_name: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "ari-recorder"
    """Name in a certificate made by the recorder: who answers for the recordings."""
    key_bits: Annotated[int, Field(strict=True, ge=3072, le=16384)] = 3072
    """Length of a key made by the recorder."""


class Machine(Table):
    """The whole configuration file."""

    recorder: RecorderSettings = RecorderSettings.model_construct()
    """Folders and logging."""
    pbx: dict[Word, Pbx]
    """The Asterisk servers, each as `[pbx.NAME]`."""
    seal: SealSettings = SealSettings.model_construct()
    """Key and certificate."""
    disk: DiskSettings = DiskSettings.model_construct()
    """The watch on the disks."""
    alerts: AlertSettings = AlertSettings()
    """Who is told when something is wrong."""
    monitoring: MonitoringSettings | None = None
    """Metrics and health over HTTP."""

    def sounds_for(self, pbx: str) -> Path:
        """Where a PBX's prompts are put: into Asterisk's own folder, or where a person copies them from."""
        return self.pbx[pbx].sounds_folder or self.recorder.state / "sounds" / pbx

    @model_validator(mode="before")
    @classmethod
    def _follow_state(cls, data: Any) -> Any:
        """Key and certificate lie in the state folder, wherever that is. Sections left out get defaults."""
        if not isinstance(data, dict):
            return data
        recorder, seal = data.get("recorder", {}), data.get("seal", {})
        if not isinstance(recorder, dict) or not isinstance(seal, dict):
            return data
        state = recorder.get("state")
        moved = {
            name: str(Path(state) / "seal" / f"{name}.pem")
            for name in ("key", "certificate")
            if isinstance(state, str) and state
        }
        return {**data, "recorder": recorder, "seal": {**moved, **seal}}


def find_machine(given: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """The configuration file: as given, else as $ARI_RECORDER_CONFIG says, else the usual one in /etc.

    The current folder is never looked into: whoever may write there could plant a file.
    """
    if given is not None:
        return given
    named = environment.get(ENVIRONMENT)
    return Path(named) if named else USUAL


def load_machine(path: Path) -> Machine:
    """The machine's settings from their file; ConfigFileError with everything that is wrong."""
    return _built(read(path))


def parse_machine(text: str, *, name: str = "config.toml", folder: Path = USUAL.parent) -> Machine:
    """The machine's settings from a text; relative paths count from `folder`."""
    return _built(parse(text, name=name, folder=folder))


def _built(document: Document) -> Machine:
    machine = build(Machine, document)
    if not machine.pbx:
        sentence = "the file names no PBX; write at least one [pbx.NAME]."
        raise ConfigFileError(document.name, [Problem(None, "pbx", sentence, "config.value")])
    return machine
