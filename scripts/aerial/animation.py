"""Pictures of a session's frames: cells from above and from the side, the path, and the camera's image."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from scripts.aerial.poses import Pose

PAPER, INK, FAINT, MARK = (244, 244, 241), (40, 40, 44), (190, 190, 190), (214, 60, 40)  # red first
GAP, HEAD = 10, 20  # pixels


class Look(NamedTuple):
    """How frames are drawn.

    Attributes:
        colours: uint8 [256, 3], by class number, red first.
        names: class names by number, but for free cells.
        range: least x, y, z, greatest x, y, z of the grid, metres.
        absolute: whether the grid's heights are the world's.
        datum: metres; the world's height that is z = 0 of the grid.
        size: pixels a side of each panel.
    """

    colours: np.ndarray
    names: dict[int, str]
    range: tuple[float, ...]
    absolute: bool
    datum: float
    size: int

    @property
    def spans(self) -> list[float]:
        """Metres that the grid is long, wide and high."""
        return [high - low for low, high in zip(self.range[:3], self.range[3:], strict=True)]


def draw_frame(grid: np.ndarray, poses: list[Pose], at: int, image: np.ndarray, look: Look) -> np.ndarray:
    """A frame, uint8 [height, width, 3], red first: the side on the left, camera, cells from above and path beside.

    Args:
        grid: uint8 [x, y, z].
        poses: of all frames.
        at: the number of the frame.
        image: uint8 [h, w, 3], red first.
    """
    size = look.size
    wide = 2 * (size + GAP)
    photo = cv2.resize(image, (wide, round(wide * image.shape[0] / image.shape[1])), interpolation=cv2.INTER_AREA)
    above = panel(from_above(grid, look), "from above, ahead is up")
    path = panel(path_map(poses, at, size), "path, north is up")
    camera = panel(photo, f"camera, frame {poses[at].frame}")
    right = np.concatenate([camera, np.concatenate([above, path], axis=1)])
    width, height = round(1.25 * size), right.shape[0] - HEAD - GAP
    scale = min(width / look.spans[0], height / look.spans[2])  # as large as fits
    side = panel(filled(from_side(grid, poses[at], look, scale), width, height), "from the side, ahead is right")
    both = np.concatenate([side, right], axis=1)
    return np.concatenate([both, legend(both.shape[1], look)])


def from_above(grid: np.ndarray, look: Look) -> np.ndarray:
    """The highest cell of each column, paler where it is low; ahead (x) is up, left (y) is left."""
    top = grid.shape[2] - 1 - np.argmax(grid[:, :, ::-1] > 0, axis=2)
    classes = np.take_along_axis(grid, top[..., None], axis=2)[..., 0]
    share = np.sqrt(top / max(1, grid.shape[2] - 1))  # most occupied cells lie in the lower half
    scale = look.size / max(look.spans[:2])
    picture = enlarged(shaded(classes, share, look)[::-1, ::-1], look.spans[1] * scale, look.spans[0] * scale)
    return filled(picture, look.size, look.size)


def from_side(grid: np.ndarray, pose: Pose, look: Look, scale: float) -> np.ndarray:
    """The nearest occupied cells seen from the right; ahead is right, up is up; ``scale`` pixels a metre both ways.

    A cross marks the vehicle; it lies at the edge if the vehicle is above or below the grid.
    """
    first = np.argmax(grid > 0, axis=1)
    classes = np.take_along_axis(grid, first[:, None], axis=1)[:, 0]
    share = 1 - first / max(1, grid.shape[1] - 1)
    colours = shaded(classes, share, look).transpose(1, 0, 2)[::-1]
    picture = enlarged(colours, look.spans[0] * scale, look.spans[2] * scale)
    height = pose.position[2] - look.datum if look.absolute else 0.0
    down = min(max((look.range[5] - height) * scale, 0), picture.shape[0] - 1)
    spot = round(-look.range[0] * scale), round(down)
    cv2.drawMarker(picture, spot, MARK, cv2.MARKER_CROSS, max(6, look.size // 20), 2)
    return picture


def shaded(classes: np.ndarray, share: np.ndarray, look: Look) -> np.ndarray:
    """uint8 [..., 3]: class colours at 60 % (``share`` 0) to full strength (1); free cells have the paper's colour."""
    colours = look.colours[classes] * (0.6 + 0.4 * share[..., None])
    return np.where(classes[..., None] > 0, colours, PAPER).astype(np.uint8)


def enlarged(cells: np.ndarray, width: float, height: float) -> np.ndarray:
    """Cells as a picture of about these sides, pixels."""
    size = max(1, round(width)), max(1, round(height))
    return cv2.resize(np.ascontiguousarray(cells), size, interpolation=cv2.INTER_NEAREST)


def filled(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture with paper around it: in the middle of the width, at the lower edge."""
    over, above = max(0, width - picture.shape[1]), max(0, height - picture.shape[0])
    return cv2.copyMakeBorder(picture, above, 0, over // 2, over - over // 2, cv2.BORDER_CONSTANT, value=PAPER)


def path_map(poses: list[Pose], at: int, size: int) -> np.ndarray:
    """The whole path from above, north up, the part behind in ink, and the vehicle with its heading."""
    places = np.array([pose.position[:2] for pose in poses])
    low, high = places.min(axis=0), places.max(axis=0)
    scale = 0.86 * min(size / np.maximum(high - low, 20))
    spots = (places - (low + high) / 2) * [scale, -scale] + size / 2
    picture = np.full((size, size, 3), PAPER, np.uint8)
    points = spots.round().astype(np.int32)
    cv2.polylines(picture, [points], False, FAINT, 1, cv2.LINE_AA)
    cv2.polylines(picture, [points[: at + 1]], False, INK, 2, cv2.LINE_AA)
    yaw = poses[at].yaw
    tip = points[at] + np.round(size / 12 * np.array([np.cos(yaw), -np.sin(yaw)])).astype(int)
    cv2.arrowedLine(picture, points[at].tolist(), tip.tolist(), MARK, 2, cv2.LINE_AA, tipLength=0.35)
    longest = size / scale / 5
    power = 10 ** np.floor(np.log10(longest))
    bar = float(max(step for step in (1, 2, 5) if step * power <= longest) * power)
    cv2.line(picture, (GAP, size - GAP), (GAP + round(bar * scale), size - GAP), INK, 2)
    written(picture, f"{bar:g} m", (GAP, size - GAP - 6))
    return picture


def panel(picture: np.ndarray, title: str) -> np.ndarray:
    """A picture with a line of text above it and some space around both."""
    head = np.full((HEAD, picture.shape[1], 3), 255, np.uint8)
    written(head, title, (0, 14))
    both = np.concatenate([head, picture])
    return cv2.copyMakeBorder(both, GAP // 2, GAP // 2, GAP, GAP, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def legend(width: int, look: Look) -> np.ndarray:
    """The classes' colours and names in a row."""
    row = np.full((24, width, 3), 255, np.uint8)
    at = GAP
    for number, name in look.names.items():
        cv2.rectangle(row, (at, 5), (at + 12, 17), look.colours[number].tolist(), -1)
        written(row, name, (at + 18, 16))
        at += 18 + cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)[0][0] + 2 * GAP
    return row


def written(picture: np.ndarray, text: str, place: tuple[int, int]) -> None:
    """Writes small text."""
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
