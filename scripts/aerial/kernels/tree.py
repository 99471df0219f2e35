"""A bounding volume hierarchy (BVH) over triangles, and its queries: boxes, rays, nearest surfaces, points in shells.

The triangles are divided in two, each part again, down to leaves of at most LEAF triangles, and each node keeps the box
around its triangles. A query only descends into nodes whose box it reaches: it tests some tens of triangles, not all n.
Of BINS - 1 planes across the axis along which the middles reach furthest, a division takes the one with the least cost,

    area(left) * count(left) + area(right) * count(right),

the surface area heuristic (Wald, On fast construction of SAH-based bounding volume hierarchies, 2007).

Arrays; all coordinates in metres (queries take any unit that the tree was built in):
    triangles  float64 [n, 9], three corners each, in the order of the leaves
    boxes      float64 [n, 6], least x, y, z, greatest x, y, z of each triangle, in the same order
    bounds     float64 [nodes, 6], the same of each node
    links      int32 [nodes, 2]: of an inner node its left child (the right child follows) and 0, of a leaf its first
               triangle and how many triangles it has

Example: five triangles whose boxes are cubes of 1 m, at x = 0, 1, 2, 3 and 9, give three nodes::

    links   [[1, 0],    root: its children are nodes 1 and 2    bounds along x: 0 to 10
             [0, 4],    leaf: triangles 0 to 3                                  0 to 4
             [4, 1]]    leaf: triangle 4                                        9 to 10
"""

from __future__ import annotations

import numpy as np

from scripts.aerial.kernels.compiled import compiled

LEAF = 4  # triangles that are not divided further
BINS = 16  # planes that are tried for each division
DEPTH = 96  # no tree that `build` makes is deeper than this
MARGIN = 1e-12  # how far outside a triangle, as a share of it, a ray still hits: no gap between neighbours


@compiled
def enclose(boxes, order, first, last, box, middles):
    """Writes the bounds of some boxes into ``box`` [6], and the bounds of twice their middles into ``middles`` [6]."""
    box[:3], box[3:] = np.inf, -np.inf
    middles[:3], middles[3:] = np.inf, -np.inf
    for row in order[first:last]:
        for axis in range(3):
            low, high = boxes[row, axis], boxes[row, 3 + axis]
            box[axis], box[3 + axis] = min(box[axis], low), max(box[3 + axis], high)
            middles[axis] = min(middles[axis], low + high)
            middles[3 + axis] = max(middles[3 + axis], low + high)


@compiled
def area(box):
    """Half the surface of a box."""
    x, y, z = box[3] - box[0], box[4] - box[1], box[5] - box[2]
    return x * y + y * z + z * x


@compiled
def bin_of(boxes, row, axis, middles):
    """The bin in which a box's middle lies."""
    share = (boxes[row, axis] + boxes[row, 3 + axis] - middles[axis]) / (middles[3 + axis] - middles[axis])
    return min(BINS - 1, int(share * BINS))


@compiled
def grow(box, other):
    """Enlarges a box so that it holds another one too."""
    for axis in range(3):
        box[axis] = min(box[axis], other[axis])
        box[3 + axis] = max(box[3 + axis], other[3 + axis])


@compiled
def best_split(boxes, order, first, last, axis, middles, sides, counts, costs):
    """The bin after which to divide, by the surface area heuristic; the arguments from ``sides`` on are scratch."""
    counts[:] = 0
    sides[:, :3], sides[:, 3:] = np.inf, -np.inf
    for row in order[first:last]:
        at = bin_of(boxes, row, axis, middles)
        counts[at] += 1
        grow(sides[at], boxes[row])
    running = sides[BINS]
    running[:3], running[3:] = np.inf, -np.inf
    total = 0
    for at in range(BINS - 1):
        grow(running, sides[at])
        total += counts[at]
        costs[at] = total * area(running) if total else np.inf
    running[:3], running[3:] = np.inf, -np.inf
    total = 0
    for at in range(BINS - 1, 0, -1):
        grow(running, sides[at])
        total += counts[at]
        costs[at - 1] += total * area(running) if total else np.inf
    return np.argmin(costs[: BINS - 1])


