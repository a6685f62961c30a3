"""The table as bars: CPU per request and median latency of each system, as SVG for two themes."""

from html import escape
from typing import Any

from summary import Table, ratio, table_of
from tables import LABELS

WIDTH, ROW, TOP, LABEL, BAR = 860, 30, 74, 190, 190
COLORS = {
    "light": {
        "text": "#1f2328", "soft": "#59636e", "bar": "#8c959f", "ours": "#0969da",
        "line": "#d1d9e0",
    },
    "dark": {
        "text": "#f0f6fc", "soft": "#9198a1", "bar": "#656c76", "ours": "#4493f8",
        "line": "#3d444d",
    },
}  # fmt: skip
STYLE = 'role="img" font-family="system-ui, sans-serif"'
PANELS = (("cpu", "CPU per request, ms"), ("p50", "Median latency, ms"))


def draw(recorded: dict[str, Any], theme: str) -> str:
    """An SVG document; `theme` is "light" or "dark"."""
    table, color = table_of(recorded), COLORS[theme]
    height = TOP + ROW * len(table) + 46
    rate, machine = recorded["settings"]["rate"], recorded["machine"]
    caption = (
        f"The same shop and the same load. CPU of all its processes, busy; latency at {rate:g}"
        f" requests/s. {machine['cores']} cores, Python {machine['python']}; less is better."
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {STYLE}>',
        f"<title>{escape(caption)}</title>",
        _text(0, 22, "One shop, five ways to run it", color["text"], size=18, weight=600),
    ]
    for index, (column, title) in enumerate(PANELS):
        left = LABEL + index * (WIDTH - LABEL) // 2
        parts.append(_text(left, TOP - 20, title, color["soft"], size=13, weight=600))
        parts += _panel(table, column, left, color)
    for row, system in enumerate(table):
        parts.append(_text(0, TOP + row * ROW + 15, LABELS[system], color["text"]))
    parts.append(_text(0, height - 12, caption, color["soft"], size=11))
    return "\n".join([*parts, "</svg>", ""])


def _panel(table: Table, column: str, left: int, color: dict[str, str]) -> list[str]:
    most = max(row[column].value for row in table.values())
    foot = TOP + ROW * len(table)
    parts = [f'<path d="M{left} {TOP - 8}V{foot}" stroke="{color["line"]}" fill="none"/>']
    for row, (system, cells) in enumerate(table.items()):
        value = cells[column].value
        long = max(BAR * value / most, 1.5)
        fill = color["bar"] if system in ("grpc", "rest") else color["ours"]
        top = TOP + row * ROW
        parts.append(
            f'<rect x="{left}" y="{top}" width="{long:.1f}" height="20" rx="2" fill="{fill}"/>'
        )
        said = f"{value:.2f}" if value < 10 else f"{value:.1f}"
        if system != "grpc" and "grpc" in table:
            said += f" (1/{ratio(table, column, system):.1f})"
        parts.append(_text(left + long + 6, top + 15, said, color["text"], size=12))
    return parts


def _text(x: float, y: float, text: str, fill: str, *, size: int = 13, weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" font-size="{size}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )
