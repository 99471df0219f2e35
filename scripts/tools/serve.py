"""Serves specialists to an MCP client: each package is a tool, and ``route`` picks one of them.

stdio unless ``--http`` is given. Calls are only reported; with ``--allow`` the tools listed there are executed.

A client starts a stdio server whenever it starts itself and waits for its handshake, so there a model is loaded at its
first use, and one that nobody asks costs no memory. Loading holds up the whole process, so a server on HTTP, where
others may be waiting, loads all models before it listens.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import anyio

from scripts.lib.cli import StageParser, UserError, run, say
from scripts.tools.schema import Tool
from scripts.tools.server.execute import read_allowed
from scripts.tools.server.package import Package, read_packages
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
    """Reads the packages and the list, then serves until the client goes or somebody stops it."""
    packages = read_packages(args.packages)
    allowed = read_allowed(args.allow, all_tools(packages)) if args.allow else None
    if args.mcp_json:
        print(json.dumps(snippet(args), indent=2))
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


def all_tools(packages: list[Package]) -> dict[str, Tool]:
    """The tools of all packages by name."""
    return {name: tool for package in packages for name, tool in package.tools.items()}


def snippet(args: argparse.Namespace) -> dict[str, Any]:
    """An mcp.json that starts this server, or finds the one listening.

    Raises:
        UserError: the port is left to chance.
    """
    if args.http == 0:
        raise UserError("--mcp-json: --http 0 takes another port each time; name one.")
    if args.http is not None:
        from scripts.tools.server.transport import address

        entry: dict[str, Any] = {"type": "http", "url": address(args.http)}
    else:
        words = ["-m", "scripts.tools.serve", *(str(folder.resolve()) for folder in args.packages)]
        words += ["--allow", str(args.allow.resolve())] if args.allow else []
        # The variable finds the project from whatever folder a client starts in.
        entry = {"command": sys.executable, "args": words, "env": {"PYTHONPATH": str(PROJECT)}}
    return {"mcpServers": {"questline-tools": entry}}


if __name__ == "__main__":
    run(parser, main)