@compiled
def divide(boxes, order, first, last, axis, middles, split):
    """Reorders some boxes: those up to bin ``split`` come first. Returns where the others begin."""
    low, high = first, last - 1
    while low <= high:
        if bin_of(boxes, order[low], axis, middles) <= split:
            low += 1
        else:
            order[low], order[high] = order[high], order[low]
            high -= 1
    return low


@compiled
def build(boxes):
    """The tree over boxes [n, 6], n > 0: the order of the leaves, int64 [n], bounds and links."""
    count = len(boxes)
    order = np.arange(count)
    bounds, links = np.empty((2 * count, 6)), np.zeros((2 * count, 2), np.int32)
    waiting = np.empty((2 * DEPTH, 4), np.int64)  # node, first, last, depth
    middles, sides, costs = np.empty(6), np.empty((BINS + 1, 6)), np.empty(BINS)
    counts = np.empty(BINS, np.int64)
    waiting[0], height, nodes = (0, 0, count, 0), 1, 1
    while height:
        height -= 1
        node, first, last, depth = waiting[height]
        enclose(boxes, order, first, last, bounds[node], middles)
        axis = np.argmax(middles[3:] - middles[:3])
        if last - first <= LEAF or not middles[3 + axis] > middles[axis]:
            links[node] = (first, last - first)
            continue
        half = first
        if depth < DEPTH // 2:
            split = best_split(boxes, order, first, last, axis, middles, sides, counts, costs)
            half = divide(boxes, order, first, last, axis, middles, split)
        if half == first or half == last:  # no plane divides, or the tree is so uneven that halves are better
            half = (first + last) // 2
        links[node] = (nodes, 0)
        waiting[height], waiting[height + 1] = (nodes + 1, half, last, depth + 1), (nodes, first, half, depth + 1)
        height, nodes = height + 2, nodes + 2
    return order, bounds[:nodes], links[:nodes]


@compiled
def touching(bounds, links, boxes, box):
    """int64 [m]: rows of the triangles whose bounds touch a box [6], ascending."""
    rows, count = np.empty(256, np.int64), 0
    stack, height = np.zeros(2 * DEPTH, np.int64), 1
    while height:
        height -= 1
        node = stack[height]
        if not meets(bounds[node], box):
            continue
        first, size = links[node]
        if size == 0:
            stack[height], stack[height + 1] = first + 1, first
            height += 2
            continue
        for row in range(first, first + size):
            if meets(boxes[row], box):
                if count == len(rows):
                    rows = np.concatenate((rows, np.empty(count, np.int64)))
                rows[count] = row
                count += 1
    return rows[:count]


@compiled
def meets(box, other):
    """Whether two boxes touch."""
    for axis in range(3):
        if box[axis] > other[3 + axis] or box[3 + axis] < other[axis]:
            return False
    return True


@compiled
def hit(triangle, ox, oy, oz, dx, dy, dz):
    """Distance along a ray to a triangle, in lengths of its direction; infinity where it misses.

    Möller and Trumbore, Fast, minimum storage ray/triangle intersection, 1997. Both sides of a triangle are hit.
    """
    ax, ay, az = triangle[0], triangle[1], triangle[2]
    ux, uy, uz = triangle[3] - ax, triangle[4] - ay, triangle[5] - az
    vx, vy, vz = triangle[6] - ax, triangle[7] - ay, triangle[8] - az
    px, py, pz = dy * vz - dz * vy, dz * vx - dx * vz, dx * vy - dy * vx
    scale = ux * px + uy * py + uz * pz
    if scale == 0:
        return np.inf
    tx, ty, tz = ox - ax, oy - ay, oz - az
    u = (tx * px + ty * py + tz * pz) / scale
    if not -MARGIN <= u <= 1 + MARGIN:
        return np.inf
    qx, qy, qz = ty * uz - tz * uy, tz * ux - tx * uz, tx * uy - ty * ux
    v = (dx * qx + dy * qy + dz * qz) / scale
    if not (v >= -MARGIN and u + v <= 1 + MARGIN):
        return np.inf
    distance = (vx * qx + vy * qy + vz * qz) / scale
    return distance if distance >= 0 else np.inf


