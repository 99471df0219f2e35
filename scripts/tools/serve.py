"""Serves specialists to an MCP client: each package is a tool, and ``route`` picks one of them.

stdio unless ``--http`` is given. Calls are only reported; with ``--allow`` the tools listed there are executed.

On stdio a model is loaded at its first use: a client starts the server whenever it starts itself and waits for the
handshake, and a model that is never asked should cost no memory. On HTTP all models are loaded before the server
listens, because loading blocks the whole process while other clients may be waiting.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import anyio

from scripts.lib.cli import StageParser, UserError, run, say
from scripts.tools.server.execute import read_allowed
from scripts.tools.server.package import read_packages
from scripts.tools.server.specialist import Engines, Specialist

PROJECT = Path(__file__).resolve().parents[2]


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__, params=False)
    result.add_argument(
        "packages", nargs="+", type=Path, metavar="PACKAGE", help="dist/tools/<run> or dist/tools/shared"
    )
    result.add_argument("--http", type=int, metavar="PORT", help="serve HTTP on 127.0.0.1; 0 takes a free port")
    result.add_argument("--allow", type=Path, metavar="FILE", help="YAML: commands of the tools that may be executed")
    result.add_argument("--mcp-json", action="store_true", help="print what to paste into a client's mcp.json, and end")
    return result


def main(args: argparse.Namespace) -> None:
    """Reads the packages and the allow-list, then serves until the client disconnects or a person stops the server.

    Raises:
        UserError: a package or the allow-list is invalid, or the port is taken.
    """
    packages = read_packages(args.packages)
    tools = {name: tool for package in packages for name, tool in package.tools.items()}
    allowed = read_allowed(args.allow, tools) if args.allow else None
    if args.mcp_json:
        print(json.dumps({"mcpServers": {"questline-tools": mcp_entry(args)}}, indent=2))
        return
    from scripts.tools.server.app import Service, make_server
    from scripts.tools.server.transport import serve_http, serve_stdio

    engines = Engines()
    service = Service([Specialist(package, engines) for package in packages], allowed)
    server = make_server(service)
    say(f"{', '.join(service.specialists)}: " + ("nothing is executed" if allowed is None else f"may run {[*allowed]}"))
    try:
        if args.http is None:
            anyio.run(serve_stdio, server)
        else:
            service.load()
            serve_http(server, args.http)
    except KeyboardInterrupt:
        say("stopped")
    finally:
        service.close()


def mcp_entry(args: argparse.Namespace) -> dict[str, Any]:
    """An entry of mcp.json that starts this server, or connects to the one that listens.

    Raises:
        UserError: the port is 0, so that its number is not known.
    """
    if args.http == 0:
        raise UserError("--mcp-json: --http 0 takes another port each time; name one.")
    if args.http is not None:
        from scripts.tools.server.transport import address

        return {"type": "http", "url": address(args.http)}
    arguments = ["-m", "scripts.tools.serve", *(str(folder.resolve()) for folder in args.packages)]
    arguments += ["--allow", str(args.allow.resolve())] if args.allow else []
    # With PYTHONPATH the command works from any folder that a client starts in.
    return {"command": sys.executable, "args": arguments, "env": {"PYTHONPATH": str(PROJECT)}}


if __name__ == "__main__":
    run(parser, main)
