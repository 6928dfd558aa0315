"""Upload sessions of Microsoft Graph, taken up again after a break or a restart.

<https://learn.microsoft.com/graph/api/driveitem-createuploadsession>: fragments go out in order, each but the
last a multiple of 320 KiB and below 60 MiB, without the token. The last one commits the file under its name.

`deferCommit` is not used: the commit would be one more request whose answer can be lost, and nothing about
the file can be learned before it. An uploadUrl is a secret: who has it may write. It is kept in the vault,
and only for files of more than one fragment, for in others there is nothing to save.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import requests
import structlog

from ...disk.faults import fault_point
from ...model.errors import RecorderError, TransientError
from .. import steps
from ..steps import Step
from .drive import Drive, Item
from .errors import said
from .kept import Claim, Kept
from .session import RefusedError, Session, document
from .wire import Slice

log = structlog.get_logger(__name__)

LIFETIME = timedelta(days=1)
"""For how long an upload is remembered, when the service does not say."""

COMMITTED = 20e6
"""Bytes a second that the service may take to put a file together, before it answers to the last fragment."""

EXPIRED = (401, 404, 410)
"""What an uploadUrl answers that is not valid any more. 401: no token was sent that could be refused."""

PASSING = (408, 423, 429)
"""Refusals after which a session is as good as before; as it is after those of 500 and above."""


class TakenError(Exception):
    """Another file has got the name meanwhile."""


class LostError(Exception):
    """The upload session does not exist any more."""


class SpoiltError(Exception):
    """The upload session takes no more. It may be its own fault, so it was given up; a new one will tell."""

    def __init__(self, refusal: RefusedError) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is to be stored."""

    path: PurePosixPath
    sha256: str
    size: int

    @property
    def key(self) -> str:
        """Names the upload: the same place and the same content, no other."""
        return hashlib.sha256(f"{self.path}\0{self.sha256}\0{self.size}".encode()).hexdigest()


class Uploads:
    """Stores files by upload sessions."""

    def __init__(self, session: Session, drive: Drive, fragment: int, kept: Kept) -> None:
        self._session = session
        self._drive = drive
        self._fragment = fragment
        self._kept = kept
        self._refused: set[str] = set()
        """Keys of the uploads whose last session was refused."""

    def upload(self, stream: BinaryIO, wanted: Wanted, parent: str) -> Item:
        """Send a file into the folder with that id. TakenError, RefusedError, RecorderError."""
        with self._kept.claim(wanted.key, keeping=wanted.size > self._fragment) as claim:
            upload = Upload(self._session, self._fragment, claim, stream, wanted)
            try:
                item = upload.resumed() or upload.begun(self._drive.child(parent, wanted.path.name))
            except LostError as error:
                text = f"The upload of {wanted.path} was given up by Microsoft 365."
                raise TransientError("target.torn", text) from error
            except SpoiltError as error:
                if wanted.key in self._refused:
                    raise error.refusal from error
                self._refused.add(wanted.key)
                text = f"{error.refusal.explained.sentence} The upload begins anew."
                raise TransientError("target.torn", text) from error
            self._refused.discard(wanted.key)
            return item

    def empty(self, wanted: Wanted, parent: str) -> Item:
        """An upload session cannot hold nothing: <https://learn.microsoft.com/graph/api/driveitem-put-content>."""
        address = f"{self._drive.child(parent, wanted.path.name)}/content"
        options = {"@microsoft.graph.conflictBehavior": "fail"}
        try:
            answer = self._session.call("PUT", address, f"storing {wanted.path}", params=options, data=b"")
        except RefusedError as error:
            if error.found.status == 409:
                raise TakenError from error
            raise
        return Item.of(document(answer))


