"""`python -m tests.bench`: what recording costs, beside MixMonitor, sox, smbclient and sftp.

No figure makes it fail. Exit status: 0 measured; 2 wrong arguments; 4 something failed or took too long, so
that there is nothing to compare; 3 and 5 as everywhere in ari-recorder; 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence

from ari_recorder.lab.engine import Engine
from ari_recorder.lab.pbx import Pbx, sweep
from ari_recorder.lab.progress import spoken
from ari_recorder.lab.recorder import Recorder
from ari_recorder.lab.runfolder import RunFolder
from ari_recorder.model.errors import RecorderError, TransientError
from tests.phones import PhoneError

from . import assembly, upload
from .report import Report
from .rounds import POLICY, QUICK, Bench, Plan

MOST_CALLS = 200
"""The laboratory's PBX has RTP ports for so many (`ari_recorder.lab.pbx`)."""


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    # By way of every `finally`: container and recorder shall not be left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        report = measure(QUICK if asked.quick else Plan(asked.calls, asked.seconds, asked.rounds))
    except (RecorderError, PhoneError, ExceptionGroup) as error:
        return _explained(error)
    except KeyboardInterrupt:
        return 130
    text = json.dumps(report.document(), indent=2) if asked.json else report.text()
    sys.stdout.write(text + "\n")
    return 0


def measure(plan: Plan) -> Report:
    """Everything, on a PBX of its own. RecorderError or PhoneError when it cannot be measured."""
    with RunFolder() as folder, Engine(progress=spoken) as engine:
        sweep(engine)
        with Pbx(engine, folder.path / "pbx", "asterisk22", progress=spoken) as pbx:
            version = pbx.cli("core show version").split()[1]
            bench = Bench(pbx, Recorder(folder.path / "recorder", pbx, POLICY), plan, spoken)
            asyncio.run(bench.run())
        spoken("assembly beside sox")
        assembled = assembly.run(plan.hours)
        spoken("delivery beside each protocol's own client")
        uploads = upload.run(folder.path, plan.mebibytes)
        return Report(plan, version, bench.samples, bench.health, assembled, uploads)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Place the same calls unrecorded, with MixMonitor and with ari-recorder, in turns, and "
        "compare what they cost.",
    )
    parser.add_argument("--calls", type=_count(MOST_CALLS), default=20, help="at once (default 20)")
    parser.add_argument("--seconds", type=_count(3600), default=20, help="of talk in a sample (default 20)")
    parser.add_argument("--rounds", type=_count(100), default=3, help="of all three ways (default 3)")
    parser.add_argument("--quick", action="store_true", help="one small round of 2 calls, only to see it run")
    parser.add_argument("--json", action="store_true", help="everything measured, as JSON")
    return parser


def _count(most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between 1 and {most}")
        return int(text)

    return number


def _explained(error: Exception) -> int:
    """Say what went wrong in one sentence; of errors that came together, the first."""
    first = error
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    if not isinstance(first, RecorderError | PhoneError):
        raise error  # a defect of the bench: its traceback is wanted
    sys.stderr.write(f"bench: {first}\n")
    return first.exit_status if isinstance(first, RecorderError) else TransientError.exit_status


if __name__ == "__main__":
    sys.exit(main())
