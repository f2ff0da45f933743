"""Kernel workloads: both sweeps with curves and all gradients, all pairs, Lyapunov spectra.

One core, one thread, seconds of processor time. Equality with every peer is checked on the very arrays that are
timed, before the clock starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

from ..workers.points import Point
from . import limits, ours
from .limits import Meter
from .ours import Sweeps
from .peers import PEERS
from .peers.base import Answer, Problem, require_equal
from .peers.process import Workers
from .results import Result, Target
from .timing import Contestant, Run, interleaved, median, on_processor, one_core, ratio

CELLS = ("simple", "linear", "memory", "lstm", "gru")
SHAPES = ((64, 16, 64, 256), (32, 8, 32, 1000), (16, 32, 128, 200), (256, 1, 32, 500))
"""(P, B, N, T) of the sweeps."""
DTYPES = ("float64", "float32")
_QUICK = ((4, 2, 8, 24),)
_SCALE = 0.03
"""Standard deviation of the inputs: no error dies within T, so that peers without logarithmic scale have it too."""
_GAIN = {"lstm": 0.5}
"""Of the recurrent blocks where another than the usual one is needed: at 1 some networks are chaotic, and after a
thousand steps single precision has nothing of a gradient left to compare."""
_PEERS = ("torch_loop", "torch_stacked", "jax_scan")
SHOWN = dict.fromkeys(CELLS, ("numba_kernel",)) | {"lstm": ("torch_lstm", "numba_kernel")}
"""Peers beside them that no target counts: a kernel that is written for these cells and no library, and nn.LSTM,
which gives no error terms."""
_PROBES = ("curves", "gradients")
_STACKED = ("torch_stacked", "jax_scan")
_SIZES = (2, 8, 32)
"""Points a stack that are tried beside the plan's."""


def sweeps(run: Run) -> Iterator[Result]:
    """Curves and all gradients of five cells."""
    with one_core() as core, Workers(core) as workers:
        for cell, shape, dtype in product(CELLS, _QUICK if run.quick else SHAPES, DTYPES):
            name = f"{cell} {shape} {dtype}"
            if run.wants(name):
                P, B, N, T = shape
                sizes = {"length": T, "batch_size": B, "hidden_size": N}
                point = Point(
                    cell=cell, dtype=dtype, input_scale=_SCALE, recurrent_gain=_GAIN.get(cell), **sizes
                )
                yield _sweep(run, workers, name, point, P)


def _sweep(run: Run, workers: Workers, name: str, point: Point, P: int) -> Result:
    points = ours.points_of(point, P)
    problem = ours.problem_of(points, "sweeps")
    size = ours.planned_stack(points, _PROBES)
    mine = Sweeps.of(points, problem, size)
    more = {"whole": on_processor(lambda: ours.whole(points, _PROBES, size))}
    peers = (*_PEERS, *SHOWN[point.cell])
    exact = ours.exact(points, problem, size)
    rounds, meter = _measured(run, workers, problem, mine.answer, peers, more, exact)
    details = {
        "points a stack": size,
        "whole run (s)": median(rounds["whole"]),
        "by points a stack (s)": {} if run.quick else _by_size(points, problem),
    }
    reach = _nothing if run.quick else targets_of(point)
    return _result("sweeps", name, rounds, meter, limits.sweeps(point, P), peers, reach, details)


def _by_size(points: Sequence[Point], problem: Problem) -> dict[str, float]:
    """Our seconds with other stacks than the plan's, once each."""
    found = {}
    for size in [size for size in _SIZES if size <= len(points)]:
        mine = Sweeps.of(points, problem, size)
        found[str(size)] = on_processor(mine.answer)()
    return found


def _nothing(over: float, ahead: Mapping[str, float]) -> list[Target]:
    return []


def targets_of(point: Point) -> Callable[[float, dict[str, float]], list[Target]]:
    """The targets of a sweep from ours over the limit and the peers' times over ours."""
    gated, N, B = point.cell in ("lstm", "gru"), point.hidden_size, point.batch_size

    def targets(over: float, ahead: dict[str, float]) -> list[Target]:
        found = []
        if N >= 64 and B >= 16:
            found.append(Target("× the limit", over, 2.0 if gated else 1.4, at_most=True))
        same = [ahead[name] for name in _PEERS if name in ahead]
        if same:
            bound = 1.5 if gated else 2.0 if N <= 64 else 1.4
            found.append(Target("× the best peer", min(same), bound))
        if not gated and N == 32 and "torch_loop" in ahead:
            found.append(Target("× PyTorch per point", ahead["torch_loop"], 10.0))
        return found

    return targets


