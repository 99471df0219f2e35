"""Publishing a model's folder: made beside its place, moved when whole, the file that vouches for it last."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def staging(out: Path) -> Iterator[Path]:
    """A temporary folder beside ``out``, gone at the end whatever happens, a full disk included."""
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def publish(work: Path, out: Path, *, last: str) -> None:
    """Moves the files of a whole model into ``out``; the old ``last`` goes first and the new one comes last.

    Weights of an earlier model there (other shards) are removed; other files are left alone.
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
