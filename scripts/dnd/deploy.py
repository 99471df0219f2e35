"""Makes the dnd package: model files, app integration, card, checksums and a smoke transcript in dist/dnd/<run>.

    python -m scripts.dnd.deploy --gate reports/dnd/dm/gate.json --gguf models/dnd/dm/gguf ... --out dist/dnd/dm

The folder is written beside its place and takes it in one step. Its files hold no times: the same inputs give the
same bytes.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from scripts.dnd.registry import Registry, load_registry, system_preamble
from scripts.lib.cli import StageParser, run
from scripts.lib.files import write_json
from scripts.packaging.contents import LanguagePackage, add_language_arguments, gather
from scripts.packaging.publish import publish_language

EXAMPLE = Path(__file__).parent / "templates" / "integration-example.ts"


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_language_arguments(stage)
    stage.add_argument("--registry", type=Path, help="registry.json; the six tools of the format if not given")
    return stage


def main(args: argparse.Namespace) -> None:
    """Builds and publishes the package."""
    registry = load_registry(args.registry)
    package = gather(args, system_preamble(args.system_prompt, registry))

    def add_files(folder: Path) -> None:
        if package.ggufs:
            write_json(folder / "cactus_config.json", cactus_config(package, registry))
            shutil.copyfile(EXAMPLE, folder / EXAMPLE.name)

    publish_language(package, add_files)


def cactus_config(package: LanguagePackage, registry: Registry) -> dict[str, Any]:
    """cactus_config.json: the model, how to prompt and sample it, and the tools whose calls it writes.

    ``context_length`` is the GGUF's own, in tokens.
    """
    return {
        "model": {
            "name": package.name.replace("/", "-"),
            "type": "gguf",
            "path": package.default_file,
            "quantization": package.gate["variant"],
            "context_length": package.context_length,
        },
        "system_prompt": package.system_prompt,
        "generation": package.options.generation.model_dump(),
        "tools": {
            "enabled": True,
            "format": "[name: argument, argument]",
            "supported": [
                {
                    "name": tool.name,
                    "form": tool.form,
                    "parameters": [parameter.name for parameter in tool.parameters],
                    "description": tool.description,
                }
                for tool in registry.in_use()
            ],
        },
    }


if __name__ == "__main__":
    run(parser, main)
