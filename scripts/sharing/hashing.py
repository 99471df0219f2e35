"""Hashes the files to be shared in a second process while the first one plans.

DVC keeps the hash of every file that it has read, by path, size, inode and time. Reading a gigabyte takes about as long
as the plan, and the two are independent. It is a process, not a thread, because the plan is Python code that would
hold the interpreter's lock most of the time.

    python -m scripts.sharing.hashing        started by `make share`
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def hashed_beside() -> Iterator[None]:
    """Lets DVC hash the outputs of dvc.yaml beside the body, and waits for it; an error in the body ends it.

    This only saves time: a file that is not hashed here is hashed when it is stored.
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
    """Has DVC compute and keep the hash of every output that exists."""
    from dvc.repo import Repo

    with Repo(".") as repo:
        for out in repo.index.outs:
            if out.use_cache and out.exists:
                out.get_hash()


if __name__ == "__main__":
    main()
