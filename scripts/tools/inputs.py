"""The files that the rules of tools read; imports nothing that a plan would wait for."""

from __future__ import annotations

from pathlib import Path

from scripts.lib.identity import source_digest
from scripts.lib.options.run import LanguageRun
from scripts.tools.examples import find_files
from scripts.tools.system import ToolsOptions

GENERATED = "data/generated/tools"


class Examples:
    """Tool-call examples: those that the configuration names, or those that the generator writes.

    Raises:
        UserError: a path of the configuration does not exist.
    """

    def __init__(self, options: ToolsOptions) -> None:
        own = [Path(path) for path in options.examples]
        self.sources: list[str] = options.examples or [GENERATED]
        # Of generated examples the manifest, which hashes them.
        self.files = [path.as_posix() for path in find_files(own)] if own else [f"{GENERATED}/manifest.json"]
        self.schema_content = source_digest([Path(options.tool_schema)])
        self.content = [self.schema_content, source_digest(own, "*.json*") if own else ""]


def specialist_flags(options: ToolsOptions, run: LanguageRun) -> list[str]:
    """What a specialist's curation is told of it, and which tools have an owner."""
    flags = ["--run", run.name, "--focus", *options.runs[run.name].focus, "--owned", *options.owned]
    return [*flags, f"--system-prompt={run.system_prompt}"]
