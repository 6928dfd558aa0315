"""Run as a process of its own that a fault point kills: one put through a OneDrive target.

Reads the pickled settings, the vault's folders and the file from the command line.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path, PurePosixPath

from ari_recorder.disk.digest import digest_of
from ari_recorder.targets.register import make_target
from ari_recorder.targets.vault import Vault


def main() -> None:
    settings, state, passphrase, source, path = sys.argv[1:]
    target = make_target(
        pickle.loads(Path(settings).read_bytes()),  # noqa: S301 - written by the test
        Vault(Path(state), Path(passphrase)),
    )
    sha256, size = digest_of(Path(source))
    target.put(Path(source), PurePosixPath(path), sha256=sha256, size=size)


if __name__ == "__main__":
    main()
