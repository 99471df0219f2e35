"""Publishing a model's folder: it is written beside its place and moved when complete, its card or account last."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def staging(out: Path) -> Iterator[Path]:
    """A temporary folder beside ``out``, removed at the end also after an error such as a full disk."""
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def publish(work: Path, out: Path, *, last: str) -> None:
    """Moves the files of a complete model into ``out``; removes the old ``last`` first and moves the new one last.

    Weights of an earlier model in ``out`` (other shards) are removed; other files stay.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / last).unlink(missing_ok=True)
    names = sorted(path.name for path in work.iterdir() if path.name != last)
    for stale in [*out.glob("*.safetensors"), *out.glob("*.safetensors.index.json")]:
        if stale.name not in names:
            stale.unlink()
    for name in [*names, last]:
        (work / name).chmod(0o644)
        (work / name).replace(out / name)
