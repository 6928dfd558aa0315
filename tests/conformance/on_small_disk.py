"""Run in a mount namespace where /mnt is a disk of 2 MiB: fills it through the folder target."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path, PurePosixPath

from ari_recorder.config import targets as config
from ari_recorder.model.errors import RecorderError
from ari_recorder.targets.register import make_target


def main() -> None:
    target = make_target(config.LocalTarget(kind="local", name="archive", folder=Path("/mnt")))
    for name, size in (("large", 3_000_000), ("small", 100_000), ("large", 3_000_000)):
        with tempfile.NamedTemporaryFile() as source:
            content = bytes(size)
            source.write(content)
            source.flush()
            sha256 = hashlib.sha256(content).hexdigest()
            try:
                target.put(Path(source.name), PurePosixPath("a", name), sha256=sha256, size=size)
                said = "stored"
            except RecorderError as error:
                said = error.code
        print(name, said, target.stat(PurePosixPath("a", name)) is not None)  # noqa: T201 - read by the test
        for part in Path("/mnt/a").glob(".*.part"):
            part.unlink()  # frees the disk, as an admin would


if __name__ == "__main__":
    main()
