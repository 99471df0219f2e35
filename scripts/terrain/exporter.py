"""Runs the user's own exporter for one map and takes over the files that it wrote.

    python -m scripts.terrain.exporter --map Azeroth --command "my-exporter --map {map} --to {out}" --out FOLDER

The exporter writes into a new folder beside --out. Files with unchanged content keep their time stamps, so that only
shards with changed tiles are read again. Last, ``files.json`` names the size and hash of every file.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import manifest, sha256_file, write_json
from scripts.terrain.export import find_exports, find_tiles

FILES = "files.json"
LAST_LINES = 5  # of the exporter's output, which an error repeats


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--map", required=True, help="what {map} in the command stands for")
    stage.add_argument("--command", required=True, help="the exporter with its arguments; {out} is the folder to write")
    stage.add_argument("--out", type=Path, required=True, help="where the export ends up")
    return stage


def main(args: argparse.Namespace) -> None:
    """Exports a map."""
    new = args.out.with_name(f".{args.out.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    words = shlex.split(args.command, posix=os.name == "posix")
    run_exporter([word.replace("{map}", args.map).replace("{out}", str(new.resolve())) for word in words])
    try:
        exports = find_exports([new])
    except UserError:
        exports = []
    if len(exports) != 1:
        raise UserError(
            f"terrain.export_command: wrote {len(exports) or 'no'} map exports into {{out}}, not one (a folder "
            "`dataset` with <Map>_<x>_<y>.json); correct the command, or name each map in terrain.export_maps."
        )
    if not find_tiles(exports[0])[0]:
        raise UserError("terrain.export_command: wrote no tile <Map>_<x>_<y>.json into `dataset`; correct the command.")
    (args.out / FILES).unlink(missing_ok=True)
    changed = take_over(exports[0], args.out)
    shutil.rmtree(new)
    names = [path.relative_to(args.out).as_posix() for path in files_below(args.out)]
    write_json(args.out / FILES, {"map": args.map, "files": manifest(args.out, names)})
    say(f"{args.out}: {len(names)} files, {changed} of them new or changed")


def run_exporter(words: Sequence[str]) -> None:
    """Runs the exporter and passes its output on.

    Raises:
        UserError: there is no such program, or it ends with an error.
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"terrain.export_command: {words[0]} cannot be run ({reason}); correct the command.") from error
    with process:
        for line in process.stdout or ():
            say(line.rstrip())
            last.append(line.rstrip())
    if process.returncode:
        output = " / ".join(filter(None, last)) or "it said nothing"
        raise UserError(
            f"terrain.export_command: {words[0]} ended with status {process.returncode} ({output}); run it by hand: "
            f"{shlex.join(words)}"
        )


def take_over(export: Path, out: Path) -> int:
    """Moves files that differ into ``out``, removes those that are no longer exported, returns how many differ."""
    changed, names = 0, set()
    for path in files_below(export):
        name = path.relative_to(export)
        names.add(name)
        old = out / name
        if old.is_file() and old.stat().st_size == path.stat().st_size and sha256_file(old) == sha256_file(path):
            continue
        old.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # an exporter may keep old time stamps, which would hide the change
        path.replace(old)
        changed += 1
    for path in files_below(out):
        if path.relative_to(out) not in names:
            path.unlink()
    return changed


def files_below(folder: Path) -> list[Path]:
    """All files of a folder and its folders, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    run(parser, main)
