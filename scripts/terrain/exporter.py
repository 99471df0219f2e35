"""Runs the user's own exporter for one map and takes over what it wrote.

    python -m scripts.terrain.exporter --map Azeroth --command "my-exporter --map {map} --to {out}" --out FOLDER

The exporter writes into a new folder beside --out. Files that came out as they were keep their time stamps, so that
only shards with changed tiles are read again. Last, ``files.json`` names the size and hash of every file.
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
LAST_WORDS = 5  # lines of the exporter that an error repeats


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
    call(words_of(args.command, args.map, new))
    export = the_export(new)
    (args.out / FILES).unlink(missing_ok=True)
    changed = take_over(export, args.out)
    shutil.rmtree(new)
    names = [path.relative_to(args.out).as_posix() for path in files_below(args.out)]
    write_json(args.out / FILES, {"map": args.map, "files": manifest(args.out, names)})
    say(f"{args.out}: {len(names)} files, {changed} of them new or changed")


def words_of(command: str, name: str, out: Path) -> list[str]:
    """The command's words, with map and folder filled in."""
    words = shlex.split(command, posix=os.name == "posix")
    return [word.replace("{map}", name).replace("{out}", str(out.resolve())) for word in words]


def call(words: Sequence[str]) -> None:
    """Runs the exporter and shows what it says.

    Raises:
        UserError: there is no such program, or it ends with an error.
    """
    last: deque[str] = deque(maxlen=LAST_WORDS)
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
        told = " / ".join(filter(None, last)) or "it said nothing"
        raise UserError(
            f"terrain.export_command: {words[0]} ended with status {process.returncode} ({told}); run it by hand: "
            f"{shlex.join(words)}"
        )


def the_export(folder: Path) -> Path:
    """The one export that was written into a folder.

    Raises:
        UserError: there is none, there are several, or it has no tile.
    """
    try:
        found = find_exports([folder])
    except UserError:
        found = []
    if len(found) != 1:
        raise UserError(
            f"terrain.export_command: wrote {len(found) or 'no'} map exports into {{out}}, not one (a folder `dataset` "
            "with <Map>_<x>_<y>.json); correct the command, or name each map in terrain.export_maps."
        )
    if not find_tiles(found[0])[0]:
        raise UserError("terrain.export_command: wrote no tile <Map>_<x>_<y>.json into `dataset`; correct the command.")
    return found[0]


def take_over(export: Path, out: Path) -> int:
    """Moves what differs into ``out`` and removes there what was not exported again; returns how many files differ."""
    changed, names = 0, set()
    for path in files_below(export):
        name = path.relative_to(export)
        names.add(name)
        old = out / name
        if old.is_file() and old.stat().st_size == path.stat().st_size and sha256_file(old) == sha256_file(path):
            continue
        old.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # an exporter may keep old time stamps, under which the change would not be noticed
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
