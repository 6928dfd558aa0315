"""The policy: which calls are recorded, how, and where the recordings go. One TOML file, `policy.toml`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

import phonenumbers
from pydantic import AfterValidator, Field, PrivateAttr, StringConstraints, ValidationInfo

from ..config.problems import nearest
from ..config.table import Called, Table, Word
from ..config.targets import Target
from ..config.toml import Document, build, parse, read
from ..model.call import Direction
from ..model.recording import OnFailure, Sides, Start
from .numbers import Number, Numbering
from .patterns import Pattern, PatternList, bind, check_pattern
from .references import flaws_of

SHIPPED = "shipped:"


class Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


def _title(text: str) -> str:
    if not text.strip() or text != text.strip() or len(text) > 80:
        raise ValueError("must be a name of 1 to 80 characters without blanks around it")
    if not text.isprintable() or "," in text:
        raise ValueError("must not hold commas or control characters: the dialplan names settings, too")
    return text


def _country(text: str) -> str:
    if text in phonenumbers.SUPPORTED_REGIONS:
        return text
    near = "GB" if text.upper() == "UK" else nearest(text, phonenumbers.SUPPORTED_REGIONS, 0.9)
    hint = f'; did you mean "{near}"?' if near else ""
    raise ValueError(f'must be a country\'s two letters (ISO 3166), such as "DE"{hint}')


def _dialled(text: str) -> str:
    if not re.fullmatch(r"[0-9*#]{1,8}", text):
        raise ValueError("must be what is dialled: digits, * and #")
    return text


def _endpoint(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_*?]{1,40}/[^\s/,]{1,150}", text) or not text.isprintable():
        raise ValueError("must be technology and name, such as PJSIP/trunk-berlin or PJSIP/trunk-*")
    return text


def _prompt_file(text: str, info: ValidationInfo) -> str:
    if text.startswith(SHIPPED):
        if not re.fullmatch(r"[a-z]{2,3}(_[A-Z]{2})?/[a-z0-9][a-z0-9-]*", text.removeprefix(SHIPPED)):
            raise ValueError("must name a prompt that comes with the product, such as shipped:en/recorded")
        return text
    if not text or not text.isprintable():
        raise ValueError("must be a sound file's path, or a prompt such as shipped:en/recorded")
    folder = (info.context or {}).get("folder")
    return str(Path(folder) / text) if folder is not None else text


def _some(values: tuple[Direction, ...]) -> tuple[Direction, ...]:
    if not values:
        raise ValueError("must not be empty; to switch a setting off write enabled = false")
    return tuple(direction for direction in Direction if direction in values)


Title = Annotated[str, AfterValidator(_title), Called("name")]
Comment = Annotated[str, StringConstraints(max_length=500)]
NumberPattern = Annotated[str, AfterValidator(check_pattern), Called("number pattern")]
Endpoint = Annotated[str, AfterValidator(_endpoint), Called("endpoint")]
Directions = Annotated[tuple[Direction, ...], AfterValidator(_some)]
Flag = Annotated[bool, Field(strict=True)]


class Trunk(Table):
    """A line to the outside. A call through a trunk's endpoint is inbound or outbound, any other internal."""

    name: Title
    """How messages and metadata call the trunk."""
    endpoints: Annotated[tuple[Endpoint, ...], Field(min_length=1)]
    """Asterisk's names for it: technology and endpoint, `*` and `?` allowed, as `PJSIP/trunk-*`."""
    numbers: tuple[NumberPattern, ...] = ()
    """The PBX's own public numbers on this trunk. Tells apart trunks that share an endpoint; `explain` knows
    own numbers by it."""


class ExceptionEntry(Table):
    """One number, or many by a pattern, that is not recorded."""

    number: NumberPattern
    """The outside party's number."""
    comment: Comment = ""
    """Why it is not recorded; stands in the log of the refusal."""


