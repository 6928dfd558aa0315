"""A folder in OneDrive for Business or SharePoint, through Microsoft Graph.

Where it differs from what `base.py` describes, for Graph knows no half file:

- There are no part files. An upload session gives the file its final name with the last fragment, whole and
  without overwriting (`conflictBehavior: fail`); until then its bytes are nowhere to be seen, and the service
  clears them away by itself.
- So the content is confirmed when the name is there already: by the size and the hash that the service tells
  of what it stored (QuickXorHash, or SHA-256); where it tells none, or `read_back` is set, by reading back.
  What is not what was sent is deleted again if nobody has touched it since, or else before the next try.
- A file that somebody stored earlier is adopted by its SHA-256 only: QuickXorHash cannot tell apart two files
  whose pieces of 160 bytes are the same in another order, nor two of one repeated sample each.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

import requests
from urllib3.exceptions import HTTPError

from ..config import targets as config
from ..disk.durable import BLOCK
from ..model.delivery import Receipt
from ..model.errors import IntegrityError, PermanentError, RecorderError, TransientError
from .base import Confirms, Properties, Stat, checked, digest_back, open_source, receipt
from .graph.drive import Drive, Item
from .graph.errors import broken, said
from .graph.kept import Doubts, Kept
from .graph.names import forbidden
from .graph.quickxor import quick_xor_hash
from .graph.session import RefusedError, Session
from .graph.upload import TakenError, Uploads, Wanted
from .source import opened
from .steps import Step, at
from .vault import Vault


class OneDriveTarget:
    """See the module's text. `vault` keeps the login of a user, and uploads under way over a restart."""

    properties = Properties(atomic_rename=True, server_side_hash=True, confirms=Confirms.SERVER_HASH)

    def __init__(self, settings: config.OneDriveTarget, vault: Vault | None = None) -> None:
        self.name: str = settings.name
        self.path_template: str = settings.path
        self.session = Session(settings, vault)
        self.drive = Drive(settings, self.session)
        self._label_name = settings.retention_label
        self._reads_back = settings.read_back
        kept = Kept(vault, settings.name)
        self._doubts = Doubts(vault, settings.name)
        self._uploads = Uploads(self.session, self.drive, settings.fragment * 1024, kept)

    def prepare(self) -> None:
        with self._explained():
            self.drive.make_root()

    def put(self, source: Path, path: PurePosixPath, *, sha256: str, size: int) -> Receipt:
        wanted = Wanted(_named(checked(path)), sha256, size)
        with self._explained():
            if (found := self._adopted(wanted)) is not None:
                return found
            with open_source(source, sha256=sha256, size=size) as stream:
                try:
                    item = self._stored(stream, wanted)
                except TakenError:  # another writer was faster
                    if (found := self._adopted(wanted)) is None:
                        raise TransientError(
                            "target.torn", f"{path} was there for a moment only in target {self.name}."
                        ) from None
                    return found
            how = self._demand_content(item, source, wanted)
            self._demand_place(item, path)
            return self._received(item, wanted, how)

    def stat(self, path: PurePosixPath) -> Stat | None:
        with self._explained():
            found = self.drive.item(_named(checked(path)))
        if found is None:
            return None
        return Stat(bytes=max(found.size, 0), modified_at=found.modified_at, regular=found.file)

    def open(self, path: PurePosixPath) -> BinaryIO:
        checked(path)
        with self._explained():
            try:
                return self._content(f"{self.drive.by_path(_named(path))}:/content", str(path))
            except RefusedError as error:
                if error.found.status != 404:
                    raise
                raise PermanentError(
                    "target.missing", f'There is no file {path} in target "{self.name}".'
                ) from error

    def delete(self, path: PurePosixPath) -> bool:
        checked(path)
        with self._explained():
            found = self.drive.item(_named(path))
            if found is None:
                return False
            if found.folder:
                raise PermanentError("target.denied", f'{path} in target "{self.name}" is a folder.')
            try:
                self.session.call("DELETE", self.drive.by_id(found.id), f"deleting {path}")
            except RefusedError as error:
                if error.found.status != 404:
                    raise
                return False
        return True

    def close(self) -> None:
        self.session.close()

    def login_warnings(self) -> tuple[RecorderError, ...]:
        """See `base.Expiring`."""
        return self.session.login.warnings(datetime.now(UTC))

    def _stored(self, stream: BinaryIO, wanted: Wanted) -> Item:
        """Sent into its folder; once more when that turns out to have been taken away."""
        at(Step.WRITE)
        for attempt in (1, 2):
            parent = self.drive.ensure_folder(wanted.path.parent)
            try:
                if wanted.size == 0:
                    return self._uploads.empty(wanted, parent)
                return self._uploads.upload(stream, wanted, parent)
            except RefusedError as error:
                if error.found.status != 404 or attempt == 2:
                    raise
                self.drive.forget_folders()
        raise AssertionError  # the second attempt returns or raises

    def _demand_content(self, item: Item, source: Path, wanted: Wanted) -> Confirms:
        """IntegrityError `target.mismatch` when the service has not stored what was sent."""
        try:
            how = self._confirmed(item, source, wanted)
        except (RefusedError, RecorderError):
            self._doubts.remember(wanted.path, item.id, item.etag)
            raise
        if how is None:
            if (why := self._take_back(item)) is not None:
                self._doubts.remember(wanted.path, item.id, item.etag)
            raise self._mismatch(wanted, why)
        return how

    def _demand_place(self, item: Item, path: PurePosixPath) -> None:
        """A folder keeps its id when somebody renames or moves it, and what is on its way goes along.

        But a name may also come into sight later than its file. So one look that does not find it proves
        nothing: the file is deleted only when it says itself that it lies elsewhere.
        """
        there = self.drive.item(path)
        if there is not None and there.id == item.id:
            return
        self.drive.forget_folders()
        text = f'{path} is stored in target "{self.name}", but not to be seen under its name yet.'
        if self.drive.lies_elsewhere(item.id, path):
            self._take_back(item)
            text = f'The folder of {path} in target "{self.name}" was moved or renamed meanwhile.'
        raise TransientError("target.torn", text)

    def _adopted(self, wanted: Wanted) -> Receipt | None:
        """The receipt for what stands there already; None when nothing does.

        A wrong file of the recorder's own, left by an earlier try, is deleted. PermanentError
        `target.conflict` for anything else.
        """
        there = self.drive.item(wanted.path)
        if there is None:
            return None
        same_size = there.file and there.size == wanted.size
        if same_size and (how := self._read_back(there, wanted)) is not None:
            return self._received(there, wanted, how)
        if self._doubts.holds(wanted.path, there.id, there.etag):
            if (why := self._take_back(there)) is None:
                return None
            raise why if isinstance(why, TransientError) else self._mismatch(wanted, why)
        raise PermanentError(
            "target.conflict",
            f'A different file already stands under {wanted.path} in target "{self.name}"; '
            "it was not overwritten.",
            remedy="Move the other file away; the delivery is then made by itself.",
        )

    def _confirmed(self, item: Item, source: Path, wanted: Wanted) -> Confirms | None:
        """How it is known that the service holds the very content; None when it does not."""
        if item.size != wanted.size:
            return None
        if (sha256 := item.hashes.get("sha256Hash")) is not None:
            return Confirms.SERVER_HASH if str(sha256).lower() == wanted.sha256 else None
        if (quick := item.hashes.get("quickXorHash")) is not None and not self._reads_back:
            with opened(source) as stream:
                return Confirms.SERVER_HASH if quick_xor_hash(stream) == quick else None
        return self._read_back(item, wanted)

    def _read_back(self, item: Item, wanted: Wanted) -> Confirms | None:
        with self._content(f"{self.drive.by_id(item.id)}/content", str(wanted.path)) as back:
            return Confirms.READ_BACK if digest_back(back) == (wanted.sha256, wanted.size) else None

    def _received(self, item: Item, wanted: Wanted, how: Confirms) -> Receipt:
        self._doubts.forget(wanted.path)
        self._set_label(item, wanted.path)
        return receipt(wanted.path, sha256=wanted.sha256, size=wanted.size, how=how, link=item.folder_link)

    def _set_label(self, item: Item, path: PurePosixPath) -> None:
        """The file is safe by now; without its label the delivery is not done, so that a person hears of it.

        <https://learn.microsoft.com/graph/api/driveitem-setretentionlabel>
        """
        if self._label_name is None:
            return
        address = f"{self.drive.by_id(item.id)}/retentionLabel"
        try:
            self.session.call("PATCH", address, f"labelling {path}", json={"name": self._label_name})
        except RefusedError as error:
            if isinstance(error.explained, TransientError):
                raise
            raise PermanentError(
                "target.label",
                f'{path} is stored in target "{self.name}", but cannot get the retention label '
                f'"{self._label_name}": {error.explained.sentence}',
                remedy="Check the label's name, that it is published, and the app's permissions.",
            ) from error

    def _take_back(self, item: Item) -> RecorderError | None:
        """Delete what was stored wrongly, unless somebody has changed it since; why it still stands."""
        headers = {"If-Match": item.etag} if item.etag else {}
        try:
            self.session.call("DELETE", self.drive.by_id(item.id), "taking a file back", headers=headers)
        except RefusedError as error:
            return None if error.found.status == 404 else error.explained
        except RecorderError as error:
            return error
        return None

    def _content(self, address: str, shown: str) -> BinaryIO:
        """A stored file's bytes, from the address that Graph names for it, which takes no token."""
        # Hashed is what was stored: nobody shall compress it on the way; who does so anyhow is undone below.
        as_it_is = {"Accept-Encoding": "identity"}
        answer = self.session.call("GET", address, f"reading {shown}", headers=as_it_is, stream=True)
        if answer.status_code in (301, 302, 303, 307, 308):
            place = answer.headers.get("Location", "")
            answer.close()
            answer = self.session.ask("GET", place, f"reading {shown}", headers=as_it_is, stream=True)
        if answer.status_code >= 400:
            raise RefusedError(said(answer), f"reading {shown}")
        return cast(BinaryIO, io.BufferedReader(_Content(answer), BLOCK))

    def _mismatch(self, wanted: Wanted, why: RecorderError | None) -> RecorderError:
        """The error for a wrong file, and why it could not be deleted when it was not."""
        text = f'What target "{self.name}" stored for {wanted.path} is not what was sent'
        if why is None:
            return IntegrityError(
                "target.mismatch",
                f"{text}; it was deleted again.",
                remedy="If this is seen again, ask Microsoft's support.",
            )
        return IntegrityError(
            "target.mismatch",
            f"{text}, and deleting it failed: {why.sentence}",
            remedy="The next try begins with deleting it. Until then, do not take it for the recording.",
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except RefusedError as error:
            raise error.explained from error


class _Content(io.RawIOBase):
    """The body of an answer, with what breaks told in our words."""

    def __init__(self, answer: requests.Response) -> None:
        self._answer = answer

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._answer.raw.read(len(buffer), decode_content=True)
        except (HTTPError, OSError) as error:
            raise broken(error, "Microsoft 365") from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._answer.close()
        super().close()


def _named(path: PurePosixPath) -> PurePosixPath:
    """`path` when OneDrive takes each of its names; PermanentError `target.denied` else."""
    for name in path.parts:
        if (why := forbidden(name)) is not None:
            raise PermanentError(
                "target.denied",
                f"{path} cannot stand in OneDrive or SharePoint: a name there must not {why}.",
                remedy="Choose another path template for the target.",
            )
    return path
