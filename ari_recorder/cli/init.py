"""`ari-recorder init`: write a commented configuration to begin with, and what the PBX includes."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import Annotated

import typer

from ..config.assets import asset
from ..config.machine import USUAL
from ..config.starter import MACHINE, MACHINE_FILE, PASSWORD_FILE, POLICY, POLICY_FILE
from ..model.errors import ConfigError
from .console import Json, emit, errors_explained, out, shown

FOR_ASTERISK = "asterisk"
PASSWORD_CONF = "ari-recorder_password.conf"  # noqa: S105 - a file's name


def init(
    folder: Annotated[Path, typer.Option("--folder", help="Where to write.")] = USUAL.parent,
    json: Json = False,
) -> None:
    """Write config.toml, policy.toml, a password and the files for Asterisk. Existing files are kept.

    Nothing is recorded until a setting in policy.toml is switched on.
    """
    with errors_explained(json):
        written, kept = _write_all(folder)
    if json:
        emit({"folder": str(folder), "written": [str(p) for p in written], "kept": [str(p) for p in kept]})
        return
    for path in written:
        out.print(f"[green]✓[/] {shown(path)}")
    for path in kept:
        out.print(f"[dim]= {shown(path)} is there already and was left as it is[/]")
    _next_steps(folder)


def _write_all(folder: Path) -> tuple[list[Path], list[Path]]:
    password = folder / PASSWORD_FILE
    secret = password.read_text(encoding="utf-8").strip() if password.is_file() else secrets.token_hex(24)
    texts = {
        folder / MACHINE_FILE: MACHINE,
        folder / POLICY_FILE: POLICY,
        password: secret + "\n",
        folder / FOR_ASTERISK / PASSWORD_CONF: f"password_format = plain\npassword = {secret}\n",
    }
    texts |= {
        folder / FOR_ASTERISK / source.name: source.read_text(encoding="utf-8")
        for source in sorted(asset("asterisk_conf").iterdir())
        if source.suffix in (".conf", ".md")
    }
    written: list[Path] = []
    kept: list[Path] = []
    try:
        (folder / FOR_ASTERISK).mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            (kept if path.exists() else written).append(path)
            if path in written:
                _write(path, text, secret=secret in text)
    except OSError as error:
        raise ConfigError(
            "config.unreadable",
            f"{folder} cannot be written: {error.strerror}.",
            remedy="Run as root, or choose another folder with --folder.",
        ) from error
    return written, kept


def _write(path: Path, text: str, *, secret: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor, not a path
        stream.write(text)
    if secret and path.parent.name == FOR_ASTERISK and os.geteuid() == 0:
        try:
            shutil.chown(path, group="asterisk")
            path.chmod(0o640)
        except LookupError:
            return  # no Asterisk on this machine: whoever copies the file gives it to Asterisk


def _next_steps(folder: Path) -> None:
    config = folder / MACHINE_FILE
    option = "" if config == USUAL else f" --config {config}"
    out.print("\nNext:")
    out.print(f"  1. Copy {shown(folder / FOR_ASTERISK)} to /etc/asterisk/ari-recorder on the PBX,")
    out.print("     and include it there as its README.md says.")
    out.print(f"  2. Edit {shown(folder / POLICY_FILE)}: your trunks, what to record, where to deliver.")
    out.print(f"  3. ari-recorder check{shown(option)}   says what is still missing, and how to mend it.")
    out.print(f"  4. ari-recorder run{shown(option)}     records.")
