"""From settings to a session in the share that holds the target's folder, wherever DFS says that it lies.

Source of the facts: [MS-SMB2] 3.2.4.2 (connecting), [MS-DFSC] 3.1.4.1 (resolving a path).
"""

from __future__ import annotations

from dataclasses import dataclass

from smbprotocol.connection import Capabilities
from smbprotocol.dfs import DFSReferralRequest, DFSReferralResponse
from smbprotocol.exceptions import BadNetworkName, SMBConnectionClosed, SMBResponseException
from smbprotocol.header import NtStatus
from smbprotocol.ioctl import CtlCode, IOCTLFlags, SMB2IOCTLRequest, SMB2IOCTLResponse
from smbprotocol.session import Session as SmbSession
from smbprotocol.tree import TreeConnect

from ...config import targets as config
from ...model.errors import RecorderError
from ..ssh.tunnel import Dial, Direct, Tunnelled
from ..steps import Step, at
from .errors import account, explained, not_encrypted, not_greeted
from .session import WIRE_ERRORS, Session
from .wire import SmbConnection, readable

HOPS = 8
"""DFS referrals followed one after the other, at most."""

_NO_REFERRAL = frozenset(
    {
        NtStatus.STATUS_FS_DRIVER_REQUIRED,
        NtStatus.STATUS_NOT_FOUND,
        NtStatus.STATUS_NO_SUCH_FILE,
        NtStatus.STATUS_OBJECT_NAME_NOT_FOUND,
        NtStatus.STATUS_OBJECT_PATH_NOT_FOUND,
        NtStatus.STATUS_INVALID_PARAMETER,
        NtStatus.STATUS_INVALID_DEVICE_REQUEST,
        NtStatus.STATUS_NOT_SUPPORTED,
        NtStatus.STATUS_ACCESS_DENIED,
        NtStatus.STATUS_BAD_NETWORK_NAME,
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a folder is said to be."""

    host: str
    share: str
    folder: tuple[str, ...]

    @property
    def share_path(self) -> str:
        return f"\\\\{self.host}\\{self.share}"

    @property
    def path(self) -> str:
        return "\\".join(self.folder)

    @property
    def dfs_name(self) -> str:
        """As a referral is asked for, with one backslash before it."""
        return "\\" + "\\".join((self.host, self.share, *self.folder))


class Login:
    """How to get a session for one target."""

    def __init__(self, settings: config.SmbTarget) -> None:
        self._settings = settings
        self._dial: Dial = Tunnelled(settings.tunnel) if settings.tunnel else Direct(settings.timeout)

    def session(self) -> Session:
        """A new session. Errors: see `targets/base.py`."""
        settings = self._settings
        folder = tuple(part for part in settings.folder.split("/") if part)
        return self._session(Place(settings.host or "", settings.share or "", folder), HOPS)

    def _session(self, place: Place, hops: int) -> Session:
        connection = self._connected(place.host)
        try:
            with readable():
                found, elsewhere = self._look(connection, place)
        except WIRE_ERRORS as error:
            connection.cut()
            raise explained(error, self._settings, place.share_path) from error
        except BaseException:
            connection.cut()
            raise
        if found is not None and not elsewhere:
            return found
        connection.cut()
        return self._first(elsewhere, hops)

    def _first(self, places: tuple[Place, ...], hops: int) -> Session:
        """A session at the first of these places that has one; where none has, the last one's error."""
        if not hops:
            raise explained(BadNetworkName(), self._settings, "")
        failed: RecorderError | None = None
        for place in places:
            try:
                return self._session(place, hops - 1)
            except RecorderError as error:
                failed = error
        assert failed is not None  # noqa: S101 - there is at least one place
        raise failed

    def _connected(self, host: str) -> SmbConnection:
        """A connection with one session in it."""
        settings = self._settings
        password = settings.read_password()
        connection = SmbConnection(host, settings.port, dial=self._dial, seconds=settings.timeout)
        try:
            with readable():
                at(Step.CONNECT)
                self._greet(connection)
                at(Step.LOGIN)
                session = SmbSession(
                    connection, account(settings), password, require_encryption=settings.encrypt
                )
                session.connect()
        except WIRE_ERRORS as error:
            connection.cut()
            raise explained(error, settings, "the login") from error
        except BaseException:
            connection.cut()
            raise
        return connection

    def _greet(self, connection: SmbConnection) -> None:
        """Agree on a version of the protocol. An old server breaks off instead of answering."""
        try:
            connection.connect(timeout=self._settings.timeout)
        except SMBConnectionClosed as error:
            raise not_greeted(self._settings) from error
        if self._settings.encrypt and not connection.supports_encryption:
            raise not_encrypted(self._settings)

    def _look(self, connection: SmbConnection, place: Place) -> tuple[Session | None, tuple[Place, ...]]:
        """A session in the share, and where the folder lies instead, if a referral says so."""
        (session,) = connection.session_table.values()
        tree = TreeConnect(session, place.share_path)
        try:
            tree.connect()
        except SMBResponseException as error:
            dfs = connection.server_capabilities.has_flag(Capabilities.SMB2_GLOBAL_CAP_DFS)
            elsewhere = self._referred(connection, place) if dfs else ()
            if error.status != NtStatus.STATUS_BAD_NETWORK_NAME or not elsewhere:
                raise
            return None, elsewhere
        found = Session(connection, tree, place.path)
        if not tree.is_dfs_share or _is_here(found, place):
            return found, ()
        return found, self._referred(connection, place)

    def _referred(self, connection: SmbConnection, place: Place) -> tuple[Place, ...]:
        """Where a DFS server sends us for a path; empty when it has nothing to say."""
        (session,) = connection.session_table.values()
        pipes = TreeConnect(session, f"\\\\{place.host}\\IPC$")
        try:
            pipes.connect()
            answer = _referral(connection, pipes, place.dfs_name)
        except SMBResponseException as error:
            if error.status in _NO_REFERRAL:
                return ()
            raise
        consumed = answer["path_consumed"].get_value() // 2
        rest = tuple(part for part in place.dfs_name[consumed:].split("\\") if part)
        places = (_place(entry.network_address, rest) for entry in answer["referral_entries"].get_value())
        return tuple(found for found in places if found is not None and not _same(found, place))


def _is_here(session: Session, place: Place) -> bool:
    """Whether the folder stands in the DFS root itself, and not behind one of its links."""
    try:
        return session.is_folder(place.path)
    except SMBResponseException as error:
        if error.status == NtStatus.STATUS_PATH_NOT_COVERED:
            return False
        raise


def _referral(connection: SmbConnection, pipes: TreeConnect, name: str) -> DFSReferralResponse:
    wanted = DFSReferralRequest()
    wanted["request_file_name"] = name
    message = SMB2IOCTLRequest()
    message["ctl_code"] = CtlCode.FSCTL_DFS_GET_REFERRALS
    message["file_id"] = b"\xff" * 16
    message["max_output_response"] = 56 * 1024
    message["flags"] = IOCTLFlags.SMB2_0_IOCTL_IS_FSCTL
    message["buffer"] = wanted
    request = connection.send(message, pipes.session.session_id, pipes.tree_connect_id)
    outer = SMB2IOCTLResponse()
    outer.unpack(connection.receive(request)["data"].get_value())
    answer = DFSReferralResponse()
    answer.unpack(outer["buffer"].get_value())
    return answer


def _place(address: str | None, rest: tuple[str, ...]) -> Place | None:
    """`\\server\\share\\folder` of a referral, and what follows it."""
    parts = [part for part in (address or "").split("\\") if part]
    if len(parts) < 2 or ".." in parts:
        return None
    return Place(parts[0], parts[1], (*parts[2:], *rest))


def _same(one: Place, other: Place) -> bool:
    return one.dfs_name.lower() == other.dfs_name.lower()
