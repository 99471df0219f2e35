"""The files that dnd's rules read; imports nothing that a plan would wait for."""

from __future__ import annotations

from pathlib import Path

from scripts.dnd.sources import Source, find_scenarios
from scripts.dnd.system import DndOptions
from scripts.lib.files import digest, sha256_file


class Scenarios:
    """Scenario files as the stages find them.

    Raises:
        UserError: a path of the configuration does not exist, or two scenarios have one name.
    """

    def __init__(self, options: DndOptions) -> None:
        self.sources: list[Source] = find_scenarios([Path(path) for path in options.scenarios])

    @property
    def files(self) -> list[str]:
        """Every scenario as a declared input."""
        return [source.path.as_posix() for source in self.sources]

    @property
    def content(self) -> str:
        """A digest of names and content: an edit is noticed whatever its time stamp."""
        return digest([[source.name, sha256_file(source.path)] for source in self.sources])[:16]
