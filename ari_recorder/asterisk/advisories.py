"""Which Asterisk releases have published security holes, and which branches are out of maintenance.

Facts from Asterisk's own ChangeLogs ("Security Advisories Resolved", branches releases/18 to 23 and
certified-20.7, certified-22.8) and from "Asterisk Versions" of its documentation, as they stood at `AS_OF`.
Later advisories are not known here: the finding says the date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from .findings import Finding, fail, ok, warn

AS_OF = date(2026, 8, 6)

CODE = "pbx.version"

WHERE = "https://github.com/asterisk/asterisk/security/advisories"


@dataclass(frozen=True, slots=True)
class Advisory:
    """Advisories resolved by one round of releases. `fixed`: branch → first release without the hole."""

    published: date
    ids: tuple[str, ...]
    what: str
    fixed: dict[str, tuple[int, ...]]


ADVISORIES = (
    Advisory(
        date(2026, 6, 25),
        ("GHSA-wcvv-g26m-wx5c", "GHSA-vrfp-mg3q-3959", "GHSA-8jw3-ccr9-xrmf"),
        "about 20 holes, among them: a read-only ARI user may write and load modules over the WebSocket,"
        " ARI may write files, an unauthenticated SIP NOTIFY may crash Asterisk",
        {
            "20": (20, 20, 1),
            "21": (21, 12, 3),
            "22": (22, 10, 1),
            "23": (23, 4, 1),
            "20.7-cert": (11,),
            "22.8-cert": (3,),
        },
    ),
    Advisory(
        date(2026, 2, 5),
        ("GHSA-v6hp-wh3r-cwxh", "GHSA-85x7-54wr-vh42"),
        "scripts injected through the HTTP server's status page, files read through XML",
        {
            "20": (20, 18, 2),
            "21": (21, 12, 1),
            "22": (22, 8, 2),
            "23": (23, 2, 2),
            "20.7-cert": (9,),
            "22.8-cert": (1,),
        },
    ),
    Advisory(
        date(2025, 8, 28),
        ("GHSA-64qc-9x89-rx5j",),
        "a malformed Authorization header may crash Asterisk",
        {"20": (20, 15, 2), "21": (21, 10, 2), "22": (22, 5, 2), "22.8-cert": (1,)},
    ),
    Advisory(
        date(2025, 8, 28),
        ("GHSA-557q-795j-wfx2",),
        "RTP ports may be used up from outside",
        {"18": (18, 26, 4)},
    ),
    Advisory(
        date(2025, 7, 31),
        ("GHSA-mrq5-74j5-f5cr",),
        "STIR/SHAKEN verification may be crashed from outside",
        {
            "18": (18, 26, 3),
            "20": (20, 15, 1),
            "21": (21, 10, 1),
            "22": (22, 5, 1),
            "20.7-cert": (7,),
            "22.8-cert": (1,),
        },
    ),
    Advisory(
        date(2025, 5, 22),
        ("GHSA-2grh-7mhv-fcfw",),
        "an authenticated user may forge the sender of a SIP MESSAGE",
        {
            "18": (18, 26, 2),
            "20": (20, 14, 1),
            "21": (21, 9, 1),
            "22": (22, 4, 1),
            "20.7-cert": (5,),
            "22.8-cert": (1,),
        },
    ),
    Advisory(
        date(2025, 1, 9),
        ("GHSA-33x6-fj46-6rfh",),
        "an AMI user may read files outside the configuration folder",
        {"18": (18, 26, 1), "20": (20, 11, 1), "21": (21, 6, 1), "22": (22, 1, 1)},
    ),
    Advisory(
        date(2024, 9, 5),
        ("GHSA-v428-g3cw-7hv9",),
        "a malformed Contact header may crash Asterisk",
        {"18": (18, 24, 3), "20": (20, 9, 3), "21": (21, 4, 3)},
    ),
    Advisory(
        date(2024, 8, 8),
        ("GHSA-c4cg-9275-6w44",),
        "an AMI user may run programs",
        {"18": (18, 24, 2), "20": (20, 9, 2), "21": (21, 4, 2)},
    ),
)

END_OF_LIFE = {
    13: date(2021, 10, 24),
    14: date(2018, 9, 26),
    15: date(2019, 10, 3),
    16: date(2023, 10, 9),
    17: date(2021, 10, 28),
    18: date(2025, 10, 20),
    19: date(2023, 11, 2),
    20: date(2027, 10, 19),
    21: date(2026, 10, 18),
    22: date(2029, 10, 16),
    23: date(2027, 10, 15),
}

OLDEST = 16
"""The oldest branch the recorder is tested with."""


@dataclass(frozen=True, slots=True)
class Version:
    """`branch` is `22` or, of certified releases, `22.8-cert`; `release` what is compared within it."""

    text: str
    branch: str
    release: tuple[int, ...]
    major: int
    packaged: bool
    """A distribution's build: holes may be mended in it although the number does not say so."""


