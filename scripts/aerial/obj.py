"""Wavefront OBJ files, large and georeferenced: vertices kept in float64 where they stand, faces as triangles.

``f`` lines may have any of the forms v, v/vt, v//vn and v/vt/vn, negative indices, and more than three corners.
Normals, texture coordinates, materials, lines and points are passed over; what is wrong is set aside by line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
    """A file's lines as `kernel.read_lines` fills them."""

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
    """What is in an OBJ file.

    Attributes:
        mesh: its triangles.
        faults: what was set aside, by kind.
        faces: how many faces the file has; ``used`` how many are in the mesh.
        unnamed: triangles that no pattern of a class fits.
    """

    mesh: Mesh
    faults: list[Fault]
    faces: int
    used: int
    unnamed: int


Classify = Callable[[str | None], tuple[int, bool]]
"""From a name inside the file (None: before any) to the class number, and whether a pattern fits."""


def read_obj(path: Path, classify: Classify, name: str | None = None) -> ObjFile:
    """Reads a file.

    Args:
        classify: gives the class of what has a name by an ``o``, ``g`` or ``usemtl`` line.
        name: how the file is called in faults; its path if none is given.

    Raises:
        OSError: the file cannot be read.
    """
    return parse_obj(np.fromfile(path, np.uint8), classify, name or path.as_posix())


def parse_obj(data: np.ndarray, classify: Classify, name: str) -> ObjFile:
    """Reads the bytes of a file, uint8."""
    marked = data[:3].tobytes() == BYTE_ORDER_MARK
    lines = split_lines(data[3:] if marked else data)
    retry(lines)
    good, faults = sorted_faces(lines, name)
    ends, twisted = lines.face_rows[:, 4], np.zeros(len(lines.face_rows), bool)
    sizes = np.diff(ends, prepend=0)
    count = int((sizes[good] - 2).sum())
    triangles, owners = np.empty((count, 3), np.int64), np.empty(count, np.int64)
    triangulated(lines.points, lines.corners, ends, good, triangles, owners, twisted)
    faults += [fault for fault in [line_fault(name, "twisted", lines.face_rows[twisted, 0])] if fault]
    classes, fits, odd = classes_of(lines, classify, owners)
    faults += [fault for fault in [line_fault(name, "not_utf8", odd)] if fault]
    if not count:
        faults.append(Fault(name, "empty", "holds no face that can be used; export the mesh again, or leave it out."))
    mesh = Mesh(lines.points, triangles, classes, np.zeros(count, np.int32), (name,))
    return ObjFile(mesh, faults, len(lines.face_rows), len(good), int((~fits).sum()))


def split_lines(data: np.ndarray) -> Lines:
    """All lines, read as far as the quick way goes."""
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
    return lines


def retry(lines: Lines) -> None:
    """Reads vertices by Python's own numbers where the quick way is not exact; NaN where there are none."""
    rows = lines.point_rows
    for at in np.flatnonzero(rows[:, 3] == kernel.RETRY):
        try:
            lines.points[at] = [float(word) for word in lines.text(rows[at]).replace(b"_", b"?").split()[1:4]]
        except ValueError:
            rows[at, 3] = kernel.NUMBER
    lines.points[(rows[:, 3] == kernel.NUMBER) | (rows[:, 3] == kernel.SHORT)] = np.nan


def sorted_faces(lines: Lines, name: str) -> tuple[np.ndarray, list[Fault]]:
    """The faces that can be used, ascending, and the faults of all lines."""
    points, faces = lines.point_rows, lines.face_rows
    unread = (points[:, 3] == kernel.NUMBER) | (points[:, 3] == kernel.SHORT)
    finite = np.isfinite(lines.points).all(axis=1)
    outside = of_any(lines, (lines.corners < 0) | (lines.corners >= len(points)))
    inside = np.clip(lines.corners, 0, max(0, len(points) - 1))
    spoiled = of_any(lines, ~finite[inside] if len(points) else np.ones(len(inside), bool))
    kinds = {
        "bad_vertex": points[unread, 0],
        "not_finite": points[~finite & ~unread, 0],
        "bad_face": faces[faces[:, 3] == kernel.NUMBER, 0],
        "short_face": faces[faces[:, 3] == kernel.SHORT, 0],
        "outside": faces[(faces[:, 3] == kernel.GOOD) & outside, 0],
        "of_bad_vertex": faces[(faces[:, 3] == kernel.GOOD) & ~outside & spoiled, 0],
        "unknown": [row[0] for row in of_kind(lines, kernel.OTHER) if lines.text(row).split()[0] not in RARE],
    }
    faults = [fault for kind, rows in kinds.items() if (fault := line_fault(name, kind, rows))]
    return np.flatnonzero((faces[:, 3] == kernel.GOOD) & ~outside & ~spoiled), faults


def of_any(lines: Lines, marked: np.ndarray) -> np.ndarray:
    """bool [faces]: whether any corner of a face is marked."""
    total = np.concatenate([[0], np.cumsum(marked)])
    ends = lines.face_rows[:, 4]
    return total[ends] > total[np.concatenate([[0], ends[:-1]])] if len(ends) else np.zeros(0, bool)


def line_fault(name: str, kind: str, numbers: Sequence[int] | np.ndarray) -> Fault | None:
    """A fault of some lines; None where there are none."""
    return Fault(name, kind, REASONS[kind], tuple(int(number) for number in numbers)) if len(numbers) else None


def classes_of(lines: Lines, classify: Classify, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Class numbers, uint8, of triangles by their faces; whether a pattern fits; lines whose name is not UTF-8.

    An ``o``, ``g`` or ``usemtl`` line holds until the next one of its kind. The last that a pattern fits counts.
    """
    starts, numbers, fitting, odd = [0], [], [], []
    said = classify(None)
    numbers.append(said[0])
    fitting.append(said[1])
    held: dict[str, tuple[int, bool]] = {}
    for before, word, value, number in names_in(lines):
        if "\N{REPLACEMENT CHARACTER}" in value:
            odd.append(number)
        held.pop(word, None)
        held[word] = classify(value)
        known = [one for one in held.values() if one[1]]
        chosen = known[-1] if known else said
        starts.append(before)
        numbers.append(chosen[0])
        fitting.append(chosen[1])
    place = np.searchsorted(starts, owners, side="right") - 1
    return np.array(numbers, np.uint8)[place], np.array(fitting, bool)[place], odd


def names_in(lines: Lines) -> Iterator[tuple[int, str, str, int]]:
    """(faces before it, statement, name, line) of each line that names what follows."""
    for row in of_kind(lines, kernel.NAME):
        word, *value = lines.text(row).decode("utf-8", "replace").split(None, 1)
        yield int(row[4]), word, " ".join(value).strip(), int(row[0])


def of_kind(lines: Lines, kind: int) -> np.ndarray:
    """The rows of other lines that are of a kind."""
    return lines.other_rows[lines.other_rows[:, 3] == kind]
