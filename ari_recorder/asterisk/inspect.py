"""Everything a PBX needs before its calls can be recorded: looked at, judged, and how to mend it.

`inspect` reads the facts (`facts.read_facts`) and judges them; every judgement is a pure function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from ..model.errors import RecorderError
from . import advisories
from .ari.client import AriClient
from .ari.transport import CONNECTIONS
from .clock import judge_offset, judge_synchronised
from .facts import Facts, LocalFolder, read_facts
from .findings import Finding, fail, ok, warn

WRITE_TIMEOUT = 5000
"""Milliseconds; Asterisk's default of 100 drops the events of a recorder that is busy for a moment."""

LEGS_PER_SECOND = 2 * 2 * 8000
"""Bytes that one call of 8 kHz takes each second while it runs: two legs of 16 bit."""

LITTLE, VERY_LITTLE = 10 * 2**30, 2**30

MENDED_QUEUE = {13: 99, 14: 99, 15: 99, 16: 30, 17: 99, 18: 16, 19: 8, 20: 1}
"""Major release → the first minor one with the mended audiohook; 99: there is none."""

LISTED = 10
"""Names shown of a long list."""


async def inspect(
    client: AriClient,
    *,
    recording_folder: Path | None,
    prompts: Sequence[str],
    application: str,
    prompt_source: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Finding]:
    """What is well and what is not with this PBX, in the order in which to mend it. About 3 s.

    `recording_folder`: Asterisk's `<spool>/recording` as the recorder sees it, None when it lives elsewhere;
    `prompts`: media as announcements name them (`sound:ari-recorder/…`); `prompt_source`: the folder from
    which a person has to copy them to the PBX, None when the recorder puts them there itself. Never raises a
    RecorderError; no call is disturbed, and a running recorder may go on: the probes use applications of
    their own.
    """
    try:
        facts = await read_facts(
            client,
            recording_folder=recording_folder,
            prompts=prompts,
            progress=progress or (lambda _: None),
        )
    except RecorderError as error:
        return [judge_no_answer(error)]
    today = datetime.now(UTC).date()
    return judge(facts, prompts=prompts, application=application, today=today, prompt_source=prompt_source)


def judge(
    facts: Facts,
    *,
    prompts: Sequence[str],
    application: str,
    today: date,
    prompt_source: Path | None = None,
) -> list[Finding]:
    """All findings from the facts."""
    found = [
        ok("pbx.reachable", "Asterisk's REST interface answers and accepts the user"),
        judge_write_access(facts),
        judge_transport(facts),
        judge_modules(facts),
        advisories.judge(facts.info.version, today),
    ]
    if facts.write_error is None:
        found += [judge_events(facts, application)]
        if facts.events_error is None:
            found += [judge_recording(facts), *judge_settings(facts), judge_defect(facts)]
            found += judge_queue(facts)
            found += [judge_prompts(facts, prompts, prompt_source)] if prompts else []
    found += [*judge_folder(facts), judge_direct_media(facts)]
    return [*found, judge_offset(facts.offset), judge_synchronised(facts.synchronised)]


def judge_no_answer(error: RecorderError) -> Finding:
    """The one finding there can be when Asterisk does not answer."""
    if error.code == "ari.unauthorised":
        return fail("pbx.user", "Asterisk refuses the ARI user", error.sentence, error.remedy)
    return fail(
        "pbx.reachable",
        "Asterisk's REST interface does not answer",
        error.sentence,
        error.remedy
        or "Check the address in the recorder's configuration, that Asterisk runs, that its http.conf has"
        " `enabled=yes` and its ari.conf `enabled=yes`.",
    )


def judge_write_access(facts: Facts) -> Finding:
    if facts.write_error is None:
        return ok("pbx.user", "The ARI user may write")
    return fail(
        "pbx.user",
        "The ARI user may not write",
        facts.write_error.sentence,
        facts.write_error.remedy or "Set `read_only=no` in the user's section of Asterisk's ari.conf.",
    )


def judge_transport(facts: Facts) -> Finding:
    if facts.secure:
        return ok("pbx.transport", "ARI is spoken on this machine only, or over TLS")
    return warn(
        "pbx.transport",
        "ARI crosses the network in clear",
        "Whoever can listen reads the ARI password, which allows to do anything with the PBX.",
        "Run the recorder on the PBX, use TLS (`tlsenable=yes` in http.conf, https:// here), or a tunnel.",
    )


def judge_modules(facts: Facts) -> Finding:
    if not facts.missing_modules:
        return ok("pbx.modules", "All modules of Asterisk that are needed run")
    listed = ", ".join(facts.missing_modules)
    return fail(
        "pbx.modules",
        "Modules of Asterisk are missing",
        f"Not running: {listed}.",
        "Take their `noload` lines out of modules.conf, or install the package that has them; then restart"
        " Asterisk.",
    )


