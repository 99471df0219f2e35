"""Small pictures as inline SVG. Colours come from the page's CSS classes, so that they follow its light or dark theme.

Equal input gives equal text: coordinates are written with one decimal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 480, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 14, 44
CHARACTER, LINE = 7.5, 14  # pixels that a label's letter and line take


@dataclass(frozen=True)
class Scale:
    """Maps values from [low, high] to pixels from ``start`` to ``end``; logarithmic if asked."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        at = (math.log(value) if self.log else value) - low
        return self.start + (self.end - self.start) * (at / (high - low) if high > low else 0.5)


@dataclass(frozen=True)
class Mark:
    """One row or point of a chart: a value with its interval.

    Attributes:
        label: text beside it.
        x: position on the horizontal axis, where there is one.
        value, low, high: the score; low and high may be None.
        kind: a CSS class (variant, baseline, shipped).
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    kind: str = "variant"
    x: float = 0.0


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers within [low, high], about ``count`` of them: steps of 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    rough = (high - low) / max(1, count - 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def tick_text(value: float) -> str:
    """A tick's label, without needless zeros."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def frame(width: int, height: int, title: str, content: Sequence[Markup]) -> Markup:
    """The svg element, with a title that screen readers say."""
    opening = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(width, height, title)
    return opening + Markup("").join(content) + Markup("</svg>")


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> Markup:
    """A straight line."""
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return Markup(f'<line {place} class="{escape(css)}"/>')


