"""One pass over the bytes of a Wavefront OBJ file."""

from __future__ import annotations

import numpy as np

from scripts.aerial.kernels.compiled import compiled

GOOD, RETRY, SHORT, NUMBER = 0, 1, 2, 3  # how reading a line went, the worst last; RETRY: Python must read it
OTHER, VERTEX, FACE, NAME, KNOWN = 0, 1, 2, 3, 4  # kinds of lines; KNOWN ones hold no faces and are skipped
NEWLINE, RETURN, SPACE, TAB, SLASH, BACKSLASH, MINUS, PLUS, DOT, HASH = b"\n\r \t/\\-+.#"
EXP, EXP_LARGE = b"eE"


def code(word: bytes) -> int:
    """A word as one number, as `kind_of` calculates it: a leading 1, then its bytes."""
    return int.from_bytes(b"\1" + word, "big")


VERTEX_WORD, FACE_WORD = code(b"v"), code(b"f")
NAME_WORDS = tuple(code(word) for word in (b"o", b"g", b"usemtl"))
KNOWN_WORDS = tuple(code(word) for word in (b"vn", b"vt", b"vp", b"s", b"p", b"l", b"mtllib"))
EXACT = 1 << 53  # whole numbers up to this are exact as float64, and so are powers of ten up to 10^22
POWERS = np.array([10.0**power for power in range(23)])


@compiled
def blank(byte):
    """Whether a byte stands between words: space, tab, return before a newline, or a line end after a backslash."""
    return byte == SPACE or byte == TAB or byte == RETURN or byte == NEWLINE or byte == BACKSLASH


@compiled
def line_end(data, at):
    """Where a line that begins at ``at`` ends, and how many newlines inside it follow a backslash and do not end it."""
    stop, continued = at, 0
    while stop < len(data):
        if data[stop] == NEWLINE:
            last = stop - 1 if stop > at and data[stop - 1] != RETURN else stop - 2
            if last < at or data[last] != BACKSLASH:
                break
            continued += 1
        stop += 1
    return stop, continued


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
    """The kind of a line whose first word is ``data[at:stop]``."""
    if data[at] == HASH:
        return KNOWN
    word = 1
    for place in range(at, min(stop, at + 7)):
        word = word << 8 | data[place]
    if word == VERTEX_WORD:
        return VERTEX
    if word == FACE_WORD:
        return FACE
    if word in NAME_WORDS:
        return NAME
    return KNOWN if word in KNOWN_WORDS else OTHER


@compiled
def read_float(data, at, stop):
    """A decimal number, and GOOD, RETRY (Python must read it) or NUMBER (it is not a number).

    value = whole * 10^power. Exact where whole is at most 2^53 and the power between -22 and 22: then both are exact in
    float64, and only the product is rounded (Clinger, How to read floating point numbers accurately, 1990).
    Example: -12.50 is -1250 * 10^-2.
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
        return 0.0, RETRY  # nan, inf, or not a number
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
    """A whole number of at most 17 digits, and True; 0 and False where ``data[at:stop]`` is not one."""
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
def read_vertex(data, at, end, point):
    """Reads three coordinates into ``point`` [3]; returns how that went."""
    status = GOOD
    for axis in range(3):
        at, stop = next_token(data, at, end)
        if at == stop:
            return SHORT
        point[axis], how = read_float(data, at, stop)
        status = max(status, how)
        at = stop
    return status


@compiled
def read_face(data, at, end, vertices, corners, count):
    """Writes a face's corners, as vertex indices from 0, from ``corners[count]`` on; the new count, and how that went.

    A corner is v, v/vt, v//vn or v/vt/vn; a negative v counts back from the ``vertices`` read so far.
    """
    first, status = count, GOOD
    while True:
        at, stop = next_token(data, at, end)
        if at == stop:
            break
        slash = at
        while slash < stop and data[slash] != SLASH:
            slash += 1
        index, _ = read_whole(data, at, slash)
        if index == 0:
            status = NUMBER
        corners[count] = index - 1 if index > 0 else vertices + index
        count += 1
        at = stop
    return count, (SHORT if status == GOOD and count - first < 3 else status)


@compiled
def count_lines(data):
    """How many vertices, faces, other lines (names and unknown ones) and corners of faces there are."""
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
        point_rows: int64 [vertices, 4]: line number, first byte, end, how reading it went.
        face_rows: int64 [faces, 5]: line number, first byte, end, how reading it went, where its corners end.
        corners: int64 [corners], vertex indices.
        other_rows: int64 [others, 5]: line number, first byte, end, kind, faces before it.
    """
    vertices, faces, others, count, line, at = 0, 0, 0, 0, 0, 0
    while at < len(data):
        line += 1
        stop, continued = line_end(data, at)
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
        at, line = stop + 1, line + continued
