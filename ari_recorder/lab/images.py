"""Images by content: a change rebuilds, an unchanged one is a cache hit.

An image's tag is `ari-recorder/<name>:<12 hex digits>` of a SHA-256 over its folder's files and the names
of its bases. A base is what the engine has under its public name, else what a registry gives, else what
debootstrap makes of the machine's own Debian mirrors.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..model.errors import ConfigError, RecorderError, TransientError
from . import debian
from .checkout import root
from .engine import Engine
from .programs import call, failure, find, follow
from .progress import Progress, silent

NAMES = ("asterisk22", "asterisk22-debian", "asterisk16")
"""Asterisk 22 as upstream releases it, 22 as Debian ships it (with its defect), and 16."""

PULL_LIMIT = 60.0
"""Seconds a registry may take for a base image (30 MB) before debootstrap is quicker."""

BUILD_LIMIT = 2700.0
"""Seconds a build may take: Asterisk is compiled in 8 minutes on two cores."""


def tag(name: str) -> str:
    """The image's full name, which changes with its folder's content."""
    folder = _folder(name)
    digest = hashlib.sha256()
    for path in sorted(entry for entry in folder.rglob("*") if entry.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    for base in bases(name):
        digest.update(f"{base}\0".encode())
    return f"ari-recorder/{name}:{digest.hexdigest()[:12]}"


def bases(name: str) -> tuple[str, ...]:
    """The images this one is made from, as `name:tag`, in alphabetical order; `scratch` is none."""
    return _bases(_folder(name) / "Dockerfile")


def _bases(dockerfile: Path) -> tuple[str, ...]:
    text = dockerfile.read_text(encoding="utf-8")
    stages = set(re.findall(r"^FROM\s+\S+\s+AS\s+(\S+)", text, re.MULTILINE | re.IGNORECASE)) | {"scratch"}
    return tuple(sorted(set(re.findall(r"^FROM\s+(\S+)", text, re.MULTILINE | re.IGNORECASE)) - stages))


def ensure(engine: Engine, name: str, *, progress: Progress = silent) -> str:
    """The image's tag, after building it if the engine does not have it yet.

    Errors: ConfigError `lab.missing` when a base image can come from nowhere, TransientError `lab.failed`
    when the build fails or takes too long.
    """
    wanted = tag(name)
    if _has(engine, wanted):
        return wanted
    with alone(name):
        if _has(engine, wanted):
            return wanted
        build(engine, _folder(name) / "Dockerfile", wanted, progress=progress)
    return wanted


def build(
    engine: Engine, dockerfile: Path, wanted: str, *options: str, context: Path | None = None,
    progress: Progress = silent,
) -> None:  # fmt: skip
    """Build an image as `wanted`, its bases first; the context is the Dockerfile's folder unless given.

    `options` are docker's. Errors as in `ensure`.
    """
    for base in _bases(dockerfile):
        _ensure_base(engine, base, progress)
    progress(f"building {wanted} (the first time this takes minutes)")
    words = ["build", "--network", "host", "--force-rm", "--tag", wanted, *_proxies(), *options]
    words += ["--file", str(dockerfile), str(context or dockerfile.parent)]
    follow(engine.command(*words), limit=BUILD_LIMIT, progress=_steps(progress))


def renew(engine: Engine, dockerfile: Path, name: str, *options: str, context: Path | None = None,
          progress: Progress = silent) -> None:  # fmt: skip
    """As `build`, for a name that is kept: what had it before is removed, if nothing uses it any more."""
    before = _id(engine, name)
    build(engine, dockerfile, name, *options, context=context, progress=progress)
    if before and before != _id(engine, name):
        engine.docker("image", "rm", before, check=False)


def present(engine: Engine, name: str) -> bool:
    """Whether the image as it is described now has been made already."""
    return _has(engine, tag(name))


def _folder(name: str) -> Path:
    folder = root() / "docker" / name
    if not (folder / "Dockerfile").is_file():
        raise ConfigError("lab.missing", f"There is no docker/{name}/Dockerfile.")
    return folder


def _has(engine: Engine, image: str) -> bool:
    return bool(_id(engine, image))


def _id(engine: Engine, image: str) -> str:
    """Empty when there is no such image."""
    return engine.docker("image", "inspect", "--format", "{{.Id}}", image, check=False).out.strip()


def _steps(progress: Progress) -> Progress:
    """Of a build's thousands of lines, those that say how far it is."""

    def pass_on(line: str) -> None:
        if re.match(r"(Step \d+/\d+|#\d+ \[.*\d+/\d+\])", line):
            progress(line if len(line) <= 100 else f"{line[:99]}…")

    return pass_on


def _proxies() -> list[str]:
    """The machine's own proxy settings, which are not part of an image."""
    names = ("http_proxy", "https_proxy", "no_proxy")
    present = [spelling for name in names for spelling in (name, name.upper()) if spelling in os.environ]
    return [word for name in present for word in ("--build-arg", name)]


def _ensure_base(engine: Engine, base: str, progress: Progress) -> None:
    if _has(engine, base):
        return
    progress(f"pulling {base}")
    try:
        engine.docker("pull", base, limit=PULL_LIMIT)
        return
    except RecorderError:
        progress("no registry answers")
    suite = re.fullmatch(r"debian:([a-z]+)-slim", base)
    if suite is None:
        raise ConfigError(
            "lab.missing",
            f"The image {base} can only come from a registry, and none answers.",
            remedy="Load it into the engine by hand (docker load).",
        )
    _bootstrap(engine, suite.group(1), base, progress)


def _bootstrap(engine: Engine, suite: str, base: str, progress: Progress) -> None:
    """Make a Debian base image; the mirror is debootstrap's and the machine's affair."""
    why = debian.obstacle()
    if why is not None:
        raise ConfigError(
            "lab.missing",
            f"No registry gives {base}, and it cannot be made with debootstrap because {why}.",
            remedy="Connect Docker to a registry, or run as root on Debian.",
        )
    debian.ensure({"debootstrap": "debootstrap", "tar": "tar"}, progress=progress)
    progress(f"making {base} with debootstrap")
    # Not the temporary folder, in which device files are often forbidden.
    with tempfile.TemporaryDirectory(prefix="ari-recorder-debootstrap-", dir="/var/tmp") as folder:
        tree = Path(folder) / "tree"
        # What it mounts is seen by nobody else, and gone when it ends, however it ends.
        command = ["unshare", "--mount", "--", find("debootstrap") or "debootstrap", "--variant=minbase"]
        follow([*command, suite, str(tree)], limit=1200, progress=silent)
        _import(engine, tree, base)


def _import(engine: Engine, tree: Path, base: str) -> None:
    """Hand the tree to the engine without a file in between."""
    pack = ["tar", "--create", "--directory", str(tree), "--exclude=./var/cache/apt/archives/*.deb", "."]
    with subprocess.Popen(pack, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as tar:
        try:
            taken = subprocess.run(
                engine.command("import", "-", base),
                stdin=tar.stdout,
                capture_output=True,
                timeout=600,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            tar.kill()
            raise TransientError("lab.failed", f"docker import of {base} took more than 600 s.") from error
    if tar.returncode != 0 or taken.returncode != 0:
        raise failure(["docker", "import", base], taken.returncode, taken.stderr.decode(errors="replace"))
    call(engine.command("image", "inspect", base), limit=60)


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Two runs that miss the same image: one builds, the other waits and finds it."""
    path = Path(tempfile.gettempdir()) / f"ari-recorder-build-{os.getuid()}-{name}.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
