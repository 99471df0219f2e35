"""Recordings made by hand: raw folders, OWAMcap files of both versions, VPT pairs; pictures are plain grey."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from mcap.writer import Writer

from scripts.gameplay.keys import code_of, keys_of
from scripts.gameplay.raw import Fault, Frame, read_saved, write_frame
from scripts.gameplay.readers.recording import UNKNOWN, Recording, Turns, states_of
from scripts.gameplay.timeline import NO_PICTURE

START = 1_795_271_103_000
OTHER = "unknown"
SIZE = (64, 48)


def grey(level: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A plain picture."""
    return np.full((size[1], size[0], 3), level, np.uint8)


def jpeg(level: int = 100, size: tuple[int, int] = SIZE) -> bytes:
    """A plain picture as a JPEG."""
    return cv2.imencode(".jpg", grey(level, size))[1].tobytes()


def write_raw(folder: Path, rows: list[tuple[int, str]], goal: str = "UNLABELED") -> Path:
    """A raw folder from (milliseconds after the start, word)."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (after, word) in enumerate(rows):
        write_frame(folder, START + after, jpeg(number % 250), keys_of(word) or ["none"], goal)
    return folder


def read_frames(folder: Path) -> tuple[list[Frame], list[Fault]]:
    """A raw folder's complete frames in the order of their stamps, and all faults; pictures are not read."""
    frames, faults = read_saved(folder)
    complete = [frame for frame in frames if frame.keys is not None and frame.picture is not None]
    complete.sort(key=lambda frame: frame.stamp)
    return complete, [*faults, *(frame.fault for frame in frames if frame.fault is not None)]


def every_tick(count: int, word: str = "w", first: int = 0) -> list[tuple[int, str]]:
    """A frame each 100 ms."""
    return [(100 * tick, word) for tick in range(first, first + count)]


def recording(rows: list[tuple[int, str]], rhythm="changes", turns=(), shots=None, alive=None) -> Recording:
    """A recording without files, from (milliseconds, word); `OTHER` is a state that is not known."""
    stamps, held = states_of([(at, UNKNOWN if word == OTHER else code_of(keys_of(word))) for at, word in rows])
    seen = [at for at, word in rows if word != OTHER] if shots is None else shots
    alive = stamps if alive is None else np.array(alive, np.int64)
    return Recording(rhythm, stamps, held, alive, np.array(seen, np.int64), None, Turns.of(list(turns)))


def shown(shots: np.ndarray) -> list[int | None]:
    """Pictures by tick, None where there is none."""
    return [None if shot == NO_PICTURE else shot for shot in shots.tolist()]


def write_video(path: Path, frames: int, rate: float = 20.0) -> Path:
    """A video whose n-th frame is 8 n grey, modulo 256."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), rate, SIZE)
    for number in range(frames):
        writer.write(grey(8 * number % 256))
    writer.release()
    return path


def vpt_line(milli: int, *keys: str, dx: float = 0.0, dy: float = 0.0, **more) -> str:
    """A line of a VPT recording."""
    mouse = {"x": 640.0, "y": 360.0, "dx": dx, "dy": dy, "buttons": [], "newButtons": []}
    names = [f"key.keyboard.{key}" for key in keys]
    return json.dumps({"mouse": mouse, "keyboard": {"keys": names, "newKeys": []}, "milli": milli, **more})


def write_vpt(folder: Path, lines: list[str], frames: int | None = None, rate: float = 20.0) -> Path:
    """A VPT pair; returns the video."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "play.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return write_video(folder / "play.mp4", len(lines) if frames is None else frames, rate)


KINDS = {
    "0.3.2": {
        "screen": "owa.env.gst.msg.ScreenEmitted",
        "keyboard": "owa.env.desktop.msg.KeyboardEvent",
        "keyboard/state": "owa.env.desktop.msg.KeyboardState",
        "mouse": "owa.env.desktop.msg.MouseEvent",
        "window": "owa.env.desktop.msg.WindowInfo",
    },
    "0.5.1": {
        "screen": "desktop/ScreenCaptured",
        "keyboard": "desktop/KeyboardEvent",
        "keyboard/state": "desktop/KeyboardState",
        "mouse": "desktop/MouseEvent",
        "mouse/raw": "desktop/RawMouseEvent",
        "window": "desktop/WindowInfo",
    },
}


def screen(version: str, after: float, place: float, video: str = "desk.mkv") -> dict:
    """What a screen message says: milliseconds after the start, and in the video."""
    taken, pts = round((START + after) * 1e6), round(place * 1e6)
    if version == "0.3.2":
        return {"path": video, "pts": pts, "utc_ns": taken}
    return {"utc_ns": taken, "shape": [64, 48], "media_ref": {"uri": video, "pts_ns": pts}}


def write_owamcap(folder: Path, version: str, messages: list[tuple[float, str, object]], frames: int = 10) -> Path:
    """An OWAMcap from (milliseconds after the start, topic, value), in this order; its video has 10 frames a second."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "desk.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start("owa", f"mcap-owa-support {version}")
        channels = {}
        for topic, name in KINDS[version].items():
            schema = writer.register_schema(name, "jsonschema", b"{}")
            channels[topic] = writer.register_channel(topic, "json", schema)
        for after, topic, value in messages:
            at = round((START + after) * 1e6)
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            writer.add_message(channels[topic], at, data, at)
        writer.finish()
    if frames:
        write_video(folder / "desk.mkv", frames, rate=10.0)
    return path


def pressed(vk: int) -> dict:
    """A key goes down."""
    return {"event_type": "press", "vk": vk}


def released(vk: int) -> dict:
    """A key comes up."""
    return {"event_type": "release", "vk": vk}
