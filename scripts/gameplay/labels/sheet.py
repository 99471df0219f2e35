"""A table for a person to fill in, and a page of thumbnails beside it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import cv2

from scripts.gameplay.labels.labeller import Scene, data_url
from scripts.gameplay.labels.table import read_table, table_text
from scripts.gameplay.pictures import encode_jpeg
from scripts.lib.cli import say
from scripts.lib.files import write_text
from scripts.model.viewer import open_picture

WIDE = 192  # pixels of a thumbnail
STYLE = "body{font:16px system-ui;margin:2em}h2{font-size:1em;margin:1.5em 0 .3em}img{margin-right:4px}"


def write_sheet(folder: Path, scenes: Sequence[Scene]) -> None:
    """Writes goals.csv, which keeps the goals of an earlier one, and goals.html, which needs no network."""
    table = folder / "goals.csv"
    known = read_table(table) if table.is_file() else {}
    page = [f"<!doctype html><meta charset=utf-8><title>Goals</title><style>{STYLE}</style><h1>What is the goal?</h1>"]
    for scene in scenes:
        goal = known.get((scene.recording, scene.segment), "") or "–"
        page.append(f"<h2>{html.escape(scene.segment)}: {html.escape(goal)}</h2>")
        for frame in scene.frames:
            picture = open_picture(frame)
            size = WIDE, max(1, round(picture.shape[0] * WIDE / picture.shape[1]))
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            page[-1] += f'<img src="{data_url(encode_jpeg(small, 95))}" width={WIDE} alt="">'
    write_text(table, table_text(scenes, known))
    write_text(folder / "goals.html", "\n".join(page) + "\n")
    task = "write a goal of three to five words into each row, then set label.by: file and label.file to it"
    say(f"{table}: {len(scenes)} segments, {sum(bool(goal) for goal in known.values())} with a goal; {task}")