def judge_events(facts: Facts, application: str) -> Finding:
    if facts.events_error is None:
        return ok("pbx.events", f"Events arrive over the WebSocket, as they will for {application}")
    return fail(
        "pbx.events",
        "A call held with Asterisk itself, without phones, did not work",
        facts.events_error.sentence,
        facts.events_error.remedy
        or "Check that no proxy stands between that does not pass WebSockets, and Asterisk's log.",
    )


def judge_recording(facts: Facts) -> Finding:
    error = facts.recording_error
    if error is None:
        return ok("pbx.recording", "Asterisk records, and hands out what it recorded")
    folder = f"{facts.spool or '<astspooldir>'}/recording"
    owner = f"{facts.info.user or 'asterisk'}:{facts.info.group or facts.info.user or 'asterisk'}"
    return fail(
        "pbx.recording",
        "Asterisk cannot record",
        f"{error.sentence} Mostly {folder} is missing on the PBX, or Asterisk may not write there.",
        f"On the PBX: `mkdir -p {folder} && chown {owner} {folder}`.",
    )


def judge_settings(facts: Facts) -> list[Finding]:
    if facts.settings is None:
        hint = "ARI cannot tell it, and reading it through a channel needs Asterisk's module func_config.so."
        return [
            warn("pbx.write-timeout", "websocket_write_timeout cannot be read", hint, _WRITE_REMEDY),
            warn("pbx.session-limit", "sessionlimit cannot be read", hint, _SESSION_REMEDY),
        ]
    return [
        judge_write_timeout(facts.settings.get("websocket_write_timeout")),
        judge_session_limit(facts.settings.get("sessionlimit")),
    ]


_WRITE_REMEDY = (
    f"Set `websocket_write_timeout={WRITE_TIMEOUT}` in [general] of ari.conf, then run"
    " `asterisk -rx 'module reload res_ari.so'`."
)
_SESSION_REMEDY = (
    "Set `sessionlimit=1000` in [general] of http.conf, then `asterisk -rx 'module reload http'`."
)


def judge_write_timeout(value: str | None) -> Finding:
    """`value` as written in ari.conf; None or "" where it is not."""
    milliseconds = int(value) if value and value.isdigit() else 100
    if milliseconds >= WRITE_TIMEOUT:
        return ok("pbx.write-timeout", f"Asterisk waits {milliseconds} ms for the recorder to take events")
    return fail(
        "pbx.write-timeout",
        f"Asterisk drops the recorder after {milliseconds} ms",
        "A recorder that is busy for that long loses its connection, and events with it.",
        _WRITE_REMEDY,
    )


def judge_session_limit(value: str | None) -> Finding:
    """`value` as written in http.conf; None or "" where it is not."""
    sessions = int(value) if value and value.isdigit() else 100
    if sessions > 2 * CONNECTIONS:
        return ok("pbx.session-limit", f"Asterisk's HTTP server takes {sessions} connections")
    return warn(
        "pbx.session-limit",
        f"Asterisk's HTTP server takes {sessions} connections",
        f"The recorder uses up to {CONNECTIONS}, others may need some too.",
        _SESSION_REMEDY,
    )


def judge_defect(facts: Facts) -> Finding:
    verdict = facts.verdict
    if verdict.affected is None:
        return warn(
            "pbx.defect",
            "Whether this Asterisk drops audio from recordings could not be probed",
            verdict.detail,
            "Let UDP pass from the recorder to Asterisk's RTP ports, or run the check on the PBX itself.",
        )
    if not verdict.affected:
        return ok("pbx.defect", "This build of Asterisk records without dropping audio", verdict.detail)
    return warn(
        "pbx.defect",
        "This build of Asterisk drops audio from recordings",
        "It has Debian's patch 2016_opus_plc (Debian bug 1060275): when the numbering of a sound stream steps"
        " back, as with music on hold, a new party or late packets, what follows is missing."
        f" {verdict.detail} The recorder takes its snoops anew where it can, and states what is missing in"
        " the metadata.",
        "Use an Asterisk built without that patch: upstream's, or Debian's source package rebuilt.",
    )


