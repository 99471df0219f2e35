"""Finds recordings: raw folders, OWAMcap files and VPT pairs. A plan imports it, so it reads none of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from scripts.gameplay.raw import ABOUT, NAME, PICTURES
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


def find_recordings(paths: Sequence[Path]) -> list[Source]:
    """The recordings that paths name, or that lie in or right below folders, sorted by path.

    Raises:
        UserError: a path does not exist, or holds no recording.
    """
    recordings: set[Source] = set()
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; check the path of the recording.")
        sources = set(_in_folder(path, deeper=True) if path.is_dir() else _in_files([path]))
        if not sources:
            raise UserError(f"{path}: holds no recording (a folder of frames, an .mcap, or an .mp4 with its .jsonl).")
        recordings |= sources
    return sorted(recordings, key=lambda source: source.path)


def by_name(sources: Sequence[Source]) -> dict[str, Path]:
    """Paths of recordings by their names.

    Raises:
        UserError: two have the same name.
    """
    paths: dict[str, Path] = {}
    for source in sources:
        other = paths.setdefault(source.name, source.path)
        if other != source.path:
            raise UserError(f"{other} and {source.path} have the same name; rename one of the recordings.")
    return paths


def recording_at(path: Path) -> Source:
    """The one recording at a path.

    Raises:
        UserError: there is none, or more than one.
    """
    sources = find_recordings([path])
    if len(sources) > 1:
        raise UserError(f"{path}: holds {len(sources)} recordings; name one, such as {sources[0].path}.")
    return sources[0]


def _in_folder(folder: Path, *, deeper: bool) -> Iterator[Source]:
    """The recordings of a folder and, if ``deeper``, of those in it; a name with a dot is an unfinished recording."""
    if _is_raw(folder):
        yield Source("raw", folder)
        return
    yield from _in_files(folder.iterdir())
    for child in folder.iterdir() if deeper else ():
        if child.is_dir() and not child.name.startswith("."):
            yield from _in_folder(child, deeper=False)


def _in_files(paths: Iterable[Path]) -> Iterator[Source]:
    """The recordings among files; a video beside an .mcap of the same name belongs to that one.

    A file of lines with a keyboard is a VPT recording, even if its video is missing.
    """
    for path in paths:
        if path.is_dir():
            continue
        if path.suffix == ".mcap":
            yield Source("owamcap", path)
        elif path.suffix == ".mp4" and not path.with_suffix(".mcap").exists():
            yield Source("vpt", path)
        elif path.suffix == ".jsonl":
            with path.open("rb") as stream:
                if b'"keyboard"' in stream.read(SNIFFED):
                    yield Source("vpt", path.with_suffix(".mp4"))


def _is_raw(folder: Path) -> bool:
    """Whether a folder holds frames, or a recorder's summary, or nothing: an empty recording."""
    return next(folder.iterdir(), None) is None or any(
        path.name == ABOUT
        or path.suffix.lower() in PICTURES
        or (path.suffix == ".json" and NAME.fullmatch(path.stem) is not None)
        for path in folder.iterdir()
    )
