"""`client.asterisk`, `client.endpoints` and `client.sounds`: the PBX itself."""

from __future__ import annotations

from . import models
from .decode import mapping, mappings, text
from .transport import Transport, decoded, decoded_list


class AsteriskSystem:
    """Every method may raise what `Transport.request` raises."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    async def ping(self, *, limit: float | None = None) -> models.Ping:
        """Asterisk's clock; answered by its HTTP server alone, so quick unless Asterisk hangs."""
        return decoded(models.ping, await self._http.get("asterisk", "ping", limit=limit))

    async def info(self) -> models.AsteriskInfo:
        return decoded(models.asterisk_info, await self._http.get("asterisk", "info"))

    async def list_modules(self) -> list[models.Module]:
        return decoded_list(models.module, await self._http.get("asterisk", "modules"))

    async def get_module(self, name: str) -> models.Module:
        """`res_pjsip.so`; RefusedError ari.not-found when it is not loaded."""
        return decoded(models.module, await self._http.get("asterisk", "modules", name))

    async def get_variable(self, name: str) -> str:
        """A global variable, "" when it is not set. Functions do not work here [measured]."""
        answer = await self._http.get("asterisk", "variable", query={"variable": name})
        return decoded(lambda data: text(mapping(data).get("value")), answer)

    async def set_variable(self, name: str, value: str) -> None:
        """A global variable. Asterisk says so in its log at verbosity 2 [measured, 16 and 22]."""
        await self._http.post("asterisk", "variable", query={"variable": name, "value": value})

    async def get_object(self, config_class: str, object_type: str, name: str) -> dict[str, str]:
        """A configuration object of sorcery, as (`res_pjsip`, `endpoint`, `trunk-berlin`); works for
        objects of pjsip.conf too [measured, 16 and 22]."""
        path = ("asterisk", "config", "dynamic", config_class, object_type, name)
        answer = await self._http.get(*path)
        return decoded(
            lambda data: {text(i.get("attribute")): text(i.get("value")) for i in mappings(data)}, answer
        )


class Endpoints:
    def __init__(self, http: Transport) -> None:
        self._http = http

    async def list(self) -> list[models.Endpoint]:
        return decoded_list(models.endpoint, await self._http.get("endpoints"))


class Sounds:
    def __init__(self, http: Transport) -> None:
        self._http = http

    async def get(self, sound_id: str) -> models.Sound:
        """Asterisk indexes its sounds folder at start and `module reload sounds_index`."""
        return decoded(models.sound, await self._http.get("sounds", sound_id))