def judge_queue(facts: Facts) -> list[Finding]:
    """ASTERISK-30252, mended in 16.30, 18.16, 19.8 and 20.1: not a defect that a probe shows in a second."""
    release = re.match(r"(\d+)\.(\d+)", facts.info.version)
    major, minor = (int(part) for part in release.groups()) if release else (0, 0)
    if minor >= MENDED_QUEUE.get(major, 0):
        return []
    return [
        warn(
            "pbx.snoop-queue",
            f"Asterisk {facts.info.version} empties the queue of a snoop now and then (ASTERISK-30252)",
            "Where packets arrive late or in bursts, frames that were heard are missing from the recording.",
            "Update: 16.30, 18.16, 19.8, 20.1 and everything later have it mended.",
        )
    ]


def judge_prompts(facts: Facts, prompts: Sequence[str], source: Path | None = None) -> Finding:
    if not facts.unplayable:
        return ok("pbx.prompts", f"Asterisk can play all {len(prompts)} prompts")
    if source is not None:
        return fail(
            "pbx.prompts",
            "Prompts have to be copied to the PBX",
            f"Asterisk cannot play: {_listed(facts.unplayable)}.",
            f"rsync -a {source}/ root@{facts.host or 'PBX'}:/usr/share/asterisk/sounds/ari-recorder/",
        )
    return fail(
        "pbx.prompts",
        "Asterisk cannot play all prompts",
        f"Missing or unreadable: {_listed(facts.unplayable)}.",
        "Copy the prompts into Asterisk's sounds folder (`ari-recorder/` below"
        " /usr/share/asterisk/sounds or /var/lib/asterisk/sounds) and let Asterisk's user read them.",
    )


def judge_folder(facts: Facts) -> list[Finding]:
    folder = facts.folder
    if folder is None:
        return [
            ok("pbx.folder", "Recordings are fetched over ARI: no common folder is configured"),
            warn(
                "pbx.disk",
                "Free space on the PBX cannot be seen from here",
                "Asterisk records onto its own disk, and ARI does not tell how full that is.",
                "Watch it on the PBX: 115 MB for each hour of a call while it runs.",
            ),
        ]
    return [judge_common_folder(folder, facts), judge_space(folder)]


def judge_common_folder(folder: LocalFolder, facts: Facts) -> Finding:
    title = f"The recorder reads Asterisk's recordings in {folder.path}"
    if folder.held_the_probe:
        return ok("pbx.folder", title)
    theirs = f"{facts.spool}/recording" if facts.spool else "<astspooldir>/recording"
    if not folder.exists:
        return fail(
            "pbx.folder",
            f"{folder.path} does not exist",
            f"On Asterisk's side the folder is {theirs}.",
            f"Make it on the PBX if it is missing there, or say in `recordings` where {theirs} is seen here.",
        )
    if folder.held_the_probe is None:
        return warn(
            "pbx.folder",
            f"Whether {folder.path} is Asterisk's recording folder could not be tried",
            "Nothing could be recorded.",
            "Mend what stands above, then check again.",
        )
    return fail(
        "pbx.folder",
        f"What Asterisk records cannot be read in {folder.path}",
        f"The probe's file did not lie there, or may not be read. On Asterisk's side the folder is {theirs}.",
        f"Point the setting at {theirs}, and put the recorder's user into Asterisk's group"
        f" ({facts.info.group or facts.info.user or 'asterisk'}).",
    )


def judge_space(folder: LocalFolder) -> Finding:
    if folder.free_bytes is None:
        return warn(
            "pbx.disk",
            f"Free space in {folder.path} cannot be read",
            "",
            "Check that it exists and that the recorder may look into it.",
        )
    hours = folder.free_bytes / LEGS_PER_SECOND / 3600
    title = f"{folder.free_bytes / 2**30:.1f} GiB are free for recordings"
    detail = f"Enough for {hours:.0f} hours of one call, if nothing else is written there."
    if folder.free_bytes >= LITTLE:
        return ok("pbx.disk", title, detail)
    remedy = f"Free space, or move {folder.path} to a larger disk."
    return (fail if folder.free_bytes < VERY_LITTLE else warn)("pbx.disk", title, detail, remedy)


def judge_direct_media(facts: Facts) -> Finding:
    remedy = "Set `direct_media=no` in these endpoints (pjsip.conf), then `asterisk -rx 'pjsip reload'`."
    if facts.direct_media is None:
        return warn(
            "pbx.direct-media",
            "Whether endpoints use direct media cannot be read",
            "Where sound passes by Asterisk, the moment in which a recording begins is heard as a gap.",
            remedy,
        )
    if not facts.direct_media:
        return ok("pbx.direct-media", "No PJSIP endpoint uses direct media")
    return warn(
        "pbx.direct-media",
        f"{len(facts.direct_media)} PJSIP endpoints use direct media",
        f"Their sound passes by Asterisk until a recording calls it back: {_listed(facts.direct_media)}.",
        remedy,
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