def pairs(run: Run) -> Iterator[Result]:
    """Error terms of a loss at every step to all steps before it, of one simple network."""
    B, N = (2, 8) if run.quick else (16, 64)
    with one_core() as core, Workers(core) as workers:
        for T in (32,) if run.quick else (256, 1024):
            name = f"all pairs, B = {B}, N = {N}, T = {T}"
            if run.wants(name):
                point = Point(length=T, batch_size=B, hidden_size=N, loss_times="every", input_scale=_SCALE)
                yield _pairs(run, workers, name, point)


def _pairs(run: Run, workers: Workers, name: str, point: Point) -> Result:
    problem = ours.problem_of([point], "pairs")
    mine = Sweeps.of([point], problem, 1)
    more = {"whole": on_processor(lambda: ours.whole([point], ("all_pairs",), 1))}
    rounds, meter = _measured(run, workers, problem, mine.answer, _STACKED, more)
    details = {"whole run (s)": median(rounds["whole"])}
    reach = _nothing if run.quick else _pairs_reach
    return _result("pairs", name, rounds, meter, limits.pairs(point), _STACKED, reach, details)


def _pairs_reach(over: float, ahead: dict[str, float]) -> list[Target]:
    found = [Target("× the limit", over, 1.5, at_most=True)]
    if "jax_scan" in ahead:
        found.append(Target("× JAX", ahead["jax_scan"], 6.0))
    return found


def lyapunov(run: Run) -> Iterator[Result]:
    """The Lyapunov spectrum of P simple networks, as the probe gives it, drawing and forward sweep included."""
    with one_core() as core, Workers(core) as workers:
        for P, N, T in ((2, 8, 24),) if run.quick else ((16, 64, 256), (16, 32, 500)):
            name = f"Lyapunov spectrum, P = {P}, N = {N}, T = {T}"
            if run.wants(name):
                point = Point(length=T, hidden_size=N, batch_size=4, input_scale=_SCALE)
                yield _lyapunov(run, workers, name, point, P)


def _lyapunov(run: Run, workers: Workers, name: str, point: Point, P: int) -> Result:
    points = ours.points_of(point, P)
    size = ours.planned_stack(points, ("lyapunov",))
    problem = ours.problem_of(points, "lyapunov")
    rounds, meter = _measured(run, workers, problem, lambda: ours.spectrum(points, size), _STACKED, {})
    details = {"points a stack": size}
    return _result("lyapunov", name, rounds, meter, limits.spectrum(point, P), _STACKED, _nothing, details)


def _measured(
    run: Run,
    workers: Workers,
    problem: Problem,
    mine: Callable[[], Answer],
    peers: Sequence[str],
    more: Mapping[str, Contestant],
    exact: Answer | None = None,
) -> tuple[dict[str, list[float]], Meter]:
    """Check every installed peer against ours, then all of them in turns with ours and the machine's rates."""
    own = mine()
    contestants: dict[str, Contestant] = {"ours": on_processor(mine), **more}
    for name in [name for name in peers if PEERS[name].installed]:
        worker = workers.get(name)
        require_equal(name, worker.prepare(problem), own, problem.dtype, exact)
        contestants[name] = worker.once
    meter = Meter(problem.dtype, seconds=2e-4 if run.quick else 3e-3)
    contestants["rates"] = meter.contestant
    rounds = 2 if run.quick else 9
    return interleaved(contestants, rounds, seconds=15.0, warm=frozenset(peers)), meter


def _result(
    group: str,
    name: str,
    rounds: dict[str, list[float]],
    meter: Meter,
    work: limits.Work,
    peers: Sequence[str],
    reach: Callable[[float, dict[str, float]], list[Target]],
    details: Mapping[str, object],
) -> Result:
    rates = meter.rates()
    limit, mine = limits.least(work, rates), median(rounds["ours"])
    others = {peer: median(rounds[peer]) if peer in rounds else None for peer in peers}
    ahead = {peer: ratio(rounds, peer, "ours") for peer in peers if peer in rounds}
    measured = {
        "GFLOP/s of products": rates.gemm / 1e9,
        "transcendental elements/ns": rates.transcendental / 1e9,
        "GB/s": rates.bytes_a_second(work.held) / 1e9,
        "rounds": len(rounds["ours"]),
    }
    targets = reach(mine / limit, ahead)
    return Result(group, name, mine, limit, others, ahead, targets, details={**details, **measured})
