"""A folder on an SMB share: Windows Server, Samba, a NAS.

In `share/`, `login.py` finds and opens the share, `session.py` speaks the protocol, `wire.py` carries it,
`errors.py` says what a refusal means.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from smbprotocol.exceptions import SMBResponseException

from ..config import targets as config
from ..disk.faults import fault_point
from ..model.delivery import Receipt
from ..model.errors import PermanentError
from .base import (
    Confirms,
    Properties,
    Stat,
    adopted,
    checked,
    digest_back,
    mismatch,
    open_source,
    part_name,
    receipt,
    taken_away,
)
from .pool import Pool
from .share.errors import explained
from .share.login import Login
from .share.session import ABSENT, DELETING, TAKEN, WIRE_ERRORS, Session
from .steps import Step, at

LANES = 16
"""Final names are given under so many locks."""

_UNFIT = re.compile(r'[\x00-\x1f\\:*?"<>|\ud800-\udfff]|[. ]$')
"""What Windows takes in no name, or drops without a word; a colon would even write into another stream."""


class SmbTarget:
    """Stores below `folder` of the share; each thread that is at work has a connection of its own.

    The final name is given by SMB's rename without `ReplaceIfExists`, which must not overwrite ([MS-FSCC]
    2.4.42). Windows does that in one step; Samba 4.17 looks and then renames, so that two who rename at the
    same moment could overwrite. Threads of one recorder therefore take turns; the file names of two recorders
    never meet. A file is synced on the server (SMB2 FLUSH) before it is confirmed.
    """

    properties = Properties(atomic_rename=True, server_side_hash=False, confirms=Confirms.READ_BACK)

    def __init__(self, settings: config.SmbTarget) -> None:
        self.name: str = settings.name
        self.path_template: str = settings.path
        self._settings = settings
        self._login = Login(settings)
        self._pool = Pool(settings.name, self._login.session, Session.answers)
        self._turns = tuple(threading.Lock() for _ in range(LANES))

    def prepare(self) -> None:
        with self._session(".") as session:
            parts = session.root.split("\\") if session.root else []
            for count in range(1, len(parts) + 1):
                session.make_folder("\\".join(parts[:count]))

    def put(self, source: Path, path: PurePosixPath, *, sha256: str, size: int) -> Receipt:
        path = checked(path)
        part = path.with_name(part_name(path.name, sha256))
        if found := self._adopted(path, part, sha256=sha256, size=size):
            return found
        with (
            open_source(source, sha256=sha256, size=size) as stream,
            self._session(str(path)) as session,
        ):
            try:
                if self._stored(session, stream, path, sha256=sha256, size=size):
                    return receipt(path, sha256=sha256, size=size)
            except SMBResponseException as error:
                # A faster writer clears the part file away, and it stays until nobody has it open any more.
                if error.status != DELETING or session.stat(self._name(session.root, path)) is None:
                    raise
        if found := self._adopted(path, part, sha256=sha256, size=size):
            return found  # another writer was faster
        raise taken_away(self, path)

    def stat(self, path: PurePosixPath) -> Stat | None:
        with self._session(str(path)) as session:
            return session.stat(self._name(session.root, checked(path)))

    def open(self, path: PurePosixPath) -> BinaryIO:
        session = self._take()
        explain = partial(explained, settings=self._settings, path=str(path))
        try:
            name = self._name(session.root, checked(path))
            return cast(BinaryIO, session.reader(name, explain, partial(self._pool.give_back, session)))
        except WIRE_ERRORS as error:
            self._pool.discard(session)
            if isinstance(error, SMBResponseException) and error.status in ABSENT:
                text = f'There is no file {path} in target "{self.name}".'
                raise PermanentError("target.missing", text) from error
            raise explain(error) from error
        except BaseException:
            self._pool.discard(session)
            raise

    def delete(self, path: PurePosixPath) -> bool:
        with self._session(str(path)) as session:
            return session.remove(self._name(session.root, checked(path)))

    def close(self) -> None:
        self._pool.close()

    def _adopted(self, path: PurePosixPath, part: PurePosixPath, *, sha256: str, size: int) -> Receipt | None:
        """The receipt of the very file that stands there already; what is left of a part file goes."""
        found = adopted(self, path, sha256=sha256, size=size)
        if found is not None:
            self.delete(part)
        return found

    def _stored(
        self, session: Session, stream: BinaryIO, path: PurePosixPath, *, sha256: str, size: int
    ) -> bool:
        """Send the file and give it its name; False when somebody else did, or took the part file away."""
        part = path.with_name(part_name(path.name, sha256))
        at(Step.WRITE)
        begin = self._upload(session, stream, part, size, resume=True)
        at(Step.READ_BACK)
        whole = self._whole(session, part, sha256=sha256, size=size)
        if begin and whole is False:  # what a torn upload had left was not its beginning
            self._upload(session, stream, part, size, resume=False)
            whole = self._whole(session, part, sha256=sha256, size=size)
        fault_point("smb.checked")
        if whole and self._published(session, part, path):
            return True
        if whole is False and session.stat(self._name(session.root, path)) is None:
            session.remove(self._name(session.root, part))
            raise mismatch(self.name, path)
        return False

    def _upload(
        self, session: Session, stream: BinaryIO, part: PurePosixPath, size: int, *, resume: bool
    ) -> int:
        name = self._name(session.root, part)
        try:
            return session.write(name, stream, size, resume=resume)
        except SMBResponseException as error:
            if error.status not in ABSENT:
                raise
        self._make_folders(session, part.parent)
        return session.write(name, stream, size, resume=resume)

    def _whole(self, session: Session, part: PurePosixPath, *, sha256: str, size: int) -> bool | None:
        """Whether the part file reads back as what was sent; None when it is gone."""
        explain = partial(explained, settings=self._settings, path=str(part))
        try:
            with session.reader(self._name(session.root, part), explain, _nothing) as stored:
                return digest_back(stored) == (sha256, size)
        except SMBResponseException as error:
            if error.status in ABSENT:
                return None
            raise

    def _published(self, session: Session, part: PurePosixPath, path: PurePosixPath) -> bool:
        """Give the final name without overwriting; False when another writer was faster."""
        at(Step.RENAME)
        name, final = self._name(session.root, part), self._name(session.root, path)
        try:
            with self._turns[hash(final) % LANES]:
                session.rename(name, final)
        except SMBResponseException as error:
            if error.status not in ABSENT | TAKEN:
                raise
            if session.stat(final) is None and session.stat(name) is not None:
                raise PermanentError(
                    "target.conflict",
                    f'Something that cannot be looked into stands under {path} in target "{self.name}".',
                    remedy="A link? Move it away; the delivery is then made by itself.",
                ) from error
            return False
        fault_point("smb.renamed")
        return True

    def _make_folders(self, session: Session, relative: PurePosixPath) -> None:
        if not session.is_folder(session.root):
            raise PermanentError(
                "target.missing",
                f'The folder of target "{self.name}" does not exist: {self._settings.place}.',
                remedy="Create it there, or mount what belongs there.",
            )
        for parent in (*reversed(relative.parents), relative):
            if parent.name:
                session.make_folder(self._name(session.root, parent))
                fault_point("smb.folder")

    def _name(self, root: str, path: PurePosixPath) -> str:
        """A path as the share knows it. PermanentError `target.denied` for what Windows would not take."""
        for part in path.parts:
            if _UNFIT.search(part):
                raise PermanentError(
                    "target.denied",
                    f'{path} cannot stand in target "{self.name}": Windows takes no name such as "{part!a}".',
                    remedy="Choose another folder or path template for the target.",
                )
        return "\\".join((*([root] if root else []), *path.parts))

    @contextmanager
    def _session(self, path: str) -> Iterator[Session]:
        """A session of one's own, with errors told in our words; after an error it is not used again."""
        session = self._take()
        try:
            yield session
        except WIRE_ERRORS as error:
            self._pool.discard(session)
            raise explained(error, self._settings, path) from error
        except BaseException:
            self._pool.discard(session)
            raise
        self._pool.give_back(session)

    def _take(self) -> Session:
        try:
            return self._pool.take()
        except WIRE_ERRORS as error:
            raise explained(error, self._settings, "an idle connection") from error


def _nothing() -> None:
    """The session goes on."""
