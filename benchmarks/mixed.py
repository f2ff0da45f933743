"""The whole study: 3,000 points of five cells and three lengths, and what has to come out of each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..service.axes import linspace
from ..service.study import Study
from ..workers.kernel import Task
from ..workers.kernel import run as run_kernel
from ..workers.points import Point
from .peers.base import CURVES, Answer, Unequal

NAME = "bench-mixed"
PROBES = ("curves", "gradients")
Rows = list[dict[str, Any]]
"""Of each point: its index in the study, the curves ``delta`` and ``adjoint`` by lag, ``ln_grad`` by array."""


def study(quick: bool = False) -> Study:
    """5 cells × 20 γ × 3 lengths × 10 seeds at N = 64, B = 16; reduced to 30 small points where it is ``quick``."""
    number, seeds, lengths, N, B = (2, 1, [8, 12, 16], 8, 2) if quick else (20, 10, [16, 64, 256], 64, 16)
    return Study(
        NAME,
        grids=[
            {"cell": ["simple", "linear", "memory"], "gamma": linspace(0.9, 1.1, number)},
            {"cell": ["lstm", "gru"], "gamma": linspace(0.9, 0.995, number)},
        ],
        probes=PROBES,
        length=lengths,
        seed=range(seeds),
        hidden_size=N,
        batch_size=B,
    )


def points(quick: bool) -> list[Point]:
    """The points of the study, in its order."""
    return list(study(quick).points())


def spread(several: Sequence[Point], count: int) -> list[int]:
    """Indices of ``count`` points, evenly over the study: it stands for all of them."""
    step = max(1.0, len(several) / count)
    return sorted({int(i * step) for i in range(min(count, len(several)))})


def one_a_shape(several: Sequence[Point]) -> list[int]:
    """Indices of the first point of every cell and length: those that are compared."""
    first: dict[Any, int] = {}
    for i, point in enumerate(several):
        first.setdefault(point.shape, i)
    return list(first.values())


def batches(several: Sequence[Point], indices: Sequence[int], size: int) -> list[list[int]]:
    """Indices of points of one shape in batches, the longest sequences first."""
    groups: dict[Any, list[int]] = {}
    for i in indices:
        groups.setdefault(several[i].shape, []).append(i)
    ordered = sorted(groups.values(), key=lambda group: -several[group[0]].length)
    return [group[a : a + size] for group in ordered for a in range(0, len(group), size)]


def rows_of(indices: Sequence[int], answer: Answer) -> Rows:
    """What is kept of an answer: a row a point."""
    rows = []
    for p, index in enumerate(indices):
        norms = {
            name: float(np.log(np.linalg.norm(np.ravel(value[p]))))
            for name, value in answer.gradients.items()
        }
        curves = {kind: value[p].tolist() for kind, value in answer.curves.items()}
        rows.append({"index": index, **curves, "ln_grad": norms})
    return rows


def require_ours(who: str, several: Sequence[Point], rows: Rows) -> None:
    """Compare a peer's rows with our own of the same points. Raises Unequal."""
    if not rows:
        raise Unequal(f"{who}: it gave no rows to compare")
    for row in rows:
        point = several[row["index"]]
        part = run_kernel([Task(point)], PROBES)[0]
        mine = {name: values[0] for name, values in part.columns.items()}
        own: Mapping[str, Any] = {
            "delta": mine["delta"],
            "adjoint": mine["adjoint"],
            **{name: mine[f"ln_grad_norm_{name}"] for name in row["ln_grad"]},
        }
        theirs = {"delta": row["delta"], "adjoint": row["adjoint"], **row["ln_grad"]}
        for what, value in own.items():
            by = float(np.max(np.abs(np.asarray(theirs[what]) - np.asarray(value))))
            if not by <= CURVES[point.dtype]:
                raise Unequal(
                    f"{who}: ln of {what} of {point!r} differs by {by:.2g}, allowed is "
                    f"{CURVES[point.dtype]:g}: the times would not be of the same work"
                )
