"""A drive of OneDrive or SharePoint: where it is, and the items in it.

Addresses by path are built as <https://learn.microsoft.com/graph/onedrive-addressing-driveitems> says.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from ...config import targets as config
from ...model.errors import ConfigError, PermanentError, RecorderError, TransientError
from .session import RefusedError, Session, document

REMEMBERED = 1000
"""Folders whose ids are kept in memory."""


@dataclass(frozen=True, slots=True)
class Item:
    """A driveItem, as far as it matters here."""

    id: str
    name: str
    size: int
    folder: bool
    file: bool
    etag: str
    modified_at: datetime | None
    link: str | None
    hashes: dict[str, str]

    @classmethod
    def of(cls, found: dict[str, Any]) -> Item:
        """From Graph's JSON; TransientError when it lacks what every item has."""
        file = found.get("file")
        try:
            return cls(
                id=str(found["id"]),
                name=str(found["name"]),
                size=int(found.get("size", -1)),
                folder="folder" in found,
                file=isinstance(file, dict),
                etag=str(found.get("eTag", "")),
                modified_at=_time(found.get("lastModifiedDateTime")),
                link=found.get("webUrl"),
                hashes=dict((file or {}).get("hashes") or {}),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise TransientError("target.torn", "Microsoft 365 described an item in no known way.") from error

    @property
    def folder_link(self) -> str | None:
        """Where people find the folder that a file lies in."""
        return self.link.rpartition("/")[0] if self.link and "?" not in self.link else self.link


class Drive:
    """The drive of one target, found when it is first needed."""

    def __init__(self, settings: config.OneDriveTarget, session: Session) -> None:
        self._settings = settings
        self._session = session
        self._root = PurePosixPath(settings.folder)
        self._id: str | None = None
        self._folders: dict[PurePosixPath, str] = {}
        self._guard = threading.Lock()

    def item(self, path: PurePosixPath) -> Item | None:
        """What stands under a path below the target's root; None when nothing does."""
        try:
            return Item.of(document(self._session.call("GET", self.by_path(path), f"a look at {path}")))
        except RefusedError as error:
            if error.found.status == 404:
                return None
            raise

    def lies_elsewhere(self, item: str, path: PurePosixPath) -> bool:
        """Whether an item is known to lie under another path than this one, as its own description says."""
        try:
            answer = self._session.call("GET", self.by_id(item), f"a look for {path}")
        except RefusedError as error:
            if error.found.status == 404:
                return False
            raise
        found = document(answer)
        parent = found.get("parentReference")
        # "/drives/ID/root:/calls/2026", percent-encoded; other shapes say nothing.
        _, mark, folder = str(parent.get("path", "") if isinstance(parent, dict) else "").partition("root:")
        if not mark:
            return False
        told = PurePosixPath(unquote(folder).strip("/")) / str(found.get("name", ""))
        return str(told).casefold() != str(self._root / path).casefold()

    def by_path(self, path: PurePosixPath) -> str:
        """The address of an item by its path."""
        whole = self._root / path
        return f"{self._place}/root" + (f":/{_encoded(whole)}" if whole.parts else "")

    def by_id(self, item: str) -> str:
        return f"{self._place}/items/{quote(item, safe='')}"

    def child(self, folder: str, name: str) -> str:
        """The address of a name, taken or not, in a folder known by its id."""
        return f"{self.by_id(folder)}:/{quote(name, safe='')}:"

    def ensure_folder(self, path: PurePosixPath) -> str:
        """The id of a folder below the root, made with all above it; never the root itself."""
        with self._guard:
            known = self._folders.get(path)
        if known is None:
            known = self._made(path)
            with self._guard:
                if len(self._folders) >= REMEMBERED:
                    self._folders.clear()
                self._folders[path] = known
        return known

    def forget_folders(self) -> None:
        """One of them was taken away."""
        with self._guard:
            self._folders.clear()

    def make_root(self) -> None:
        parent, place = self._top(), PurePosixPath(".")
        for part in self._root.parts:
            place = place / part
            parent = self._subfolder(parent, part, str(place))

    def _made(self, path: PurePosixPath) -> str:
        found = self.item(path)
        if found is not None and found.folder:
            return found.id
        if path == PurePosixPath("."):
            raise self._rootless()
        if found is not None:
            raise self._in_the_way(str(path))
        parent = self._made(path.parent)
        return self._subfolder(parent, path.name, str(path))

    def _subfolder(self, parent: str, name: str, shown: str) -> str:
        wish = {"name": name, "folder": {}, "@microsoft.graph.conflictBehavior": "fail"}
        doing = f"making the folder {shown}"
        try:
            answer = self._session.call("POST", f"{self.by_id(parent)}/children", doing, json=wish)
            return Item.of(document(answer)).id
        except RefusedError as error:
            if error.found.status != 409:
                raise
        found = Item.of(document(self._session.call("GET", self.child(parent, name)[:-1], doing)))
        if not found.folder:
            raise self._in_the_way(shown)
        return found.id

    def _top(self) -> str:
        answer = self._session.call("GET", f"{self._place}/root", "a look at the drive")
        return Item.of(document(answer)).id

    @property
    def _place(self) -> str:
        if self._id is None:
            self._id = self._found()
        return f"/drives/{quote(self._id, safe='')}"

    def _found(self) -> str:
        """The drive's id. ConfigError `target.no-drive` with the setting that is to be looked at."""
        settings = self._settings
        if settings.site is not None:
            return self._of_site(settings.site)
        if settings.drive is not None:
            address, what = (
                f"/drives/{quote(settings.drive, safe='')}",
                f'drive with the id "{settings.drive}"',
            )
        elif settings.user is not None:
            address, what = f"/users/{quote(settings.user, safe='@')}/drive", f'OneDrive of "{settings.user}"'
        else:
            address, what = "/me/drive", "OneDrive of the user who is logged in"
        return str(self._looked_up(address, what)["id"])

    def _of_site(self, site: str) -> str:
        host, _, path = site.partition("/")
        address = f"/sites/{host}:/{quote(path)}" if path else f"/sites/{host}"
        number = quote(str(self._looked_up(address, f'site "{site}"')["id"]), safe=",")
        library = self._settings.library
        if library is None:
            return str(self._looked_up(f"/sites/{number}/drive", f'library in the site "{site}"')["id"])
        listed = self._looked_up(f"/sites/{number}/drives", f'library in the site "{site}"')
        names: dict[str, str] = {one.get("name", ""): one.get("id", "") for one in listed.get("value", [])}
        for name, drive in names.items():
            if name.casefold() == library.casefold():
                return drive
        raise self._missing(f'library "{library}" in the site "{site}"', f"There are: {', '.join(names)}.")

    def _looked_up(self, address: str, what: str) -> dict[str, Any]:
        try:
            return document(self._session.call("GET", address, f"a look at the {what}"))
        except RefusedError as error:
            if error.found.status in (400, 404):
                raise self._missing(what, "Check user, site, library or drive.") from error
            raise error.explained from error

    def _missing(self, what: str, remedy: str) -> RecorderError:
        text = f'There is no {what} for target "{self._settings.name}".'
        return ConfigError("target.no-drive", text, remedy=remedy)

    def _rootless(self) -> RecorderError:
        return PermanentError(
            "target.missing",
            f'The folder "{self._settings.folder}" of target "{self._settings.name}" does not exist.',
            remedy="Make it in the drive, or correct the setting folder.",
        )

    def _in_the_way(self, shown: str) -> RecorderError:
        return PermanentError(
            "target.denied",
            f'{shown} in target "{self._settings.name}" has to be a folder, but a file stands there.',
            remedy="Move the file away, or choose another path template.",
        )


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _encoded(path: PurePosixPath) -> str:
    return "/".join(quote(part, safe="") for part in path.parts)
