"""What an SMB server's refusals mean, and what to do about each: the statuses that an admin meets.

Source of the numbers: [MS-ERREF] 2.3.1; what they mean at log-in: the Windows event 4625.
"""

from __future__ import annotations

from dataclasses import dataclass

from smbprotocol.exceptions import SMBAuthenticationError, SMBResponseException
from smbprotocol.header import NtStatus

from ...config import targets as config
from ...model.errors import ConfigError, PermanentError, RecorderError, TransientError
from .wire import Garbage, Insecure, OldProtocol, Silent


@dataclass(frozen=True, slots=True)
class Cause:
    """How a status is told. The texts may name {user}, {where} and {path}."""

    kind: type[RecorderError]
    code: str
    sentence: str
    remedy: str


def _login(sentence: str, remedy: str) -> Cause:
    return Cause(ConfigError, "target.login", f"{{where}} refused user {{user}}: {sentence}.", remedy)


def _denied(sentence: str, remedy: str) -> Cause:
    return Cause(PermanentError, "target.denied", sentence, remedy)


_LOGIN = _login("user or password is wrong", "Check user, domain and password of the target.")
_ACCOUNT = "Mend the account on the server or in its domain, or use another one."
_BUSY = Cause(
    TransientError,
    "target.busy",
    "{where} has not enough memory or connections left.",
    "Look at the load of the server.",
)
_TROUBLE = Cause(
    TransientError,
    "target.busy",
    "{where} met an internal error at {path}.",
    "Look into the server's log; if this is seen often, restart its SMB service.",
)
_PAUSED = Cause(
    TransientError,
    "target.busy",
    "{where} has paused, or not begun yet, to share files.",
    'Look whether its "Server" (Windows), Netlogon and DFS services run.',
)
_DISK = Cause(
    PermanentError,
    "target.denied",
    "The disk behind {where} fails at {path}.",
    "Look into the server's log, and check the disk.",
)
_GONE = Cause(
    TransientError,
    "target.torn",
    "{where} ended the session during work on {path}.",
    "If this is seen often: an idle time limit or a failing server.",
)
_DISMOUNTED = Cause(
    TransientError,
    "target.torn",
    "The disk behind {where} was taken away during work on {path}.",
    "Look whether it is there again; a cluster may have moved it.",
)
_FULL = Cause(
    PermanentError, "target.full", "No space is left on {where}.", "Free space there, or enlarge the disk."
)
_NAME = _denied(
    "{path} is no name that {where} takes.", "Choose another folder or path template for the target."
)
_LOCKED = Cause(
    TransientError,
    "target.locked",
    "{path} on {where} is held open by another program.",
    "A virus scanner, backup or indexer? Exclude the folder there.",
)
_NO_SHARE = Cause(
    PermanentError,
    "target.missing",
    "There is no such share: {where}.",
    "Check the share's name. For a DFS path, host is its first part and share its second.",
)
_VANISHED = Cause(
    TransientError, "target.torn", "{path} on {where} was taken away while it was at work on.", ""
)

