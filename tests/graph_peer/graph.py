"""Microsoft Graph: drives, items, folders, content, labels.

Addresses: <https://learn.microsoft.com/graph/onedrive-addressing-driveitems>,
<https://learn.microsoft.com/graph/api/site-getbypath>. Bodies: the pages of driveItem and
<https://learn.microsoft.com/graph/api/driveitem-setretentionlabel>.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from .drives import Drive
from .entra import USER, Entra
from .uploads import Uploads
from .wire import Answer, RefusedError, Request

SITE = "contoso.example:/sites/archive"
SITE_ID = "contoso.example,9f1,7c2"
LIBRARY = "Recordings"

ITEM = re.compile(
    r"/drives/(?P<drive>[^/:]+)/(?:root|items/(?P<item>[^/:]+))(?::/(?P<path>[^:]+?)(?::|$))?(?P<action>/\w+)?"
)


class Graph:
    def __init__(self, entra: Entra, drive: Drive, uploads: Uploads) -> None:
        self._entra = entra
        self.drive = drive
        self._uploads = uploads
        self.base = ""

    def operation(self, request: Request) -> str:
        """What a request is about, in the word by which faults name it."""
        if request.path.startswith("/up/"):
            last = "last-fragment" if self._uploads.is_last(request) else "fragment"
            return {"PUT": last, "GET": "session", "DELETE": "cancel"}.get(request.method, "other")
        if request.path.startswith("/download/"):
            return "download"
        if not request.path.startswith("/v1.0/"):
            return "token" if request.path.endswith("/token") else "login"
        if request.path.startswith("/v1.0/sites/"):
            return "site"
        action = (found["action"] or "") if (found := ITEM.fullmatch(request.path[5:])) else "/drive"
        return {
            "/children": "folder", "/createUploadSession": "create-session", "/retentionLabel": "label",
            "/content": "empty" if request.method == "PUT" else "content", "/drive": "drive",
        }.get(action, "delete" if request.method == "DELETE" else "item")  # fmt: skip

    def answer(self, request: Request) -> Answer:
        word, _, token = request.headers.get("authorization", "").partition(" ")
        if word != "Bearer" or token not in self._entra.tokens:
            raise RefusedError(401, "InvalidAuthenticationToken", "Access token has expired or is not valid.")
        if (rights := self._entra.rights.get(token)) is not None:
            rights.check(self.operation(request))
        path = request.path.removeprefix("/v1.0")
        if found := ITEM.fullmatch(path):
            if found["drive"] != self.drive.id.replace("!", "%21"):
                raise RefusedError(404, "itemNotFound", "The drive was not found.")
            return self._item(request, found)
        if request.method == "GET":
            return self._drive(unquote(path))
        return Answer(405)

    def download(self, request: Request) -> Answer:
        if "authorization" in request.headers:
            raise RefusedError(401, "unauthenticated", "A download URL takes no Authorization header.")
        return Answer(200, body=self.drive.by_id(request.path.rpartition("/")[2]).read_bytes())

    def _drive(self, path: str) -> Answer:
        drive = {"id": self.drive.id, "driveType": "business", "name": LIBRARY}
        places = {f"/users/{USER}/drive", "/me/drive", f"/drives/{self.drive.id}", f"/sites/{SITE_ID}/drive"}
        if path in places:
            return Answer(200, drive)
        if path == f"/sites/{SITE}":
            return Answer(200, {"id": SITE_ID, "displayName": "Archive"})
        if path == f"/sites/{SITE_ID}/drives":
            other = {"id": "b!other", "driveType": "documentLibrary", "name": "Documents"}
            return Answer(200, {"value": [other, drive]})
        raise RefusedError(404, "itemNotFound", "The resource could not be found.")

    def _item(self, request: Request, found: re.Match[str]) -> Answer:
        drive, action = self.drive, found["action"] or ""
        start = drive.by_id("root" if found["item"] in (None, "01ROOT") else found["item"])
        names = [unquote(part) for part in (found["path"] or "").split("/") if part]
        if action in ("/createUploadSession", "/content") and request.method in ("POST", "PUT"):
            parent = drive.below(start, names[:-1])
            if parent.is_symlink() or not parent.is_dir() or not names:
                raise RefusedError(404, "itemNotFound", "The parent is not there.")
            if action == "/createUploadSession":
                return self._uploads.create(drive, parent, names[-1], request, self.base)
            return self._put(request, parent, names[-1])
        return self._existing(request, action, drive.below(start, names))

    def _existing(self, request: Request, action: str, place: Path) -> Answer:
        drive = self.drive
        match request.method, action:
            case "GET", "":
                return Answer(200, drive.document(place, self.base))
            case "GET", "/content":
                address = drive.document(place, self.base).get("@microsoft.graph.downloadUrl")
                if address is None:
                    raise RefusedError(400, "invalidRequest", "A folder has no content.")
                return Answer(302, headers={"Location": address})
            case "POST", "/children":
                wanted = request.document
                if "folder" not in wanted or wanted.get("@microsoft.graph.conflictBehavior") != "fail":
                    raise RefusedError(
                        400, "invalidRequest", "The peer makes folders only, and never replaces."
                    )
                return Answer(201, drive.document(drive.make_folder(place, wanted["name"]), self.base))
            case "DELETE", "":
                tag = request.headers.get("if-match")
                if tag is not None and tag != drive.document(place, self.base)["eTag"]:
                    raise RefusedError(412, "resourceModified", "ETag does not match current item's value")
                drive.remove(place)
                return Answer(204)
            case "PATCH", "/retentionLabel":
                return self._label(request, place)
        return Answer(405)

    def _put(self, request: Request, parent: Path, name: str) -> Answer:
        """Simple upload; the recorder may use it for empty files only."""
        if request.parameters.get("@microsoft.graph.conflictBehavior") != "fail" or request.body:
            raise RefusedError(400, "invalidRequest", "The peer takes empty files only, and never replaces.")
        self.drive.check_name(parent, name)
        self._uploads.folder.mkdir(parents=True, exist_ok=True)
        part = self._uploads.folder / "empty"
        part.touch()
        place = self.drive.commit(part, parent, name, replace=False)
        return Answer(201, self.drive.document(place, self.base))

    def _label(self, request: Request, place: Path) -> Answer:
        name = request.document.get("name")
        if name not in self.drive.labels:
            raise RefusedError(400, "invalidRequest", "The retention label was not found.")
        relative = place.relative_to(self.drive.folder).as_posix()
        status = 200 if relative in self.drive.labelled else 201
        self.drive.labelled[relative] = name
        return Answer(status, {"name": name})
