"""Makes a specialist's package: model files, specialist_config.json for the MCP server, mcp.json, card, checksums.

    python -m scripts.tools.deploy --gate reports/tools/veran/gate.json ... --out dist/tools/veran

The folder is written beside its place and takes it in one step. Its files hold no times: the same inputs give the
same bytes.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts.lib.cli import StageParser, run
from scripts.lib.files import read_json, write_json
from scripts.packaging.contents import add_language_arguments, gather
from scripts.packaging.publish import publish_language

RUN_NOTES = """
As a tool of an MCP client, from the folder of the project (with `--mcp-json` it prints what to paste into the client;
the `mcp.json` here works only where that folder is the client's own):

```sh
python -m scripts.tools.serve THIS_FOLDER
```
"""


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_language_arguments(stage)
    stage.add_argument("--specialist", type=Path, required=True, help="specialist_config.json, beside the adapter")
    return stage


def main(args: argparse.Namespace) -> None:
    """Builds and publishes the package."""
    package, specialist = gather(args, args.system_prompt), read_json(args.specialist)
    package = replace(package, run_notes=RUN_NOTES if package.ggufs else "")

    def add_files(folder: Path) -> None:
        if package.ggufs:
            write_json(folder / "specialist_config.json", specialist)
            write_json(folder / "mcp.json", mcp_snippet(package.name))

    publish_language(package, add_files)


def mcp_snippet(name: str) -> dict[str, Any]:
    """mcp.json to paste into a client, run from the project's folder; more packages may be named after this one."""
    arguments = ["-m", "scripts.tools.serve", f"dist/{name}"]
    return {"mcpServers": {f"questline-{name.replace('/', '-')}": {"command": "python", "args": arguments}}}


if __name__ == "__main__":
    run(parser, main)
