"""Upload sessions: <https://learn.microsoft.com/graph/api/driveitem-createuploadsession>.

The service's rules, and where the page says only "may fail" the peer always does: each fragment but the last
is a multiple of 320 KiB, all are below 60 MiB, in order, with one total size, and without the app's token.
"""

from __future__ import annotations

import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .drives import Drive
from .wire import Answer, RefusedError, Request

STEP = 320 * 1024
LARGEST = 60 * 1024 * 1024
WISHES = {"@microsoft.graph.conflictBehavior", "fileSystemInfo", "mediaSource", "name"}
"""What OneDrive for Business takes: `description` and `fileSize`, "only on OneDrive Personal", it refuses.

<https://learn.microsoft.com/graph/api/resources/driveitemuploadableproperties>; it answers 400:
<https://github.com/microsoftgraph/microsoft-graph-docs/issues/10585>
"""
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass
class Session:
    drive: Drive
    parent: Path
    name: str
    part: Path
    replace: bool
    expires: datetime
    total: int | None = None
    received: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)

    def document(self) -> dict[str, Any]:
        rest = [f"{self.received}-"] if self.total is None or self.received < self.total else []
        return {"expirationDateTime": self.expires.isoformat(), "nextExpectedRanges": rest}


@dataclass
class Uploads:
    folder: Path
    lifetime: timedelta = timedelta(days=1)
    """Of a session that is made now."""
    extension: timedelta = timedelta(days=1)
    """For how long a session lives on after each fragment."""
    sessions: dict[str, Session] = field(default_factory=dict)
    made: int = 0
    received: int = 0
    """Bytes of all fragments that were accepted."""
    spoil: bool = False
    """Whether the service turns a bit of the next file that it stores."""

    def create(self, drive: Drive, parent: Path, name: str, request: Request, base: str) -> Answer:
        wanted = request.document
        item = wanted.get("item", {})
        behaviour = item.get("@microsoft.graph.conflictBehavior", "fail")
        if behaviour not in ("fail", "replace") or not {*wanted} <= {"item"} or not {*item} <= WISHES:
            raise RefusedError(400, "invalidRequest", "The peer knows no such wish.")
        if item.get("name", name) != name:
            raise RefusedError(400, "invalidRequest", "The peer gives no other name than the address says.")
        drive.check_name(parent, name)
        drive.check_writable()
        there = drive.child(parent, name)
        if there is not None and behaviour == "fail":
            raise RefusedError(409, "nameAlreadyExists", "The specified item name already exists.")
        number = secrets.token_urlsafe(30)
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / number
        part.touch()
        expires = datetime.now(UTC) + self.lifetime
        self.sessions[number] = Session(drive, parent, name, part, behaviour == "replace", expires)
        self.made += 1
        return Answer(200, {
            "uploadUrl": f"{base}/up/{number}?tempauth={secrets.token_urlsafe(20)}",
            **self.sessions[number].document(),
        })  # fmt: skip

    def forget(self) -> None:
        """Every session expires."""
        self.sessions.clear()

    def is_last(self, request: Request) -> bool:
        found = RANGE.fullmatch(request.headers.get("content-range", ""))
        return found is not None and int(found[2]) + 1 == int(found[3])

    def answer(self, request: Request, base: str) -> Answer:
        if "authorization" in request.headers:
            raise RefusedError(401, "unauthenticated", "An upload URL takes no Authorization header.")
        number = request.path.rpartition("/")[2]
        session = self.sessions.get(number)
        if session is None or session.expires <= datetime.now(UTC):
            raise RefusedError(404, "itemNotFound", "The upload session was not found.")
        with session.guard:
            if request.method == "GET":
                return Answer(200, session.document())
            if request.method == "DELETE":
                del self.sessions[number]
                return Answer(204)
            if request.method == "PUT":
                return self._fragment(number, session, request, base)
        return Answer(405)

    def _fragment(self, number: str, session: Session, request: Request, base: str) -> Answer:
        first, total = self._checked(session, request)
        session.total = total
        with session.part.open("r+b") as stream:
            stream.seek(first)
            stream.write(request.body)
        session.received = first + len(request.body)
        self.received += len(request.body)
        session.expires = datetime.now(UTC) + self.extension
        if session.received < total:
            return Answer(202, session.document())
        if self.spoil:
            self.spoil = False
            content = bytearray(session.part.read_bytes())
            content[len(content) // 2] ^= 1
            session.part.write_bytes(content)
        place = session.drive.commit(session.part, session.parent, session.name, replace=session.replace)
        self.sessions.pop(number, None)
        return Answer(201, session.drive.document(place, base))

    def _checked(self, session: Session, request: Request) -> tuple[int, int]:
        """First byte and total size of a fragment that keeps every rule."""
        found = RANGE.fullmatch(request.headers.get("content-range", ""))
        if found is None:
            raise RefusedError(400, "invalidRequest", "Content-Range is missing or malformed.")
        first, last, total = (int(word) for word in found.groups())
        size = last - first + 1
        if size != len(request.body) or size < 1 or last >= total:
            raise RefusedError(400, "invalidRequest", "Content-Range does not fit the body.")
        if size >= LARGEST:
            raise RefusedError(413, "requestTooLarge", "A fragment must be smaller than 60 MiB.")
        if last + 1 != total and size % STEP:
            raise RefusedError(400, "invalidRequest", "A fragment must be a multiple of 320 KiB.")
        if session.total not in (None, total):
            raise RefusedError(400, "invalidRequest", "The total size has changed.")
        if first != session.received:
            raise RefusedError(416, "invalidRange", "The uploaded fragment is out of order or known already.")
        return first, total
