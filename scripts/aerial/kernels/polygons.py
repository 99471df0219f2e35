"""Divides polygons into triangles: convex ones as fans, others by cutting ears (Meisters, Polygons have ears, 1975)."""

from __future__ import annotations

import numpy as np

from scripts.aerial.kernels.compiled import compiled


@compiled
def flattened(points, corners, first, last, flat):
    """Writes a polygon's corners, without the axis to which its normal (Newell's) is nearest, into ``flat`` [n, 2].

    Seen so, the polygon runs anticlockwise.
    """
    x, y, z = 0.0, 0.0, 0.0
    origin = points[corners[first]]
    for place in range(first, last):
        a = points[corners[place]] - origin
        b = points[corners[place + 1 if place + 1 < last else first]] - origin
        x += (a[1] - b[1]) * (a[2] + b[2])
        y += (a[2] - b[2]) * (a[0] + b[0])
        z += (a[0] - b[0]) * (a[1] + b[1])
    axis = 2 if abs(z) >= max(abs(x), abs(y)) else 1 if abs(y) >= abs(x) else 0
    u, v = (axis + 1) % 3, (axis + 2) % 3
    if (x, y, z)[axis] < 0:
        u, v = v, u
    for place in range(first, last):
        flat[place - first, 0] = points[corners[place], u] - origin[u]
        flat[place - first, 1] = points[corners[place], v] - origin[v]


@compiled
def turn(flat, a, b, c):
    """Twice the area of a triangle, positive where it runs anticlockwise."""
    rising = (flat[b, 0] - flat[a, 0]) * (flat[c, 1] - flat[a, 1])
    return rising - (flat[b, 1] - flat[a, 1]) * (flat[c, 0] - flat[a, 0])


@compiled
def convex(flat, count):
    """Whether a polygon turns left, or goes straight, at each corner."""
    for at in range(count):
        if turn(flat, at, (at + 1) % count, (at + 2) % count) < 0:
            return False
    return True


@compiled
def is_ear(flat, left, size, at):
    """Whether the corner ``at`` of those left can be cut off: it turns left, and its triangle holds no other corner."""
    a, b, c = left[(at - 1) % size], left[at], left[(at + 1) % size]
    if turn(flat, a, b, c) <= 0:
        return False
    for other in range(size):
        p = left[other]
        if p == a or p == b or p == c:
            continue
        same = (flat[p] == flat[a]).all() or (flat[p] == flat[b]).all() or (flat[p] == flat[c]).all()
        if not same and turn(flat, a, b, p) >= 0 and turn(flat, b, c, p) >= 0 and turn(flat, c, a, p) >= 0:
            return False
    return True


@compiled
def cut_ears(flat, count, out):
    """Writes ``count`` - 2 triangles of a polygon's corners into ``out``; False where the polygon crosses itself."""
    left, size = np.arange(count), count
    while size > 3:
        ear = -1
        for at in range(size):
            if is_ear(flat, left, size, at):
                ear = at
                break
        if ear < 0:  # a corner on a line with its neighbours is not an ear, but can be left out
            for at in range(size):
                if turn(flat, left[(at - 1) % size], left[at], left[(at + 1) % size]) == 0:
                    ear = at
                    break
        if ear < 0:
            fan(count, out)
            return False
        out[count - size] = (left[(ear - 1) % size], left[ear], left[(ear + 1) % size])
        left[ear : size - 1] = left[ear + 1 : size].copy()
        size -= 1
    out[count - 3] = (left[0], left[1], left[2])
    return turn(flat, left[0], left[1], left[2]) >= 0


@compiled
def fan(count, out):
    """Writes the triangles of a convex polygon; all share its first corner."""
    for at in range(count - 2):
        out[at] = (0, at + 1, at + 2)


@compiled
def triangulated(points, corners, ends, faces, triangles, owners, twisted):
    """Divides faces into triangles.

    Args:
        points: float64 [n, 3].
        corners: int64 [k], rows of ``points``: the faces' corners one after the other.
        ends: int64 [faces], where each face's corners end.
        faces: int64 [k], the faces to divide.
        triangles: int64 [m, 3], written: rows of ``points``.
        owners: int64 [m], written: the face of each triangle.
        twisted: bool [faces], written: faces that cross themselves.
    """
    made = 0
    for face in faces:
        first, last = (ends[face - 1] if face else 0), ends[face]
        count = last - first
        own = np.empty((count - 2, 3), np.int64)
        if count == 3:
            fan(count, own)
        else:
            flat = np.empty((count, 2))
            flattened(points, corners, first, last, flat)
            if convex(flat, count):
                fan(count, own)
            else:
                twisted[face] = not cut_ears(flat, count, own)
        for at in range(count - 2):
            for corner in range(3):
                triangles[made, corner] = corners[first + own[at, corner]]
            owners[made] = face
            made += 1
