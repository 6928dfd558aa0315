"""What is wrong with a target, in the words of a person who has to mend it: the usual faults, the remedies.

Errors say what happened in one place. Here they are read together with the step at which they happened and
with what the operating system said, so that "denied" becomes "may write but not rename".
docs/howto/test-a-target.md shows this table; a test holds the page against it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..model.errors import RecorderError
from .steps import Step


@dataclass(frozen=True, slots=True)
class Symptom:
    """One of the usual faults. `remedy` is general; where `named` is set, the error's own one is better, for
    it names files and commands."""

    name: str
    says: str
    remedy: str
    named: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """An error, the step it happened at, and what lies beneath it."""

    error: RecorderError
    step: Step | None

    @property
    def code(self) -> str:
        return self.error.code.removeprefix("target.")

    def errnos(self) -> set[int]:
        return {e.errno for e in self.beneath() if isinstance(e, OSError) and e.errno is not None}

    def beneath(self) -> Iterator[BaseException]:
        """The exceptions that led to the error."""
        seen: BaseException | None = self.error
        for _ in range(10):
            seen = seen and (seen.__cause__ or seen.__context__)
            if seen is None:
                return
            yield seen

    def caused_by(self, *kinds: type[BaseException]) -> bool:
        return any(isinstance(one, kinds) for one in self.beneath())

    def says(self, *words: str) -> bool:
        return any(word in self.error.sentence.lower() for word in words)


Applies = Callable[[Case], bool]


def _code(*codes: str) -> Applies:
    return lambda case: case.code in codes


def _denied_at(*steps: Step) -> Applies:
    return lambda case: case.code == "denied" and case.step in steps


def _unreachable(case: Case) -> bool:
    return case.code in ("unreachable", "torn")


def _silent(case: Case) -> bool:
    return _unreachable(case) and (case.caused_by(TimeoutError) or case.says("silent", "timed out"))


_NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}

_TABLE: tuple[tuple[Symptom, Applies], ...] = (
    (
        Symptom(
            "incomplete",
            "The settings still lack something.",
            "Add the missing keys to the target in the policy.",
            True,
        ),
        _code("incomplete"),
    ),
    (
        Symptom("disabled", "The target is switched off.", "Set `enabled = true` in the policy.", True),
        _code("disabled"),
    ),
    (
        Symptom(
            "name-unknown",
            "The server's name cannot be resolved.",
            "Check the spelling of `host`, and this machine's DNS: `getent hosts` and the name.",
        ),
        lambda case: _unreachable(case) and case.caused_by(socket.gaierror),
    ),
    (
        Symptom(
            "refused",
            "The server refuses the connection: nothing listens at that port.",
            "Start the service there; check `port`, and the server's firewall.",
        ),
        lambda case: _unreachable(case) and errno.ECONNREFUSED in case.errnos(),
    ),
    (
        Symptom(
            "no-route",
            "There is no way to the server's network.",
            "Check the address, this machine's routes (`ip route get ADDRESS`), VPN and firewall.",
        ),
        lambda case: _unreachable(case) and bool(_NO_ROUTE & case.errnos()),
    ),
    (
        Symptom(
            "no-answer",
            "The server does not answer at all.",
            "Check the address, that the server is on, and firewalls that drop silently.",
        ),
        lambda case: _silent(case) and case.caused_by(TimeoutError) and case.step is Step.CONNECT,
    ),
    (
        Symptom(
            "frozen",
            "The server or disk took the connection and then fell silent.",
            "Look at its load, its disks and its log; restart the service there.",
        ),
        _silent,
    ),
    (
        Symptom(
            "wrong-service",
            "Something answers there, but not the service that was expected.",
            "Check `host` and `port`.",
        ),
        lambda case: case.code == "unreachable" and case.step is Step.IDENTIFY,
    ),
    (
        Symptom(
            "torn",
            "The connection broke.",
            "Try again; if it breaks at the same step, look at the server's log and at firewalls on the way.",
        ),
        lambda case: (
            case.code == "torn" or (_unreachable(case) and case.caused_by(ConnectionError, EOFError))
        ),
    ),
    (
        Symptom(
            "unreachable",
            "The server cannot be reached.",
            "Check the address and the network on the way there; proxies, too.",
            True,
        ),
        _code("unreachable"),
    ),
    (
        Symptom(
            "host-key-unknown",
            "The server's host key is not known yet.",
            "`ari-recorder target trust NAME`, and compare the fingerprint with the server's.",
            True,
        ),
        _code("host-key"),
    ),
    (
        Symptom(
            "host-key-changed",
            "The server shows another host key than the one that is trusted.",
            "Ask its owner. If it was changed on purpose: `ari-recorder target trust --replace NAME`.",
            True,
        ),
        _code("host-key-changed"),
    ),
    (
        Symptom(
            "certificate",
            "The server's certificate is not trusted.",
            "Check the server's name and this machine's clock; name its authority in the settings.",
            True,
        ),
        _code("certificate"),
    ),
    (
        Symptom(
            "insecure",
            "The server cannot encrypt what is sent, or speaks only an old protocol.",
            "Switch SMB 3 and its encryption on there.",
            True,
        ),
        _code("insecure"),
    ),
    (
        Symptom(
            "passphrase",
            "The private key needs a passphrase, or another one.",
            "Set `passphrase` at the target.",
        ),
        lambda case: case.code == "key" and case.says("passphrase"),
    ),
    (
        Symptom(
            "key-unreadable",
            "The private key cannot be read.",
            "Check `key_file`, and that the recorder's user may read it.",
        ),
        _code("key"),
    ),
    (
        Symptom(
            "secret-unreadable",
            "The file with the password cannot be read.",
            "Make the file, and let the recorder's user read it.",
            True,
        ),
        lambda case: case.error.code == "config.unreadable",
    ),
    (
        Symptom(
            "key-refused",
            "The server refuses the key.",
            "Append the key's `.pub` to `authorized_keys` of that user; the server's log says more.",
        ),
        lambda case: case.code == "login" and case.says("with the key"),
    ),
    (
        Symptom(
            "login-refused",
            "The server refuses user or password.",
            "Check both by logging in by hand; look whether the account is locked or has expired.",
            True,
        ),
        _code("login", "expiring"),
    ),
    (
        Symptom(
            "not-mounted",
            "The disk is not mounted, or it is another one.",
            "Mount it. To mark a folder as the right one: `ari-recorder target test --prepare NAME`.",
            True,
        ),
        _code("not-mounted"),
    ),
    (
        Symptom(
            "folder-missing",
            "The folder does not exist.",
            "Make it, or correct `folder`. `ari-recorder target test --prepare NAME` makes it, too.",
        ),
        _code("missing"),
    ),
    (
        Symptom(
            "read-only",
            "The disk is mounted read-only.",
            "Mount it for writing; a disk that became so by itself may be failing.",
        ),
        lambda case: case.code == "denied" and (errno.EROFS in case.errnos() or case.says("read-only")),
    ),
    (
        Symptom(
            "quota",
            "The quota of this user is used up.",
            "Enlarge the quota, or remove what is old.",
        ),
        lambda case: case.code == "full" and (errno.EDQUOT in case.errnos() or case.says("quota")),
    ),
    (
        Symptom("full", "No space is left.", "Free space there, or enlarge the disk."),
        _code("full"),
    ),
    (
        Symptom(
            "not-writable",
            "The folder may be looked at, but not written to.",
            "Give the user the right to create files and folders there.",
        ),
        _denied_at(Step.WRITE, Step.CONNECT, Step.LOGIN),
    ),
    (
        Symptom(
            "cannot-read",
            "Files can be written but not read.",
            "Give the user the right to read: every file is read back before it is confirmed.",
        ),
        _denied_at(Step.READ_BACK, Step.FETCH),
    ),
    (
        Symptom(
            "cannot-rename",
            "Files can be written but not renamed.",
            "Give the user the right to rename: a file gets its name only when it is whole.",
        ),
        _denied_at(Step.RENAME),
    ),
    (
        Symptom(
            "cannot-delete",
            "Files can be stored but not deleted.",
            "Recordings arrive all the same. Give the right to delete, or remove the test file and erase "
            "by hand what must be erased.",
        ),
        _denied_at(Step.DELETE),
    ),
    (
        Symptom(
            "changed-bytes",
            "What comes back is not what was sent: something on the way or the disk changes bytes.",
            "Take proxies and virus scanners out of the way; check the server's disk and memory.",
        ),
        _code("mismatch"),
    ),
    (
        Symptom(
            "locked",
            "Somebody or something holds the file.",
            "Look for virus scanners, indexers and synchronisation at work in the folder.",
            True,
        ),
        _code("locked", "busy"),
    ),
)

CLOCK_OFF = Symptom(
    "clock-off",
    "The target's clock and this machine's differ.",
    "Set both by NTP: file times and the life of certificates depend on it. Deliveries work all the same.",
)

UNGUARDED = Symptom(
    "unguarded",
    "The folder lies on a disk of its own, and nothing says so.",
    "Add the `mount` to the target in the policy, or `marked = true`: when the disk is not mounted, the "
    "empty folder beneath would be filled, and what stands there confirmed. Deliveries work all the same.",
    True,
)

OTHER = Symptom("other", "It does not work.", "Look into the recorder's log and the server's.", True)

SYMPTOMS: dict[str, Symptom] = {one.name: one for one in (*(row[0] for row in _TABLE), CLOCK_OFF, UNGUARDED)}


def symptom_of(error: RecorderError, step: Step | None) -> Symptom:
    """Which of the usual faults an error at a step is; `OTHER` when it is none of them."""
    case = Case(error, step)
    return next((symptom for symptom, applies in _TABLE if applies(case)), OTHER)
