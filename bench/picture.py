"""Growth curves as an SVG: the number of schedules to the right, what it costs upwards, both by powers of ten."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 340, 220, 52, 34, 30
_COLUMNS = 3


def curves(title: str, charts: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """One small chart for each name, of (schedules, cost) points."""
    rows = ceil(len(charts) / _COLUMNS)
    width, height = _COLUMNS * _WIDTH, rows * _HEIGHT + 40
    drawn = []
    for place, (name, points) in enumerate(charts.items()):
        corner = f"{place % _COLUMNS * _WIDTH},{place // _COLUMNS * _HEIGHT + 40}"
        drawn.append(f'<g transform="translate({corner})">{_chart(name, points)}</g>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" fill="#24292f"><rect width="{width}" height="{height}" fill="#ffffff"/>'
        f'<text x="12" y="26" font-size="16" font-weight="bold">{title}</text>{"".join(drawn)}</svg>\n'
    )


def _chart(name: str, points: Sequence[tuple[float, float]]) -> str:
    xs, ys = [log10(x) for x, _ in points], [log10(max(y, 1e-9)) for _, y in points]
    low, high = floor(min(ys)), max(ceil(max(ys)), floor(min(ys)) + 1)
    plot_width, plot_height = _WIDTH - _LEFT - 16, _HEIGHT - _BOTTOM - _TOP

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - xs[0]) / max(xs[-1] - xs[0], 1e-9)
        up = (y - low) / (high - low)
        return _LEFT + across * plot_width, _TOP + (1 - up) * plot_height

    parts = [f'<text x="{_LEFT}" y="18" font-weight="bold">{name}</text>']
    for power in range(low, high + 1):
        _, y = at(xs[0], power)
        parts.append(f'<path d="M{_LEFT} {y:.1f}h{plot_width}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(10.0**power)}</text>')
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in zip(xs, ys, strict=True)))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#0969da" stroke-width="2"/>')
    for (schedules, cost), x, y in zip(points, xs, ys, strict=True):
        across, up = at(x, y)
        middle = f'x="{across:.1f}" text-anchor="middle"'
        parts.append(f'<circle cx="{across:.1f}" cy="{up:.1f}" r="3.5" fill="#0969da"/>')
        parts.append(f'<text {middle} y="{up - 8:.1f}" font-size="11">{_short(cost)}</text>')
        parts.append(f'<text {middle} y="{_HEIGHT - 14}">{_short(schedules)}</text>')
    return "".join(parts)


def _short(value: float) -> str:
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"
