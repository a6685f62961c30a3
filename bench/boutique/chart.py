"""The table as bars: CPU per request and median latency of each system, as SVG for two themes."""

from html import escape
from typing import Any

from goals import missed_aim
from summary import Table, ratio, table_of
from tables import LABELS

WIDTH, ROW, TOP, LABEL, BAR = 860, 30, 74, 190, 170
CLIPPED = 1.2
"""Times the bar of gRPC services, beyond which bars are cut."""
OVERLOADED = 1000.0
"""Milliseconds of a median that only a growing queue explains."""
COLORS = {
    "light": {
        "text": "#1f2328", "soft": "#59636e", "bar": "#8c959f", "ours": "#0969da",
        "line": "#d1d9e0", "page": "#ffffff",
    },
    "dark": {
        "text": "#f0f6fc", "soft": "#9198a1", "bar": "#656c76", "ours": "#4493f8",
        "line": "#3d444d", "page": "#0d1117",
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
        "Same shop, same load; less is better. CPU of all processes, latency at"
        f" {rate:g} requests/s. {machine['cores']} cores, Python {machine['python']}."
    )
    if not any(cell.quiet for row in table.values() for cell in (row["cpu"], row["p50"])):
        caption += " A machine busy with other work."
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
    most = table["grpc"][column].value if "grpc" in table else 0.0
    most = most or max(row[column].value for row in table.values())
    foot = TOP + ROW * len(table)
    parts = [f'<path d="M{left} {TOP - 8}V{foot}" stroke="{color["line"]}" fill="none"/>']
    for row, (system, cells) in enumerate(table.items()):
        value = cells[column].value
        share = min(value / most, CLIPPED)
        long = max(BAR * share, 1.5)
        fill = color["bar"] if system in ("grpc", "rest") else color["ours"]
        top = TOP + row * ROW
        parts.append(
            f'<rect x="{left}" y="{top}" width="{long:.1f}" height="20" rx="2" fill="{fill}"/>'
        )
        if share == CLIPPED:  # a gap tells that the bar is longer than it is drawn
            gap = f"M{left + long - 14:.1f} {top - 2}l-5 24"
            parts.append(f'<path d="{gap}" stroke="{color["page"]}" stroke-width="4"/>')
        said = _said(table, column, system)
        parts.append(_text(left + long + 6, top + 15, said, color["text"], size=12))
    return parts


def _said(table: Table, column: str, system: str) -> str:
    value = table[system][column].value
    if column == "p50" and value > OVERLOADED:
        return "could not keep up"
    said = f"{value:.2f}" if value < 10 else f"{value:.1f}"
    if system == "grpc" or "grpc" not in table:
        return said
    times = ratio(table, column, system)
    if times < 1:
        return f"{said} ({1 / times:.1f}x more)"
    aim = missed_aim(table, column, system)
    return f"{said} ({times:.1f}x less{f'; aim {aim:g}x' if aim else ''})"


def _text(x: float, y: float, text: str, fill: str, *, size: int = 13, weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" font-size="{size}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )
