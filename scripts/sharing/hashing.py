"""Hashing what will be shared by a process of its own, while this one plans.

DVC keeps the hash of every file that it has read, by path, size, inode and time. Reading a gigabyte takes about as long
as the plan and shares no work with it, so that both go on side by side; a thread would not do: the plan is Python from
end to end and would give it the interpreter only every few milliseconds.

    python -m scripts.sharing.hashing        what `make share` starts
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def hashed_beside() -> Iterator[None]:
    """Lets DVC hash the outputs of dvc.yaml until the body has ended, and waits for it; an error in the body ends it.

    Only a head start: what it does not know, or does not come to, is hashed when it is stored.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "scripts.sharing.hashing"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    except BaseException:
        child.terminate()
        raise
    finally:
        child.wait()


def main() -> None:
    """Asks DVC for the hash of every output that is there, so that it remembers it."""
    from dvc.repo import Repo

    with Repo(".") as repo:
        for out in repo.index.outs:
            if out.use_cache and out.exists:
                out.get_hash()


if __name__ == "__main__":
    main()