def parse(text: str) -> Version | None:
    """`22.10.1+dfsg+…`, `16.28.0~dfsg-0+deb11u4`, `certified/20.7-cert11`, `20.7-cert11`; else None."""
    certified = re.search(r"(\d+)\.(\d+)-cert(\d+)", text)
    if certified:
        major, minor, release = (int(part) for part in certified.groups())
        return Version(text, f"{major}.{minor}-cert", (release,), major, False)
    plain = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if plain is None:
        return None
    numbers = tuple(int(part or 0) for part in plain.groups())
    packaged = bool(re.search(r"dfsg|deb\d|ubuntu|\.el\d|\.fc\d", text))
    return Version(text, str(numbers[0]), numbers, numbers[0], packaged)


def holes(version: Version) -> tuple[Advisory, ...]:
    """Advisories known to concern this release; for branches never mended see `END_OF_LIFE`."""
    return tuple(each for each in ADVISORIES if version.release < each.fixed.get(version.branch, ()))


def judge(text: str, today: date) -> Finding:
    """What there is to be said of an Asterisk that calls itself `text`."""
    version = parse(text)
    if version is None:
        return warn(
            CODE,
            "Asterisk's version is not a release number",
            f"It calls itself {text!r}, so whether it has known security holes cannot be said.",
            f"Compare its source with {WHERE}.",
        )
    title = f"Asterisk {text}"
    if version.major < OLDEST:
        return fail(
            CODE,
            f"{title} is too old",
            f"The recorder is tested with {OLDEST} and later.",
            "Upgrade to a maintained branch, 22 for example.",
        )
    ended = END_OF_LIFE.get(version.major)
    if ended is not None and ended <= today:
        return _out_of_maintenance(title, version, ended)
    open_holes = holes(version)
    if open_holes:
        return _holed(title, version, open_holes)
    return ok(CODE, title, f"No security hole of this release is known in the table of {AS_OF}.")


def _out_of_maintenance(title: str, version: Version, ended: date) -> Finding:
    later = sum(each.published > ended for each in ADVISORIES)
    backported = " Its packager may have mended some." if version.packaged else ""
    return warn(
        CODE,
        f"{title} is out of maintenance",
        f"Its branch ended on {ended}; {later} rounds of security fixes published since are not in it"
        f" (table of {AS_OF}).{backported}",
        "Upgrade to a maintained branch, 22 for example.",
    )


def _holed(title: str, version: Version, open_holes: tuple[Advisory, ...]) -> Finding:
    newest = max(each.fixed[version.branch] for each in open_holes)
    numbers = ".".join(str(part) for part in newest)
    target = version.branch + numbers if version.branch.endswith("cert") else numbers
    listed = "; ".join(f"{', '.join(each.ids)}: {each.what}" for each in open_holes)
    backported = " Its packager may have mended some without a new number." if version.packaged else ""
    return warn(
        CODE,
        f"{title} has known security holes",
        f"{listed} (table of {AS_OF}).{backported}",
        f"Upgrade to {target} or later. Until then keep ARI on loopback, and SIP behind a firewall. {WHERE}",
    )