CAUSES: dict[int, Cause] = {
    NtStatus.STATUS_LOGON_FAILURE: _LOGIN,
    NtStatus.STATUS_WRONG_PASSWORD: _LOGIN,
    0xC0000064: _LOGIN,  # NO_SUCH_USER
    0xC000006E: _login("the account is restricted (an empty password, a policy)", _ACCOUNT),
    0xC000006F: _login("the account may not log in at this time of day", _ACCOUNT),
    0xC0000070: _login("the account may not log in from this machine", _ACCOUNT),
    NtStatus.STATUS_PASSWORD_EXPIRED: _login(
        "its password has expired", "Set a new password, one that never expires, and put it into the policy."
    ),
    0xC0000072: _login("the account is disabled", "Enable the account on the server or in its domain."),
    0xC000015B: _login("the account lacks the right to log in over the network", _ACCOUNT),
    0xC0000193: _login("the account has expired", _ACCOUNT),
    0xC0000224: _login(
        "its password must be changed first", "Set a password that need not be changed, and use it here."
    ),
    0xC0000234: _login(
        "the account is locked out", "Unlock it, and find who tried a wrong password: perhaps this recorder."
    ),
    0xC0000133: _login("the clocks differ too much", "Set the clocks of server and recorder by NTP."),
    0xC000005E: Cause(
        TransientError,
        "target.unreachable",
        "{where} finds no domain controller to check user {user}.",
        "Look at the server's connection to its domain.",
    ),
    NtStatus.STATUS_BAD_NETWORK_NAME: _NO_SHARE,
    0xC00000BE: _NO_SHARE,  # BAD_NETWORK_PATH
    NtStatus.STATUS_ACCESS_DENIED: _denied(
        "{path} may not be written, read or deleted on {where}.",
        "Give user {user} the right to change files there, in the share's permissions and in the folder's.",
    ),
    NtStatus.STATUS_PRIVILEGE_NOT_HELD: _denied(
        "User {user} lacks a right for {path} on {where}.", "Give the user the right to change files there."
    ),
    NtStatus.STATUS_CANNOT_DELETE: _denied(
        "{path} on {where} cannot be deleted.", "Take away its read-only mark, or the right that protects it."
    ),
    0xC00000A2: _denied("The medium behind {where} is write-protected.", "Make it writable."),
    0xC0000904: _denied("{path} is larger than {where} can hold.", "Use another file system there."),
    NtStatus.STATUS_STOPPED_ON_SYMLINK: _denied(
        "The way to {path} on {where} leads over a link; links are not followed.",
        "Name the folder that the link leads to.",
    ),
    NtStatus.STATUS_PATH_NOT_COVERED: _denied(
        "The way to {path} on {where} leads over a DFS link below the target's folder.",
        "Name the folder behind the link as the target's.",
    ),
    NtStatus.STATUS_NOT_A_DIRECTORY: _denied(
        "A file stands where {path} needs a folder on {where}.", "Move that file away."
    ),
    NtStatus.STATUS_OBJECT_NAME_COLLISION: _denied(
        "Something that cannot be seen stands in the way of {path} on {where}.", "Move it away."
    ),
    NtStatus.STATUS_FILE_IS_A_DIRECTORY: _denied("{path} on {where} is a folder.", "Move it away."),
    NtStatus.STATUS_OBJECT_NAME_INVALID: _NAME,
    NtStatus.STATUS_OBJECT_PATH_SYNTAX_BAD: _NAME,
    NtStatus.STATUS_OBJECT_PATH_INVALID: _NAME,
    0xC0000106: _NAME,  # NAME_TOO_LONG
    NtStatus.STATUS_DISK_FULL: _FULL,
    0xC0000044: Cause(  # QUOTA_EXCEEDED
        PermanentError, "target.full", "The quota of user {user} on {where} is used up.", "Raise the quota."
    ),
    0xC0000802: Cause(  # DISK_QUOTA_EXCEEDED
        PermanentError, "target.full", "The quota of user {user} on {where} is used up.", "Raise the quota."
    ),
    NtStatus.STATUS_SHARING_VIOLATION: _LOCKED,
    0xC0000054: _LOCKED,  # FILE_LOCK_CONFLICT
    NtStatus.STATUS_DELETE_PENDING: _LOCKED,
    NtStatus.STATUS_INSUFFICIENT_RESOURCES: _BUSY,
    NtStatus.STATUS_INSUFF_SERVER_RESOURCES: _BUSY,
    NtStatus.STATUS_REQUEST_NOT_ACCEPTED: _BUSY,
    0xC0000017: _BUSY,  # NO_MEMORY
    0xC000022D: _BUSY,  # RETRY
    0xC00000BF: _BUSY,  # NETWORK_BUSY
    0xC00000CE: _BUSY,  # TOO_MANY_SESSIONS
    0xC00000CF: _PAUSED,  # SHARING_PAUSED
    0xC0000192: _PAUSED,  # NETLOGON_NOT_STARTED
    NtStatus.STATUS_DFS_UNAVAILABLE: _PAUSED,
    NtStatus.STATUS_IO_TIMEOUT: _BUSY,
    NtStatus.STATUS_SERVER_UNAVAILABLE: _BUSY,
    NtStatus.STATUS_UNSUCCESSFUL: _TROUBLE,
    NtStatus.STATUS_INTERNAL_ERROR: _TROUBLE,
    0xC000011F: _TROUBLE,  # TOO_MANY_OPENED_FILES
    0xC00000E9: _TROUBLE,  # UNEXPECTED_IO_ERROR
    0xC0000467: _TROUBLE,  # FILE_NOT_AVAILABLE
    0xC0000032: _DISK,  # DISK_CORRUPT_ERROR
    0xC000003F: _DISK,  # CRC_ERROR
    0xC0000102: _DISK,  # FILE_CORRUPT_ERROR
    0xC0000185: _DISK,  # IO_DEVICE_ERROR
    NtStatus.STATUS_NETWORK_NAME_DELETED: _GONE,
    NtStatus.STATUS_USER_SESSION_DELETED: _GONE,
    0xC000035C: _GONE,  # NETWORK_SESSION_EXPIRED
    NtStatus.STATUS_FILE_CLOSED: _GONE,
    NtStatus.STATUS_INVALID_HANDLE: _GONE,
    0xC000020C: _GONE,  # CONNECTION_DISCONNECTED
    0xC000020D: _GONE,  # CONNECTION_RESET
    0xC00000B6: _GONE,  # FILE_FORCED_CLOSED
    0xC000026E: _DISMOUNTED,  # VOLUME_DISMOUNTED
    0xC0000240: _GONE,  # REQUEST_ABORTED
    NtStatus.STATUS_CANCELLED: _GONE,
    NtStatus.STATUS_OBJECT_NAME_NOT_FOUND: _VANISHED,
    NtStatus.STATUS_OBJECT_PATH_NOT_FOUND: _VANISHED,
    NtStatus.STATUS_NO_SUCH_FILE: _VANISHED,
    NtStatus.STATUS_NOT_FOUND: _VANISHED,
}
"""NTSTATUS → its cause. What is not here is told by its number."""


