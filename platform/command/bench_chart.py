# SPDX-License-Identifier: BSD-2-Clause
"""`./caprock bench --plot`: a bar for each operation, Caprock's figure in relation to the smaller of seL4's, and a tick where the goal is, as SVG."""

from html import escape

_ROW, _BAR, _LABELS, _SCALE, _MARGIN, _HEAD = 20, 12, 470, 220, 60, 48
_COLOURS = {"better": "#2a7f4f", "worse": "#b5542d", "grid": "#c8c8c8", "parity": "#404040", "goal": "#1f4e9e"}


def chart(bars: list[tuple[str, float, float | None]]) -> str:
    """The chart of (operation, ratio, goal's ratio)."""
    longest = max([1.0, *(ratio for _, ratio, _ in bars)])
    width, height = _LABELS + int(longest * _SCALE) + _MARGIN, _HEAD + _ROW * len(bars) + 20
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>',
             '<text x="10" y="18" font-size="14">Instructions of Caprock in relation to seL4 (its best figure is 1.0); ticks: goals</text>']
    parts += [line for half in range(int(longest * 2) + 1) for line in _grid_line(half / 2, height)]
    for index, bar in enumerate(bars):
        parts += _bar(_HEAD + _ROW * index, *bar)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _grid_line(value: float, height: int) -> list[str]:
    x = _LABELS + value * _SCALE
    colour = _COLOURS["parity" if value == 1 else "grid"]
    return [f'<line x1="{x:g}" y1="{_HEAD - 6}" x2="{x:g}" y2="{height - 14}" stroke="{colour}"/>',
            f'<text x="{x:g}" y="{_HEAD - 10}" text-anchor="middle">{value:.1f}</text>']


def _bar(y: int, operation: str, ratio: float, goal: float | None) -> list[str]:
    colour = _COLOURS["better" if ratio <= 1 else "worse"]
    middle = y + _BAR - 2
    parts = [f'<text x="{_LABELS - 8}" y="{middle}" text-anchor="end">{escape(operation)}</text>',
             f'<rect x="{_LABELS}" y="{y}" width="{ratio * _SCALE:.1f}" height="{_BAR}" fill="{colour}"/>',
             f'<text x="{_LABELS + ratio * _SCALE + 5:.1f}" y="{middle}">{ratio:.2f}</text>']
    if goal is not None:
        x = _LABELS + goal * _SCALE
        parts.append(f'<line x1="{x:.1f}" y1="{y - 3}" x2="{x:.1f}" y2="{y + _BAR + 3}" stroke="{_COLOURS["goal"]}" stroke-width="3"/>')
    return parts
