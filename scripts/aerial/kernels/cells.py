"""Triangles into the cells of a grid, and what lies inside of closed shells.

Coordinates are in cells: cell (i, j, k) is the box from (i, j, k) to (i + 1, j + 1, k + 1).
"""

from __future__ import annotations

import numpy as np

from scripts.aerial.kernels.compiled import compiled
from scripts.aerial.kernels.tree import height_at


@compiled
def into_cells(triangle, matrix, offset, place):
    """Writes a triangle's corners, turned, scaled and moved, into ``place`` [3, 3]."""
    for corner in range(3):
        x, y, z = triangle[3 * corner], triangle[3 * corner + 1], triangle[3 * corner + 2]
        for axis in range(3):
            place[corner, axis] = matrix[axis, 0] * x + matrix[axis, 1] * y + matrix[axis, 2] * z + offset[axis]


@compiled
def reach(low, high, grown, cells):
    """First and last cell along an axis that an interval touches; the last is before the first where none is."""
    first, last = max(np.ceil(low - 1 - grown), 0.0), min(np.floor(high + grown), cells - 1.0)
    return int(first), int(max(last, first - 1))  # a far away interval must not overflow


@compiled
def row_spans(points, u, v, first, last, grown, spans):
    """Along each row of cells, where a triangle's shadow on the plane of axes u and v lets a cell's middle lie.

    Writes for each row ``first`` to ``last`` along u the least and greatest v of middles of cells that no edge's
    normal separates from the triangle: six of the nine cross products of the separating axis test, less those that the
    bounds along u and v decide (Akenine-Möller, Fast 3D triangle-box overlap testing, 2001), each solved for v.
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
    """Writes a class into a cell unless a higher one is there."""
    old = grid[i, j, k]
    if old < number:
        grid[i, j, k] = number
        counts[old] -= 1
        counts[number] += 1


@compiled
def steepest(points, normal):
    """Writes a triangle's normal; the axis to which it is nearest."""
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        one_u, one_v = points[1, u] - points[0, u], points[1, v] - points[0, v]
        two_u, two_v = points[2, u] - points[0, u], points[2, v] - points[0, v]
        normal[axis] = one_u * two_v - one_v * two_u
    best = 0 if abs(normal[0]) >= abs(normal[1]) else 1
    return best if abs(normal[best]) >= abs(normal[2]) else 2


@compiled
def fill_triangle(points, number, grown, grid, counts, first, last, cell, normal, scratch):
    """Writes a class into every cell that a triangle [3, 3] touches.

    The separating axis test for a triangle and a box has thirteen axes. All cells of a column along the axis to which
    the triangle's normal is nearest are tested at once: each axis leaves an interval of the column. The arguments from
    ``first`` on are room to work in.
    """
    for axis in range(3):
        one, two, three = points[0, axis], points[1, axis], points[2, axis]
        first[axis], last[axis] = reach(min(one, two, three), max(one, two, three), grown[axis], grid.shape[axis])
        if last[axis] < first[axis]:
            return
    d = steepest(points, normal)
    a, b = (d + 1) % 3, (d + 2) % 3
    across, by_a, by_b = scratch[0], scratch[1], scratch[2]
    row_spans(points, a, b, first[a], last[a], grown, across)
    row_spans(points, a, d, first[a], last[a], grown, by_a)
    row_spans(points, b, d, first[b], last[b], grown, by_b)
    flat = normal[d] == 0  # a triangle without area: its normal is no axis
    slope_a, slope_b = (0.0, 0.0) if flat else (normal[a] / normal[d], normal[b] / normal[d])
    radius = np.inf if flat else 0.5 + grown[d] + abs(slope_a) * (0.5 + grown[a]) + abs(slope_b) * (0.5 + grown[b])
    level = points[0, d] + slope_a * points[0, a] + slope_b * points[0, b]
    for i in range(first[a], last[a] + 1):
        cell[a], at_a = i, i - first[a]
        start, stop = max(across[at_a, 0], first[b] + 0.5), min(across[at_a, 1], last[b] + 0.5)
        if not start <= stop:
            continue
        for j in range(int(np.ceil(start - 0.5)), int(np.floor(stop - 0.5)) + 1):
            cell[b], at_b = j, j - first[b]
            middle = level - slope_a * (i + 0.5) - slope_b * (j + 0.5)
            low = max(by_a[at_a, 0], by_b[at_b, 0], middle - radius, first[d] + 0.5)
            high = min(by_a[at_a, 1], by_b[at_b, 1], middle + radius, last[d] + 0.5)
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
    """Where lines along z through the middles of the grid's columns meet triangles.

    Returns:
        columns and rows, int64 [n], and heights in cells, float64 [n].
    """
    columns, hit, heights, count = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024), 0
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
                if count == len(hit):
                    columns = np.concatenate((columns, np.empty(count, np.int64)))
                    hit = np.concatenate((hit, np.empty(count, np.int64)))
                    heights = np.concatenate((heights, np.empty(count)))
                columns[count], hit[count], heights[count] = i * shape[1] + j, row, height
                count += 1
    return columns[:count], hit[:count], heights[:count]


@compiled
def fill_between(columns, shells, numbers, heights, grid, counts):
    """Fills cells whose middles lie between the first and second, third and fourth, ... crossing of column and shell.

    Crossings are sorted by column, shell, height. A shell met an odd number of times by a column is left out there.

    Returns:
        how many columns of shells were left out.
    """
    left_out, at = 0, 0
    while at < len(columns):
        end = at
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
