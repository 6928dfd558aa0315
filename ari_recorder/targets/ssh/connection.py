"""A logged-in SSH connection with a time limit on everything: a frozen server holds nobody up.

paramiko has time limits for most of what can wait, but not for all (opening a subsystem; sending while the
server does not read). So a watchdog closes the connection when nothing has moved for the time limit.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import paramiko

from ...config import targets as config
from ...model.errors import ConfigError, PermanentError, RecorderError, TransientError
from ..steps import Step, at
from . import hostkeys

KEEPALIVE = 30
"""Seconds after which an idle connection shows signs of life, for firewalls on the way."""

SILENT = "it was silent for too long"

CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-cbc",
    "aes256-cbc",
)
"""In order of preference. GCM takes a fifth less of the processor than CTR with its separate MAC."""

# Every failure reaches the admin as one of our errors; paramiko would print a traceback besides.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


@contextmanager
def readable() -> Iterator[None]:
    """Whatever a broken or hostile answer makes paramiko raise becomes an SSHException."""
    try:
        yield
    except (paramiko.SSHException, paramiko.SFTPError, OSError, EOFError, RecorderError):
        raise
    except Exception as error:
        raise paramiko.SSHException(f"an answer could not be read: {type(error).__name__}") from error


class Watchdog:
    """Closes a connection when, while it is armed, `progress` is not called for `seconds`."""

    def __init__(self, transport: paramiko.Transport, seconds: float) -> None:
        self._transport = transport
        self._seconds = seconds
        self._deadline: float | None = None
        self._asking = 0
        self._resting = False
        self._ended = False
        self._changed = threading.Condition()
        self.bit = False
        """It has closed the connection."""
        threading.Thread(target=self._watch, name="ssh-watchdog", daemon=True).start()

    @contextmanager
    def armed(self) -> Iterator[None]:
        """While something is asked of the server; may be nested, within one thread."""
        self._asking += 1
        self.progress()
        try:
            yield
        finally:
            self._asking -= 1
            if not self._asking:
                self._deadline = None

    @contextmanager
    def resting(self) -> Iterator[None]:
        """While the server waits for us, within `armed`: its time begins anew afterwards."""
        self._resting = True
        try:
            yield
        finally:
            self.progress()
            self._resting = False

    def progress(self) -> None:
        """Something moved."""
        sleeping = self._deadline is None
        self._deadline = time.monotonic() + self._seconds
        if sleeping:
            with self._changed:
                self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._ended:
                deadline = self._deadline
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    if not self._resting:
                        self.bit = True
                        break
                    left = self._seconds
                self._changed.wait(left)
        if self.bit:
            cut(self._transport)


class Connection:
    """A transport that is logged in to a server whose key is trusted, and its watchdog."""

    def __init__(self, transport: paramiko.Transport, watchdog: Watchdog) -> None:
        self.transport = transport
        self.watchdog = watchdog

    @property
    def alive(self) -> bool:
        return bool(self.transport.is_active()) and not self.watchdog.bit

    def close(self) -> None:
        self.watchdog.end()
        cut(self.transport)


class Login:
    """How to get a connection to one server. Remembers which kind of host key turned out the trusted one."""

    def __init__(self, settings: config.SshServer) -> None:
        self._settings = settings
        self._host = settings.host or ""
        self._user = settings.user or ""
        self._where = settings.where
        self._kind: str | None = None

    def connect(self) -> Connection:
        """A new connection. Errors: see `targets/base.py`; the password is sent to a trusted server only."""
        trusted = self._trusted()
        kinds = (self._kind,) if self._kind else trusted.kinds() or tuple(hostkeys.KINDS)
        seen: paramiko.PKey | None = None
        for kind in kinds:
            connection, key = self._greet(kind)
            if connection is None:
                continue
            if key is not None and trusted.trusts(key):
                self._kind = kind
                self._log_in(connection)
                return connection
            seen = key
            connection.close()
            if not trusted.kinds():
                break
        self._kind = None
        raise self._untrusted(seen, trusted)

    def shown_keys(self) -> tuple[paramiko.PKey, ...]:
        """Every host key the server shows, one of a kind. Logs in nowhere and trusts nobody."""
        shown = []
        for kind in hostkeys.KINDS:
            connection, key = self._greet(kind)
            if connection is not None:
                connection.close()
            if key is not None:
                shown.append(key)
        return tuple(shown)

    def _trusted(self) -> hostkeys.Trusted:
        settings = self._settings
        if settings.known_hosts is not None:
            return hostkeys.from_file(settings.known_hosts, self._host, settings.port)
        return hostkeys.Trusted(pinned=settings.fingerprint)

    def _greet(self, kind: str) -> tuple[Connection | None, paramiko.PKey | None]:
        """A connection on which the server has shown its key of that kind; None when it has no such key."""
        settings = self._settings
        at(Step.CONNECT)
        try:
            wire = socket.create_connection((self._host, settings.port), timeout=settings.timeout)
        except OSError as error:
            raise self._unreachable(_why(error)) from error
        transport = paramiko.Transport(wire)
        transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = settings.timeout
        options = transport.get_security_options()
        options.key_types = hostkeys.KINDS[kind]
        options.ciphers = CIPHERS
        connection = Connection(transport, Watchdog(transport, settings.timeout))
        at(Step.IDENTIFY)
        begun = time.monotonic()
        try:
            with connection.watchdog.armed(), readable():
                transport.start_client(timeout=settings.timeout)
                return connection, transport.get_remote_server_key()
        except paramiko.ssh_exception.IncompatiblePeer as error:
            connection.close()
            if "host key" in str(error):
                return None, None
            raise PermanentError(
                "target.unreachable",
                f"The SSH server {self._where} and the recorder have no method in common: {error}.",
                remedy="Update the server.",
            ) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            # Of a greeting that never came paramiko says no more than that it could not be read.
            silent = time.monotonic() - begun >= settings.timeout
            connection.close()
            raise self._unreachable(SILENT if silent else _why(error)) from error

    def _log_in(self, connection: Connection) -> None:
        settings, transport = self._settings, connection.transport
        at(Step.LOGIN)
        try:
            with connection.watchdog.armed(), readable():
                if settings.key_file is not None:
                    more = transport.auth_publickey(self._user, self._key())
                else:
                    more = transport.auth_password(self._user, settings.read_password() or "")
            if more:
                raise self._refused(f"It wants a further step ({', '.join(more)}).")
            transport.set_keepalive(KEEPALIVE)
        except RecorderError:
            connection.close()
            raise
        except (paramiko.SSHException, OSError, EOFError) as error:
            active = connection.alive
            connection.close()
            # paramiko calls a login that the server's end cut short a failed one, too.
            cut = any(word in str(error) for word in ("timeout", "EOF", "shut down"))
            if isinstance(error, paramiko.AuthenticationException) and active and not cut:
                raise self._refused() from error
            raise self._unreachable(f"it broke off the login ({_why(error)})") from error

    def _key(self) -> paramiko.PKey:
        path = self._settings.key_file
        secret = self._settings.passphrase
        passphrase = secret.get_secret_value() if secret else None
        why = "it is neither an Ed25519, an ECDSA nor an RSA key, or its passphrase is wrong"
        for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
            try:
                return kind.from_private_key_file(str(path), passphrase)
            except OSError as error:
                why = error.strerror or str(error)
                break
            except paramiko.PasswordRequiredException:
                why = "it needs a passphrase"
                break
            except (paramiko.SSHException, ValueError, TypeError):
                continue
        raise ConfigError(
            "target.key",
            f"The key {path} for {self._where} cannot be used: {why}.",
            remedy="Check key_file and passphrase of the target.",
        )

    def _refused(self, detail: str = "") -> ConfigError:
        settings = self._settings
        means = f"the key {settings.key_file}" if settings.key_file else "the password"
        return ConfigError(
            "target.login",
            f'The SSH server {self._where} refused user "{self._user}" with {means}. {detail}'.rstrip(),
            remedy="Check user and key or password, and the server's log.",
        )

    def _unreachable(self, why: str) -> TransientError:
        return TransientError(
            "target.unreachable",
            f"The SSH server {self._where} does not answer: {why}.",
            remedy="Check the address, the network, and that the server runs.",
        )

    def _untrusted(self, seen: paramiko.PKey | None, trusted: hostkeys.Trusted) -> ConfigError:
        settings = self._settings
        known = settings.known_hosts or f"the fingerprint {settings.fingerprint}"
        shows = f"shows the key {hostkeys.fingerprint(seen)}" if seen else "has no key of a known kind"
        if trusted.kinds():
            return ConfigError(
                "target.host-key-changed",
                f"The SSH server {self._where} is not trusted: it {shows}, not the one known from {known}.",
                remedy="Ask the server's owner whether the key was changed on purpose, and compare: "
                "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub on the server. If so: ari-recorder target "
                "trust --replace, or correct the pinned fingerprint. If not, somebody stands in between.",
            )
        return ConfigError(
            "target.host-key",
            f"The SSH server {self._where} is not known: it {shows}, and {known} has none for it.",
            remedy="Run ari-recorder target trust with the target's name, and compare the fingerprint with "
            "the server's: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there.",
        )


def cut(transport: paramiko.Transport) -> None:
    """Close at once, without waiting for the other side. Whoever waits on the connection gets an error."""
    with suppress(OSError):
        transport.sock.shutdown(socket.SHUT_RDWR)
    transport.close()


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError) or "timeout" in str(error).lower():
        return SILENT
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".") or "it closed the connection"
