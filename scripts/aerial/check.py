"""Checks city meshes file by file, as a summary or as one JSON line a file.

Tells extent, triangles by class, degenerate triangles, units and axes that look wrong, and files that lie apart from
the others or from the poses. Exit code 0: every file can be used. 1: something is set aside or looks wrong; each told
with file, line and what to do. 2: there is nothing to check. With --out the rows become a file, with every mesh's hash,
and only a city of which nothing can be used is an error: what is wrong with a face or a file is told there.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from scripts.aerial.mesh import Fault, Mesh, closed_shells, doubled_areas
from scripts.aerial.mesh_files import find_meshes, street_files
from scripts.aerial.meshes import Read, read_meshes
from scripts.aerial.options import AerialMeshOptions
from scripts.aerial.poses import Pose, read_poses
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import sha256_file, write_json

SHOWN = 20
TINY, TALL = 20.0, 1500.0  # metres: a city is wider than the one, and no building is higher than the other
LEVEL = 0.9  # a surface whose normal is as near to an axis as this (cosine) faces along it
FAR = 20.0  # times its own extent, a file lies so far from the others' middle that it is of another place
POSE_KM = 5.0


class Report(NamedTuple):
    """A file and what is wrong with it."""

    read: Read
    faults: list[Fault]


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("paths", nargs="+", type=Path, help="OBJ files, or folders of them")
    result.add_argument("--poses", type=Path, help="a session, its folder of poses, or JSON lines: are they near?")
    result.add_argument("--json", action="store_true", help="one JSON line a file on stdout")
    result.add_argument("--out", type=Path, help="write the rows as a JSON file, too")
    return result


def main(args: argparse.Namespace) -> int:
    """Checks all files; 1 if anything is wrong."""
    options = AerialMeshOptions.parse(load_params(args.params))
    files = find_meshes(args.paths)
    poses, pose_faults = read_poses(args.poses) if args.poses else ([], [])
    reports = [Report(read, file_faults(read)) for read in read_meshes(files, options)]
    apart = [*pose_faults, *lonely(reports), *far_from(reports, poses)]
    rows = []
    for report in reports:
        own = [*report.faults, *(fault for fault in apart if fault.file == report.read.path.as_posix())]
        rows.append(json_row(report.read, own, options))
        write_row(rows[-1], args.json)
    if not args.json:
        print_summary(reports, apart, options)
    if args.out:
        write_report(args.out, rows, street_files(args.paths))
        return 0
    return int(any(report.faults for report in reports) or bool(apart))


def write_report(out: Path, rows: Sequence[dict[str, Any]], streets: Sequence[Path]) -> None:
    """Rows and hashes as a file.

    Raises:
        UserError: no file can be used.
    """
    if not any(row["usable"] for row in rows):
        raise UserError(f"{rows[0]['file']}: no triangle in it or {len(rows) - 1} more files; export the city again.")
    meshes = [row | {"sha256": sha256_file(Path(row["file"]))} for row in rows]
    write_json(out, {"meshes": meshes, "streets": {file.as_posix(): sha256_file(file) for file in streets}})


def file_faults(read: Read) -> list[Fault]:
    """What its lines, and its triangles as a whole, have wrong."""
    mesh = read.found.mesh
    return [*read.found.faults, *shape_faults(read.path.as_posix(), mesh)] if len(mesh.triangles) else read.found.faults


def shape_faults(file: str, mesh: Mesh) -> Iterator[Fault]:
    """Units and axes that look wrong."""
    wide, deep, high = np.ptp(mesh.bounds, axis=0).tolist()
    if high > TALL:
        told = f"is {high:,.0f} m high, more than any building ({TALL:,.0f} m)"
        if max(wide, deep) > 10 * TALL:
            yield Fault(file, "units", f"{told}, and {wide:,.0f} m × {deep:,.0f} m wide: {units(1000)}")
        else:
            yield Fault(file, "tall", f"{told}; the axis that points up may be another one: set mesh.up.")
    if max(wide, deep) < TINY:
        advice = units(max(wide, deep)) if max(wide, deep) < 2.5 else "is it a piece of a city?"
        yield Fault(file, "small", f"is only {wide:.2f} m × {deep:.2f} m wide; {advice}")
    if looks_y_up(mesh):
        yield Fault(
            file, "y_up", "most level surfaces face along y, not z: it looks as if y pointed up; set mesh.up: y."
        )


def units(size: float) -> str:
    """Advice for a mesh whose unit is no metre."""
    unit = "kilometres or degrees" if size < TINY else "millimetres or centimetres"
    return f"it may be in {unit}; set mesh.metres_per_unit, or export it in plane rectangular metres."


def looks_y_up(mesh: Mesh) -> bool:
    """Whether roofs, floors and ground face along y.

    In a city the level surfaces have the one direction that roofs and ground share; walls face to all sides, so that
    much more area along y than along x and z speaks for it.
    """
    a, b, c = (mesh.vertices[mesh.triangles[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1)
    facing = [float(length[np.abs(normals[:, axis]) > LEVEL * length].sum()) for axis in range(3)]
    return facing[1] > 2 * (facing[0] + facing[2])


def lonely(reports: Sequence[Report]) -> Iterator[Fault]:
    """Files that lie far from all others: of another coordinate system, or not where they should."""
    bounds = {report.read.path.as_posix(): report.read.found.mesh.bounds for report in reports}
    bounds = {name: box for name, box in bounds.items() if np.isfinite(box).all()}
    if len(bounds) < 2:
        return
    centre = np.median([box[:, :2].mean(axis=0) for box in bounds.values()], axis=0)
    extent = np.median([np.ptp(box[:, :2], axis=0).max() for box in bounds.values()])
    for name, box in bounds.items():
        away = float(np.linalg.norm(np.maximum(0, np.maximum(box[0, :2] - centre, centre - box[1, :2]))))
        if away > max(FAR * extent, 1000 * POSE_KM):
            advice = "give files of one coordinate system and one city."
            yield Fault(name, "apart", f"lies {away / 1000:,.0f} km from the other files; {advice}")


def far_from(reports: Sequence[Report], poses: Sequence[Pose]) -> Iterator[Fault]:
    """Files none of whose surroundings a pose reaches."""
    places = np.array([pose.position[:2] for pose in poses]).reshape(-1, 2)
    for report in reports:
        low, high = report.read.found.mesh.bounds[:, :2]
        if not len(places) or not np.isfinite(low).all():
            continue
        away = np.linalg.norm(np.maximum(0, np.maximum(low - places, places - high)), axis=1).min() / 1000
        if away > POSE_KM:
            message = f"lies {away:,.0f} km from the nearest pose; give both in the same coordinate system."
            yield Fault(report.read.path.as_posix(), "far_from_poses", message)


def write_row(row: dict[str, Any], wanted: bool) -> None:
    """A JSON line on stdout, where it is asked for."""
    if wanted:
        sys.stdout.write(orjson.dumps(row).decode() + "\n")


def json_row(read: Read, faults: Sequence[Fault], options: AerialMeshOptions) -> dict[str, Any]:
    """A file, what it holds and its problems."""
    found, mesh = read.found, read.found.mesh
    row: dict[str, Any] = {"usable": bool(len(mesh.triangles)), "file": read.path.as_posix(), "faces": found.faces}
    if len(mesh.triangles):
        closed = closed_shells(mesh)
        row |= {
            "set_aside": found.faces - found.used,
            "triangles": by_class(mesh, options),
            "unnamed": found.unnamed,
            "extent": np.round(mesh.bounds, 3).tolist(),
            "degenerate": degenerate(mesh),
            "closed_shells": len(np.unique(closed[closed >= 0])),
            "in_closed_shells": int((closed >= 0).sum()),
        }
    return row | {"problems": [fault.to_json() for fault in faults]}


def by_class(mesh: Mesh, options: AerialMeshOptions) -> dict[str, int]:
    """Triangles by class."""
    return {name: int((mesh.classes == number).sum()) for name, number in options.numbers.items()}


def degenerate(mesh: Mesh) -> int:
    """Triangles without area, to a hundredth of a square millimetre."""
    return int((doubled_areas(mesh) < 2e-8).sum())


def print_summary(reports: Sequence[Report], apart: Sequence[Fault], options: AerialMeshOptions) -> None:
    """A line a file and the whole on stdout, the first problems on stderr."""
    total: Counter[str] = Counter()
    for read, _ in reports:
        mesh = read.found.mesh
        total.update(by_class(mesh, options))
        print(f"{read.path}: {describe(mesh, options)}")
    wrong = [*(fault for report in reports for fault in report.faults), *apart]
    kinds: Counter[str] = Counter()
    for fault in wrong:
        kinds[fault.kind] += fault.count
    usable = sum(bool(len(read.found.mesh.triangles)) for read, _ in reports)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    classes = ", ".join(f"{count:,} {name}" for name, count in total.items())
    print(
        f"{usable} of {len(reports)} files can be used; triangles: {classes}" + (f"; problems: {told}" if told else "")
    )
    for fault in wrong[:SHOWN]:
        say(f"error: {fault.place}: {fault.kind}: {fault.message}" + (f" ({fault.count} ×)" if fault.count > 1 else ""))
    if len(wrong) > SHOWN:
        say(f"... and {len(wrong) - SHOWN} more; --json lists all.")


def describe(mesh: Mesh, options: AerialMeshOptions) -> str:
    """``building 10,384 triangles, x -15,593.5 to -13,090.3, ... m``."""
    if not len(mesh.triangles):
        return "no triangle"
    classes = ", ".join(f"{name} {count:,}" for name, count in by_class(mesh, options).items() if count)
    ends = ", ".join(f"{axis} {low:,.1f} to {high:,.1f}" for axis, low, high in zip("xyz", *mesh.bounds, strict=True))
    flat = degenerate(mesh)
    return f"{classes} triangles, {ends} m" + (f", {flat} without area" if flat else "")


if __name__ == "__main__":
    run(parser, main)
