"""One pass over the bytes of a Wavefront OBJ file."""

from __future__ import annotations

import numpy as np

from scripts.aerial.kernels.compiled import compiled

# what a line turned out to be
GOOD, RETRY, SHORT, NUMBER, OUTSIDE = 0, 1, 2, 3, 4
OTHER, VERTEX, FACE, NAME, KNOWN = 0, 1, 2, 3, 4
NEWLINE, RETURN, SPACE, TAB, SLASH, BACKSLASH, MINUS, PLUS, DOT, HASH = 10, 13, 32, 9, 47, 92, 45, 43, 46, 35
V, F, OBJECT, G, N, T, P, S, L, U, M, EXP, EXP_LARGE = 118, 102, 111, 103, 110, 116, 112, 115, 108, 117, 109, 101, 69
EXACT = 1 << 53  # whole numbers up to this are exact as float64, and so are powers of ten up to 10^22
POWERS = np.array([10.0**power for power in range(23)])


@compiled
def blank(byte):
    """What stands between words: spaces, tabs, a return before a newline, and a line end taken back by a backslash."""
    return byte == SPACE or byte == TAB or byte == RETURN or byte == NEWLINE or byte == BACKSLASH


@compiled
def line_end(data, at):
    """Where a line that begins at ``at`` ends, and how many line ends inside of it a backslash takes back."""
    stop, taken_back = at, 0
    while stop < len(data):
        if data[stop] == NEWLINE:
            last = stop - 1 if stop > at and data[stop - 1] != RETURN else stop - 2
            if last < at or data[last] != BACKSLASH:
                break
            taken_back += 1
        stop += 1
    return stop, taken_back


@compiled
def next_token(data, at, end):
    """Where the next word of a line begins and ends; both are ``end`` where there is none."""
    while at < end and blank(data[at]):
        at += 1
    stop = at
    while stop < end and not blank(data[stop]):
        stop += 1
    return at, stop


@compiled
def kind_of(data, at, stop):
    """What a line's first word says that it is."""
    length, first = stop - at, data[at]
    if first == HASH:
        return KNOWN
    second = data[at + 1] if length > 1 else 0
    if length == 1:
        if first == V:
            return VERTEX
        if first == F:
            return FACE
        if first == OBJECT or first == G:
            return NAME
        return KNOWN if first == S or first == P or first == L else OTHER
    if length == 2 and first == V and (second == N or second == T or second == P):
        return KNOWN
    if length == 6 and first == U and second == S:  # usemtl
        return NAME
    return KNOWN if length == 6 and first == M and second == T else OTHER  # mtllib


@compiled
def read_float(data, at, stop):
    """A decimal number and whether it is GOOD, to be read again by slower means (RETRY), or no NUMBER.

    Exact where the digits make a whole number below 2^53 and the power of ten is at most 22 (Clinger, How to read
    floating point numbers accurately, 1990): then both are exact and one rounding is left.
    """
    sign, whole, power, digits = 1.0, np.int64(0), 0, 0
    if at < stop and (data[at] == MINUS or data[at] == PLUS):
        sign = -1.0 if data[at] == MINUS else 1.0
        at += 1
    dotted = False
    while at < stop:
        byte = data[at]
        if 48 <= byte <= 57:
            if whole > EXACT:
                return 0.0, RETRY
            whole = whole * 10 + (byte - 48)
            power -= dotted
            digits += 1
        elif byte == DOT and not dotted:
            dotted = True
        else:
            break
        at += 1
    if digits == 0:
        return 0.0, RETRY  # nan, inf, or no number at all
    if at < stop:
        if data[at] != EXP and data[at] != EXP_LARGE:
            return 0.0, NUMBER
        exponent, good = read_whole(data, at + 1, stop)
        if not good:
            return 0.0, NUMBER
        power += exponent
    if whole > EXACT or power > 22 or power < -22:
        return 0.0, RETRY
    return sign * (whole * POWERS[power] if power >= 0 else whole / POWERS[-power]), GOOD


@compiled
def read_whole(data, at, stop):
    """A whole number of at most 17 digits, and whether it is one."""
    sign = 1
    if at < stop and (data[at] == MINUS or data[at] == PLUS):
        sign = -1 if data[at] == MINUS else 1
        at += 1
    if at >= stop or stop - at > 17:
        return 0, False
    value = 0
    while at < stop:
        if data[at] < 48 or data[at] > 57:
            return 0, False
        value = value * 10 + (data[at] - 48)
        at += 1
    return sign * value, True


@compiled
def read_vertex(data, at, end, place):
    """Reads three coordinates into ``place``; says how that went."""
    status = GOOD
    for axis in range(3):
        at, stop = next_token(data, at, end)
        if at == stop:
            return SHORT
        place[axis], how = read_float(data, at, stop)
        status = max(status, how) if how != NUMBER else NUMBER
        at = stop
    return status


@compiled
def read_corner(data, at, stop, vertices):
    """A face's corner as an index from 0: the part before the first slash; negative ones count back. False: none."""
    end = at
    while end < stop and data[end] != SLASH:
        end += 1
    index, good = read_whole(data, at, end)
    if not good or index == 0:
        return 0, False
    return (index - 1 if index > 0 else vertices + index), True


@compiled
def read_face(data, at, end, vertices, corners, count):
    """Appends a face's corners from ``count`` on; the new count, and how that went."""
    first, status = count, GOOD
    while True:
        at, stop = next_token(data, at, end)
        if at == stop:
            break
        index, good = read_corner(data, at, stop, vertices)
        status = status if good else NUMBER
        corners[count] = index
        count += 1
        at = stop
    return count, (SHORT if status == GOOD and count - first < 3 else status)


@compiled
def count_lines(data):
    """How many lines begin with v, f or another letter, and at most how many corners the faces have."""
    vertices, faces, others, corners = 0, 0, 0, 0
    at, end = 0, len(data)
    while at < end:
        stop, _ = line_end(data, at)
        first, word = next_token(data, at, stop)
        kind = kind_of(data, first, word) if first < word else KNOWN
        vertices += kind == VERTEX
        others += kind == NAME or kind == OTHER
        if kind == FACE:
            faces += 1
            place = word
            while place < stop:
                place, word = next_token(data, place, stop)
                corners += word > place
                place = word
        at = stop + 1
    return vertices, faces, others, corners


@compiled
def read_lines(data, points, point_rows, face_rows, corners, other_rows):
    """Fills arrays of the sizes that `count_lines` gives.

    Args:
        data: uint8, the file's bytes.
        points: float64 [vertices, 3].
        point_rows: int64 [vertices, 4]: line, where it begins and ends, how it went.
        face_rows: int64 [faces, 5]: line, where it begins and ends, how it went, where its corners end.
        corners: int64 [corners].
        other_rows: int64 [others, 5]: line, where it begins and ends, kind, how many faces came before it.
    """
    vertices, faces, others, count, line, at = 0, 0, 0, 0, 0, 0
    while at < len(data):
        line += 1
        stop, taken_back = line_end(data, at)
        first, word = next_token(data, at, stop)
        kind = kind_of(data, first, word) if first < word else KNOWN
        if kind == VERTEX:
            status = read_vertex(data, word, stop, points[vertices])
            point_rows[vertices] = (line, at, stop, status)
            vertices += 1
        elif kind == FACE:
            count, status = read_face(data, word, stop, vertices, corners, count)
            face_rows[faces] = (line, at, stop, status, count)
            faces += 1
        elif kind == NAME or kind == OTHER:
            other_rows[others] = (line, at, stop, kind, faces)
            others += 1
        at, line = stop + 1, line + taken_back
