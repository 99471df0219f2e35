"""Voxelization: writes triangles, and the insides of closed shells, into the cells of a grid.

Surfaces: a cell is occupied where its box and a triangle meet, by the separating axis test (Akenine-Möller, Fast 3D
triangle-box overlap testing, 2001): they are apart if and only if their projections are apart along one of thirteen
axes. Each axis is solved for an interval of cells, so that a whole column of the grid is tested at once.

Insides: vertical lines through the middles of the columns cross the triangles of a closed shell at heights
z1 < z2 < z3 < ...; what lies between z1 and z2, z3 and z4, ... is inside.

Coordinates are in cells: cell (i, j, k) is the box from (i, j, k) to (i + 1, j + 1, k + 1); grids are uint8 [x, y, z].
Example: the level triangle (0.2, 0.2, 0.5), (1.8, 0.2, 0.5), (0.2, 1.8, 0.5) writes its class into the cells (0, 0, 0),
(1, 0, 0), (0, 1, 0) and, since its longest edge passes through their common corner, (1, 1, 0).
"""

from __future__ import annotations

import numpy as np

from scripts.aerial.kernels.compiled import compiled
from scripts.aerial.kernels.tree import height_at


@compiled
def into_cells(triangle, matrix, offset, points):
    """Writes a triangle's corners in cells, ``matrix @ corner + offset``, into ``points`` [3, 3]."""
    for corner in range(3):
        x, y, z = triangle[3 * corner], triangle[3 * corner + 1], triangle[3 * corner + 2]
        for axis in range(3):
            points[corner, axis] = matrix[axis, 0] * x + matrix[axis, 1] * y + matrix[axis, 2] * z + offset[axis]


@compiled
def reach(low, high, grown, cells):
    """First and last cell along an axis that an interval touches; where there is none, the last is before the first."""
    first, last = max(np.ceil(low - 1 - grown), 0.0), min(np.floor(high + grown), cells - 1.0)
    return int(first), int(max(last, first - 1))  # a far away interval must not overflow


@compiled
def row_spans(points, u, v, first, last, grown, spans):
    """Writes where a triangle's projection on the plane of axes u and v allows a cell's middle to lie.

    For each row ``first`` to ``last`` along u, ``spans`` [rows, 2] receives the least and greatest v of the middles of
    cells that no edge's normal separates from the triangle: one of the cross products of the separating axis test for
    each edge, solved for v. Edges along v are left to the bounds along u.
    """
    spans[: last - first + 1, 0], spans[: last - first + 1, 1] = -np.inf, np.inf
    for edge in range(3):
        a, b, c = edge, (edge + 1) % 3, (edge + 2) % 3
        along_u, along_v = points[a, v] - points[b, v], points[b, u] - points[a, u]  # the edge's normal
        if along_v == 0:
            continue
        at_edge = along_u * points[a, u] + along_v * points[a, v]
        at_corner = along_u * points[c, u] + along_v * points[c, v]
        radius = abs(along_u) * (0.5 + grown[u]) + abs(along_v) * (0.5 + grown[v])
        low, high = (min(at_edge, at_corner) - radius) / along_v, (max(at_edge, at_corner) + radius) / along_v
        if along_v < 0:
            low, high = high, low
        slope = along_u / along_v
        for row in range(first, last + 1):
            moved = slope * (row + 0.5)
            spans[row - first, 0] = max(spans[row - first, 0], low - moved)
            spans[row - first, 1] = min(spans[row - first, 1], high - moved)


@compiled
def put(grid, counts, i, j, k, number):
    """Writes a class into a cell unless it holds a higher one."""
    old = grid[i, j, k]
    if old < number:
        grid[i, j, k] = number
        counts[old] -= 1
        counts[number] += 1


@compiled
def steepest(points, normal):
    """Writes a triangle's normal; returns the axis to which it is nearest."""
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        ab_u, ab_v = points[1, u] - points[0, u], points[1, v] - points[0, v]
        ac_u, ac_v = points[2, u] - points[0, u], points[2, v] - points[0, v]
        normal[axis] = ab_u * ac_v - ab_v * ac_u
    best = 0 if abs(normal[0]) >= abs(normal[1]) else 1
    return best if abs(normal[best]) >= abs(normal[2]) else 2


