"""One Asterisk in a container, on loopback, set up as an integrator would set up a PBX for the recorder.

The templates in docker/pbx/ are its own configuration; the files of asterisk_conf/ are mounted as they are
and included from there. Dialplan, endpoints and what each is for: docker/pbx/extensions.conf, pjsip.conf.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from ..model.errors import TransientError
from . import images
from .checkout import root
from .engine import Engine
from .ports import HOST, Ports
from .processes import Process
from .programs import wait_until
from .progress import Progress, silent
from .signals import uninterrupted

RUN, OWNER = "ari-recorder.run", "ari-recorder.owner"
"""Labels by which containers of one run, and of runs that were killed, are found again."""

RTP_PORTS = 900
"""Two a leg: room for 200 calls of two legs."""

START_LIMIT = 60.0


@dataclass(slots=True)
class Pbx:
    """A PBX from `start` to `close`; between them it may be killed or stopped and started again.

    `folder` is this PBX's own, below the run's. `contacts` are fixed addresses of endpoints (endpoint name →
    SIP URI) for phones that do not register. `added` are lines appended to, `replaced` whole contents of
    files of /etc/asterisk. Errors everywhere: TransientError `lab.failed` with the end of Asterisk's log.
    """

    engine: Engine
    folder: Path
    image: str = "asterisk22"
    contacts: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    disks: Mapping[str, str] = field(default_factory=dict)
    """Folders in the container that are small disks of their own, with their sizes (`600k`)."""
    progress: Progress = silent
    host: str = field(default=HOST, init=False)
    sip_port: int = field(default=0, init=False)
    http_port: int = field(default=0, init=False)
    ami_port: int = field(default=0, init=False)
    rtp_ports: tuple[int, int] = field(default=(0, 0), init=False)
    ari_user: str = field(default="ari-recorder", init=False)
    ari_password: str = field(default="", init=False)
    ami_user: str = field(default="lab", init=False)
    ami_password: str = field(default="", init=False)
    container: str = field(default="", init=False)
    """The container's name; empty until the first start."""
    _ports: Ports | None = field(default=None, init=False)

    @property
    def ari_url(self) -> str:
        """The base of the REST interface, without a slash at the end."""
        return f"http://{self.host}:{self.http_port}/ari"

    @property
    def spool_folder(self) -> Path:
        """The host's view of Asterisk's /var/spool/asterisk."""
        return self.folder / "spool"

    @property
    def recording_folder(self) -> Path:
        """Where ARI's recordings appear."""
        return self.spool_folder / "recording"

    @property
    def monitor_folder(self) -> Path:
        """Where MixMonitor's recordings appear."""
        return self.spool_folder / "monitor"

    @property
    def sounds_folder(self) -> Path:
        """Asterisk's sounds folder as far as the recorder writes there: `ari-recorder/<name>` below it is
        played as `sound:ari-recorder/<name>`."""
        return self.folder / "sounds"

    @property
    def log(self) -> Path:
        """Asterisk's full log."""
        return self.folder / "log" / "full"

    def start(self) -> Self:
        """Start, or start again on the same ports and folders, and wait until it is ready."""
        if not self.container:
            self._create()
        self.progress(f"starting {self.image}")
        self.engine.docker("start", self.container)
        self.wait_ready()
        return self

    def stop(self) -> None:
        """An orderly end of Asterisk; `start` goes on with the same ports and folders."""
        if self.container:
            self.engine.docker("stop", "-t", "10", self.container, limit=60)

    def kill(self) -> None:
        """SIGKILL to Asterisk, as a power cut would."""
        if self.container and self.running:
            self.engine.docker("kill", "--signal", "KILL", self.container)

    def close(self) -> None:
        """Remove the container and give the ports back; folder and logs stay with the run."""
        if self.container:
            self.engine.docker("rm", "--force", "--volumes", self.container, check=False)
            self.container = ""
        if self._ports is not None:
            self._ports.close()
            self._ports = None

    @property
    def running(self) -> bool:
        asked = self.engine.docker("inspect", "--format", "{{.State.Running}}", self.container, check=False)
        return asked.out.strip() == "true"

    @property
    def ready(self) -> bool:
        """ARI answers the recorder's user and Asterisk has booted fully."""
        return self._ari_answers() and self._booted()

    def wait_ready(self, *, limit: float = START_LIMIT) -> None:
        def ready_or_gone() -> bool:
            return self.ready or not self.running

        try:
            wait_until(f"a ready {self.image}", ready_or_gone, limit=limit)
        except TransientError as error:
            raise TransientError("lab.failed", f"{error.sentence} Its log ends: {self.logs(20)}") from error
        if not self.running:
            raise TransientError("lab.failed", f"{self.image} ended while starting: {self.logs(20)}")

    def cli(self, command: str, *, limit: float = 20) -> str:
        """The answer of Asterisk's command line."""
        return self.engine.docker("exec", self.container, "asterisk", "-rx", command, limit=limit).out

    def logs(self, lines: int = 200) -> str:
        """The end of the full log, or of the console where there is none yet."""
        if self.log.exists():
            text = self.log.read_text(encoding="utf-8", errors="replace")
        else:
            said = self.engine.docker("logs", "--tail", str(lines), self.container, check=False)
            text = said.out + said.err
        return "\n".join(text.splitlines()[-lines:])

    def _ari_answers(self) -> bool:
        login = base64.b64encode(f"{self.ari_user}:{self.ari_password}".encode()).decode()
        connection = http.client.HTTPConnection(self.host, self.http_port, timeout=5)
        try:
            connection.request("GET", "/ari/asterisk/info", headers={"Authorization": f"Basic {login}"})
            answer = connection.getresponse()
            return answer.status == 200 and "system" in json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()

    def _booted(self) -> bool:
        said = self.engine.docker(
            "exec", self.container, "asterisk", "-rx", "core waitfullybooted", limit=30, check=False
        )
        return "fully booted" in said.out

    def _create(self) -> None:
        tag = images.ensure(self.engine, self.image, progress=self.progress)
        self._ports = Ports(RTP_PORTS + 100)
        self.sip_port, self.http_port, self.ami_port = (self._ports.one() for _ in range(3))
        self.rtp_ports = self._ports.range(RTP_PORTS)
        self.ari_password, self.ami_password = secrets.token_hex(16), secrets.token_hex(16)
        etc = self.configure()
        name = f"ari-recorder-{self.folder.parent.name}-{self.folder.name}-{secrets.token_hex(3)}"
        mounts = {
            etc: "/etc/asterisk:ro",
            self.spool_folder: "/var/spool/asterisk",
            self.folder / "log": "/var/log/asterisk",
            self.sounds_folder / "ari-recorder": "/usr/share/asterisk/sounds/ari-recorder",
        }
        for folder in (
            *list(mounts)[1:],
            self.recording_folder,
            self.monitor_folder,
            self.spool_folder / "tmp",
        ):
            folder.mkdir(parents=True, exist_ok=True)
        words = ["create", "--name", name, "--label", f"{RUN}={self.folder.parent.name}"]
        words += ["--label", f"{OWNER}={Process.current()}", "--network", "host", "--hostname", "pbx"]
        words += ["--add-host", f"pbx:{HOST}", "--user", f"{os.getuid()}:{os.getgid()}"]
        words += ["--tmpfs", "/var/run/asterisk:rw,mode=1777"]
        words += [f"--tmpfs={there}:rw,mode=1777,size={size}" for there, size in self.disks.items()]
        words += ["--log-opt", "max-size=10m"]
        for here, there in mounts.items():
            words += ["--volume", f"{here.resolve()}:{there}"]
        self.container = name
        # The engine would go on making it, after `close` has not found it yet.
        with uninterrupted():
            self.engine.docker(*words, tag)

    def configure(self) -> Path:
        """Write /etc/asterisk: filled-in templates, and asterisk_conf/ beside them as it is shipped."""
        etc = self.folder / "etc"
        etc.mkdir(parents=True, exist_ok=True)
        unknown = [name for name in self.added if not (root() / "docker" / "pbx" / name).is_file()]
        if unknown:
            raise ValueError(f"there is nothing to add to: {', '.join(unknown)}")
        for template in sorted((root() / "docker" / "pbx").glob("*.conf")):
            text = self._fill(template.read_text(encoding="utf-8"))
            (etc / template.name).write_text(f"{text}\n{self.added.get(template.name, '')}", encoding="utf-8")
        for file, content in self.replaced.items():
            (etc / file).write_text(content, encoding="utf-8")
        shipped = etc / "ari-recorder"
        shipped.mkdir(exist_ok=True)
        for original in sorted((root() / "asterisk_conf").glob("*.conf")):
            shutil.copyfile(original, shipped / original.name)
        (shipped / "ari-recorder_password.conf").write_text(
            f"password_format = plain\npassword = {self.ari_password}\n", encoding="ascii"
        )
        return etc

    def _fill(self, text: str) -> str:
        values = {
            "SIP_PORT": str(self.sip_port),
            "HTTP_PORT": str(self.http_port),
            "AMI_PORT": str(self.ami_port),
            "AMI_USER": self.ami_user,
            "AMI_PASSWORD": self.ami_password,
            "RTP_FIRST": str(self.rtp_ports[0]),
            "RTP_LAST": str(self.rtp_ports[1]),
        }
        text = re.sub(r"@CONTACT ([\w-]+)@", self._contact, text)
        return re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], text)

    def _contact(self, found: re.Match[str]) -> str:
        uri = self.contacts.get(found[1])
        return f"contact = {uri}" if uri else ""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def sweep(engine: Engine) -> list[str]:
    """Remove the containers of runs that ended without doing so; their names."""
    form = f'{{{{.Names}}}} {{{{.Label "{OWNER}"}}}}'
    listed = engine.docker("ps", "--all", "--filter", f"label={RUN}", "--format", form).out
    gone = []
    for line in listed.splitlines():
        name, _, owner = line.partition(" ")
        process = Process.parse(owner)
        if process is not None and not process.alive:
            engine.docker("rm", "--force", "--volumes", name, check=False)
            gone.append(name)
    return gone
