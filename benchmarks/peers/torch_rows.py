"""What a trial of Ray Tune or Optuna computes: PyTorch, a point by itself or a batch of one shape stacked."""

from __future__ import annotations

from collections.abc import Sequence

from ...workers.points import Point
from ..mixed import Rows, rows_of
from ..ours import problem_of


def rows(several: Sequence[Point], indices: Sequence[int]) -> Rows:
    """Rows of these points, which have one shape; arrays are drawn here, as our workers draw theirs."""
    from . import torch_loop, torch_stacked

    engine = torch_loop if len(indices) == 1 else torch_stacked
    work, answer = engine.prepare(problem_of([several[i] for i in indices], "sweeps"))
    return rows_of(indices, answer(work()))
