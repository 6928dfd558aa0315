"""Verify sealed recordings: files only; no daemon, no database, no network, nothing written.

The steps, numbered as in docs/reference/evidence.md and in check.sh:

1. Files: find the sets of files below the given paths; a set is all files of one recording.
2. Certificate: take the given one, else the `*.crt` in the recording's folder or above. A certificate
   that was found proves nothing until its fingerprint was compared with the owner's.
3. Signature: `.sig` is the certificate's signature of the bytes of `.sha256`.
4. Names: `.sha256` lists the files under the name they have.
5. Hashes: every listed file has the listed SHA-256. Only now the metadata is parsed.
6. Metadata: JSON and info text agree with each other, with the list and with the certificate.
7. Audio: the WAV header agrees with the metadata.
8. Chain: numbers without gap or double, each link naming its predecessor and that one's signature.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .archive import Group, collect, shown
from .certificates import Certificates
from .examine import Examined, Member, examine
from .findings import Finding, Progress, Report, Step
from .links import ChainCheck, read_log
from .visible import visible


def verify(
    paths: Iterable[Path],
    *,
    certificate: Path | None = None,
    chain_log: Path | None = None,
    target: str | None = None,
    part: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Check recordings and archives; all that is wrong is in the report, nothing is raised for it.

    `paths`: folders are searched with all below, a file stands for its recording.
    `certificate`: PEM (one or several) or DER; without it those found in the archive are used.
    `chain_log`: the recorder's own log, which also shows a missing end.
    `target`: the name of the target whose archive this is. Without it, it is inferred, and a finding where
    that leaves open whether recordings are missing (links.py).
    `part`: do not look for gaps. Implied when a file is among the paths.
    Raises ConfigError when `certificate` or `chain_log` cannot be read.
    """
    certificates = Certificates(certificate)
    log, findings = ({}, []) if chain_log is None else read_log(chain_log)
    found = collect(list(paths))
    examined = _examine_all(sorted(found.groups), certificates, progress)
    check = ChainCheck(
        members=[one.member for one in examined if one.member],
        broken=frozenset(one.group.base for one in examined if one.member is None),
        whole=found.whole and not part,
        target=target,
        log=log,
        log_file="" if chain_log is None else shown(chain_log),
        trusted=certificate is not None,
    )
    check.run()
    findings += [*found.findings, *certificates.findings, *(f for one in examined for f in one.findings)]
    findings += [*_changed(examined), *_unclaimed(found.waves, examined), *check.findings]
    return _report(examined, certificates, check, findings)


def _examine_all(
    groups: list[Group], certificates: Certificates, progress: Progress | None
) -> list[Examined]:
    examined = []
    for done, group in enumerate(groups, 1):
        examined.append(examine(group, certificates))
        if progress is not None:
            progress(done, len(groups), visible(group.base))
    return examined


def _changed(examined: list[Examined]) -> list[Finding]:
    """Changed files; when the content is that of another sealed file, the two were exchanged."""
    sealed = {told: name for one in examined for told, name in one.sealed.items()}
    findings = []
    for one in examined:
        for path, actual in one.changed:
            other = sealed.get(actual)
            told = f" It has the content of {visible(other)}." if other else ""
            sentence = f"was changed: it is not what was sealed.{told}"
            findings.append(Finding("evidence.altered", Step.HASHES, shown(path), sentence))
    return findings


def _unclaimed(waves: set[Path], examined: list[Examined]) -> list[Finding]:
    claimed = {path for one in examined for path in one.claimed}
    return [
        Finding("evidence.extra", Step.FILES, shown(path), "is sealed by no recording beside it.")
        for path in waves - claimed
    ]


def _report(
    examined: list[Examined], certificates: Certificates, check: ChainCheck, findings: list[Finding]
) -> Report:
    # A gap names its neighbour, which may well be intact.
    of_others = {(Step.CHAIN, "evidence.missing"), (Step.CHAIN, "evidence.unnamed")}
    faulty = {one.file for one in findings if (one.step, one.code) not in of_others}
    recordings = [one for one in examined if not (one.member and one.member.stated)]
    intact = sum(1 for one in recordings if one.intact and not _named(one.member, faulty))
    stated = [each for one in examined if one.member for each in one.member.stated]
    return Report(
        recordings=len(recordings),
        intact=intact,
        files=sum(one.files for one in examined),
        bytes=sum(one.bytes for one in examined),
        signers=certificates.signers,
        coverage=tuple(check.coverage),
        findings=tuple(sorted(findings, key=lambda one: (one.step is Step.CHAIN, one.file, one.step))),
        statements=len(examined) - len(recordings),
        stated=tuple(sorted(stated, key=lambda one: (one.at, one.file))),
    )


def _named(member: Member | None, files: set[str]) -> bool:
    return member is not None and member.file in files
