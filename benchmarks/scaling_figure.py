"""The figure of ``docs/scaling.md``: efficiency by workers and shard size, makespan, what time is lost to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .results import Result

INK, GREY, PALE = "#1b1f24", "#8a919a", "#eceef1"
OWN = "#0b6e99"
SIZES = {1.5: "#d9a441", 6.0: "#d9722b", 24.0: "#a8452f", 96.0: "#5f2f4f"}
LOSSES = {
    "planning": ("#3f7f5f", "planning"),
    "starting": ("#8fbf9f", "workers start"),
    "waiting for a shard": ("#d9722b", "waiting for a shard"),
    "the last shards": ("#5f2f4f", "behind the last shard"),
    "lost shards": ("#8a919a", "lost shards"),
}
SHORT = {
    "the driver: sending shards": "driver: sending",
    "the driver: asking what has come back": "driver: asking",
    "the driver: receipts, whatever their rows": "driver: receipts",
    "the driver: transactions": "driver: transactions",
    "the index: rows": "index: rows",
    "planning": "planning",
    "starting": "workers start",
    "waiting for a shard": "waiting for a shard",
    "the last shards": "last shards",
    "lost shards": "lost shards",
}


def draw(rows: Sequence[Result], path: Path) -> None:
    """Write the picture as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.5, 5.2), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    own = [r for r in rows if r.details["target"] is None]
    sqlite = [r for r in rows if r.details["world"] == "SQLite"]
    hours = own[0].details["core hours"]
    figure.suptitle(
        f"A study of {own[0].details['points']:,} points "
        f"({hours:,.0f} core-hours) on simulated workers",
        x=0.012, ha="left", color=INK, fontsize=14, fontweight="bold",
    )  # fmt: skip
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    _efficiency(left, sqlite)
    _makespan(middle, own)
    _losses(right, [r for r in own if r.details["world"] == "SQLite"])
    figure.savefig(path, dpi=150)


def _efficiency(axes: Any, rows: Sequence[Result]) -> None:
    """A line for each shard size; what is the bottleneck stands at each of its points below 95 %."""
    for target in (*SIZES, None):
        some = [r.details for r in rows if r.details["target"] == target]
        x, y = [d["workers"] for d in some], [100 * d["efficiency"] for d in some]
        name = "as planned" if target is None else f"{target:g} s"
        style = (
            dict(color=OWN, linewidth=3, zorder=4)
            if target is None
            else dict(color=SIZES[target], linewidth=1.5)
        )
        axes.plot(x, y, "o-", markersize=6 if target is None else 4, label=name, **style)
    _workers(axes, rows)
    for workers in dict.fromkeys(r.details["workers"] for r in rows):
        _bottlenecks(axes, [r.details for r in rows if r.details["workers"] == workers])
    axes.axhline(95, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.text(9, 95.6, "95 %", color=GREY, fontsize=8, va="bottom")
    axes.set_ylim(-3, 104)  # room for a label under the last line
    axes.set_title(
        "efficiency, % of the workers' time, by seconds of a shard", loc="left", fontsize=10, color=INK
    )
    axes.legend(frameon=False, fontsize=8.5, loc="lower left", title="shards", alignment="left")
    _bare(axes, "y")


def _bottlenecks(axes: Any, some: Sequence[Mapping[str, Any]]) -> None:
    """Labels right of the points, apart by what a line of text needs."""
    at = 200.0
    for d in sorted((d for d in some if d["efficiency"] < 0.93), key=lambda d: -d["efficiency"]):
        y = min(100 * d["efficiency"], at - 4.2)
        at = y
        own = d["target"] is None
        axes.annotate(
            SHORT[d["bottleneck"]], (d["workers"], 100 * d["efficiency"]), (d["workers"] * 1.16, y),
            fontsize=7.5, va="center", color=OWN if own else SIZES[d["target"]],
            fontweight="bold" if own else "normal", zorder=6,
            bbox=dict(facecolor="white", edgecolor="none", pad=0.8),
        )  # fmt: skip


def _makespan(axes: Any, rows: Sequence[Result]) -> None:
    first = [r for r in rows if r.details["world"] == "SQLite"]
    x = [r.details["workers"] for r in first]
    axes.plot(x, [r.limit for r in first], color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), label="ideal")
    for index, colour in (("SQLite", OWN), ("PostgreSQL", "#7fb8d1")):
        some = [r for r in rows if r.details["world"] == index]
        if some:
            axes.plot(
                [r.details["workers"] for r in some], [r.ours for r in some], "o-", color=colour, linewidth=2,
                markersize=5, label=f"{index}",
            )  # fmt: skip
    for r in first:
        axes.annotate(
            _time(r.ours),
            (r.details["workers"], r.ours),
            (7, 5),
            textcoords="offset points",
            fontsize=8,
            color=INK,
        )
    _workers(axes, rows)
    axes.set_yscale("log")
    axes.set_title("makespan, s", loc="left", fontsize=10, color=INK)
    axes.legend(frameon=False, fontsize=8.5, loc="lower left")
    _bare(axes, "y")


def _losses(axes: Any, rows: Sequence[Result]) -> None:
    """Where the workers' time goes that is not spent computing."""
    for i, r in enumerate(rows):
        bottom = 0.0
        for name, (colour, _) in LOSSES.items():
            share = 100 * r.details["losses"][name]
            axes.bar(i, share, bottom=bottom, color=colour, width=0.62)
            bottom += share
        axes.text(i, bottom, f"{bottom:.1f} %", ha="center", va="bottom", fontsize=8, color=INK)
    axes.set_xticks(range(len(rows)), [f"{r.details['workers']:,}" for r in rows])
    axes.set_xlabel("workers", fontsize=9, color=INK)
    handles = [_patch(colour, name) for colour, name in LOSSES.values()]
    axes.legend(handles=handles, frameon=False, fontsize=8.5, loc="upper left")
    axes.set_title("not spent computing, % (as planned)", loc="left", fontsize=10, color=INK)
    axes.margins(y=0.12)
    _bare(axes, "y")


def _patch(colour: str, name: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=colour, label=name)


def _time(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 100 else f"{seconds:.0f} s"


def _workers(axes: Any, rows: Sequence[Result]) -> None:
    x = list(dict.fromkeys(r.details["workers"] for r in rows))
    axes.set_xscale("log")
    axes.set_xlim(min(x) * 0.75, max(x) * 5)
    axes.set_xticks(x, [f"{n:,}" for n in x])
    axes.minorticks_off()
    axes.set_xlabel("workers", fontsize=9, color=INK)


def _bare(axes: Any, grid: str) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.tick_params(length=0, colors=INK, labelsize=8.5)
    axes.grid(axis=grid, color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
