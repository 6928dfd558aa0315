"""One tree of errors: a stable code, whose fault it is, a sentence, and what to do about it.

The class says what may be done (try again, give up, distrust, configure); the code says what happened.
Codes never change their meaning; `docs/reference/errors.md` is generated from `CODES`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Blame(StrEnum):
    """Whose fault an error is."""

    US = "recorder"
    ASTERISK = "asterisk"
    TARGET = "target"
    CONFIGURATION = "configuration"
    EVIDENCE = "evidence"


CODES: dict[str, tuple[Blame, str]] = {
    "config.missing": (Blame.CONFIGURATION, "A configuration or policy file does not exist."),
    "config.unreadable": (Blame.CONFIGURATION, "A configuration or policy file cannot be read."),
    "config.syntax": (Blame.CONFIGURATION, "A configuration or policy file is not valid TOML."),
    "config.unknown-key": (Blame.CONFIGURATION, "A key is not known; the nearest known one is suggested."),
    "config.value": (Blame.CONFIGURATION, "A value is missing, of the wrong type or out of range."),
    "config.reference": (Blame.CONFIGURATION, "A name refers to something that is not defined."),
    "config.exists": (Blame.CONFIGURATION, "A file that would be written exists already."),
    "ari.unreachable": (Blame.ASTERISK, "Asterisk's REST interface does not answer."),
    "ari.timeout": (Blame.ASTERISK, "Asterisk did not answer a request within its time limit."),
    "ari.unauthorised": (Blame.CONFIGURATION, "Asterisk refused the ARI user or password."),
    "ari.refused": (Blame.ASTERISK, "Asterisk refused a request."),
    "ari.not-found": (Blame.ASTERISK, "The channel, bridge or recording does not exist any more."),
    "ari.replaced": (Blame.CONFIGURATION, "Another client took over the application's events."),
    "capture.no-recording": (Blame.ASTERISK, "Asterisk could not start or keep up a recording."),
    "capture.disk-full": (Blame.ASTERISK, "The disk of Asterisk's recording folder is full."),
    "capture.no-pbx": (Blame.CONFIGURATION, "Recordings wait for a PBX that is not configured any more."),
    "capture.orphans": (Blame.ASTERISK, "Legs lie on a PBX that no recording in the spool knows of."),
    "capture.no-legs": (Blame.ASTERISK, "The recorded legs of a call cannot be found."),
    "audio.prompt": (Blame.CONFIGURATION, "A prompt cannot be read or converted."),
    "audio.leg": (Blame.US, "A recorded leg cannot be read."),
    "audio.wav": (Blame.EVIDENCE, "A WAV file is damaged or not one that the recorder writes."),
    "audio.too-long": (Blame.US, "A recording's times make it longer than it can be."),
    "seal.key": (Blame.CONFIGURATION, "The sealing key cannot be read, decrypted or made."),
    "seal.chain": (Blame.EVIDENCE, "The log of the chain is damaged."),
    "evidence.altered": (Blame.EVIDENCE, "A sealed file is not what was sealed."),
    "evidence.signature": (Blame.EVIDENCE, "A signature does not belong to its file."),
    "evidence.missing": (Blame.EVIDENCE, "A sealed file or a link of the chain is missing."),
    "evidence.link": (Blame.EVIDENCE, "A link of the chain does not fit the one before it."),
    "evidence.certificate": (Blame.EVIDENCE, "The certificate is missing or not the expected one."),
    "evidence.extra": (Blame.EVIDENCE, "A file or copy lies among sealed files and does not belong there."),
    "evidence.unnamed": (
        Blame.EVIDENCE,
        "The archive of one target may be complete, or that of another thinned out: name the target.",
    ),
    "evidence.unreadable": (Blame.EVIDENCE, "A file cannot be read and therefore proves nothing."),
    "spool.unusable": (Blame.US, "The spool folder cannot be read or written."),
    "spool.in-use": (Blame.US, "Another recorder works in this spool folder."),
    "spool.clash": (Blame.CONFIGURATION, "A recording with the same id is in the spool already."),
    "spool.no-recording": (Blame.CONFIGURATION, "There is no such recording, or it is not one to work with."),
    "spool.damaged": (Blame.US, "The journal of a recording cannot be read."),
    "spool.full": (Blame.US, "No space is left for the spool."),
    "disk.filling": (Blame.US, "A disk that recordings need will be full soon."),
    "disk.silent": (Blame.US, "A disk or mount that recordings need does not answer."),
    "target.incomplete": (
        Blame.CONFIGURATION,
        "A target's settings still lack something; recordings for it wait.",
    ),
    "target.disabled": (Blame.CONFIGURATION, "A target is switched off; recordings for it wait."),
    "target.unreachable": (Blame.TARGET, "A target does not answer."),
    "target.login": (Blame.CONFIGURATION, "A target refused user, password or key."),
    "target.host-key": (Blame.CONFIGURATION, "The target's host key is unknown or has changed."),
    "target.certificate": (Blame.CONFIGURATION, "The target's TLS certificate is not trusted."),
    "target.insecure": (Blame.CONFIGURATION, "A target cannot encrypt or sign as it was told to."),
    "target.host-key-changed": (Blame.CONFIGURATION, "The target shows another host key than before."),
    "target.key": (Blame.CONFIGURATION, "The private key for a target cannot be used."),
    "target.not-mounted": (Blame.TARGET, "A target's disk is not mounted, or it is another one."),
    "target.denied": (Blame.TARGET, "A target refuses to write, read or delete."),
    "target.full": (Blame.TARGET, "A target has no space left."),
    "target.torn": (Blame.TARGET, "The connection to a target broke."),
    "target.conflict": (Blame.TARGET, "A different file already stands under the final name."),
    "target.mismatch": (Blame.TARGET, "What was read back is not what was sent."),
    "target.missing": (Blame.TARGET, "A file, or the folder that holds everything, is not there."),
    "target.no-drive": (Blame.CONFIGURATION, "There is no such user, site, library or drive."),
    "target.busy": (Blame.TARGET, "A target asks to be left alone for a while (throttling)."),
    "target.locked": (Blame.TARGET, "Somebody or something holds a file or folder of a target locked."),
    "target.label": (Blame.TARGET, "A file is delivered, but its retention label could not be set."),
    "target.expiring": (Blame.CONFIGURATION, "The login at a target will expire soon."),
    "target.fault": (Blame.US, "A delivery failed for a reason that the recorder does not know."),
    "recorder.interrupted": (Blame.US, "The recorder did not run for a while; calls may be missing."),
    "recorder.clock": (Blame.US, "Nothing keeps the recorder's clock right."),
    "recorder.slow": (Blame.US, "The recorder came too late to its work; the machine is overloaded."),
    "recorder.refusals": (
        Blame.US,
        "Calls that were not recorded are missing in the log of refusals.",
    ),
    "seal.expiring": (Blame.CONFIGURATION, "The sealing certificate expires soon."),
    "seal.expired": (Blame.CONFIGURATION, "The sealing certificate has expired."),
    "alert.mail": (Blame.CONFIGURATION, "An alert cannot be sent by mail."),
    "alert.webhook": (Blame.CONFIGURATION, "An alert cannot be given to a webhook."),
    "monitoring.listen": (Blame.CONFIGURATION, "The address for metrics and health cannot be used."),
    "lab.missing": (Blame.CONFIGURATION, "Something that the demo or the tests need is missing."),
    "lab.failed": (
        Blame.US,
        "Something in the laboratory (engine, image, PBX, server) failed or took too long.",
    ),
}


class RecorderError(Exception):
    """Any error a person may read.

    `code` is a key of `CODES`; `sentence` says what happened, without a traceback; `remedy` what to do.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, code: str, sentence: str, *, remedy: str = "") -> None:
        if code not in CODES:
            raise ValueError(f"error code {code!r} is not registered in CODES")
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.remedy = remedy

    @property
    def blame(self) -> Blame:
        return CODES[self.code][0]

    def __str__(self) -> str:
        text = f"{self.sentence} {self.remedy}".rstrip()
        return f"{text} [{self.code}]"


class TransientError(RecorderError):
    """May well work later: the same step is tried again.

    `retry_after`: seconds before which the other side does not want to be asked again, when it said so.
    """

    exit_status = 4

    def __init__(
        self, code: str, sentence: str, *, remedy: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(code, sentence, remedy=remedy)
        self.retry_after = retry_after


class PermanentError(RecorderError):
    """Will not work however often it is tried; a person has to act."""

    exit_status = 5


class IntegrityError(RecorderError):
    """Something is not what it was: never papered over, never retried silently."""

    exit_status = 6


class ConfigError(PermanentError):
    """What was configured cannot work."""

    exit_status = 3
