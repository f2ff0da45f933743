"""The rates of ``workers/cost.py`` from measured shards: ``python -m longlag.benchmarks.calibration``.

A designed set of shapes is computed as a worker does it, to a file, a few times in turns. The rates are those with
the least squares of ln(estimated / measured), the parameters being their logarithms. It prints them as they stand
in ``cost.py``, and how far estimates are off with the old and the new ones. Under two minutes.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..workers import cost
from ..workers.cost import Rates
from ..workers.points import Point
from ..workers.probes import DEFAULT_PROBES
from ..workers.task import Shard, run_shard
from .timing import one_core

_SECONDS = 0.12
"""Of a shard, by the old rates: long enough to be measured, short enough for many shapes."""
_TYPICAL = 0.5
"""Standard deviation of ln(rate) before anything is measured: a rate that nothing speaks of stays as it is."""


class Shape(NamedTuple):
    """Points of one shape, and what is measured of them."""

    point: Point
    probes: tuple[str, ...] = DEFAULT_PROBES


class Measured(NamedTuple):
    """A shape's processor seconds a point: the median over rounds, and the spread of ln(seconds) among them."""

    shape: Shape
    seconds: float
    spread: float


def design(quick: bool = False) -> list[Shape]:
    """Cells × (B, N, T) × loss times × types, and the probes that are asked for most."""
    sizes = [
        (1, 16, 256),
        (1, 64, 256),
        (16, 16, 128),
        (16, 64, 64),
        (8, 32, 200),
        (32, 128, 48),
        (16, 256, 16),
    ]
    cells = ("simple", "lstm", "gru", "linear", "memory", "diagonal")
    shapes = [
        Shape(Point(cell=cell, batch_size=B, hidden_size=N, length=T))
        for i, cell in enumerate(cells)
        for B, N, T in (sizes if i < 3 else sizes[i % 2 :: 2])
    ]
    shapes += [Shape(Point(length=3, hidden_size=2, batch_size=1, input_size=1, output_size=1))]
    for cell in ("simple", "gru"):
        some = Point(cell=cell, batch_size=8, hidden_size=32, length=64)
        shapes += [Shape(some.replace(loss_times=times)) for times in ("4", "every")]
        shapes += [Shape(some.replace(batch_size=16, hidden_size=n, dtype="float32")) for n in (32, 128)]
        shapes += [Shape(some, (probe,)) for probe in ("lyapunov", "jacobian", "path", "all_pairs")]
    return shapes[::8] if quick else shapes


def measure(shapes: Sequence[Shape], rounds: int = 3) -> list[Measured]:
    """Shards of every shape, one after the other and again, each with other seeds than before."""
    taken: list[list[float]] = [[] for _ in shapes]
    with tempfile.TemporaryDirectory(prefix="longlag-calibration-") as folder, one_core():
        Path(folder, "records").mkdir()
        for again in range(rounds + 1):
            for i, shape in enumerate(shapes):
                shard = _shard(shape, again if again else 99)
                began = time.process_time()  # of the processor: other people's work does not count
                receipt = run_shard(shard, folder)
                passed = time.process_time() - began
                assert not receipt.errors, receipt.errors
                if again:  # the first is a warm-up
                    taken[i].append(passed / len(shard.points))
    return [
        Measured(shape, statistics.median(t), float(np.std(np.log(t))))
        for shape, t in zip(shapes, taken, strict=True)
    ]


def _shard(shape: Shape, again: int) -> Shard:
    """Whole stacks: in a part of one a step's calls would be shared by fewer points than in a study."""
    point, stack = shape.point, cost.stack_points(shape.point)
    stacks = _SECONDS / stack / cost.seconds(point, shape.probes)
    count = stack * min(8, max(1, round(stacks)))
    return Shard.of([point.replace(seed=10_000 * again + seed) for seed in range(count)], shape.probes)


def residuals(found: Sequence[Measured], rates: Rates) -> NDArray[np.float64]:
    """ln(estimated / measured) of every shape."""
    estimated = [cost.seconds(one.shape.point, one.shape.probes, rates) for one in found]
    return np.log(np.array(estimated)) - np.log([one.seconds for one in found])


def fit(found: Sequence[Measured], start: Rates = cost.RATES) -> Rates:
    """The rates with the least squares of the residuals, and of how far they are from ``start``, which is given the
    weight of one shape: two rates that only work together do not run away from each other."""
    from scipy.optimize import least_squares

    names = [field.name for field in fields(Rates)]
    before = np.log([getattr(start, name) for name in names])

    def rates_of(x: NDArray[np.float64]) -> Rates:
        return Rates(**{name: float(f"{math.exp(v):.2g}") for name, v in zip(names, x, strict=True)})

    def off(x: NDArray[np.float64]) -> NDArray[np.float64]:
        exact = Rates(**dict(zip(names, np.exp(x).tolist(), strict=True)))
        return np.concatenate([residuals(found, exact), (x - before) / _TYPICAL / 10])

    low = np.log(1e-3) * np.ones(len(names))
    return rates_of(least_squares(off, before, bounds=(before + low, before - low)).x)


def spread(values: NDArray[np.float64]) -> str:
    """How far estimates are off: the middle, the standard deviation of the logarithm, shares within a factor."""
    within = [float((np.abs(values) < math.log(factor)).mean()) for factor in (1.25, 1.5, 2)]
    return (
        f"median {math.exp(float(np.median(values))):.2f} ×, standard deviation of ln {values.std():.2f}, "
        f"within a factor of 1.25: {within[0]:.0%}, 1.5: {within[1]:.0%}, 2: {within[2]:.0%}; "
        f"from {math.exp(values.min()):.2f} to {math.exp(values.max()):.2f} ×"
    )


def literal(rates: Rates) -> str:
    """As it stands in ``cost.py``."""
    return "RATES = Rates(\n" + "".join(f"    {name}={v:.2g},\n" for name, v in asdict(rates).items()) + ")"


def main(say: Callable[[str], None] = print) -> None:
    """Measure, fit, print."""
    parser = argparse.ArgumentParser(prog="python -m longlag.benchmarks.calibration", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few shapes, to see that it runs")
    parser.add_argument("--shapes", action="store_true", help="a line a shape")
    given = parser.parse_args()
    found = measure(design(given.quick), 1 if given.quick else 3)
    rates = fit(found)
    before, after = residuals(found, cost.RATES), residuals(found, rates)
    if given.shapes:
        for one, old, new in zip(found, np.exp(before), np.exp(after), strict=True):
            what = f"{one.shape.point!r} {','.join(one.shape.probes)}"
            say(f"{one.seconds * 1e3:9.3f} ms  {old:5.2f} {new:5.2f}  {what}")
    say(literal(rates))
    say(f"before: {spread(before)}")
    say(f"after:  {spread(after)}")
    say(
        f"one round and the next: standard deviation of ln {statistics.median(one.spread for one in found):.2f}"
    )


if __name__ == "__main__":
    main()