@compiled
def entry(box, origin, inverses, limit):
    """Distance at which a ray enters a box; infinity beyond ``limit`` or where it misses.

    Slab test (Kay and Kajiya, Ray tracing complex scenes, 1986); ``inverses`` are 1 / direction, see `inverse`.
    """
    near, far = 0.0, limit
    for axis in range(3):
        low, high = (box[axis] - origin[axis]) * inverses[axis], (box[3 + axis] - origin[axis]) * inverses[axis]
        near, far = max(near, min(low, high)), min(far, max(low, high))
    return near if near <= far * (1 + 1e-12) else np.inf


@compiled
def inverse(value):
    """1 / value; for 0 a large finite number, since infinity times 0 would be NaN."""
    return 1 / value if abs(value) > 1e-300 else 1e300


@compiled
def first_hits(triangles, bounds, links, wanted, origins, directions, limit, distances, rows):
    """Writes for each ray the distance and row of the nearest triangle; infinity and -1 where it meets none.

    Args:
        wanted: bool [n], triangles that count.
        origins, directions: float64 [rays, 3].
        limit: float, in lengths of the direction; what lies further away does not count.
        distances, rows: float64 and int64 [rays], written.
    """
    stack = np.empty(2 * DEPTH, np.int64)
    entries = np.empty(2 * DEPTH)
    for ray in range(len(origins)):
        ox, oy, oz = origins[ray]
        dx, dy, dz = directions[ray]
        origin, inverses = (ox, oy, oz), (inverse(dx), inverse(dy), inverse(dz))
        best, best_row = limit, -1
        stack[0], entries[0], height = 0, entry(bounds[0], origin, inverses, best), 1
        while height:
            height -= 1
            if not entries[height] <= best or entries[height] == np.inf:
                continue
            first, size = links[stack[height]]
            if size == 0:
                left = entry(bounds[first], origin, inverses, best)
                right = entry(bounds[first + 1], origin, inverses, best)
                nearer = first if left <= right else first + 1
                if max(left, right) < np.inf:
                    stack[height], entries[height] = 2 * first + 1 - nearer, max(left, right)
                    height += 1
                if min(left, right) < np.inf:
                    stack[height], entries[height] = nearer, min(left, right)
                    height += 1
                continue
            for row in range(first, first + size):
                if wanted[row]:
                    distance = hit(triangles[row], ox, oy, oz, dx, dy, dz)
                    if distance < best:
                        best, best_row = distance, row
        rows[ray] = best_row
        distances[ray] = best if best_row >= 0 else np.inf


@compiled
def to_box(box, x, y, z):
    """Squared distance of a point to a box."""
    dx = max(box[0] - x, 0.0, x - box[3])
    dy = max(box[1] - y, 0.0, y - box[4])
    dz = max(box[2] - z, 0.0, z - box[5])
    return square(dx, dy, dz)


@compiled
def to_triangle(t, x, y, z):
    """Squared distance of a point to a triangle: Ericson, Real-time collision detection, 2005, 5.1.5."""
    abx, aby, abz = t[3] - t[0], t[4] - t[1], t[5] - t[2]
    acx, acy, acz = t[6] - t[0], t[7] - t[1], t[8] - t[2]
    apx, apy, apz = x - t[0], y - t[1], z - t[2]
    d1, d2 = abx * apx + aby * apy + abz * apz, acx * apx + acy * apy + acz * apz
    if d1 <= 0 and d2 <= 0:
        return square(apx, apy, apz)
    bpx, bpy, bpz = x - t[3], y - t[4], z - t[5]
    d3, d4 = abx * bpx + aby * bpy + abz * bpz, acx * bpx + acy * bpy + acz * bpz
    if d3 >= 0 and d4 <= d3:
        return square(bpx, bpy, bpz)
    vc = d1 * d4 - d3 * d2
    if vc <= 0 and d1 >= 0 and d3 <= 0:
        s = d1 / (d1 - d3) if d1 > d3 else 0.0
        return square(apx - s * abx, apy - s * aby, apz - s * abz)
    cpx, cpy, cpz = x - t[6], y - t[7], z - t[8]
    d5, d6 = abx * cpx + aby * cpy + abz * cpz, acx * cpx + acy * cpy + acz * cpz
    if d6 >= 0 and d5 <= d6:
        return square(cpx, cpy, cpz)
    vb = d5 * d2 - d1 * d6
    if vb <= 0 and d2 >= 0 and d6 <= 0:
        s = d2 / (d2 - d6) if d2 > d6 else 0.0
        return square(apx - s * acx, apy - s * acy, apz - s * acz)
    va = d3 * d6 - d5 * d4
    if va <= 0 and d4 >= d3 and d5 >= d6:
        span = (d4 - d3) + (d5 - d6)
        s = (d4 - d3) / span if span > 0 else 0.0
        return square(bpx - s * (acx - abx), bpy - s * (acy - aby), bpz - s * (acz - abz))
    total = va + vb + vc
    if not total > 0:  # a triangle without area, and rounding
        return min(square(apx, apy, apz), square(bpx, bpy, bpz))
    v, w = vb / total, vc / total
    return square(apx - v * abx - w * acx, apy - v * aby - w * acy, apz - v * abz - w * acz)


