"""Triangles into the pixels of a pinhole camera, the nearest one each."""

from __future__ import annotations

import numpy as np

from scripts.aerial.kernels.compiled import compiled


@compiled
def pixel_bounds(corners, near, focal, width, height):
    """First and last column and row that a triangle [3, 3] (right, down, ahead) may cover; empty where it is behind."""
    left, right, top, bottom = np.inf, -np.inf, np.inf, -np.inf
    for at in range(3):
        after = (at + 1) % 3
        z0, z1 = corners[at, 2], corners[after, 2]
        for end in range(2):
            if end == 0 and z0 >= near:
                x, y, z = corners[at, 0], corners[at, 1], z0
            elif end == 1 and (z0 < near) != (z1 < near):  # where the side passes the near plane
                share = (near - z0) / (z1 - z0)
                x = corners[at, 0] + share * (corners[after, 0] - corners[at, 0])
                y, z = corners[at, 1] + share * (corners[after, 1] - corners[at, 1]), near
            else:
                continue
            left, right = min(left, x / z), max(right, x / z)
            top, bottom = min(top, y / z), max(bottom, y / z)
    if not left <= right:
        return 0, -1, 0, -1
    x0, x1 = focal * left + width / 2 - 0.5, focal * right + width / 2 - 0.5
    y0, y1 = focal * top + height / 2 - 0.5, focal * bottom + height / 2 - 0.5
    first = int(max(0.0, min(np.ceil(x0 - 1e-6), width))), int(min(width - 1.0, max(np.floor(x1 + 1e-6), -1.0)))
    second = int(max(0.0, min(np.ceil(y0 - 1e-6), height))), int(min(height - 1.0, max(np.floor(y1 + 1e-6), -1.0)))
    return first[0], first[1], second[0], second[1]


@compiled
def cross(a, b, out):
    """Writes the cross product."""
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


@compiled
def draw(triangles, position, axes, focal, near, depths, rows):
    """Writes for each pixel the depth of the nearest triangle, and its row.

    A pixel's ray meets a triangle where it lies on the same side of the three planes through the eye and a side: no
    clipping is needed (Olano and Greer, Triangle scan conversion using 2D homogeneous coordinates, 1997).

    Args:
        triangles: float64 [n, 9].
        position: float64 [3], the eye.
        axes: float64 [3, 3], rows: right, down and ahead.
        focal: pixels.
        near: metres; what is nearer is not seen.
        depths: float64 [height, width], metres along the axis ahead; infinity where nothing is.
        rows: int64 [height, width], -1 where nothing is.
    """
    height, width = depths.shape
    corners, planes = np.empty((3, 3)), np.empty((3, 3))
    for row in range(len(triangles)):
        for corner in range(3):
            x = triangles[row, 3 * corner] - position[0]
            y = triangles[row, 3 * corner + 1] - position[1]
            z = triangles[row, 3 * corner + 2] - position[2]
            for axis in range(3):
                corners[corner, axis] = axes[axis, 0] * x + axes[axis, 1] * y + axes[axis, 2] * z
        x0, x1, y0, y1 = pixel_bounds(corners, near, focal, width, height)
        if x1 < x0 or y1 < y0:
            continue
        for side in range(3):
            cross(corners[(side + 1) % 3], corners[(side + 2) % 3], planes[side])
        volume = corners[0, 0] * planes[0, 0] + corners[0, 1] * planes[0, 1] + corners[0, 2] * planes[0, 2]
        if volume == 0:
            continue  # seen edge on
        sign = 1.0 if volume > 0 else -1.0
        for v in range(y0, y1 + 1):
            down = (v + 0.5 - height / 2) / focal
            a = sign * (planes[0, 1] * down + planes[0, 2])
            b = sign * (planes[1, 1] * down + planes[1, 2])
            c = sign * (planes[2, 1] * down + planes[2, 2])
            for u in range(x0, x1 + 1):
                right = (u + 0.5 - width / 2) / focal
                one = sign * planes[0, 0] * right + a
                two = sign * planes[1, 0] * right + b
                three = sign * planes[2, 0] * right + c
                if one >= 0 and two >= 0 and three >= 0:
                    total = one + two + three
                    depth = sign * volume / total if total > 0 else np.inf
                    if near <= depth < depths[v, u]:
                        depths[v, u] = depth
                        rows[v, u] = row
