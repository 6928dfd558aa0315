"""Everything a demonstration needs, on one stage: Asterisk, an SFTP server, the recorder and two phones."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from . import debian, images
from .checkout import root
from .engine import Engine
from .pbx import Pbx, sweep
from .phones import SippPhone
from .progress import Progress, silent
from .recorder import Recorder
from .runfolder import RunFolder, home
from .sftpd import SftpServer
from .signals import answered, leave

CALLED = "+49301002001"
"""Through the gate, where the announcement is played, then phone 1001 (docker/pbx/extensions.conf)."""

POLICY = """\
country = "DE"

[[trunk]]
name = "Berlin"
endpoints = ["PJSIP/trunk-*"]

[[prompt]]
name = "consent"
file = "shipped:en/recorded"

[[target]]
kind = "local"
name = "archive"
folder = "{archive}"
path = "$Y/$M/$D"

[[target]]
kind = "sftp"
name = "vault"
host = "{sftp.host}"
port = {sftp.port}
user = "{sftp.user}"
key_file = "{sftp.client_key}"
known_hosts = "known_hosts"
folder = "."
path = "$Y/$M/$D"

[[setting]]
name = "Demo"
directions = ["inbound"]
start = "ring"
targets = ["archive", "vault"]
announcement = {{ prompt = "consent" }}
"""

Step = Callable[[str], None]


@contextmanager
def _own_folder() -> Iterator[Path]:
    """`.run/demo`, emptied; another one when a second demonstration runs at the same time."""
    place = home()
    place.mkdir(parents=True, exist_ok=True)
    with (place / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            folder = place / f"demo-{os.getpid()}"
        else:
            folder = place / "demo"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder


@dataclass(slots=True)
class Rehearsal:
    """Builds the stage on entering and leaves nothing but `folder` (archives, keys, logs) behind.

    `begin` hears the name of each step, `progress` what happens within it.
    """

    begin: Step
    progress: Progress = silent
    folder: Path = field(default=Path(), init=False)
    pbx: Pbx = field(init=False)
    sftp: SftpServer = field(init=False)
    recorder: Recorder = field(init=False)
    _guard: ExitStack = field(default_factory=ExitStack, init=False)
    _stack: ExitStack = field(default_factory=ExitStack, init=False)

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def vault(self) -> Path:
        """What the SFTP server holds."""
        return self.folder / "vault"

    def __enter__(self) -> Self:
        self._guard.enter_context(answered(leave))
        try:
            self._build()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        """All of it, also when somebody is impatient."""
        with answered(signal.SIG_IGN):
            self._stack.close()
        self._guard.close()

    def _build(self) -> None:
        # Before anything is installed: without the source tree there is no demo.
        root()
        self.begin("Looking for the programs that are needed")
        debian.ensure(debian.TOOLS, progress=self.progress)
        self.begin("Looking for a container engine")
        engine = self._stack.enter_context(Engine(progress=self.progress))
        sweep(engine)
        self.folder = self._stack.enter_context(_own_folder())
        run = self._stack.enter_context(RunFolder())
        image = self._image(engine)
        self.begin("Starting Asterisk")
        self.pbx = self._stack.enter_context(Pbx(engine, run.path / "pbx", image, progress=self.progress))
        self.begin("Starting an OpenSSH server for SFTP")
        self.vault.mkdir()
        self.archive.mkdir()
        self.sftp = self._stack.enter_context(SftpServer(run.path / "sftp", self.vault, self.progress))
        self.begin("Starting the recorder")
        self._start_recorder()

    def _image(self, engine: Engine) -> str:
        """The upstream build when it is there already, else Debian's, which is made in a minute."""
        self.begin("Preparing an image with Asterisk")
        image = "asterisk22" if images.present(engine, "asterisk22") else "asterisk22-debian"
        images.ensure(engine, image, progress=self.progress)
        return image

    def _start_recorder(self) -> None:
        text = POLICY.format(archive=self.archive.resolve(), sftp=self.sftp)
        recorder = Recorder(self.folder / "recorder", self.pbx, text, name="demo")
        recorder.configure()
        (recorder.folder / "known_hosts").write_text(self.sftp.host_key_line + "\n", encoding="ascii")
        self.recorder = self._stack.enter_context(recorder)

    def phones(self, caller: Path, callee: Path) -> tuple[SippPhone, SippPhone]:
        """The outside caller and phone 1001, each with its speech (raw A-law)."""
        place = self.folder / "phones"
        where = (self.pbx.host, self.pbx.sip_port)
        inside = SippPhone(place / "callee", where, "1001", callee, progress=self.progress)
        outside = SippPhone(
            place / "caller", where, "+491701234567", caller, "Max Outside", progress=self.progress
        )
        for phone in (inside, outside):
            self._stack.callback(phone.close)
        return outside, inside