class ExceptionList(Table):
    """A named list of numbers that are not recorded."""

    name: Title
    """How settings call the list."""
    comment: Comment = ""
    """What the list is for."""
    entries: tuple[ExceptionEntry, ...] = ()
    """The entries; write each as `{ number = "…", comment = "…" }` or as `[[exception_list.entries]]`."""


class Prompt(Table):
    """A sound file that settings may announce."""

    name: Title
    """How settings call the prompt."""
    file: Annotated[str, StringConstraints(max_length=1000), AfterValidator(_prompt_file)]
    """WAV or MP3; a relative path counts from the policy file's folder. `shipped:en/recorded` names one that
    comes with the product."""
    comment: Comment = ""
    """What is said."""

    @property
    def shipped(self) -> str | None:
        """`en/recorded` of `shipped:en/recorded`; None for a file of one's own."""
        return self.file.removeprefix(SHIPPED) if self.file.startswith(SHIPPED) else None

    @property
    def path(self) -> Path | None:
        """The file; None for a shipped prompt."""
        return None if self.shipped is not None else Path(self.file)


class SettingAnnouncement(Table):
    """What the outside party hears before the call goes on."""

    prompt: Title
    """Name of a `[[prompt]]`."""
    directions: Directions = (Direction.INBOUND,)
    """Calls in which it is played."""
    required: Flag = True
    """When it cannot be played to its end: `true` does not record the call, `false` records it anyway."""


class Setting(Table):
    """A recording setting. Settings are asked in the order of the file; the first that matches decides."""

    name: Title
    """Stands in the metadata of each recording; the dialplan may choose a setting by it."""
    enabled: Flag = True
    """A setting that is switched off never records."""
    directions: Directions = (Direction.INBOUND, Direction.OUTBOUND)
    """Calls it is for: `inbound`, `outbound`, `internal`."""
    pbx: tuple[Word, ...] = ()
    """Only calls on these PBXs, by their names in the machine's settings. Empty: on all."""
    users: tuple[NumberPattern, ...] = ()
    """Only calls of these users, by endpoint or extension, also a dialled group's. Empty: all."""
    remote: tuple[NumberPattern, ...] = ()
    """Only calls with these outside parties. Empty: all."""
    trunk_numbers: tuple[NumberPattern, ...] = ()
    """Only calls through these public numbers of the PBX: dialled on inbound, shown on outbound calls.
    Empty: all."""
    exceptions: tuple[Title, ...] = ()
    """Names of exception lists. A call that the setting matches is not recorded when a list holds the
    outside party's number, and no later setting is asked."""
    feature_codes: Flag = False
    """Also record calls to codes that begin with `*` or `#`."""
    start: Start = Start.RING
    """From when on the call is kept: `ring`, `answer` or `after-announcement`."""
    sides: Sides = Sides.STEREO
    """`stereo`: one file, outside party left, own side right; `separate`: a file for each side; `remote` or
    `local`: that side only."""
    targets: tuple[Word, ...] = ()
    """Names of the targets that every recording is delivered to. Empty: it stays on the recorder."""
    announcement: SettingAnnouncement | None = None
    """What the outside party hears first, as `{ prompt = "…" }`."""
    on_failure: OnFailure = OnFailure.CARRY_ON
    """What becomes of a call whose recording cannot begin, or breaks for good: `carry-on` lets it go on;
    `alarm` too, and tells at once; `hang-up` ends it, and tells at once."""
    failure_announcement: Title | None = None
    """Name of the prompt that a call hears before `hang-up` ends it, where it can be played: while the call
    waits in the gate."""