@compiled
def square(x, y, z):
    """Squared length."""
    return x * x + y * y + z * z


@compiled
def nearest(triangles, bounds, links, points, limit, distances):
    """Writes for each point [3] the distance to the nearest triangle within a limit; infinity where there is none."""
    stack = np.empty(2 * DEPTH, np.int64)
    for at in range(len(points)):
        x, y, z = points[at]
        best, met = limit * limit, False
        stack[0], height = 0, 1
        while height:
            height -= 1
            node = stack[height]
            if to_box(bounds[node], x, y, z) > best:
                continue
            first, size = links[node]
            if size == 0:
                left_first = to_box(bounds[first], x, y, z) <= to_box(bounds[first + 1], x, y, z)
                stack[height], stack[height + 1] = (first + 1, first) if left_first else (first, first + 1)
                height += 2
                continue
            for row in range(first, first + size):
                squared = to_triangle(triangles[row], x, y, z)
                if squared <= best:
                    best, met = squared, True
        distances[at] = np.sqrt(best) if met else np.inf


@compiled
def side(ax, ay, bx, by, x, y):
    """Whether a point lies left of the line from a to b; points on the line are left of one of its two directions.

    Calculated from the same end whichever way the line runs, so that rounding is the same for both neighbours.
    """
    turned = bx < ax or (bx == ax and by < ay)
    if turned:
        ax, ay, bx, by = bx, by, ax, ay
    value = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
    return (value <= 0) if turned else (value > 0)


@compiled
def height_at(t, x, y):
    """z of a triangle at x, y; NaN where the vertical line there does not meet it.

    Seen from above, a triangle holds its left and upper edges only, so that a line through an edge that two triangles
    share meets one of them.
    """
    winding = (t[3] - t[0]) * (t[7] - t[1]) - (t[4] - t[1]) * (t[6] - t[0])
    if winding == 0:
        return np.nan
    left = side(t[0], t[1], t[3], t[4], x, y)
    if left != side(t[3], t[4], t[6], t[7], x, y) or left != side(t[6], t[7], t[0], t[1], x, y):
        return np.nan
    u = ((x - t[0]) * (t[7] - t[1]) - (y - t[1]) * (t[6] - t[0])) / winding
    v = ((t[3] - t[0]) * (y - t[1]) - (t[4] - t[1]) * (x - t[0])) / winding
    return t[2] + u * (t[5] - t[2]) + v * (t[8] - t[2])


@compiled
def inside_any(triangles, boxes, bounds, links, shells, points, inside):
    """Writes whether each point [3] lies inside a closed shell: an odd number of its triangles lie straight above.

    Args:
        shells: int64 [n], the closed shell that each triangle is part of; -1: none.
        inside: bool [points], written.
    """
    for at in range(len(points)):
        x, y, z = points[at]
        near = touching(bounds, links, boxes, np.array([x, y, z, x, y, np.inf]))
        odd, count = np.empty(len(near), np.int64), 0  # shells met an odd number of times so far
        for row in near:
            if shells[row] >= 0 and height_at(triangles[row], x, y) > z:
                place = 0
                while place < count and odd[place] != shells[row]:
                    place += 1
                if place == count:
                    odd[count] = shells[row]
                    count += 1
                else:
                    count -= 1
                    odd[place] = odd[count]
        inside[at] = count > 0
