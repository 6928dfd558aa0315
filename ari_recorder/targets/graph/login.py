"""Logging in at Microsoft Entra ID, as an app or as a user, and how long that will last."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msal
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ...config import targets as config
from ...config.targets import LoginKind
from ...model.errors import ConfigError, RecorderError, TransientError
from ..steps import Step, at
from ..vault import Vault
from .errors import broken, refused_login
from .rest import LoginWire, Rest
from .wire import Wire

EARLY = 300.0
"""Seconds before its end at which a token is not used any more."""

IDLE_DAYS = 90
"""Days after which a user's login that was not used ends:
<https://learn.microsoft.com/entra/identity-platform/refresh-tokens>."""

REFRESH = timedelta(days=1)
"""A user's login that was not used for so long is used: so it neither ends, nor is found dead too late."""

LATER = "It goes on by itself; see https://status.cloud.microsoft."

CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)
KEY = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.+?-----END \1PRIVATE KEY-----", re.S)


@dataclass(frozen=True, slots=True)
class Device:
    """What a person has to type, and where: a device code login that has begun."""

    address: str
    code: str
    expires_at: datetime
    flow: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """A user's login as it lies in the vault."""

    user: str
    used_at: datetime
    cache: str


class Login:
    """Gives tokens for Graph. Errors: ConfigError `target.login`, or those of the connection."""

    def __init__(self, settings: config.OneDriveTarget, wire: Wire, rest: Rest, vault: Vault | None) -> None:
        self._settings = settings
        self._wire = wire
        self._client = LoginWire(wire, rest)
        self._vault = vault
        self._guard = threading.Lock()
        self._app: Any = None
        self._token: str | None = None
        self._until = 0.0
        self._stamp: tuple[int, int] | None = None

    def token(self) -> str:
        """A token that is valid for some minutes yet."""
        with self._guard:
            if self._token is None or time.monotonic() >= self._until or self._changed():
                self._acquire()
            return self._token or ""

    def renewed(self, stale: str) -> str:
        """Another token than one that Graph does not take any more."""
        with self._guard:
            if self._token == stale:
                self._token, self._app = None, None
                self._acquire(force=True)
            return self._token or ""

    def begin(self) -> Device:
        """Ask for a device code. ConfigError where the settings are for an app."""
        if self._settings.login is not LoginKind.DEVICE_CODE:
            raise self._wrong('is not for users: it has not login = "device-code"', "Nothing has to be done.")
        with self._guard:
            self._app = self._public(msal.SerializableTokenCache())
            flow = self._asked(lambda: self._app.initiate_device_flow(scopes=self._scopes()))
        if "user_code" not in flow:
            raise refused_login(flow, self._settings.name)
        return Device(
            address=flow["verification_uri"],
            code=flow["user_code"],
            expires_at=datetime.fromtimestamp(flow["expires_at"], UTC),
            flow=flow,
        )

    def finish(self, device: Device, waiting: Callable[[], None]) -> str:
        """Wait until the person has logged in, keep the login, and say as whom.

        `waiting` is called again and again. ConfigError `target.login` when nothing comes of it.
        """

        def enough(_flow: dict[str, Any]) -> bool:
            waiting()
            return time.time() >= device.expires_at.timestamp()

        with self._guard:
            app = self._app
            answer = self._asked(lambda: app.acquire_token_by_device_flow(device.flow, exit_condition=enough))
            if "access_token" not in answer:
                if answer.get("error") in ("authorization_pending", "expired_token", "slow_down"):
                    raise self._wrong("was not logged in in time", "Begin again, and type the code at once.")
                raise refused_login(answer, self._settings.name)
            self._take(answer)
            return self._keep()

    def ends(self) -> tuple[str, datetime] | None:
        """What ends when: the certificate, the secret, or the user's login. None when that is not known."""
        settings = self._settings
        if settings.login is LoginKind.DEVICE_CODE:
            kept = self._kept()
            return None if kept is None else ("login", kept.used_at + timedelta(days=IDLE_DAYS))
        if settings.certificate_file is not None:
            return "certificate", self._certificate()[1].not_valid_after_utc
        if settings.secret_expires is not None:
            return "secret", _midnight(settings.secret_expires)
        return None

    def warnings(self, now: datetime) -> tuple[RecorderError, ...]:
        """What is wrong with the login, or will be soon. Blocks: the login service may be asked.

        TransientError when it cannot be asked now, and nothing is known that will be wrong soon.
        """
        unasked: TransientError | None = None
        try:
            kept = self._kept() if self._settings.login is LoginKind.DEVICE_CODE else None
            if kept is not None and now - kept.used_at > REFRESH:
                with self._guard:
                    self._acquire(force=True)
            else:
                self.token()
        except TransientError as error:
            unasked = error
        except RecorderError as error:
            return (error,)
        found = self.ends()
        if found is not None and found[1] - now <= timedelta(days=self._settings.warn_days):
            return (self._expiring(*found, now),)
        if unasked is not None:
            raise unasked
        return ()

    def _expiring(self, what: str, ends: datetime, now: datetime) -> RecorderError:
        days = (ends - now).days
        when = f"expires on {ends:%Y-%m-%d}" + (f", in {days} days" if ends > now else ": that is over")
        remedy = {
            "login": f"Log in again: ari-recorder target login {self._settings.name}",
            "certificate": "Make a new one and register it for the app before that day.",
            "secret": "Make a new one, put it into its file, and correct secret_expires.",
        }[what]
        sentence = f'The {what} with which target "{self._settings.name}" logs in {when}.'
        return ConfigError("target.expiring", sentence, remedy=remedy)

    def _acquire(self, *, force: bool = False) -> None:
        user = self._settings.login is LoginKind.DEVICE_CODE
        try:
            answer = self._asked(lambda: self._of_user(force) if user else self._of_app())
            if "access_token" not in answer:
                raise refused_login(answer, self._settings.name)
        except RecorderError:
            self._token, self._app = None, None
            raise
        self._take(answer)
        if user and answer.get("token_source") == "identity_provider":
            self._keep()

    def _take(self, answer: dict[str, Any]) -> None:
        self._token = str(answer["access_token"])
        self._until = time.monotonic() + max(float(answer.get("expires_in", 0)) - EARLY, 1.0)

    def _of_app(self) -> dict[str, Any]:
        at(Step.CONNECT)
        # A new application has an empty cache: what is asked for is always a fresh token.
        app = msal.ConfidentialClientApplication(
            self._settings.client_id,
            client_credential=self._credential(),
            authority=self._settings.authority_url,
            http_client=self._client,
            instance_discovery=False,
        )
        at(Step.LOGIN)
        found: dict[str, Any] = app.acquire_token_for_client([f"{self._settings.graph_url}/.default"])
        return found

    def _of_user(self, force: bool) -> dict[str, Any]:
        kept = self._kept()
        if kept is None:
            name = self._settings.name
            raise self._wrong("was never logged in", f"Log in: ari-recorder target login {name}")
        cache = msal.SerializableTokenCache()
        cache.deserialize(kept.cache)
        at(Step.CONNECT)
        self._app = self._public(cache)
        at(Step.LOGIN)
        accounts = self._app.get_accounts()
        if not accounts:
            raise self._wrong("is logged in no more", f"ari-recorder target login {self._settings.name}")
        found: dict[str, Any] | None = self._app.acquire_token_silent_with_error(
            self._scopes(), account=accounts[0], force_refresh=force
        )
        return found or {
            "error": "interaction_required",
            "error_description": "AADSTS50173: no refresh token",
        }

    def _public(self, cache: Any) -> Any:
        return self._asked(
            lambda: msal.PublicClientApplication(
                self._settings.client_id,
                authority=self._settings.authority_url,
                token_cache=cache,
                http_client=self._client,
                instance_discovery=False,
            )
        )

    def _scopes(self) -> list[str]:
        """No more than is needed: <https://learn.microsoft.com/graph/permissions-reference>.

        A label needs more than the right to one's own files:
        <https://learn.microsoft.com/graph/api/driveitem-setretentionlabel>.
        """
        settings = self._settings
        if not (settings.user or settings.site or settings.drive or settings.retention_label):
            words = ["Files.ReadWrite"]
        else:
            words = ["Files.ReadWrite.All"] + (["Sites.Read.All"] if settings.site else [])
        return [f"{settings.graph_url}/{word}" for word in words]

    def _asked(self, question: Callable[[], Any]) -> Any:
        """What msal answers. It gives what broke below it as it is, and a failed discovery as ValueError."""
        where = f'The login service of target "{self._settings.name}"'
        self._wire.check_open()
        try:
            return question()
        except (requests.RequestException, OSError) as error:
            raise broken(error, where) from error
        except msal.exceptions.MsalServiceError as error:
            raise TransientError(
                "target.unreachable", f"{where} is not available now.", remedy=LATER
            ) from error
        except ValueError as error:
            # msal tells of the failed discovery in words of its own; what was answered stands below.
            if not re.search("HTTP status: 40[04]", str(error.__context__)):
                text = f"{where} gave no sensible answer."
                raise TransientError("target.unreachable", text, remedy=LATER) from error
            raise self._wrong(
                f"cannot log in: its login service does not know the tenant {self._settings.tenant}",
                "Check tenant, cloud and authority.",
            ) from error

    def _credential(self) -> str | dict[str, str]:
        if self._settings.certificate_file is None:
            return self._settings.read_secret() or ""
        key, certificate = self._certificate()
        return {
            "private_key": key,
            "public_certificate": certificate.public_bytes(serialization.Encoding.PEM).decode("ascii"),
        }

    def _certificate(self) -> tuple[str, x509.Certificate]:
        """Private key (PEM, not encrypted) and certificate from their file."""
        path = self._settings.certificate_file
        secret = self._settings.passphrase
        try:
            content = path.read_bytes() if path is not None else b""
            found, key = CERTIFICATE.search(content), KEY.search(content)
            if found is None or key is None:
                raise ValueError("it must hold a certificate and its private key")
            passphrase = secret.get_secret_value().encode("utf-8") if secret is not None else None
            private = serialization.load_pem_private_key(key[0], passphrase)
            certificate = x509.load_pem_x509_certificate(found[0])
            if private.public_key() != certificate.public_key():
                raise ValueError("key and certificate do not belong together")
        except (OSError, ValueError, TypeError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
            raise self._wrong(
                f"cannot use the certificate {path}: {why}", "Check certificate_file and passphrase."
            ) from error
        clear = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return private.private_bytes(*clear).decode("ascii"), certificate

    def _changed(self) -> bool:
        """Whether a user has logged in anew, in another process."""
        if self._settings.login is not LoginKind.DEVICE_CODE or self._vault is None:
            return False
        stamp: tuple[int, int] | None = self._vault.stamp(self._file)
        return stamp != self._stamp

    @property
    def _file(self) -> str:
        return f"{self._settings.name}.login"

    def _kept(self) -> Kept | None:
        if self._vault is None:
            return None
        self._stamp = self._vault.stamp(self._file)
        content = self._vault.read(self._file)
        if content is None:
            return None
        document = json.loads(content)
        return Kept(document["user"], datetime.fromisoformat(document["used_at"]), document["cache"])

    def _keep(self) -> str:
        """Keep what msal knows of the user; his name."""
        accounts = self._app.get_accounts()
        user = str(accounts[0].get("username") or "?") if accounts else "?"
        if self._vault is not None:
            cache = self._app.token_cache.serialize()
            document = {"user": user, "used_at": datetime.now(UTC).isoformat(), "cache": cache}
            self._vault.write(self._file, json.dumps(document).encode("utf-8"))
            self._stamp = self._vault.stamp(self._file)
        return user

    def _wrong(self, what: str, remedy: str) -> ConfigError:
        return ConfigError("target.login", f'Target "{self._settings.name}" {what}.', remedy=remedy)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
