"""Records a drone and a rover in a city: sessions of occupancy, poses, lidar and images.

Each session is a folder that appears when it is complete, with `session.json`: options, counts, and the name, size and
hash of every file. A copy of that manifest beside the folder, `<session>.json`, stands for the session in the workflow.
`sessions.json` beside them is written last. The same seed, meshes and options give the same bytes, on any number of
processes. After a run was killed, its finished sessions are kept.
"""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import time
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from scripts.aerial.mesh_files import find_meshes, street_files
from scripts.aerial.meshes import load_mesh
from scripts.aerial.options import AerialMeshOptions
from scripts.aerial.paths.streets import read_streets
from scripts.aerial.record import MANIFEST, PARTS, City, SessionsOptions, identity_of, record
from scripts.aerial.scene import scene_of
from scripts.aerial.session_names import Session, sessions_of
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import digest, read_json, sha256_file, write_json, write_text
from scripts.lib.workers import Workers

LISTED = "sessions.json"


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("--input", nargs="+", type=Path, required=True, help="OBJ files, or folders of them")
    result.add_argument("--output", type=Path, required=True, help="folder to write")
    for name, meaning in (("frames", "of each session"), ("sessions", "how many"), ("seed", "another, other paths")):
        result.add_argument(f"--{name}", type=int, default=argparse.SUPPRESS, help=f"{meaning}; for sessions.{name}")
    return result


def main(args: argparse.Namespace) -> None:
    """Records the sessions that do not exist yet."""
    params = load_params(args.params)
    if isinstance(params.get("sessions", {}), dict):
        own = {name: vars(args)[name] for name in ("frames", "sessions", "seed") if name in args}
        params = {**params, "sessions": {**params.get("sessions", {}), **own}}
    options = SessionsOptions.parse(params)
    inputs = tuple(path.as_posix() for path in args.input)
    city = city_of(inputs, options.mesh.model_dump_json())
    wanted = sessions_of(options.sessions)
    clear(args.output, wanted, city, options)
    missing = [session for session in wanted if not (args.output / session.name).exists()]
    if len(missing) < len(wanted):
        say(f"{args.output}: {len(wanted) - len(missing)} sessions are there already")
    jobs = [(inputs, session, options.model_dump_json(), args.output.as_posix()) for session in missing]
    started = time.monotonic()
    with Workers(len(jobs) > 1) as workers:
        for number, line in enumerate(workers.each(work, jobs), 1):
            left = (time.monotonic() - started) / number * (len(jobs) - number)
            say(f"{line}; {number} of {len(jobs)}" + (f", {left / 60:.1f} min left" if number < len(jobs) else ""))
    shutil.rmtree(args.output / PARTS, ignore_errors=True)
    finish(args.output, wanted, options)


@functools.lru_cache(maxsize=1)
def city_of(inputs: tuple[str, ...], mesh: str) -> City:
    """The scene and the streets; read once, and not again by worker processes that are forked from this one."""
    paths = [Path(name) for name in inputs]
    loaded, faults = load_mesh(paths, AerialMeshOptions.parse(json.loads(mesh)))
    streets = street_files(paths)
    content = digest([sha256_file(file) for file in [*find_meshes(paths), *streets]])
    return City(scene_of(loaded), read_streets(streets), content, [fault.to_json() for fault in faults])


def work(job: tuple[tuple[str, ...], Session, str, str]) -> str:
    """Records a session, in any process; returns a line about it."""
    inputs, session, text, out = job
    cv2.setNumThreads(1)
    options = SessionsOptions.parse(json.loads(text))
    city = city_of(inputs, options.mesh.model_dump_json())
    frames = options.sessions.frames
    with tqdm(total=frames, desc=session.name, unit="frame", leave=False, disable=None) as bar:
        counts = record(city, session, options, Path(out), bar.update)["counts"]
    kinds = ("without_built", "starts_given_up", "steps_turned_away")
    notes = ", ".join(f"{counts[key]} {key.replace('_', ' ')}" for key in kinds if counts[key])
    return f"{session.name}: {session.kind}, {frames} frames" + (f" ({notes})" if notes else "")


def clear(out: Path, wanted: list[Session], city: City, options: SessionsOptions) -> None:
    """Removes the sessions of an earlier run that are not sessions of this run: a reader would use them, too.

    Raises:
        UserError: a folder has a session's name, but this command did not write it.
    """
    named = {session.name: identity_of(session, city, options) for session in wanted}
    for name in named:
        if (out / name).exists() and not (out / name / MANIFEST).is_file():
            raise UserError(f"{out / name}: not a session of this command; choose another --output, or move it away.")
    (out / LISTED).unlink(missing_ok=True)
    for file in out.glob(f"*/{MANIFEST}"):
        beside(file.parent).unlink(missing_ok=True)
    stale = [file.parent for file in sorted(out.glob(f"*/{MANIFEST}")) if not sound(file, named)]
    for folder in stale:
        shutil.rmtree(folder)
    if stale:
        say(f"{out}: removed {len(stale)} sessions of another seed, mesh or options, or not whole: {stale[0].name} ...")


def beside(folder: Path) -> Path:
    """The copy of a session's manifest that lies beside its folder."""
    return folder.with_name(f"{folder.name}.json")


def sound(file: Path, named: dict[str, str]) -> bool:
    """Whether a session has the identity that is wanted, and all of its files have their sizes."""
    manifest, folder = read_json(file), file.parent
    if not isinstance(manifest, dict) or "identity" not in manifest or "files" not in manifest:
        raise UserError(f"{file}: not a manifest of this command; choose another --output, or move it away.")
    if manifest["identity"] != named.get(folder.name):
        return False
    paths = [(folder / row["name"], row["bytes"]) for row in manifest["files"]]
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def finish(out: Path, wanted: list[Session], options: SessionsOptions) -> None:
    """Writes the list of sessions and a copy of each manifest, and prints the totals."""
    rows: list[dict[str, Any]] = []
    for session in wanted:
        file = out / session.name / MANIFEST
        rows.append({**vars(session), "counts": read_json(file)["counts"], "sha256": sha256_file(file)})
        write_text(beside(file.parent), file.read_text(encoding="utf-8"))
    write_json(out / LISTED, {"options": options.model_dump(mode="json"), "sessions": rows})
    frames = sum(row["counts"]["frames"] for row in rows)
    empty = sum(row["counts"]["without_built"] for row in rows)
    say(f"{out}: {len(rows)} sessions, {frames} frames, {empty} of them without {options.sessions.built}")


if __name__ == "__main__":
    run(parser, main)
