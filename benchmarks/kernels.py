"""Kernel workloads: both sweeps with curves and all gradients, all pairs, Lyapunov spectra. One core, one thread.

Equality with every peer is checked on the very arrays that are timed, before the clock starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from ..workers.points import Point
from . import limits, ours
from .limits import Meter
from .ours import Sweeps
from .peers import PEERS
from .peers.base import Answer, Problem, require_equal
from .peers.process import Worker
from .results import Result, Target
from .timing import Contestant, Run, clocked, interleaved, median, one_core, ratio

CELLS = ("simple", "linear", "memory", "lstm", "gru")
SHAPES = ((64, 16, 64, 256), (32, 8, 32, 1000), (16, 32, 128, 200), (256, 1, 32, 500))
"""(P, B, N, T) of the sweeps."""
DTYPES = ("float64", "float32")
_QUICK = ((4, 2, 8, 24),)
_SCALE = 0.03
"""Standard deviation of the inputs: no error dies within T, so that peers without logarithmic scale have it too."""
_PEERS = ("torch_loop", "torch_stacked", "jax_scan")
_STACKED = ("torch_stacked", "jax_scan")
_SIZES = (1, 4, 16, 64)
"""Points a stack that are tried beside the plan's."""


def sweeps(run: Run) -> Iterator[Result]:
    """Curves and all gradients of five cells."""
    for cell in CELLS:
        for shape in _QUICK if run.quick else SHAPES:
            for dtype in DTYPES:
                name = f"{cell} {shape} {dtype}"
                if run.wants(name):
                    P, B, N, T = shape
                    point = Point(
                        cell=cell, length=T, batch_size=B, hidden_size=N, dtype=dtype, input_scale=_SCALE
                    )
                    yield _sweep(run, name, point, P)


def _sweep(run: Run, name: str, point: Point, P: int) -> Result:
    points = ours.points_of(point, P)
    problem = ours.problem_of(points, "sweeps")
    probes = ("curves", "gradients")
    size = ours.planned_stack(points, probes)
    mine = Sweeps.of(points, problem, size)
    more = {"whole": clocked(lambda: ours.whole(points, probes, size))}
    peers = (*_PEERS, *(("torch_lstm",) if point.cell == "lstm" else ()))
    rounds, meter = _measured(run, point, problem, mine.answer, peers, more)
    work = limits.sweeps(point, P)
    tried = {} if run.quick else _by_size(points, problem)
    details = {
        "points a stack": size,
        "whole run (s)": median(rounds["whole"]),
        "by points a stack (s)": tried,
    }
    return _result("sweeps", name, rounds, meter, work, peers, _reach(point), details)


def _by_size(points: Sequence[Point], problem: Problem) -> dict[str, float]:
    """Our seconds with other stacks than the plan's, once each."""
    found = {}
    for size in [size for size in _SIZES if size <= len(points)]:
        mine = Sweeps.of(points, problem, size)
        with one_core():
            found[str(size)] = clocked(mine.answer)()
    return found


def _reach(point: Point) -> Callable[[float, dict[str, float]], list[Target]]:
    """The targets of a sweep from ours over the limit and the peers' times over ours."""
    gated, N, B = point.cell in ("lstm", "gru"), point.hidden_size, point.batch_size

    def targets(over: float, ahead: dict[str, float]) -> list[Target]:
        found = []
        if N >= 64 and B >= 16:
            found.append(Target("× the limit", over, 2.0 if gated else 1.4, at_most=True))
        same = [ahead[name] for name in _PEERS if name in ahead]  # nn.LSTM gives no error terms
        if same:
            bound = 1.5 if gated else 2.0 if N <= 64 else 1.4
            found.append(Target("× the best peer", min(same), bound))
        if not gated and N == 32 and "torch_loop" in ahead:
            found.append(Target("× PyTorch per point", ahead["torch_loop"], 10.0))
        return found

    return targets


def pairs(run: Run) -> Iterator[Result]:
    """Error terms of a loss at every step to all steps before it, of one simple network."""
    for T in (32,) if run.quick else (256, 1024):
        B, N = (2, 8) if run.quick else (16, 64)
        name = f"all pairs, B = {B}, N = {N}, T = {T}"
        if run.wants(name):
            point = Point(length=T, batch_size=B, hidden_size=N, loss_times="every", input_scale=_SCALE)
            points = [point]
            problem = ours.problem_of(points, "pairs")
            mine = Sweeps.of(points, problem, 1)
            more = {"whole": clocked(lambda points=points: ours.whole(points, ("all_pairs",), 1))}
            rounds, meter = _measured(run, point, problem, mine.answer, _STACKED, more)
            details = {"whole run (s)": median(rounds["whole"])}
            yield _result("pairs", name, rounds, meter, limits.pairs(point), _STACKED, _pairs_reach, details)


def _pairs_reach(over: float, ahead: dict[str, float]) -> list[Target]:
    found = [Target("× the limit", over, 1.5, at_most=True)]
    if "jax_scan" in ahead:
        found.append(Target("× JAX", ahead["jax_scan"], 6.0))
    return found


def lyapunov(run: Run) -> Iterator[Result]:
    """The Lyapunov spectrum of P simple networks, as the probe gives it, drawing and forward sweep included."""
    for P, N, T in ((2, 8, 24),) if run.quick else ((16, 64, 256), (16, 32, 500)):
        name = f"Lyapunov spectrum, P = {P}, N = {N}, T = {T}"
        if run.wants(name):
            point = Point(length=T, hidden_size=N, batch_size=4, input_scale=_SCALE)
            points = ours.points_of(point, P)
            size = ours.planned_stack(points, ("lyapunov",))
            problem = ours.problem_of(points, "lyapunov")

            def mine(points: list[Point] = points, size: int = size) -> Answer:
                return ours.spectrum(points, size)

            rounds, meter = _measured(run, point, problem, mine, _STACKED, {})
            work = limits.spectrum(point, P)
            details = {"points a stack": size}
            yield _result("lyapunov", name, rounds, meter, work, _STACKED, lambda over, ahead: [], details)


def _measured(
    run: Run,
    point: Point,
    problem: Problem,
    mine: Callable[[], Answer],
    peers: Sequence[str],
    more: dict[str, Contestant],
) -> tuple[dict[str, list[float]], Meter]:
    """Check every installed peer against ours, then all of them in turns with ours and the machine's rates."""
    with ExitStack() as open_, one_core() as core:
        own = mine()
        contestants: dict[str, Contestant] = {"ours": clocked(mine), **more}
        for name in [name for name in peers if PEERS[name].installed]:
            worker = open_.enter_context(Worker(name, core))
            run.say(f"{name}: equal?")
            require_equal(name, worker.prepare(problem), own, point.dtype)
            contestants[name] = worker.once
        run.say("in turns")
        meter = Meter(point.dtype, seconds=2e-4 if run.quick else 3e-3)
        contestants["rates"] = meter.contestant
        checked = frozenset(peers)
        rounds = interleaved(contestants, rounds=2 if run.quick else 9, seconds=15.0, warm=checked)
    return rounds, meter


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