@compiled
def fill_triangle(points, number, grown, grid, counts, first, last, cell, normal, scratch):
    """Writes a class into every cell that a triangle [3, 3] touches.

    Columns run along d, the axis to which the triangle's normal is nearest: each then has few cells that the triangle
    touches. The arguments from ``first`` on are scratch.
    """
    for axis in range(3):
        a, b, c = points[0, axis], points[1, axis], points[2, axis]
        first[axis], last[axis] = reach(min(a, b, c), max(a, b, c), grown[axis], grid.shape[axis])
        if last[axis] < first[axis]:
            return
    d = steepest(points, normal)
    u, v = (d + 1) % 3, (d + 2) % 3
    across, by_u, by_v = scratch[0], scratch[1], scratch[2]
    row_spans(points, u, v, first[u], last[u], grown, across)
    row_spans(points, u, d, first[u], last[u], grown, by_u)
    row_spans(points, v, d, first[v], last[v], grown, by_v)
    flat = normal[d] == 0  # a triangle without area: its normal is not an axis
    slope_u, slope_v = (0.0, 0.0) if flat else (normal[u] / normal[d], normal[v] / normal[d])
    radius = np.inf if flat else 0.5 + grown[d] + abs(slope_u) * (0.5 + grown[u]) + abs(slope_v) * (0.5 + grown[v])
    level = points[0, d] + slope_u * points[0, u] + slope_v * points[0, v]
    for i in range(first[u], last[u] + 1):
        cell[u], row = i, i - first[u]
        start, stop = max(across[row, 0], first[v] + 0.5), min(across[row, 1], last[v] + 0.5)
        if not start <= stop:
            continue
        for j in range(int(np.ceil(start - 0.5)), int(np.floor(stop - 0.5)) + 1):
            cell[v], column = j, j - first[v]
            middle = level - slope_u * (i + 0.5) - slope_v * (j + 0.5)
            low = max(by_u[row, 0], by_v[column, 0], middle - radius, first[d] + 0.5)
            high = min(by_u[row, 1], by_v[column, 1], middle + radius, last[d] + 0.5)
            if not low <= high:
                continue
            for k in range(int(np.ceil(low - 0.5)), int(np.floor(high - 0.5)) + 1):
                cell[d] = k
                put(grid, counts, cell[0], cell[1], cell[2], number)


@compiled
def fill_surfaces(triangles, classes, rows, matrix, offset, grown, grid, counts):
    """Writes the classes of some triangles (``rows``) into the cells that they touch.

    Args:
        triangles: float64 [n, 9].
        classes: uint8 [n].
        matrix, offset: float64 [3, 3] and [3], from the triangles' coordinates to cells.
        grown: float64 [3], cells by which a cell is larger on each side.
        grid: uint8 [x, y, z], written.
        counts: int64 [256], cells of each class, kept up.
    """
    points, normal = np.empty((3, 3)), np.empty(3)
    first, last, cell = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3, np.int64)
    scratch = np.empty((3, max(grid.shape), 2))
    for row in rows:
        into_cells(triangles[row], matrix, offset, points)
        fill_triangle(points, classes[row], grown, grid, counts, first, last, cell, normal, scratch)


@compiled
def column_crossings(triangles, rows, matrix, offset, shape):
    """Where vertical lines through the middles of the grid's columns meet some triangles (``rows``).

    Returns:
        float64 [n, 3]: column (i * cells along y + j), row of the triangle, height in cells.
    """
    crossings, count = np.empty((1024, 3)), 0
    points = np.empty((3, 3))
    for row in rows:
        into_cells(triangles[row], matrix, offset, points)
        flat = points.reshape(9)
        x0, x1 = reach(flat[::3].min() + 0.5, flat[::3].max() - 0.5, 0.0, shape[0])
        y0, y1 = reach(flat[1::3].min() + 0.5, flat[1::3].max() - 0.5, 0.0, shape[1])
        for i in range(x0, x1 + 1):
            for j in range(y0, y1 + 1):
                height = height_at(flat, i + 0.5, j + 0.5)
                if np.isnan(height):
                    continue
                if count == len(crossings):
                    crossings = np.concatenate((crossings, np.empty((count, 3))))
                crossings[count] = (float(i * shape[1] + j), float(row), height)
                count += 1
    return crossings[:count]


@compiled
def fill_between(columns, shells, numbers, heights, grid, counts):
    """Fills cells whose middles lie between the first and second, third and fourth, ... crossing of column and shell.

    Args:
        columns, shells, numbers, heights: [n] of each crossing, sorted by column, shell, height; numbers are classes.

    Returns:
        pairs of a column and a shell that were left out, because their crossings are odd in number.
    """
    left_out, at = 0, 0
    while at < len(columns):
        end = at + 1
        while end < len(columns) and columns[end] == columns[at] and shells[end] == shells[at]:
            end += 1
        if (end - at) % 2:
            left_out += 1
        else:
            i, j = columns[at] // grid.shape[1], columns[at] % grid.shape[1]
            for pair in range(at, end, 2):
                low, high = max(heights[pair], 0.0), min(heights[pair + 1], float(grid.shape[2]))
                for k in range(int(np.ceil(low - 0.5)), int(np.floor(high - 0.5)) + 1):
                    put(grid, counts, i, j, k, numbers[at])
        at = end
    return left_out
