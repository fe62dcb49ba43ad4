"""Plots as inline SVG: lines, bars and steps, readable in light and dark, without any library.

Colours are CSS classes ``c0`` ... ``c9`` (the page defines them), so one style sheet serves all plots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 14, 40
COLOURS = 10


@dataclass(frozen=True)
class Series:
    """A named line.

    Args:
        name: what the legend says.
        x: ascending.
        y: as many; None leaves a gap.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]


@dataclass(frozen=True)
class Bar:
    """A bar with an optional interval around its end."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Axes:
    """What a plot measures.

    Args:
        title: what the plot shows, for those who cannot see it.
        x: label of the horizontal axis.
        y: label of the vertical axis.
        log_x: whether x is logarithmic (all x > 0).
    """

    title: str
    x: str
    y: str
    log_x: bool = False


def ticks(low: float, high: float, n: int = 5) -> list[float]:
    """Round numbers from low to high, about n of them.

    >>> ticks(0, 0.23)
    [0.0, 0.05, 0.1, 0.15, 0.2]
    """
    if not high > low:
        return [low]
    raw = (high - low) / n
    size = 10.0 ** math.floor(math.log10(raw))
    step = size * next(m for m in (1, 2, 2.5, 5, 10) if m * size >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """A number as short as it can be read.

    >>> [number(v) for v in (0.05, 12000.0, 3.0)]
    ['0.05', '12k', '3']
    """
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:.3g}"


def lines(series: Sequence[Series], axes: Axes, step: bool = False) -> str:
    """A line for each series, with a legend.

    Args:
        series: at most ten look different.
        axes: what is measured.
        step: whether values hold from one x to the next (a histogram's outline).
    """
    xs = [x for each in series for x in each.x]
    ys = [y for each in series for y in each.y if y is not None]
    if not xs or not ys:
        return ""
    frame = _Frame(min(xs), max(xs), min(0.0, *ys) if len(ys) > 1 else min(0.0, ys[0]), max(ys), axes)
    body = [frame.grid()]
    for place, each in enumerate(series):
        path = frame.path(each, step)
        name = escape(each.name)
        body.append(f'<path class="line c{place % COLOURS}" d="{path}"><title>{name}</title></path>')
    return _svg(axes.title, HEIGHT, "".join(body)) + legend([each.name for each in series])


def bars(rows: Sequence[Bar], title: str) -> str:
    """A horizontal bar for each row, its interval as a whisker, its value in figures."""
    if not rows:
        return ""
    height = 26 * len(rows) + 12
    top = max([row.high if row.high is not None else row.value for row in rows] + [1e-9])
    scale = (WIDTH - 170 - 150) / top
    body: list[str] = []
    for place, row in enumerate(rows):
        y, end = 8 + 26 * place, 170 + row.value * scale
        width, right = max(0.5, end - 170), end
        body.append(_text("label", 162, y + 13, row.name, "end"))
        body.append(
            f'<rect class="bar c{place % COLOURS}" x="170" y="{y}" width="{width:.1f}" height="18" rx="3"/>'
        )
        if row.low is not None and row.high is not None:
            low, right = 170 + row.low * scale, 170 + row.high * scale
            body.append(f'<path class="whisker" d="M{low:.1f} {y + 9}H{right:.1f}"/>')
        body.append(_text("value", right + 8, y + 13, f"{row.value:.4f}"))
    return _svg(title, height, "".join(body))


def legend(names: Sequence[str]) -> str:
    """Which colour is which."""
    keys = "".join(
        f'<span class="key"><i class="c{place % COLOURS}"></i>{escape(name)}</span>'
        for place, name in enumerate(names)
    )
    return f'<p class="legend">{keys}</p>'


class _Frame:
    """From data to the picture's coordinates, with axes."""

    def __init__(self, x0: float, x1: float, y0: float, y1: float, axes: Axes) -> None:
        self.axes = axes
        self.x0, self.x1 = (math.log10(x0), math.log10(x1)) if axes.log_x else (x0, x1)
        self.y0, self.y1 = y0, y1 + 0.05 * (y1 - y0 or 1)

    def x(self, value: float) -> float:
        value = math.log10(value) if self.axes.log_x else value
        return LEFT + (value - self.x0) / (self.x1 - self.x0 or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y0) / (self.y1 - self.y0 or 1) * (HEIGHT - TOP - BOTTOM)

    def grid(self) -> str:
        """Lines and labels of both axes."""
        parts: list[str] = []
        for tick in ticks(self.y0, self.y1):
            y = self.y(tick)
            parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
            parts.append(_text("tick", LEFT - 8, y + 4, number(tick), "end"))
        below = HEIGHT - BOTTOM + 18
        parts += [_text("tick", self.x(tick), below, number(tick), "middle") for tick in self._x_ticks()]
        parts.append(_text("axis", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, self.axes.x, "middle"))
        upright = f"translate(13 {HEIGHT / 2 - 14}) rotate(-90)"
        parts.append(f'<g transform="{upright}">{_text("axis", 0, 0, self.axes.y, "middle")}</g>')
        return "".join(parts)

    def _x_ticks(self) -> list[float]:
        if not self.axes.log_x:
            return ticks(self.x0, self.x1, 8)
        powers = range(math.floor(self.x0), math.ceil(self.x1) + 1)
        marks = [m * 10.0**power for power in powers for m in (1, 2, 5)]
        return [mark for mark in marks if self.x0 - 1e-9 <= math.log10(mark) <= self.x1 + 1e-9]

    def path(self, series: Series, step: bool) -> str:
        """One series as the numbers of an SVG path; the pen is lifted where a value is missing."""
        parts: list[str] = []
        pen_down = False
        for x, y in zip(series.x, series.y, strict=True):
            if y is None:
                pen_down = False
                continue
            across, up = f"{self.x(x):.1f}", f"{self.y(y):.1f}"
            if not pen_down:
                parts.append(f"M{across} {up}")
            else:
                parts.append(f"H{across}V{up}" if step else f"L{across} {up}")
            pen_down = True
        return "".join(parts)


def _text(kind: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(title: str, height: int, body: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title, quote=True)}" '
        f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )
