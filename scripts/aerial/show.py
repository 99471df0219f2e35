"""Writes an animation of a session: cells from above and from the side, the camera's image and the path.

A .gif opens everywhere, in a browser and on a page; a .mp4 is smaller, but few browsers play it (MPEG-4 part 2).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydantic import Field
from tqdm import tqdm

from scripts.aerial.animation import Look, draw_frame
from scripts.aerial.options import AerialGridOptions
from scripts.aerial.picture import class_colours
from scripts.aerial.poses import Pose, read_poses
from scripts.aerial.record import MANIFEST, file_names
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import atomic_path, read_json
from scripts.lib.options.strict import Options


class ShowOptions(Options):
    """The command's --params."""

    every: int = Field(default=1, ge=1)
    """only each so many frames"""
    most: int = Field(default=200, ge=1)
    """frames at most, spread evenly"""
    rate: float = Field(default=8.0, gt=0, le=50)
    """frames a second"""
    size: int = Field(default=260, ge=64, le=1080)
    """pixels a side of each panel"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("session", type=Path, help="a session's folder")
    result.add_argument("--out", type=Path, required=True, help="file to write: .gif or .mp4")
    return result


def main(args: argparse.Namespace) -> None:
    """Draws the frames and writes them."""
    options = ShowOptions.parse(load_params(args.params))
    writer = WRITERS.get(args.out.suffix.lower())
    if writer is None:
        raise UserError(f"{args.out}: no such kind of animation; name it .gif or .mp4.")
    look = look_of(args.session, options.size)
    poses, faults = read_poses(args.session)
    for fault in faults:
        say(f"warning: {fault.place}: {fault.kind}: {fault.message}")
    every = np.arange(0, len(poses), options.every)
    places = every[
        np.unique(np.linspace(0, len(every) - 1, min(len(every), options.most)).round().astype(int))
    ].tolist()
    with atomic_path(args.out) as part:
        whole = part.with_suffix(args.out.suffix.lower())  # OpenCV goes by the name
        try:
            writer(whole, pictures(args.session, poses, places, look), options.rate)
            whole.replace(part)
        finally:
            whole.unlink(missing_ok=True)
    say(f"{args.out}: {len(places)} of {len(poses)} frames, {args.out.stat().st_size / 1e6:.1f} MB")


def look_of(session: Path, size: int) -> Look:
    """How a session is drawn, from its manifest.

    Raises:
        UserError: there is no manifest, or it has no classes and no grid.
    """
    if not session.is_dir():
        raise UserError(f"{session}: no folder of a session; name one that holds a {MANIFEST}.")
    manifest = read_json(session / MANIFEST)
    try:
        classes = {int(number): str(name) for name, number in manifest["classes"].items() if number}
        given: dict[str, Any] = manifest["options"]["voxels"]["grid"]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"{session / MANIFEST}: tells no classes and no grid; record the session again.") from None
    grid = AerialGridOptions.parse(given, str(session / MANIFEST))
    colours = class_colours({name: number for number, name in classes.items()})
    return Look(colours, classes, grid.range, grid.heights == "absolute", grid.datum, size)


def pictures(session: Path, poses: list[Pose], places: list[int], look: Look) -> Iterator[np.ndarray]:
    """Each frame drawn, uint8 [h, w, 3], blue first.

    Raises:
        UserError: a frame's file is missing or no such file.
    """
    for at in tqdm(places, desc="draw", unit="frame", disable=None):
        names = file_names(poses[at].frame)
        image = cv2.imread(str(session / names[3]), cv2.IMREAD_COLOR)
        if image is None:
            raise UserError(f"{session / names[3]}: missing, or no image; record the session again.")
        yield draw_frame(cells(session / names[0]), poses, at, image[:, :, ::-1], look)[:, :, ::-1]


def cells(file: Path) -> np.ndarray:
    """A frame's grid, uint8 [x, y, z].

    Raises:
        UserError: the file is missing, cut short, or holds something else.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            grid = arrays["occupancy"]
    except Exception as error:  # numpy and zipfile raise a dozen kinds for a file that is cut short
        raise UserError(f"{file}: not a frame's cells ({type(error).__name__}); record the session again.") from error
    if grid.ndim != 3 or grid.dtype != np.uint8:
        raise UserError(f"{file}: {grid.dtype} of shape {grid.shape}, not uint8 [x, y, z]; record the session again.")
    return grid


def write_gif(path: Path, frames: Iterator[np.ndarray], rate: float) -> None:
    """Writes an animated GIF that repeats."""
    animation = cv2.Animation()
    animation.frames = [np.ascontiguousarray(frame) for frame in frames]
    animation.durations = [round(1000 / rate)] * len(animation.frames)
    animation.loop_count = 0
    # 3: each frame has a palette of its own; the default palette is far from the picture's colours.
    if not cv2.imwriteanimation(str(path), animation, [cv2.IMWRITE_GIF_DITHER, 3]):
        raise UserError(f"{path}: OpenCV could not write a GIF; name the file .mp4.")


def write_mp4(path: Path, frames: Iterator[np.ndarray], rate: float) -> None:
    """Writes MPEG-4 video; its sides are even, as the codec wants."""
    writer = None
    try:
        for frame in frames:
            even = np.ascontiguousarray(frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2])
            if writer is None:
                code = cv2.VideoWriter_fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(path), code, rate, even.shape[1::-1])
                if not writer.isOpened():
                    raise UserError(f"{path}: OpenCV has no MPEG-4 writer here; name the file .gif.")
            writer.write(even)
    finally:
        if writer is not None:
            writer.release()


WRITERS: dict[str, Callable[[Path, Iterator[np.ndarray], float], None]] = {".gif": write_gif, ".mp4": write_mp4}


if __name__ == "__main__":
    run(parser, main)
