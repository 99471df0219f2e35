"""Checks city meshes file by file, and prints a summary or one JSON line a file.

Reports extent, triangles by class, degenerate triangles, units and axes that look wrong, and files that lie far from
the others or from the poses. Exit code 0: every file can be used. 1: something is set aside or looks wrong; each fault
has file, line and what to do. 2: there is nothing to check. With --out the rows are written to a file, with the hash of
every mesh, and faults are no error as long as one file can be used.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from scripts.aerial.mesh import Fault, Mesh, area_vectors, closed_shells, doubled_areas, level_distances
from scripts.aerial.mesh_files import find_meshes, street_files
from scripts.aerial.meshes import read_meshes
from scripts.aerial.obj import ObjFile
from scripts.aerial.options import AerialMeshOptions
from scripts.aerial.poses import Pose, read_poses
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import sha256_file, write_json

SHOWN = 20
TINY, TALL = 20.0, 1500.0  # metres: a city is wider than TINY, and no building is higher than TALL
LEVEL = 0.9  # a surface faces along an axis if the cosine between its normal and the axis is larger
FAR = 20.0  # a file that lies further from the others' middle than so many times their extent is of another place
POSE_KM = 5.0


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("paths", nargs="+", type=Path, help="OBJ files, or folders of them")
    result.add_argument("--poses", type=Path, help="a session, its folder of poses, or JSON lines: are they near?")
    result.add_argument("--json", action="store_true", help="one JSON line a file on stdout")
    result.add_argument("--out", type=Path, help="write the rows as a JSON file, too")
    return result


def main(args: argparse.Namespace) -> int:
    """Checks all files; 1 if there is any fault."""
    options = AerialMeshOptions.parse(load_params(args.params))
    paths = find_meshes(args.paths)
    poses, pose_faults = read_poses(args.poses) if args.poses else ([], [])
    files = list(read_meshes(paths, options))
    own = [[*file.faults, *shape_faults(file.mesh)] for file in files]
    apart = [*pose_faults, *lonely([file.mesh for file in files]), *far_from([file.mesh for file in files], poses)]
    rows = []
    for file, faults in zip(files, own, strict=True):
        here = [fault for fault in apart if fault.file == file.mesh.names[0]]
        rows.append(json_row(file, [*faults, *here], options))
        if args.json:
            sys.stdout.write(orjson.dumps(rows[-1]).decode() + "\n")
    faults = [*itertools.chain(*own), *apart]
    if not args.json:
        print_summary(rows, faults, options)
    if args.out:
        write_report(args.out, rows, street_files(args.paths))
        return 0
    return int(bool(faults))


def write_report(out: Path, rows: Sequence[dict[str, Any]], streets: Sequence[Path]) -> None:
    """Writes rows and hashes.

    Raises:
        UserError: no file can be used.
    """
    if not any(row["usable"] for row in rows):
        raise UserError(f"{rows[0]['file']}: no triangle in it or {len(rows) - 1} more files; export the city again.")
    meshes = [row | {"sha256": sha256_file(Path(row["file"]))} for row in rows]
    write_json(out, {"meshes": meshes, "streets": {file.as_posix(): sha256_file(file) for file in streets}})


def shape_faults(mesh: Mesh) -> Iterator[Fault]:
    """Units and axes that look wrong."""
    file = mesh.names[0]
    if not len(mesh.triangles):
        return
    wide, deep, high = np.ptp(mesh.bounds, axis=0).tolist()
    if high > TALL:
        message = f"is {high:,.0f} m high, more than any building ({TALL:,.0f} m)"
        if max(wide, deep) > 10 * TALL:
            yield Fault(file, "units", f"{message}, and {wide:,.0f} m × {deep:,.0f} m wide: {units(1000)}")
        else:
            yield Fault(file, "tall", f"{message}; the axis that points up may be another one: set mesh.up.")
    if max(wide, deep) < TINY:
        advice = units(max(wide, deep)) if max(wide, deep) < 2.5 else "is it a piece of a city?"
        yield Fault(file, "small", f"is only {wide:.2f} m × {deep:.2f} m wide; {advice}")
    # Roofs, floors and ground share one direction, walls face all sides: z up has most area along z.
    normals = area_vectors(mesh)
    length = np.linalg.norm(normals, axis=1)
    along = [float(length[np.abs(normals[:, axis]) > LEVEL * length].sum()) for axis in range(3)]
    if along[1] > 2 * (along[0] + along[2]):
        message = "most level surfaces face along y, not z: it looks as if y pointed up; set mesh.up: y."
        yield Fault(file, "y_up", message)


def units(size: float) -> str:
    """Advice for a mesh that does not look as if it were in metres."""
    unit = "kilometres or degrees" if size < TINY else "millimetres or centimetres"
    return f"it may be in {unit}; set mesh.metres_per_unit, or export it in plane rectangular metres."


def lonely(meshes: Sequence[Mesh]) -> Iterator[Fault]:
    """Files that lie far from all others, for example in another coordinate system."""
    bounds = {mesh.names[0]: mesh.bounds for mesh in meshes if len(mesh.triangles)}
    if len(bounds) < 2:
        return
    centre = np.median([box[:, :2].mean(axis=0) for box in bounds.values()], axis=0)
    extent = np.median([np.ptp(box[:, :2], axis=0).max() for box in bounds.values()])
    for name, box in bounds.items():
        away = float(level_distances(box, centre[None])[0])
        if away > max(FAR * extent, 1000 * POSE_KM):
            advice = "give files of one coordinate system and one city."
            yield Fault(name, "apart", f"lies {away / 1000:,.0f} km from the other files; {advice}")


def far_from(meshes: Sequence[Mesh], poses: Sequence[Pose]) -> Iterator[Fault]:
    """Files that lie far from every pose."""
    places = np.array([pose.position[:2] for pose in poses]).reshape(-1, 2)
    for mesh in meshes:
        if not len(places) or not len(mesh.triangles):
            continue
        away = level_distances(mesh.bounds, places).min() / 1000
        if away > POSE_KM:
            message = f"lies {away:,.0f} km from the nearest pose; give both in the same coordinate system."
            yield Fault(mesh.names[0], "far_from_poses", message)


def json_row(file: ObjFile, faults: Sequence[Fault], options: AerialMeshOptions) -> dict[str, Any]:
    """The content and the faults of a file."""
    mesh = file.mesh
    row: dict[str, Any] = {"usable": bool(len(mesh.triangles)), "file": mesh.names[0], "faces": file.faces}
    if len(mesh.triangles):
        closed = closed_shells(mesh)
        row |= {
            "set_aside": file.faces - file.used,
            "triangles": {name: int((mesh.classes == number).sum()) for name, number in options.numbers.items()},
            "unnamed": file.unnamed,
            "extent": np.round(mesh.bounds, 3).tolist(),
            "degenerate": int((doubled_areas(mesh) < 2e-8).sum()),  # no area, to a hundredth of a square millimetre
            "closed_shells": len(np.unique(closed[closed >= 0])),
            "in_closed_shells": int((closed >= 0).sum()),
        }
    return row | {"problems": [fault.to_json() for fault in faults]}


def print_summary(rows: Sequence[dict[str, Any]], faults: Sequence[Fault], options: AerialMeshOptions) -> None:
    """Prints a line a file and a total to stdout, and the first faults to stderr."""
    total = Counter(dict.fromkeys(options.numbers, 0))
    for row in rows:
        total.update(row.get("triangles", {}))
        print(f"{row['file']}: {describe(row) if row['usable'] else 'no triangle'}")
    kinds: Counter[str] = Counter()
    for fault in faults:
        kinds[fault.kind] += fault.count
    usable = sum(row["usable"] for row in rows)
    problems = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    classes = ", ".join(f"{count:,} {name}" for name, count in total.items())
    ending = f"; problems: {problems}" if problems else ""
    print(f"{usable} of {len(rows)} files can be used; triangles: {classes}{ending}")
    for fault in faults[:SHOWN]:
        say(f"error: {fault.place}: {fault.kind}: {fault.message}" + (f" ({fault.count} ×)" if fault.count > 1 else ""))
    if len(faults) > SHOWN:
        say(f"... and {len(faults) - SHOWN} more; --json lists all.")


def describe(row: dict[str, Any]) -> str:
    """``building 10,384 triangles, x -15,593.5 to -13,090.3, ... m``."""
    classes = ", ".join(f"{name} {count:,}" for name, count in row["triangles"].items() if count)
    ends = ", ".join(f"{axis} {low:,.1f} to {high:,.1f}" for axis, low, high in zip("xyz", *row["extent"], strict=True))
    without_area = f", {row['degenerate']} without area" if row["degenerate"] else ""
    return f"{classes} triangles, {ends} m{without_area}"


if __name__ == "__main__":
    run(parser, main)
