"""Writes a made-up city as OBJ files in plane rectangular coordinates, metres, z up.

In the folder: `<name>_ground.obj` (with the streets), `<name>_building.obj`, `<name>_tree.obj`, `<name>_streets.json`
(the streets' middles and widths) and, last, `files.json` with the size and hash of every file. The same seed and
options give the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from scripts.aerial.generator.buildings import build
from scripts.aerial.generator.ground import centre_lines, ground_of
from scripts.aerial.generator.plan import Plan, plan_of
from scripts.aerial.generator.shells import Shell
from scripts.aerial.generator.trees import trees_of
from scripts.aerial.options import AerialGenerateOptions
from scripts.lib.cli import StageParser, load_params, run, say
from scripts.lib.files import manifest, write_json, write_text
from scripts.lib.listed import clear_listed, write_list


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("--out", type=Path, required=True, help="folder to write")
    return result


def main(args: argparse.Namespace) -> None:
    """Draws the plan, builds on it and writes."""
    options = AerialGenerateOptions.parse(load_params(args.params))
    clear_listed(args.out)
    faces = write_city(args.out, plan_of(options))
    files = manifest(args.out, [*faces, f"{options.name}_streets.json"])
    write_list(args.out, options.seed, options.model_dump(), files)
    said = ", ".join(f"{count} faces in {name}" for name, count in faces.items())
    say(f"{args.out}: {said}, {sum(row['bytes'] for row in files) / 1e6:.1f} MB")


def write_city(out: Path, plan: Plan) -> dict[str, int]:
    """Writes the meshes and the streets; faces by file."""
    name, city = plan.options.name, build(plan)
    trees = trees_of(plan, city)
    layers: dict[str, Mapping[str, Shell]] = {
        "ground": ground_of(plan),
        "building": {f"building_{number:05d}": shell for number, shell in enumerate(city.shells)},
        "tree": {f"tree_{number:05d}": shell for number, shell in enumerate(trees)},
    }
    counts = {}
    for layer, shells in layers.items():
        if shells:
            counts[f"{name}_{layer}.obj"] = sum(len(shell.faces) for shell in shells.values())
            write_text(out / f"{name}_{layer}.obj", "\n".join(obj_lines(name, layer, shells)) + "\n")
    write_json(out / f"{name}_streets.json", centre_lines(plan))
    return counts


def obj_lines(name: str, layer: str, shells: Mapping[str, Shell]) -> Iterator[str]:
    """The text of an OBJ file, a group for each shell, millimetres."""
    yield f"# {name}, a city that is made up: {layer}"
    yield "# plane rectangular coordinates in metres: x east, y north, z up"
    start, known = 1, {}
    for group, shell in shells.items():
        if id(shell.vertices) not in known:
            known[id(shell.vertices)] = start
            yield from (f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in shell.vertices.tolist())
            start += len(shell.vertices)
        yield f"g {group}"
        yield from face_lines(shell.faces, known[id(shell.vertices)])


def face_lines(faces: Iterable[list[int]], start: int) -> Iterator[str]:
    """``f`` lines of faces whose first vertex has the number ``start``."""
    for face in faces:
        yield "f " + " ".join(str(corner + start) for corner in face)


if __name__ == "__main__":
    run(parser, main)
