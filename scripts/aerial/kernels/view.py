"""Rasterization: the nearest triangle at each pixel of a pinhole camera."""

from __future__ import annotations

import numpy as np

from scripts.aerial.kernels.compiled import compiled


@compiled
def pixel_bounds(corners, near, focal, width, height):
    """First and last column, first and last row that a triangle [3, 3] (right, down, ahead) may cover.

    A range is empty where the triangle lies behind the near plane or outside the image.
    """
    left, right, top, bottom = np.inf, -np.inf, np.inf, -np.inf
    for at in range(3):
        after = (at + 1) % 3
        z0, z1 = corners[at, 2], corners[after, 2]
        for end in range(2):
            if end == 0 and z0 >= near:
                x, y, z = corners[at, 0], corners[at, 1], z0
            elif end == 1 and (z0 < near) != (z1 < near):  # where the side crosses the near plane
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
    left, right = max(0.0, min(np.ceil(x0 - 1e-6), width)), min(width - 1.0, max(np.floor(x1 + 1e-6), -1.0))
    top, bottom = max(0.0, min(np.ceil(y0 - 1e-6), height)), min(height - 1.0, max(np.floor(y1 + 1e-6), -1.0))
    return int(left), int(right), int(top), int(bottom)


@compiled
def draw(triangles, position, axes, focal, near, depths, rows):
    """Writes for each pixel the depth of the nearest triangle, and its row.

    A pixel's ray meets a triangle where it lies on the same side of the three planes through the eye and a side: no
    clipping is needed (Olano and Greer, Triangle scan conversion using 2D homogeneous coordinates, 1997).

    Args:
        triangles: float64 [n, 9], metres.
        position: float64 [3], the eye.
        axes: float64 [3, 3], rows: right, down and ahead.
        focal: pixels.
        near: metres; what lies nearer is not drawn.
        depths: float64 [height, width], written: metres along the axis ahead; the caller fills it with infinity.
        rows: int64 [height, width], written; the caller fills it with -1.
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
        for side in range(3):  # the normal of the plane through the eye and this side
            p, q = corners[(side + 1) % 3], corners[(side + 2) % 3]
            for axis in range(3):
                after, last = (axis + 1) % 3, (axis + 2) % 3
                planes[side, axis] = p[after] * q[last] - p[last] * q[after]
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
                weight_a = sign * planes[0, 0] * right + a
                weight_b = sign * planes[1, 0] * right + b
                weight_c = sign * planes[2, 0] * right + c
                if weight_a >= 0 and weight_b >= 0 and weight_c >= 0:
                    total = weight_a + weight_b + weight_c
                    depth = sign * volume / total if total > 0 else np.inf
                    if near <= depth < depths[v, u]:
                        depths[v, u] = depth
                        rows[v, u] = row
