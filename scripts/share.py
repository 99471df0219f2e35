"""Shares what was built: pushes files to DVC's remote, with Snakemake's records of them.

    make share                                          everything of the demo preset
    python -m scripts.share dnd --configfile config/learn.yaml     one system

Commit dvc.yaml and dvc.lock, which list what was shared, to git afterwards. In a checkout of that revision `make pull`
fetches the same files, and Snakemake has nothing to do there.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError, run, say
from scripts.lib.files import write_text
from scripts.sharing.curves import write_curves
from scripts.sharing.dvcfile import DVCFILE, dvcfile_text
from scripts.sharing.guard import stale_jobs
from scripts.sharing.hashing import hashed_beside
from scripts.sharing.licences import withheld_bases
from scripts.sharing.planning import PRESET, configfiles_of, planned
from scripts.sharing.records import incomplete_here, pack, packed, records_here, write_index
from scripts.sharing.rooms import Stage, size_of, stages_of
from scripts.sharing.runs import nothing_runs
from scripts.sharing.store import Store, list_sizes


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    command = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    command.add_argument("systems", nargs="*", help="only these, such as dnd; otherwise all that there is")
    command.add_argument("--configfile", nargs="+", type=Path, default=[PRESET], help="what it was built by")
    command.add_argument("--with-base", nargs="*", default=[], help="share these bases whatever their licence")
    command.add_argument("--no-push", action="store_true", help="only into the local cache")
    command.add_argument(
        "--records-only", action="store_true", help="only write the records, as `dvc repro` needs them"
    )
    command.add_argument("--list", action="store_true", help="only say what would be shared")
    return command


def main(args: argparse.Namespace) -> None:
    """Checks, lists, stores and pushes."""
    nothing_runs()
    configfiles = configfiles_of(args.configfile)
    if args.records_only:
        stages = stages_of(planned(configfiles))
        withheld = withheld_bases(stages, args.with_base)
        pack_all([stages[name] for name in args.systems], configfiles, withheld)
        return
    store = Store()
    dirty = store.dirty_raw()
    if dirty:
        raise UserError(
            f"{dirty[0]}: not what {dirty[0]}.dvc says; `dvc add {dirty[0]}` takes it as it is now, "
            f"`dvc checkout --force {dirty[0]}` brings back what was tracked."
        )
    unfinished = sorted(file for file in incomplete_here() if Path(file).exists())
    if unfinished:
        raise UserError(f"{unfinished[0]}: left incomplete by a run that was killed; run snakemake again, then share.")
    with contextlib.nullcontext() if args.list else hashed_beside():
        dag = planned(configfiles)
    stages = stages_of(dag)
    withheld = withheld_bases(stages, args.with_base)
    chosen = choose(stages, args.systems)
    for stage in chosen:
        must_be_whole(stage)
    say_what(dag, chosen, withheld)
    if args.list:
        return
    write_text(DVCFILE, dvcfile_text(stages, configfiles))
    pack_all(chosen, configfiles, withheld)
    names = [stage.name for stage in chosen]
    store.commit(names)
    write_index(store.locked_stages())
    if not args.no_push:
        where = store.remote()
        say(f"{store.push(names)} new files pushed to {where}")
    say(f"now: git add {DVCFILE} dvc.lock && git commit, and push that; elsewhere `make pull` brings everything")


def pack_all(stages: list[Stage], configfiles: list[str], withheld: dict[str, str]) -> None:
    """Writes the records and curves of whole stages to where DVC takes them from."""
    for stage in stages:
        must_be_whole(stage)
        pack(stage, configfiles, {room: why for room, why in withheld.items() if room in stage.withheld})
        write_curves(stage)


def choose(stages: dict[str, Stage], systems: list[str]) -> list[Stage]:
    """The stages to share: those asked for, with the bases; by default all of which a file exists.

    Raises:
        UserError: the configuration has no system of that name, or no file exists.
    """
    for name in systems:
        if name not in stages:
            raise UserError(f"{name}: no system of this configuration; it has {', '.join(stages)}.")
    wanted = {"bases", *systems} if systems else stages
    chosen = [stage for name, stage in stages.items() if name in wanted and any(map(size_of, stage.rooms))]
    if not chosen:
        raise UserError("nothing is built yet; run `make demo` or snakemake first.")
    return chosen


def must_be_whole(stage: Stage) -> None:
    """Stops if an output has no record, so that it could never become stale, or if a shared file is missing.

    Raises:
        UserError: names the file and what to do.
    """
    records = records_here()
    without = sorted(file for file in stage.outputs if Path(file).exists() and file not in records)
    if without:
        raise UserError(
            f"{without[0]}: there is no record of what it was made from ({len(without)} files), so that it would count "
            f"as up to date for ever; build it again by `.venv/bin/snakemake --force {without[0]}`, then share."
        )
    before = packed(stage.name) or {"outputs": []}
    gone = [file for file in before["outputs"] if file in stage.outputs and not Path(file).exists()]
    if gone:
        raise UserError(
            f"{gone[0]}: was shared before and is not here ({len(gone)} files); `make pull` brings it, or build it, "
            "then share."
        )


def say_what(dag: Any, stages: list[Stage], withheld: dict[str, str]) -> None:
    """Lists what is shared by size, what is left out and why, and what is not up to date."""
    say("to be shared:")
    list_sizes({room: size_of(room) for stage in stages for room in stage.rooms})
    for room, why in withheld.items():
        say(f"left out: {room}: {why}")
    stale = stale_jobs(dag)
    if stale:
        say(f"not built or not up to date: {len(stale)} jobs, which will be planned in a clone, too")


if __name__ == "__main__":
    run(parser, main)
