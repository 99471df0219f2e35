"""Which recordings there are: raw folders, OWAMcap files and VPT pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from scripts.gameplay.options import GameplayCheckOptions
from scripts.gameplay.raw import NAME, PICTURES
from scripts.gameplay.readers.owamcap import read_owamcap
from scripts.gameplay.readers.raw_folder import ABOUT, read_raw
from scripts.gameplay.readers.recording import Recording
from scripts.gameplay.readers.vpt import read_vpt
from scripts.lib.cli import UserError

SNIFFED = 1 << 16  # bytes at the beginning of a file of lines


class Source(NamedTuple):
    """A recording on disk; ``path`` is a raw folder, an .mcap or a VPT video."""

    kind: Literal["raw", "owamcap", "vpt"]
    path: Path

    @property
    def name(self) -> str:
        """The folder's or the file's name."""
        return self.path.resolve().name if self.kind == "raw" else self.path.stem


def read_source(source: Source, options: GameplayCheckOptions) -> Recording:
    """Reads a recording, its pictures unread.

    Raises:
        RecordingError: it cannot be used at all.
    """
    if source.kind == "owamcap":
        return read_owamcap(source.path, options.mouse, options.video)
    if source.kind == "vpt":
        return read_vpt(source.path, options.mouse, options.video)
    return read_raw(source.path)


def find_recordings(paths: Sequence[Path]) -> list[Source]:
    """The recordings that paths name, or that lie in or right below folders, sorted by path.

    Raises:
        UserError: a path is not there, or holds no recording.
    """
    found: set[Source] = set()
    for path in paths:
        sources = list(_sources(path))
        if not sources:
            raise UserError(f"{path}: holds no recording (a folder of frames, an .mcap, or an .mp4 with its .jsonl).")
        found |= set(sources)
    return sorted(found, key=lambda source: source.path)


def by_name(sources: Sequence[Source]) -> dict[str, Path]:
    """Paths of recordings by their names.

    Raises:
        UserError: two have the same name.
    """
    found: dict[str, Path] = {}
    for source in sources:
        known = found.setdefault(source.name, source.path)
        if known != source.path:
            raise UserError(f"{known} and {source.path} have the same name; rename one of the recordings.")
    return found


def recording_at(path: Path) -> Source:
    """The one recording at a path.

    Raises:
        UserError: there is none, or more than one.
    """
    sources = find_recordings([path])
    if len(sources) > 1:
        raise UserError(f"{path}: holds {len(sources)} recordings; name one, such as {sources[0].path}.")
    return sources[0]


def _sources(path: Path) -> Iterator[Source]:
    if path.is_file():
        yield from _files([path])
        return
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder; check the path of the recording.")
    if _is_raw(path):
        yield Source("raw", path)
        return
    yield from _files(path.iterdir())
    # A name with a dot is that of a recording which is not finished.
    for folder in (child for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")):
        if _is_raw(folder):
            yield Source("raw", folder)
        else:
            yield from _files(folder.iterdir())


def _files(paths: Iterable[Path]) -> Iterator[Source]:
    """Those that are recordings; a video beside an .mcap of its name is that one's."""
    for path in (path for path in paths if not path.is_dir()):
        if path.suffix == ".mcap":
            yield Source("owamcap", path)
        elif path.suffix == ".mp4" and not path.with_suffix(".mcap").exists():
            yield Source("vpt", path)
        elif path.suffix == ".jsonl" and _is_vpt(path):
            yield Source("vpt", path.with_suffix(".mp4"))


def _is_vpt(path: Path) -> bool:
    """Whether a file of lines tells of a keyboard; so a VPT recording is found that lacks its video."""
    with path.open("rb") as stream:
        return b'"keyboard"' in stream.read(SNIFFED)


def _is_raw(folder: Path) -> bool:
    """Whether a folder holds frames, or a recorder's summary, or nothing at all: a recording that stayed empty."""
    empty = True
    for path in folder.iterdir():
        empty = False
        if path.name == ABOUT or path.suffix.lower() in PICTURES:
            return True
        if path.suffix == ".json" and NAME.fullmatch(path.stem):
            return True
    return empty