def text(x: float, y: float, content: str, css: str = "", anchor: str = "middle") -> Markup:
    """Escaped text."""
    place = Markup(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{escape(css)}">')
    return place + escape(content) + Markup("</text>")


def dot(x: float, y: float, css: str, radius: float = 5) -> Markup:
    """A filled circle."""
    return Markup(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="dot {escape(css)}"/>')


def polyline(points: Sequence[tuple[float, float]], css: str) -> Markup:
    """A line through points."""
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup(f'<polyline points="{joined}" class="{escape(css)}"/>')


def axes(x: Scale, y: Scale, x_label: str, y_label: str, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> Markup:
    """Grid lines, tick labels and the names of both axes."""
    parts = []
    for value in y_ticks:
        parts.append(line(x.start, y(value), x.end, y(value), "grid"))
        parts.append(text(x.start - 6, y(value) + 4, tick_text(value), "tick", "end"))
    for value in x_ticks:
        parts.append(line(x(value), y.start, x(value), y.start + 4, "axis"))
        parts.append(text(x(value), y.start + 17, tick_text(value), "tick"))
    parts.append(line(x.start, y.start, x.end, y.start, "axis"))
    parts.append(text((x.start + x.end) / 2, y.start + 36, x_label, "label"))
    turned = f'transform="translate(12 {(y.start + y.end) / 2:.1f}) rotate(-90)"'
    parts.append(Markup(f'<text {turned} text-anchor="middle" class="label">') + escape(y_label) + Markup("</text>"))
    return Markup("").join(parts)


def padded(values: Sequence[float], zero: bool = False) -> tuple[float, float]:
    """A range around values with some air; from zero if asked."""
    low, high = min(values), max(values)
    air = (high - low or abs(high) or 1.0) * 0.08
    return (0.0 if zero else low - air), high + air


def loss_chart(train: Sequence[tuple[float, float]], held_out: Sequence[tuple[float, float]]) -> Markup:
    """Loss over steps: a line for training, a line with dots for held-out text."""
    rows = [*train, *held_out]
    x = Scale(0, max(step for step, _ in rows) or 1, LEFT, WIDTH - RIGHT)
    low, high = padded([loss for _, loss in rows])
    y = Scale(max(0.0, low), high, HEIGHT - BOTTOM, TOP)
    parts = [axes(x, y, "training step", "loss", ticks(x.low, x.high, 6), ticks(y.low, y.high))]
    if train:
        parts.append(polyline([(x(step), y(loss)) for step, loss in train], "curve train"))
    if held_out:
        parts.append(polyline([(x(step), y(loss)) for step, loss in held_out], "curve eval"))
        parts += [dot(x(step), y(loss), "eval", 3.5) for step, loss in held_out]
    return frame(WIDTH, HEIGHT, "loss over training steps", parts)


def rank_chart(marks: Sequence[Mark], x_label: str, low: float, high: float) -> Markup:
    """One row a mark: its label, a dot at its value, a whisker over its interval."""
    row, left = 30, 148
    height = TOP + row * len(marks) + BOTTOM
    x = Scale(low, high, left, WIDTH - 52)
    bottom = height - BOTTOM
    parts: list[Markup] = []
    for value in ticks(low, high, 6):
        parts.append(line(x(value), TOP, x(value), bottom, "grid"))
        parts.append(text(x(value), bottom + 17, tick_text(value), "tick"))
    parts.append(text((left + WIDTH - 52) / 2, bottom + 36, x_label, "label"))
    for number, mark in enumerate(marks):
        y = TOP + row * (number + 0.5)
        parts.append(text(left - 12, y + 4, mark.label, f"name {mark.kind}", "end"))
        if mark.low is not None and mark.high is not None:
            parts.append(line(x(mark.low), y, x(mark.high), y, f"whisker {mark.kind}"))
        parts.append(dot(x(mark.value), y, mark.kind))
        parts.append(text(WIDTH - 6, y + 4, f"{mark.value:.2f}", f"value {mark.kind}", "end"))
    return frame(WIDTH, height, x_label, parts)


def size_chart(marks: Sequence[Mark], y_label: str, best: Mark | None) -> Markup:
    """File size (MB, ``mark.x``) against score; a dashed line where the best trivial baseline stands."""
    rows = [bound for mark in marks for bound in (mark.value, mark.low, mark.high) if bound is not None]
    rows += [best.value] if best else []
    x = Scale(0, max(mark.x for mark in marks) * 1.15, LEFT, WIDTH - RIGHT)
    low, high = padded(rows, zero=min(rows) >= 0)
    y = Scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [axes(x, y, "file size in MB", y_label, ticks(x.low, x.high), ticks(low, high))]
    if best:
        parts.append(line(x.start, y(best.value), x.end, y(best.value), "rule baseline"))
        parts.append(text(x.start + 6, y(best.value) - 6, f"best baseline: {best.label}", "name baseline", "start"))
    for mark in sorted(marks, key=lambda mark: mark.x):
        if mark.low is not None and mark.high is not None:
            parts.append(line(x(mark.x), y(mark.low), x(mark.x), y(mark.high), f"whisker {mark.kind}"))
        parts.append(dot(x(mark.x), y(mark.value), mark.kind))
    points = [(x(mark.x), y(mark.value)) for mark in marks]
    for mark, (at, height, anchor) in zip(marks, label_places(points, [mark.label for mark in marks]), strict=True):
        parts.append(text(at, height, mark.label, f"name {mark.kind}", anchor))
    return frame(WIDTH, HEIGHT, f"{y_label} by file size", parts)


def label_places(points: Sequence[tuple[float, float]], labels: Sequence[str]) -> list[tuple[float, float, str]]:
    """Baseline (x, y) and anchor of every point's label: beside its point, moved up or down off the others' labels."""
    taken: list[tuple[float, float, float]] = []
    places = []
    for (x, y), label in zip(points, labels, strict=True):
        left_of = x > WIDTH * 0.7
        at, width = x + (-9 if left_of else 9), CHARACTER * len(label)
        first = at - width if left_of else at
        for shift in (0, *(sign * LINE * step for step in range(1, 1 + len(points)) for sign in (-1, 1))):
            height = y + 4 + shift
            overlaps = any(
                first < right and left < first + width and abs(height - other) < LINE for left, right, other in taken
            )
            if not overlaps and TOP < height < HEIGHT - BOTTOM:
                break
        taken.append((first, first + width, height))
        places.append((at, height, "end" if left_of else "start"))
    return places


def interval_bar(mark: Mark, top: float) -> Markup:
    """A tiny bar for a table cell: the range 0 to ``top``, the interval, a tick at the value."""
    x = Scale(0, top or 1, 1, 71)
    parts = [line(1, 5, 71, 5, "track")]
    if mark.low is not None and mark.high is not None:
        parts.append(line(x(mark.low), 5, x(mark.high), 5, f"span {mark.kind}"))
    parts.append(line(x(mark.value), 1, x(mark.value), 9, f"stop {mark.kind}"))
    return (
        Markup('<svg viewBox="0 0 72 10" class="mini" aria-hidden="true">') + Markup("").join(parts) + Markup("</svg>")
    )
