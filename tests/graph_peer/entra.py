"""Logging in: OpenID configuration, tokens for an app and for a user, device codes, refusals.

<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>,
<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code>,
<https://learn.microsoft.com/entra/identity-platform/certificate-credentials>,
<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .rights import Rights
from .wire import Answer, Request

TENANT = "contoso.example"
TENANT_ID = "11111111-2222-3333-4444-555555555555"
CLIENT = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
SECRET = "geheim~Secret.Value-8Q"
USER = "archive@contoso.example"

CODES = {
    7000215: ("invalid_client", "Invalid client secret provided."),
    7000222: ("invalid_client", "The provided client secret keys are expired."),
    700027: ("invalid_client", "The certificate that signed the client assertion is not registered."),
    700024: ("invalid_client", "Client assertion is not within its valid time range."),
    700016: ("unauthorized_client", "Application was not found in the directory."),
    65001: ("invalid_grant", "The user or administrator has not consented to use the application."),
    50057: ("invalid_grant", "The user account is disabled."),
    50076: ("invalid_grant", "You must use multi-factor authentication."),
    50173: ("invalid_grant", "The provided grant has expired due to it being revoked."),
    53003: ("invalid_grant", "Access has been blocked by Conditional Access policies."),
    700082: ("invalid_grant", "The refresh token has expired due to inactivity."),
    7000218: ("invalid_client", "The request body must contain client_assertion or client_secret."),
    90002: ("invalid_tenant", "Tenant not found."),
    70016: ("authorization_pending", "The user has not yet signed in."),
    70020: ("expired_token", "The device code has expired."),
    70011: ("invalid_scope", "The provided value for the input parameter scope is not valid."),
}  # fmt: skip


class EntraError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Entra:
    """One tenant with one app in it. `base` is the address of the server, known once it listens."""

    base: str = ""
    secret: str = SECRET
    certificate: x509.Certificate | None = None
    refusing: int | None = None
    """Number of an AADSTS error that every token request is answered with."""
    lifetime: int = 3600
    clock: Callable[[], float] = time.time
    user_approves: bool = False
    """Whether the user has typed the device code."""
    permissions: frozenset[str] = frozenset({"Sites.ReadWrite.All"})
    """What an administrator has granted the app for itself; a user's tokens carry the scopes asked for."""
    tokens: set[str] = field(default_factory=set)
    rights: dict[str, Rights] = field(default_factory=dict)
    """By token; one that a test has put into `tokens` may do everything."""
    granted: list[str] = field(default_factory=list)
    """Grant types of the tokens given out, in order."""
    _refresh: set[str] = field(default_factory=set)
    _scope: str = ""
    _devices: set[str] = field(default_factory=set)
    _assertions: set[str] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def revoke(self) -> None:
        """Every access token given out so far is invalid."""
        self.tokens.clear()

    def revoke_refresh(self) -> None:
        self._refresh.clear()

    def answer(self, request: Request) -> Answer:
        tenant, _, rest = request.path.strip("/").partition("/")
        try:
            if tenant not in (TENANT, TENANT_ID):
                raise EntraError(90002)
            if rest == "v2.0/.well-known/openid-configuration":
                return Answer(200, self._configuration(tenant))
            if rest == "oauth2/v2.0/devicecode" and request.method == "POST":
                return self._device_code(request.form)
            if rest == "oauth2/v2.0/token" and request.method == "POST":
                with self._guard:
                    return self._token(tenant, request.form)
        except EntraError as error:
            return _refusal(error.code)
        return Answer(404)

    def _configuration(self, tenant: str) -> dict[str, Any]:
        place = f"{self.base}/{tenant}/oauth2/v2.0"
        return {
            "issuer": f"{self.base}/{TENANT_ID}/v2.0",
            "authorization_endpoint": f"{place}/authorize",
            "token_endpoint": f"{place}/token",
            "device_authorization_endpoint": f"{place}/devicecode",
        }

    def _token(self, tenant: str, form: dict[str, str]) -> Answer:
        if form.get("client_id") != CLIENT:
            raise EntraError(700016)
        if self.refusing is not None:
            raise EntraError(self.refusing)
        grant = form.get("grant_type", "")
        if grant == "client_credentials":
            self._check_app(tenant, form)
            if not form.get("scope", "").endswith("/.default"):
                raise EntraError(70011)
            return self._granted(grant)
        if grant == "urn:ietf:params:oauth:grant-type:device_code":
            if form.get("device_code") not in self._devices:
                raise EntraError(70020)
            if not self.user_approves:
                raise EntraError(70016)
            self._devices.discard(form["device_code"])
            return self._granted(grant, user=True)
        if grant == "refresh_token":
            if form.get("refresh_token") not in self._refresh:
                raise EntraError(50173)
            return self._granted(grant, user=True)
        return Answer(400, {"error": "unsupported_grant_type"})

    def _check_app(self, tenant: str, form: dict[str, str]) -> None:
        if "client_secret" in form:
            if form["client_secret"] != self.secret:
                raise EntraError(7000215)
            return
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        if form.get("client_assertion_type") != kind:
            raise EntraError(7000218)
        self._check_assertion(f"{self.base}/{tenant}/oauth2/v2.0/token", form.get("client_assertion", ""))

    def _check_assertion(self, audience: str, assertion: str) -> None:
        """Signature, thumbprint, audience, times, and never twice the same."""
        certificate = self.certificate
        try:
            head, body, signature = assertion.split(".")
            header, claims = json.loads(_bytes(head)), json.loads(_bytes(body))
        except (ValueError, binascii.Error) as error:
            raise EntraError(700027) from error
        if certificate is None or header.get("alg") != "PS256":
            raise EntraError(700027)
        # msal pads what RFC 7515 does not pad, and the service takes both.
        if str(header.get("x5t#S256")).rstrip("=") != _text(certificate.fingerprint(hashes.SHA256())):
            raise EntraError(700027)
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        try:
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            key.verify(_bytes(signature), f"{head}.{body}".encode(), salted, hashes.SHA256())
        except InvalidSignature as error:
            raise EntraError(700027) from error
        now = self.clock()
        right = (claims["aud"], claims["iss"], claims["sub"]) == (audience, CLIENT, CLIENT)
        if not claims["iat"] - 300 < now < claims["exp"] < now + 3600:
            raise EntraError(700024)
        if not right or claims["jti"] in self._assertions:
            raise EntraError(700027)
        self._assertions.add(claims["jti"])

    def _device_code(self, form: dict[str, str]) -> Answer:
        if form.get("client_id") != CLIENT:
            raise EntraError(700016)
        code = secrets.token_urlsafe(40)
        self._scope = form["scope"]
        self._devices.add(code)
        return Answer(200, {
            "device_code": code, "user_code": "F7K2QX9LD", "verification_uri": f"{self.base}/device",
            "expires_in": 900, "interval": 1, "message": "Go there and type the code.",
        })  # fmt: skip

    def _granted(self, grant: str, *, user: bool = False) -> Answer:
        self.granted.append(grant)
        token = secrets.token_urlsafe(60)
        self.tokens.add(token)
        scopes = frozenset(word.rpartition("/")[2] for word in self._scope.split())
        self.rights[token] = Rights(user, scopes if user else self.permissions)
        found: dict[str, Any] = {
            "token_type": "Bearer", "expires_in": self.lifetime, "ext_expires_in": self.lifetime,
            "access_token": token,
        }  # fmt: skip
        if user:
            refresh = secrets.token_urlsafe(60)
            self._refresh.add(refresh)
            found |= {
                "refresh_token": refresh, "scope": self._scope,
                "id_token": self._id_token(),
                "client_info": _text(json.dumps({"uid": "user-1", "utid": TENANT_ID}).encode()),
            }  # fmt: skip
        return Answer(200, found)

    def _id_token(self) -> str:
        now = int(time.time())
        claims = {
            "aud": CLIENT, "iss": f"{self.base}/{TENANT_ID}/v2.0", "iat": now, "nbf": now, "exp": now + 3600,
            "sub": "user-1", "oid": "user-1", "tid": TENANT_ID, "preferred_username": USER, "name": "Archive",
        }  # fmt: skip
        parts = ({"alg": "none", "typ": "JWT"}, claims)
        return ".".join([*(_text(json.dumps(part).encode()) for part in parts), "x"])


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _refusal(code: int) -> Answer:
    word, sentence = CODES[code]
    text = f"AADSTS{code}: {sentence} Trace ID: 0000 Correlation ID: 1111 Timestamp: 2026-11-22 02:00:00Z"
    status = 401 if word == "invalid_client" else 400
    return Answer(status, {"error": word, "error_description": text, "error_codes": [code]})


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