class Policy(Table):
    """The whole policy file."""

    country: Annotated[str, AfterValidator(_country)] = "DE"
    """The PBX's country, two letters: how national numbers are read."""
    international_prefix: Annotated[str, AfterValidator(_dialled)] | None = None
    """What is dialled for other countries, where it is not the country's usual one."""
    outside_prefix: Annotated[str, AfterValidator(_dialled)] | None = None
    """What users dial to get an outside line, where it is part of the dialled numbers that Asterisk shows."""
    extension_length: Annotated[int, Field(strict=True, ge=1, le=12)] = 6
    """Numbers of at most so many digits are extensions, never public numbers."""
    trunks: tuple[Trunk, ...] = Field((), alias="trunk")
    """Lines to the outside."""
    exception_lists: tuple[ExceptionList, ...] = Field((), alias="exception_list")
    """Numbers that are not recorded."""
    prompts: tuple[Prompt, ...] = Field((), alias="prompt")
    """Announcements."""
    targets: tuple[Target, ...] = Field((), alias="target")
    """Where recordings go."""
    settings: tuple[Setting, ...] = Field((), alias="setting")
    """What is recorded, in order."""

    _revision: str = PrivateAttr("")
    _patterns: dict[str, Pattern] = PrivateAttr(default_factory=dict)
    _excepted: dict[str, PatternList] = PrivateAttr(default_factory=dict)

    @property
    def revision(self) -> str:
        """Twelve hexadecimal digits that change whenever the content does (comments and secrets aside)."""
        return self._revision

    @property
    def numbering(self) -> Numbering:
        return Numbering(self.country, self.international_prefix, self.outside_prefix, self.extension_length)

    def pattern(self, text: str) -> Pattern:
        """A pattern of this policy, bound to its numbering once."""
        found = self._patterns.get(text)
        if found is None:
            found = self._patterns[text] = bind(text, self.numbering)
        return found

    def setting(self, name: str) -> Setting | None:
        return _named(self.settings, name)

    def trunk(self, name: str) -> Trunk | None:
        return _named(self.trunks, name)

    def prompt(self, name: str) -> Prompt | None:
        return _named(self.prompts, name)

    def target(self, name: str) -> Target | None:
        return _named(self.targets, name)

    def exception_list(self, name: str) -> ExceptionList | None:
        return _named(self.exception_lists, name)

    def excepted(self, name: str, number: Number) -> ExceptionEntry | None:
        """The first entry of an exception list that holds a number."""
        listed = self.exception_list(name)
        if listed is None:
            return None
        if name not in self._excepted:
            self._excepted[name] = PatternList((entry.number for entry in listed.entries), self.numbering)
        place = self._excepted[name].first(number)
        return listed.entries[place] if place is not None else None

    def announcement_required(self, setting: str) -> bool:
        """Whether a call of this setting must not be recorded unless its announcement was heard."""
        found = self.setting(setting)
        return found is None or found.announcement is None or found.announcement.required


def load_policy(path: Path) -> Policy:
    """The policy from its file; ConfigFileError with everything that is wrong."""
    return _built(read(path))


def parse_policy(text: str, *, name: str = "policy.toml", folder: Path = Path("/etc/ari-recorder")) -> Policy:
    """The policy from a text; relative paths count from `folder`."""
    return _built(parse(text, name=name, folder=folder))


def _built(document: Document) -> Policy:
    policy = build(Policy, document, flaws_of)
    policy._revision = _digest(document.data)
    for listed in policy.exception_lists:
        # Long lists are read now, not while the first call waits for its decision.
        policy.excepted(listed.name, policy.numbering.read(""))
    return policy


def _named(things: Iterable[N], name: str) -> N | None:
    return next((thing for thing in things if thing.name == name), None)


def _digest(data: dict[str, Any]) -> str:
    canonical = json.dumps(_public(data), sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


_SECRETS = frozenset({"password", "passphrase", "client_secret"})


def _public(value: Any) -> Any:
    """Without secrets: the revision stands in every recording's metadata, where guesses could be tried."""
    if isinstance(value, dict):
        return {key: _public(item) for key, item in value.items() if key not in _SECRETS}
    return [_public(item) for item in value] if isinstance(value, list) else value
