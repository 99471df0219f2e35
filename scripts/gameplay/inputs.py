"""The files that gameplay's rules read; imports nothing that a plan would wait for."""

from __future__ import annotations

from pathlib import Path

from scripts.gameplay.names import names_of
from scripts.gameplay.readers.sources import by_name, find_recordings
from scripts.gameplay.system import GameplayOptions
from scripts.lib.folder_digest import folder_digest

GENERATED = "data/generated/gameplay"


class Recordings:
    """Recordings by name: those that the configuration names, or those that the scripted player makes.

    Raises:
        UserError: a path of the configuration does not exist, or two recordings have one name.
    """

    def __init__(self, options: GameplayOptions) -> None:
        self.own = bool(options.recordings)
        self.label = options.label
        if self.own:
            self.paths = by_name(find_recordings([Path(path) for path in options.recordings]))
        else:
            self.paths = {name: Path(GENERATED) / name for name in names_of(options.generate.recordings)}

    def files(self, name: str) -> list[str]:
        """A recording's files where they are few; of generated ones the list with the hashes of all of them."""
        path = self.paths[name]
        if not self.own:
            return [f"{GENERATED}/files.json"]
        return [] if path.is_dir() else [file.as_posix() for file in sorted(path.parent.glob(f"{path.stem}.*"))]

    def content(self, name: str) -> str:
        """A digest of a folder of frames, which are too many to be declared one by one."""
        return folder_digest(self.paths[name]) if self.own and self.paths[name].is_dir() else ""

    def label_files(self) -> list[str]:
        """What a labeller reads besides the segments."""
        if self.label.by in ("state", "openai"):
            return []
        if self.label.by == "file":
            return [self.label.file]
        return [self.label.model, Path(self.label.model).with_name("mmproj.gguf").as_posix()]
