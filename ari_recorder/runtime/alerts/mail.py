"""Alerts by mail (SMTP). Blocks, in a thread of its own that no server can hold for ever."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import IO

import structlog

from ...config.alerts import MailOutlet, MailSecurity
from ...model.errors import PermanentError, RecorderError, TransientError
from ...spool.lane import in_thread
from .message import Message, visible

CODE = "alert.mail"
GREETING = 220
LONGEST = 256 * 1024
"""Bytes that a server may say in one mail's conversation."""
WHOLE = 4
"""Times the time limit of one answer: how long one mail may take as a whole."""

log = structlog.get_logger()


class _Answers:
    """What a mail server says, up to `LONGEST` bytes: smtplib keeps every line of an answer, however many."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = LONGEST

    def readline(self, size: int = -1) -> bytes:
        line = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("it says too much")
        return line

    def close(self) -> None:
        self._file.close()


class _Client(smtplib.SMTP):
    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Answers(self.sock.makefile("rb"))
        return super().getreply()


class _TlsClient(_Client, smtplib.SMTP_SSL):
    pass


class MailTeller:
    """Sends messages to the recipients of one `[[alerts.mail]]`."""

    def __init__(self, settings: MailOutlet) -> None:
        self.settings = settings
        self.name = settings.name

    @property
    def place(self) -> str:
        """Where it goes, for people."""
        recipients = ", ".join(self.settings.recipients)
        return f"mail to {recipients} through {self._server}"

    @property
    def _server(self) -> str:
        return f"{self.settings.server}:{self.settings.usual_port}"

    async def send(self, message: Message) -> None:
        """RecorderError `alert.mail`, or of the configuration."""
        await in_thread(lambda: self._send(message), f"alert-{self.name}")

    def _send(self, message: Message) -> None:
        password = self.settings.read_password()
        mail = compose(message, self.settings)
        try:
            refused = self._talk(mail, password)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise explained(error, self.settings) from error
        for address, (status, said) in refused.items():
            log.warning(
                f"{address} was refused: {status} {_said(said)}", action="alert.recipient", outlet=self.name
            )

    def _talk(self, mail: EmailMessage, password: str | None) -> dict[str, tuple[int, bytes]]:
        settings = self.settings
        client = self._client()
        guard = threading.Timer(settings.timeout * WHOLE, _cut, (client,))
        guard.daemon = True
        guard.start()
        try:
            status, words = client.connect(settings.server, settings.usual_port)
            if status != GREETING:
                raise smtplib.SMTPConnectError(status, words)
            if settings.security is MailSecurity.STARTTLS:
                client.starttls(context=self._trust())
            if settings.user is not None:
                client.login(settings.user, password or "")
            refused = client.send_message(mail, settings.sender, list(settings.recipients))
            with suppress(smtplib.SMTPException, OSError):  # it has been taken: whatever comes now
                client.quit()
            return refused
        finally:
            guard.cancel()
            client.close()

    def _client(self) -> smtplib.SMTP:
        """Not connected yet. Names itself without asking DNS, which could take minutes."""
        settings = self.settings
        if settings.security is MailSecurity.TLS:
            client: smtplib.SMTP = _TlsClient(
                timeout=settings.timeout, local_hostname=_own_name(), context=self._trust()
            )
        else:
            client = _Client(timeout=settings.timeout, local_hostname=_own_name())
        # For the check of the certificate; smtplib sets it only when it connects by itself.
        client._host = settings.server  # type: ignore[attr-defined]
        return client

    def _trust(self) -> ssl.SSLContext:
        return trust(self.settings.ca_file)


def trust(ca_file: object) -> ssl.SSLContext:
    """Certificates and host names are checked, against the system's authorities or the given ones."""
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))


def compose(message: Message, settings: MailOutlet) -> EmailMessage:
    """The mail. Whatever stands in a sentence is encoded and cannot become a header."""
    mail = EmailMessage(policy.SMTP)
    mail["Subject"] = message.subject
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = f"<{message.id}@{_own_name()}>"
    # RFC 3834: nobody answers "out of office" to it.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["Precedence"] = "bulk"
    mail.set_content(message.text, charset="utf-8", cte="base64")
    return mail


def _own_name() -> str:
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,200}", name) else "localhost"


def _cut(client: smtplib.SMTP) -> None:
    """End a conversation that a server drags out: a shutdown wakes who reads."""
    with suppress(OSError, AttributeError):
        client.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]


def explained(error: Exception, settings: MailOutlet) -> RecorderError:
    """What smtplib says, in the words of an admin."""
    server = f"The mail server {settings.server}:{settings.usual_port}"
    match error:
        case ssl.SSLCertVerificationError():
            return PermanentError(
                CODE,
                f"{server} shows a certificate that is not trusted: {visible(error.verify_message, 200)}.",
                remedy='Name the server as its certificate does, or its authority in "ca_file".',
            )
        case ssl.SSLError():
            return PermanentError(
                CODE,
                f"{server} does not speak TLS as expected: {visible(str(error.reason or error), 200)}.",
                remedy='Check "port" and "security": 587 goes with "starttls", 465 with "tls".',
            )
        case smtplib.SMTPException():
            return _refusal(error, server, settings)
        case FileNotFoundError() | PermissionError():
            return PermanentError(
                CODE, f"The file {settings.ca_file} cannot be read.", remedy='Correct "ca_file".'
            )
        case TimeoutError():
            return TransientError(CODE, f"{server} does not answer in time.", remedy=_REACH)
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return TransientError(CODE, f"{server} cannot be reached: {visible(why, 200)}.", remedy=_REACH)


_REACH = 'Check "server" and "port", and whether a firewall is between.'


def _refusal(error: smtplib.SMTPException, server: str, settings: MailOutlet) -> RecorderError:
    match error:
        case smtplib.SMTPRecipientsRefused():
            first, (status, words) = next(iter(error.recipients.items()))
            kind = PermanentError if 500 <= status < 600 else TransientError
            remedy = "Correct the address, or let the server take mail from here."
            return kind(CODE, f"{server} refuses {first}: {status} {_said(words)}", remedy=remedy)
        case smtplib.SMTPNotSupportedError():
            starttls = "STARTTLS" in str(error)
            what = "STARTTLS" if starttls else "a login"
            remedy = 'Check "port"; port 465 needs security = "tls".' if starttls else "Check the user."
            return PermanentError(CODE, f"{server} does not offer {what}.", remedy=remedy)
        case smtplib.SMTPResponseException():
            return _status(error, server, settings)
    return TransientError(CODE, f"{server} broke off: {visible(str(error), 200)}.", remedy=_ASK)


def _status(error: smtplib.SMTPResponseException, server: str, settings: MailOutlet) -> RecorderError:
    said = f"{error.smtp_code} {_said(error.smtp_error)}"
    kind = PermanentError if 500 <= error.smtp_code < 600 else TransientError
    match error:
        case smtplib.SMTPAuthenticationError():
            remedy = "Check user and password; some providers want a password made for the application."
            return kind(CODE, f'{server} refuses the login of "{settings.user}": {said}', remedy=remedy)
        case smtplib.SMTPSenderRefused():
            remedy = 'Use a "sender" that this login may use.'
            return kind(CODE, f"{server} refuses mail from {settings.sender}: {said}", remedy=remedy)
    return kind(CODE, f"{server} refuses: {said}", remedy=_ASK)


_ASK = "Ask the mail server's administrator, with the server's own words above."


def _said(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return visible(" ".join(text.split()), 200)