def explained(error: Exception, settings: config.SmbTarget, path: str) -> RecorderError:
    """One of `WIRE_ERRORS` in our words."""
    names = {"where": settings.where, "user": f'"{account(settings)}"', "path": path}
    if isinstance(error, SMBResponseException):
        cause = CAUSES.get(error.status)
        if cause is not None:
            return cause.kind(
                cause.code, cause.sentence.format_map(names), remedy=cause.remedy.format_map(names)
            )
        status = f"status 0x{error.status:08X}"
        return PermanentError(
            "target.denied",
            f"{settings.where} refused work on {path} with {status}.",
            remedy=f"Look into the server's log, and for what {status} means there.",
        )
    if isinstance(error, Silent | TimeoutError):
        return TransientError(
            "target.unreachable",
            f"{settings.where} was silent for over {settings.timeout:g} s.",
            remedy="Check the network, and the load of the server.",
        )
    return _of_the_protocol(error, settings, path)


def account(settings: config.SmbTarget) -> str:
    """The login name with its domain."""
    return f"{settings.domain}\\{settings.user}" if settings.domain else settings.user or ""


def not_encrypted(settings: config.SmbTarget) -> ConfigError:
    """The server cannot do what `encrypt` demands."""
    return ConfigError(
        "target.insecure",
        f"{settings.where} cannot encrypt what is sent (it speaks no SMB 3, or encryption is off there).",
        remedy='Switch SMB 3 encryption on there. Only in a network you trust: "encrypt = false" here.',
    )


def not_greeted(settings: config.SmbTarget) -> TransientError:
    """The server closes the connection as soon as it is spoken to."""
    return TransientError(
        "target.unreachable",
        f"{settings.where} breaks off when it is greeted.",
        remedy="Check host and port. A server that speaks only SMB 1 does so, too: switch SMB 3 on there.",
    )


def _of_the_protocol(error: Exception, settings: config.SmbTarget, path: str) -> RecorderError:
    where = settings.where
    if isinstance(error, OldProtocol):
        return ConfigError(
            "target.insecure",
            f"{where} speaks only SMB 1, which is not safe.",
            remedy="Switch SMB 3 on there.",
        )
    if isinstance(error, SMBAuthenticationError):
        return ConfigError(
            "target.login",
            f"{where} and the recorder have no way to log in in common.",
            remedy="The recorder logs in with NTLMv2: allow it for this account, or use a local one.",
        )
    if "guest" in str(error):
        return ConfigError(
            "target.login",
            f'{where} let user "{account(settings)}" in only as a guest, without encryption and signatures.',
            remedy='Check user and password, and switch off "map to guest" (Windows: insecure guest logons).',
        )
    if isinstance(error, Insecure):
        return TransientError(
            "target.torn",
            f"The connection to {where} was given up: {error}.",
            remedy="If this is seen again, somebody or something changes what is sent on the way.",
        )
    if isinstance(error, Garbage):
        return TransientError(
            "target.unreachable",
            f"{where} does not speak SMB rightly: {error}.",
            remedy="Check host and port.",
        )
    return TransientError("target.torn", f"The connection to {where} broke during work on {path}.")
