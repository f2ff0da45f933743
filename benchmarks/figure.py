"""The results as one picture: how far from the limit, how far ahead of the peers, which targets are reached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .results import Result
from .tables import number

INK, GREY, PALE = "#1b1f24", "#8a919a", "#eceef1"
OURS = {"float64": "#0b6e99", "float32": "#7fb8d1"}
REACHED, MISSED = "#2f855a", "#c2542d"
MARKS = {
    "torch_stacked": ("PyTorch, stacked", "o", "#d9822b"),
    "jax_scan": ("JAX", "D", "#7a4fb5"),
    "torch_loop": ("PyTorch, a point at a time", "s", "#b0372c"),
    "torch_lstm": ("nn.LSTM, gradients only", "^", "#6b7785"),
    "numba_kernel": ("a compiled kernel (Numba)", "v", "#2a2f36"),
    "ray_trials": ("Ray Tune, a point a trial", "s", "#b0372c"),
    "ray_batches": ("Ray Tune, batches", "o", "#d9822b"),
    "optuna": ("Optuna", "^", "#6b7785"),
    "jax_joblib": ("JAX under joblib", "D", "#7a4fb5"),
}
KERNELS = ("sweeps", "pairs", "lyapunov")


def draw(rows: Sequence[Result], path: Path, caption: str = "") -> None:
    """Write the picture of all rows as PNG: kernel workloads above, every other target below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    kernels = [row for row in rows if row.group in KERNELS]
    others = [(row, target) for row in rows if row.group not in KERNELS for target in row.targets]
    heights = [0.23 * len(kernels) + 0.9] * bool(kernels) + [0.25 * len(others) + 0.7] * bool(others) or [1.0]
    figure = Figure(figsize=(11.5, sum(heights) + 1.1), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.988, 0.995, caption, ha="right", va="top", color=GREY, fontsize=8)
    figure.suptitle("longlag bench", x=0.012, ha="left", color=INK, fontsize=15, fontweight="bold")
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if kernels:
        _kernels(parts[0], kernels)
    if others:
        _reach(parts[-1], others)
    figure.savefig(path, dpi=150)


def _kernels(part: Any, rows: Sequence[Result]) -> None:
    """Left: our time over the machine's limit. Right: peers' times over ours. Both on logarithmic axes."""
    left, right = part.subplots(1, 2, sharey=True, width_ratios=(1, 1.25))
    places = _places(rows)
    for y, row in zip(places, rows, strict=True):
        colour = OURS["float32" if "float32" in row.workload else "float64"]
        over = row.over_limit or 1.0
        left.barh(y, over - 1, left=1, height=0.72, color=colour)
        left.text(over, y, f" {over:.1f}", va="center", fontsize=7, color=INK)
        for target in row.targets:
            if target.at_most:
                _tick(left, target.bound, y, target.reached)
            else:
                _tick(right, target.bound, y, target.reached)
        ahead = {name: value for name, value in row.ahead.items() if value is not None}
        if ahead:
            right.plot(
                [1, max(ahead.values())], [y, y], color=PALE, linewidth=5, zorder=0, solid_capstyle="butt"
            )
        for name, value in ahead.items():
            _, marker, shade = MARKS[name]
            right.plot(value, y, marker, color=shade, markersize=5, markeredgewidth=0)
    left.set_yticks(places, [row.workload for row in rows], fontsize=7.5)
    left.set_ylim(max(places) + 0.8, -0.8)
    left.set_xscale("log")
    left.set_xlim(0.9, 1.3 * max(left.get_xlim()[1], 2.0))
    _plain_ticks(left)
    left.axvline(1, color=INK, linewidth=0.9)
    right.axvline(1, color=OURS["float64"], linewidth=1.6)
    right.set_xscale("log")
    _plain_ticks(right)
    left.set_title("our time ÷ the machine's limit", loc="left", fontsize=10, color=INK)
    right.set_title(
        "peers' time ÷ ours (right of the line we are faster)", loc="left", fontsize=10, color=INK
    )
    _legend(right, [name for name in MARKS if any(row.ahead.get(name) for row in rows)])
    for axes in (left, right):
        _bare(axes)


def _places(rows: Sequence[Result]) -> list[float]:
    """A row each, with a gap where the cell or the group changes."""
    places, y, before = [], -1.0, None
    for row in rows:
        key = (row.group, row.kind)
        y += 1.0 if before in (None, key) else 1.6
        before = key
        places.append(y)
    return places


def _tick(axes: Any, x: float, y: float, reached: bool) -> None:
    axes.plot([x, x], [y - 0.5, y + 0.5], color=REACHED if reached else MISSED, linewidth=2.2, zorder=3)


def _reach(part: Any, pairs: Sequence[tuple[Result, Any]]) -> None:
    """Every other target, as how many times over it is: right of the line it is reached."""
    axes = part.subplots()
    for y, (_, target) in enumerate(pairs):
        above, below = (target.bound, target.value) if target.at_most else (target.value, target.bound)
        times = above / below if above > 0 and below > 0 else 1.0  # at most none: there are no times over it
        axes.barh(y, times - 1, left=1, height=0.66, color=REACHED if target.reached else MISSED)
        text = f" {number(target.value)} ({target.text})"
        axes.text(max(times, 1.0), y, text, va="center", fontsize=7.5, color=INK)
    axes.axvline(1, color=INK, linewidth=1.2)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.2), max(high * 12, 10))
    _plain_ticks(axes)
    axes.set_yticks(range(len(pairs)), [row.workload for row, _ in pairs], fontsize=7.5)
    axes.set_ylim(len(pairs) - 0.4, -0.6)
    axes.set_title(
        "times over the target (right of the line it is reached)", loc="left", fontsize=10, color=INK
    )
    _bare(axes)


def _plain_ticks(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _legend(axes: Any, peers: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    known = [MARKS[name] for name in peers]
    marks = [Line2D([], [], color=c, marker=m, linestyle="", label=text) for text, m, c in known]
    marks += [
        Line2D(
            [],
            [],
            color=c,
            marker="|",
            markersize=10,
            markeredgewidth=2.2,
            linestyle="",
            label=f"target, {text}",
        )
        for text, c in (("reached", REACHED), ("missed", MISSED))
    ]
    axes.legend(
        handles=marks, loc="upper left", bbox_to_anchor=(0, -0.03), ncols=3, frameon=False, fontsize=7.5
    )


def _bare(axes: Any) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.tick_params(axis="y", length=0, colors=INK)
    axes.tick_params(axis="x", colors=GREY, labelsize=8)
    axes.grid(axis="x", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
