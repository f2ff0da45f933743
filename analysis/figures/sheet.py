"""How panels become files: one SVG each for a report, or all of a figure on one sheet."""

from __future__ import annotations

import io
import re
import textwrap
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..load import Frames
from .base import GRID, INK, MUTED, PANEL, PAPER, Figure, Panel, key_shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet

_DARK = {INK: "#e8eaed", MUTED: "#a3acb6", GRID: "#3a424b", PAPER: "#16191d"}
_ROLE = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper"}

LEFT, BOTTOM, TOP, KEY_ROW = 0.67, 0.52, 0.36, 0.175
"""Margins of a panel in inches, and what each row of its legend takes."""
NAME_GAP = 0.07
"""Inches between axes and a curve's name."""
LETTER = 0.0089
"""Width of a letter of a bold title in inches a point: a little more than the mean of DejaVu Sans."""

_STYLE: dict[str, Any] = {
    "font.size": 9.5,
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 9.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "patch.linewidth": 0.6,
    "hatch.linewidth": 0.7,
    "hatch.color": MUTED,
    "svg.fonttype": "path",
    "svg.hashsalt": "longlag",
    "axes.unicode_minus": True,
    "path.simplify": True,
    "path.simplify_threshold": 0.3,
}


@contextmanager
def style():
    """matplotlib's settings for our pictures, put back afterwards; no window system is touched."""
    from matplotlib import style as styles

    with styles.context(["default", _STYLE]):
        yield


def picture(panel: Panel, format: str = "svg") -> bytes:
    """One panel as a file of its own."""
    from matplotlib.figure import Figure as Sheet

    with style():
        sheet = Sheet(figsize=panel.size, dpi=96 if format == "svg" else 160)
        _place(sheet, panel, 0.0, 0.0)
        return _bytes(sheet, format)


def save(figure: Figure, frames: Frames, path: Path) -> None:
    """All panels of a figure on one sheet, two in a row; the ending says the format (.svg, .png, .pdf)."""
    from matplotlib.figure import Figure as Sheet

    reason = figure.missing(frames)
    panels = [] if reason else figure.panels(frames)
    if not panels:
        raise OSError(f"{path} is not written: {reason or 'there is nothing to draw'}")
    columns = min(len(panels), 2)
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    heights = [max(panel.size[1] for panel in row) for row in rows]
    with style():
        sheet = Sheet(figsize=(columns * PANEL[0], sum(heights)), dpi=160)
        bottom = sum(heights)
        for row, height in zip(rows, heights, strict=True):
            bottom -= height
            for j, panel in enumerate(row):
                _place(sheet, panel, j * PANEL[0], bottom)
        path.write_bytes(_bytes(sheet, path.suffix.lower().lstrip(".")))


def _place(sheet: Sheet, panel: Panel, left: float, bottom: float) -> None:
    """Draw a panel with its lower left corner at (left, bottom) inches. The margins are fixed: panels line up, and
    no layout has to be computed, which would take as long as the drawing."""
    (W, H), (width, height) = sheet.get_size_inches(), panel.size
    axes = sheet.add_axes((0.0, 0.0, 1.0, 1.0))
    text, size = fitted(panel.title, width - LEFT - 0.1)
    title = axes.set_title(text)
    panel.draw(axes)
    title.set_fontsize(size)  # a legend moves the title, and with it sets its size
    legend = axes.get_legend()
    rows = key_shape([text.get_text() for text in legend.get_texts()])[1] if legend else 0
    inside = (width - LEFT - max(panel.right, _beside(axes)), height - BOTTOM - TOP - KEY_ROW * rows)
    axes.set_position(((left + LEFT) / W, (bottom + BOTTOM) / H, inside[0] / W, inside[1] / H))


def _beside(axes: Axes) -> float:
    """Inches that the names at the right-hand ends of curves need: most are short, a trained network's γ is not."""
    from matplotlib.text import Annotation

    names = [t.get_text() for t in axes.texts if isinstance(t, Annotation) and t.xy[0] == 1]
    return max((NAME_GAP + sum(0.04 if c in ".," else 0.082 for c in name) for name in names), default=0.0)


def fitted(title: str, width: float) -> tuple[str, float]:
    """A title that stays within so many inches, and its size in points: smaller where it is long, on two lines
    where that is not enough."""
    large, least = float(_STYLE["axes.titlesize"]), 8.5
    most = width / (LETTER * large)
    size = min(large, large * most / max(len(title), 1))
    if size >= least:
        return title, size
    return "\n".join(textwrap.wrap(title, int(width / (LETTER * least)))), least


def _bytes(sheet: Sheet, format: str) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(sheet)
    target = io.BytesIO()
    silent = {"svg": {"Date": None, "Creator": None, "Format": None, "Type": None}}.get(format)
    sheet.savefig(target, format=format, metadata=silent)
    return themed(target.getvalue().decode()).encode() if format == "svg" else target.getvalue()


def themed(svg: str) -> str:
    """The SVG without its preamble, with ink and paper following the reader's light or dark window."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    for colour, role in _ROLE.items():
        svg = svg.replace(colour, f"var({role})")
    light = "".join(f"{role}:{colour};" for colour, role in _ROLE.items())
    dark = "".join(f"{role}:{_DARK[colour]};" for colour, role in _ROLE.items())
    rules = f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    return re.sub(r"(<svg[^>]*>)", lambda m: m.group(1) + rules, svg, count=1)
