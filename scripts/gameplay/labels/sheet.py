"""A table for a person to fill in, and a page of thumbnails beside it."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

import cv2

from scripts.gameplay.labels.labeller import Scene
from scripts.gameplay.labels.table import read_table, table_text
from scripts.lib.cli import say
from scripts.lib.files import write_text
from scripts.model.viewer import open_picture

WIDE = 192  # pixels of a thumbnail
STYLE = "body{font:16px system-ui;margin:2em}h2{font-size:1em;margin:1.5em 0 .3em}img{margin-right:4px}"


def write_sheet(folder: Path, scenes: Sequence[Scene]) -> None:
    """Writes goals.csv, in which goals that stand there already are kept, and goals.html, which needs no network."""
    table = folder / "goals.csv"
    known = read_table(table) if table.is_file() else {}
    write_text(table, table_text(scenes, known))
    write_text(folder / "goals.html", page(scenes, known))
    said = "write a goal of three to five words into each row, then set label.by: file and label.file to it"
    say(f"{table}: {len(scenes)} segments, {sum(bool(goal) for goal in known.values())} with a goal; {said}")


def page(scenes: Sequence[Scene], known: dict[tuple[str, str], str]) -> str:
    """The page: each segment's name, its frames in order, and its goal."""
    parts = [f"<!doctype html><meta charset=utf-8><title>Goals</title><style>{STYLE}</style><h1>What is the goal?</h1>"]
    for scene in scenes:
        goal = html.escape(known.get((scene.recording, scene.segment), "") or "–")
        frames = "".join(f'<img src="{thumbnail(path)}" width={WIDE} alt="">' for path in scene.frames)
        parts.append(f"<h2>{html.escape(scene.segment)}: {goal}</h2>{frames}")
    return "\n".join(parts) + "\n"


def thumbnail(path: Path) -> str:
    """A small JPEG inside a URL."""
    picture = open_picture(path)
    size = WIDE, max(1, round(picture.shape[0] * WIDE / picture.shape[1]))
    _, data = cv2.imencode(".jpg", cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
