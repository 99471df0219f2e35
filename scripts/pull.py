"""Fetches what was shared in this revision: files from DVC's remote, and Snakemake's records of them.

    make pull                           everything that dvc.lock names
    python -m scripts.pull dnd          one system

Afterwards Snakemake has nothing to do, and an edit replans the jobs that depend on it. Safe to repeat; an interrupted
pull resumes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path

from scripts.lib.cli import UserError, run, say
from scripts.lib.files import write_text
from scripts.lib.replaced import Contents, notice_replaced, recorded
from scripts.sharing.records import incomplete_here, packed, unpack, write_index
from scripts.sharing.rooms import RECORDS, stage_of
from scripts.sharing.runs import PULLING, nothing_runs
from scripts.sharing.store import Store

PACKAGES = Path("dist")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    command = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    command.add_argument("systems", nargs="*", help="only these, such as dnd; otherwise everything shared")
    command.add_argument("--force", action="store_true", help="give up what was made here and never shared")
    return command


def main(args: argparse.Namespace) -> None:
    """Fetches, checks out, and makes records and time stamps agree."""
    nothing_runs(pulling=True)
    store = Store()
    shared = store.locked_stages()
    names = choose(shared, args.systems)
    unfinished = sorted(file for file in incomplete_here() if stage_of(file) in names)
    if unfinished and not args.force:
        raise UserError(
            f"{unfinished[0]}: left incomplete by a run that was killed; run snakemake again, or give it up "
            "(`.venv/bin/python -m scripts.pull --force`)."
        )
    records = [f"{RECORDS}/{name}" for name in shared]
    fetch(store, records)  # apart: DVC mixes up a stage and a path of it
    fetch(store, names)
    force = args.force or PULLING.is_file()
    store.checkout(records, force=True)
    for name in shared:
        packed(name)  # damaged ones stop here, before anything is changed
    write_text(PULLING, "A pull was interrupted here.\n")
    try:
        store.checkout(names, force=force)
    except UserError:
        if not force:
            PULLING.unlink()
        raise
    plain_packages()
    restored = sum(unpack(name) for name in shared)
    write_index(shared)
    stamp()
    notice_replaced()
    PULLING.unlink()
    tell(names, restored)


def choose(shared: list[str], systems: list[str]) -> list[str]:
    """The stages to pull: those asked for with the bases they are made from, else all.

    Raises:
        UserError: a name was not shared.
    """
    for name in systems:
        if name not in shared:
            raise UserError(f"{name}: not shared in this revision; shared are {', '.join(shared)}.")
    return [name for name in shared if not systems or name in systems or name == "bases"]


def fetch(store: Store, targets: list[str]) -> None:
    """Downloads files that are missing or damaged.

    Raises:
        UserError: the remote itself holds a damaged file.
    """
    for file, path in store.damaged(targets).items():
        say(f"{file}: damaged in the cache ({path}); fetched again")
    store.fetch(targets)
    damaged = store.damaged(targets)
    lacking = damaged | store.lacking(targets)
    if lacking:
        file, path = min(lacking.items())
        raise UserError(
            f"{file}: the remote {store.remote()} holds {'a damaged copy' if damaged else 'no whole copy'} of it "
            f"({'/'.join(Path(path).parts[-2:])}; {len(lacking)} files); remove that from the remote if it is there, "
            "and have whoever built it run `make share` again."
        )


def plain_packages() -> None:
    """Replaces links in packages by files: a package holds plain files only, and its check refuses anything else."""
    for path in [path for path in PACKAGES.rglob("*") if path.is_symlink() and path.is_file()]:
        part = path.with_name(f".{path.name}.part")
        shutil.copyfile(path, part)
        part.replace(path)


def stamp() -> None:
    """Gives files that are up to date one time stamp, so that no plan has to hash them, and the rest an older one."""
    contents, now = Contents(), time.time()
    stamps: dict[str, float] = {}
    for made, name, checksum, _ in recorded():
        same = not Path(name).is_file() or contents.sha256(name) == checksum
        stamps[made] = min(stamps.get(made, now), now if same else now - 1)
    contents.remember()
    for made, when in stamps.items():
        if os.path.lexists(made):
            os.utime(made, (when, when), follow_symlinks=os.utime not in os.supports_follow_symlinks)


def tell(names: list[str], restored: int) -> None:
    """Prints what was pulled, what was left out, and what to type next."""
    say(f"pulled: {', '.join(names)}; {restored} records")
    packs = [packed(name) or {} for name in names]
    for pack in packs:
        for room, why in pack.get("withheld", {}).items():
            say(f"left out: {room}: {why}")
            record = pack["records"].get(f"{room}/base.json", {})
            if record.get("shellcmd"):
                say(f"  to work with it, fetch it yourself: {record['shellcmd']}")
    configfiles = next((pack["configfiles"] for pack in packs if pack.get("configfiles")), [])
    say(f"next: .venv/bin/snakemake -n --configfile {' '.join(configfiles)}")


if __name__ == "__main__":
    run(parser, main)