class Upload:
    """One file on its way."""

    def __init__(
        self, session: Session, fragment: int, claim: Claim, stream: BinaryIO, wanted: Wanted
    ) -> None:
        self._session = session
        self._fragment = fragment
        self._claim = claim
        self._stream = stream
        self._wanted = wanted

    def resumed(self) -> Item | None:
        """The file, when an upload that was begun earlier could be finished."""
        url = self._claim.url
        if url is None or (standing := self._standing(url)) is None:
            return None
        log.info("Upload goes on", action="onedrive.resumed", path=str(self._wanted.path), at=standing)
        try:
            return self._send(url, standing)
        except (LostError, SpoiltError):
            return None

    def begun(self, address: str) -> Item:
        """The file, sent from its beginning."""
        wanted = self._wanted
        # No fileSize: OneDrive for Business and SharePoint refuse it, the quota shows at the last fragment.
        # <https://learn.microsoft.com/graph/api/resources/driveitemuploadableproperties>
        wish = {"item": {"@microsoft.graph.conflictBehavior": "fail"}}
        doing = f"beginning to upload {wanted.path}"
        fault_point("onedrive.begin")
        try:
            answer = self._session.call("POST", f"{address}/createUploadSession", doing, json=wish)
        except RefusedError as error:
            if error.found.status == 409:
                raise TakenError from error
            raise
        found = document(answer)
        url = str(found.get("uploadUrl", ""))
        fault_point("onedrive.made")
        self._claim.keep(url, _expires(found) or datetime.now(UTC) + LIFETIME)
        fault_point("onedrive.session")
        return self._send(url, 0)

    def _standing(self, url: str) -> int | None:
        """How many bytes the service has; None when the session is of no use any more."""
        wanted = self._wanted
        response = self._session.ask("GET", url, f"asking after the upload of {wanted.path}")
        if response.status_code == 200:
            at = self._progress(url, response)
            if at is not None and at < wanted.size:
                return at
        elif response.status_code >= 500 or response.status_code in PASSING:
            raise RefusedError(said(response), f"asking after the upload of {wanted.path}")
        # It does not answer as it should, or all bytes are there, but something forbade to give the name.
        self._give_up(url, response.status_code)
        return None

    def _progress(self, url: str, response: requests.Response) -> int | None:
        """Where the file goes on, as an answer says; the session lives on for as long as that says, too."""
        found = document(response)
        if (expires := _expires(found)) is not None:
            self._claim.keep(url, expires)
        return _next(found)

    def _send(self, url: str, at: int) -> Item:
        wanted, asked = self._wanted, False
        while True:
            size = min(self._fragment, wanted.size - at)
            if at + size == wanted.size:
                steps.at(Step.RENAME)
            answer = self._put(url, at, size)
            if answer.status_code in (200, 201):
                fault_point("onedrive.stored")
                self._claim.forget()
                fault_point("onedrive.committed")
                return Item.of(document(answer))
            if answer.status_code == 202:
                following, asked = self._progress(url, answer), False
                if following is None or following <= at:
                    raise TransientError("target.torn", f"The upload of {wanted.path} makes no progress.")
                at = following
                fault_point("onedrive.fragment")
                continue
            if answer.status_code != 416 or asked:
                raise self._refused(url, answer)
            standing, asked = self._standing(url), True
            if standing is None:
                raise LostError
            at = standing

    def _put(self, url: str, at: int, size: int) -> requests.Response:
        wanted = self._wanted
        headers = {
            "Content-Length": str(size),
            "Content-Range": f"bytes {at}-{at + size - 1}/{wanted.size}",
        }
        body = Slice(self._stream, at, size, self._session.wire.check_open)
        last = at + size == wanted.size
        patience = self._session.wire.patience + (wanted.size / COMMITTED if last else 0)
        doing = f"uploading {wanted.path}"
        return self._session.ask("PUT", url, doing, data=body, headers=headers, timeout=patience)

    def _refused(self, url: str, answer: requests.Response) -> Exception:
        """What a refused fragment means. A session that is of no use would refuse until it expires."""
        found = said(answer)
        refusal = RefusedError(found, f"uploading {self._wanted.path}")
        full = found.status == 507 or found.code == "quotaLimitReached"
        if not full and (found.status >= 500 or found.status in PASSING):
            return refusal
        self._give_up(url, found.status)
        if found.status in EXPIRED:
            return LostError()
        if found.status == 409:
            return TakenError()
        return refusal if full else SpoiltError(refusal)

    def _give_up(self, url: str, status: int) -> None:
        """Forget a session, and end it: it would live on with its bytes, and count against the quota."""
        self._claim.forget()
        if status in EXPIRED:
            return
        try:
            self._session.ask("DELETE", url, "giving an upload up")
        except RecorderError as error:
            log.info(error.sentence, action="onedrive.not-cancelled", code=error.code)


def _next(found: dict[str, Any]) -> int | None:
    """Where the first missing range begins; None when none is named."""
    ranges = found.get("nextExpectedRanges")
    try:
        return min(int(str(one).partition("-")[0]) for one in ranges) if ranges else None
    except (TypeError, ValueError):
        return None


def _expires(found: dict[str, Any]) -> datetime | None:
    """When a session ends, as the service says it; each fragment may put that off. None when it does not."""
    try:
        at = datetime.fromisoformat(str(found.get("expirationDateTime")))
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    except ValueError:
        return None
