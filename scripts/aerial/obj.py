"""Reads Wavefront OBJ files, large and georeferenced: vertices as float64 without any shift, faces as triangles.

``f`` lines may have any of the forms v, v/vt, v//vn and v/vt/vn, negative indices, and more than three corners.
Normals, texture coordinates, materials, lines and points are skipped; bad lines are set aside with their numbers.
Format: Alias Wavefront, Advanced Visualizer manual, appendix B1, Object files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts.aerial.kernels import obj as kernel
from scripts.aerial.kernels.polygons import triangulated
from scripts.aerial.mesh import Fault, Mesh

REASONS = {
    "bad_vertex": "a vertex has no three numbers; correct the line or export the mesh again.",
    "not_finite": "a vertex is NaN or infinite; correct the line or export the mesh again.",
    "bad_face": "a face has a corner that is no index; correct the line or export the mesh again.",
    "short_face": "a face has fewer than three corners; the line may be cut off.",
    "outside": "a face points outside the vertex list; the file may be cut off: export the mesh again.",
    "of_bad_vertex": "a face has a vertex that was set aside; correct that vertex.",
    "twisted": "a polygon crosses itself; what it was divided into may overlap; export it as triangles.",
    "unknown": "is no statement of an OBJ file; remove the line.",
    "not_utf8": "a name is not UTF-8; its unreadable letters are shown as \N{REPLACEMENT CHARACTER}.",
}


RARE = frozenset(  # statements about curves, surfaces and display, which hold no faces
    b"cstype deg bmat step curv curv2 surf parm trim hole scrv sp end con mg bevel c_interp d_interp lod maplib usemap "
    b"shadow_obj trace_obj ctech stech call csh".split()
)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Lines(NamedTuple):
    """The arrays that `kernel.read_lines` fills; see there."""

    data: np.ndarray
    points: np.ndarray
    point_rows: np.ndarray
    face_rows: np.ndarray
    corners: np.ndarray
    other_rows: np.ndarray

    def text(self, row: np.ndarray) -> bytes:
        """A line."""
        return self.data[row[1] : row[2]].tobytes().strip()


class ObjFile(NamedTuple):
    """The content of an OBJ file.

    Attributes:
        mesh: its triangles.
        faults: the lines that were set aside, one fault a kind.
        faces: faces in the file; ``used``: faces in the mesh.
        unnamed: triangles whose names fit no pattern of a class.
    """

    mesh: Mesh
    faults: list[Fault]
    faces: int
    used: int
    unnamed: int


Classify = Callable[[str | None], tuple[int, bool]]
"""From a name inside the file (None: before any name) to the class number, and whether a pattern fits."""


def read_obj(path: Path, classify: Classify, name: str | None = None) -> ObjFile:
    """Reads a file.

    Args:
        classify: gives the class of what has a name by an ``o``, ``g`` or ``usemtl`` line.
        name: the file's name in faults; by default its path.

    Raises:
        OSError: the file cannot be read.
    """
    return parse_obj(np.fromfile(path, np.uint8), classify, name or path.as_posix())


def parse_obj(data: np.ndarray, classify: Classify, name: str) -> ObjFile:
    """Reads the bytes of a file, uint8."""
    start = len(BYTE_ORDER_MARK) if data[:3].tobytes() == BYTE_ORDER_MARK else 0
    lines = split_lines(data[start:])
    good, rows = sorted_faces(lines)
    ends, twisted = lines.face_rows[:, 4], np.zeros(len(lines.face_rows), bool)
    count = int((np.diff(ends, prepend=0)[good] - 2).sum())
    triangles, owners = np.empty((count, 3), np.int64), np.empty(count, np.int64)
    triangulated(lines.points, lines.corners, ends, good, triangles, owners, twisted)
    classes, fits, undecodable = classes_of(lines, classify, owners)
    rows |= {"twisted": lines.face_rows[twisted, 0], "not_utf8": undecodable}
    faults = [
        Fault(name, kind, REASONS[kind], tuple(int(number) for number in numbers))
        for kind, numbers in rows.items()
        if len(numbers)
    ]
    if not count:
        faults.append(Fault(name, "empty", "holds no face that can be used; export the mesh again, or leave it out."))
    mesh = Mesh(lines.points, triangles, classes, np.zeros(count, np.int32), (name,))
    return ObjFile(mesh, faults, len(lines.face_rows), len(good), int((~fits).sum()))


def split_lines(data: np.ndarray) -> Lines:
    """All lines; vertices that cannot be read are NaN.

    Where the kernel's decimal numbers would not be exact, Python reads the line again.
    """
    vertices, faces, others, corners = kernel.count_lines(data)
    lines = Lines(
        data,
        np.empty((vertices, 3)),
        np.empty((vertices, 4), np.int64),
        np.empty((faces, 5), np.int64),
        np.empty(corners, np.int64),
        np.empty((others, 5), np.int64),
    )
    kernel.read_lines(*lines)
    rows = lines.point_rows
    for at in np.flatnonzero(rows[:, 3] == kernel.RETRY):
        try:  # float() takes 1_000 for a number, OBJ does not
            lines.points[at] = [float(word) for word in lines.text(rows[at]).replace(b"_", b"?").split()[1:4]]
        except ValueError:
            rows[at, 3] = kernel.NUMBER
    lines.points[np.isin(rows[:, 3], (kernel.NUMBER, kernel.SHORT))] = np.nan
    return lines


def sorted_faces(lines: Lines) -> tuple[np.ndarray, dict[str, Sequence[int] | np.ndarray]]:
    """The faces that can be used, ascending, and the line numbers of each kind of fault."""
    points, faces = lines.point_rows, lines.face_rows
    unread = np.isin(points[:, 3], (kernel.NUMBER, kernel.SHORT))
    finite = np.isfinite(lines.points).all(axis=1)
    outside = of_any(lines, (lines.corners < 0) | (lines.corners >= len(points)))
    inside = np.clip(lines.corners, 0, max(0, len(points) - 1))
    spoiled = of_any(lines, ~finite[inside] if len(points) else np.ones(len(inside), bool))
    whole = faces[:, 3] == kernel.GOOD
    others = lines.other_rows[lines.other_rows[:, 3] == kernel.OTHER]
    rows = {
        "bad_vertex": points[unread, 0],
        "not_finite": points[~finite & ~unread, 0],
        "bad_face": faces[faces[:, 3] == kernel.NUMBER, 0],
        "short_face": faces[faces[:, 3] == kernel.SHORT, 0],
        "outside": faces[whole & outside, 0],
        "of_bad_vertex": faces[whole & ~outside & spoiled, 0],
        "unknown": [row[0] for row in others if lines.text(row).split()[0] not in RARE],
    }
    return np.flatnonzero(whole & ~outside & ~spoiled), rows


def of_any(lines: Lines, marked: np.ndarray) -> np.ndarray:
    """bool [faces]: whether any corner of a face is ``marked``, bool [corners]."""
    total = np.concatenate([[0], np.cumsum(marked)])
    ends = lines.face_rows[:, 4]
    return np.diff(total[ends], prepend=0) > 0


def classes_of(lines: Lines, classify: Classify, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Classes of triangles by the names that hold for their faces (``owners``, int64 [triangles]).

    An ``o``, ``g`` or ``usemtl`` line holds until the next one of its kind. The last that a pattern fits counts.

    Returns:
        class numbers, uint8 [triangles]; whether a pattern fits, bool [triangles]; lines whose name is not UTF-8.
    """
    starts, chosen, undecodable = [0], [classify(None)], []
    held: dict[str, tuple[int, bool]] = {}
    for number, first, end, kind, faces_before in lines.other_rows.tolist():
        if kind != kernel.NAME:
            continue
        statement, *words = lines.data[first:end].tobytes().strip().decode("utf-8", "replace").split(None, 1)
        name = " ".join(words).strip()
        if "\N{REPLACEMENT CHARACTER}" in name:
            undecodable.append(number)
        held.pop(statement, None)  # the statement moves to the end of the order
        held[statement] = classify(name)
        starts.append(faces_before)
        chosen.append(next((held_class for held_class in reversed(held.values()) if held_class[1]), chosen[0]))
    classes, fits = zip(*chosen, strict=True)
    place = np.searchsorted(starts, owners, side="right") - 1
    return np.array(classes, np.uint8)[place], np.array(fits, bool)[place], undecodable
