"""Writes a made-up city as OBJ files in plane rectangular coordinates, metres, z up.

In the folder: `<name>_ground.obj` (with the streets), `<name>_building.obj`, `<name>_tree.obj`, `<name>_streets.json`
(the streets' middles and widths) and, last, `files.json` with the size and hash of every file. The same seed and
options give the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.aerial.generator.buildings import build
from scripts.aerial.generator.ground import centre_lines, ground_of
from scripts.aerial.generator.plan import plan_of
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
    """Draws the plan, builds on it and writes the meshes and the streets."""
    options = AerialGenerateOptions.parse(load_params(args.params))
    clear_listed(args.out)
    plan = plan_of(options)
    buildings, green = build(plan)
    trees = trees_of(plan, buildings, green)
    layers: dict[str, Mapping[str, Shell]] = {
        "ground": ground_of(plan),
        "building": {f"building_{number:05d}": shell for number, shell in enumerate(buildings)},
        "tree": {f"tree_{number:05d}": shell for number, shell in enumerate(trees)},
    }
    faces = {}
    for layer, shells in layers.items():
        if shells:
            file = f"{options.name}_{layer}.obj"
            write_text(args.out / file, "\n".join(obj_lines(options.name, layer, shells)) + "\n")
            faces[file] = sum(len(shell.faces) for shell in shells.values())
    streets = f"{options.name}_streets.json"
    write_json(args.out / streets, centre_lines(plan))
    files = manifest(args.out, [*faces, streets])
    write_list(args.out, options.seed, options.model_dump(), files)
    counts = ", ".join(f"{count} faces in {name}" for name, count in faces.items())
    say(f"{args.out}: {counts}, {sum(row['bytes'] for row in files) / 1e6:.1f} MB")


def obj_lines(name: str, layer: str, shells: Mapping[str, Shell]) -> Iterator[str]:
    """The lines of an OBJ file, a group for each shell, to the millimetre; shared vertices are written once."""
    yield f"# {name}, a city that is made up: {layer}"
    yield "# plane rectangular coordinates in metres: x east, y north, z up"
    count, starts = 1, {}
    for group, shell in shells.items():
        if id(shell.vertices) not in starts:
            starts[id(shell.vertices)] = count
            yield from (f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in shell.vertices.tolist())
            count += len(shell.vertices)
        yield f"g {group}"
        start = starts[id(shell.vertices)]
        for face in shell.faces:
            yield "f " + " ".join(str(corner + start) for corner in face)


if __name__ == "__main__":
    run(parser, main)
