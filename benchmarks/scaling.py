"""A study of a million real points on 10 to 10,000 workers, simulated with what this machine was measured to take.

``longlag bench scaling`` gives the rows; ``python -m longlag.benchmarks.scaling`` also draws ``docs/scaling.png``
and prints the tables of ``docs/scaling.md``.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from .. import Study, linspace
from ..service.plan import Plan, plan
from ..workers.probes import DEFAULT_PROBES
from .results import Result, Target
from .served import measured
from .simulation import Luck, Served, Simulated, simulate
from .timing import Run

WORKERS = (10, 100, 1_000, 10_000)
TARGETS = (1.5, 6.0, 24.0, 96.0)
"""Seconds of a shard that are tried beside those that the plan takes by itself."""
LUCK = Luck(shapes=0.25, runs=0.15, start_up=3.0)
"""Spreads as ``calibration`` finds them, rounded up; the start-up, three times the imports, is assumed."""
HARD = replace(LUCK, stragglers=1e-3, slower=4.0, deaths=1e-4)
"""One shard in a thousand takes four times as long, one worker in ten thousand shards dies; assumed."""
DRAWS = 3
"""Of luck, where it matters (beyond 100 workers); a row is the run of median efficiency."""
MEMORY = 1 << 30
_EFFICIENCY = 0.95


def mixed(seeds: int) -> Study:
    """What a group compares: four cells, lengths, sizes, γ from vanishing to exploding; 1,845 points a seed."""
    return Study(
        "mixed",
        grids=[
            dict(cell="simple", activation=["tanh", "relu"], gamma=linspace(0.8, 1.2, 41)),
            dict(cell=["lstm", "gru"], gamma=linspace(0.9, 0.999, 41)),
            dict(cell="memory", gamma=linspace(0.8, 1.2, 41)),
        ],
        length=[100, 300, 1000],
        hidden_size=[64, 128, 256],
        batch_size=32,
        seed=range(seeds),
    )


SEEDS = 542  # 999,990 points


@dataclass(frozen=True)
class Case:
    """One simulated study; ``target``: seconds of a shard as asked for, None as the plan has them; ``world``: the
    index and the luck; efficiencies of all draws from the worst to the best."""

    workers: int
    target: float | None
    world: str
    work: Plan
    found: Simulated
    draws: tuple[float, ...]


def worlds(served: Mapping[str, Served]) -> dict[str, tuple[Served, Luck]]:
    """What the plan's own shards are simulated in. The last is a driver with a transaction for each receipt."""
    found = {name: (costs, LUCK) for name, costs in served.items()}
    sqlite = served["SQLite"]
    found["SQLite, stragglers and deaths"] = sqlite, HARD
    alone = replace(sqlite, receipt=sqlite.receipt + sqlite.transaction, transaction=0.0)
    found["SQLite, a transaction for each receipt"] = alone, LUCK
    return found


def planned(study: Study, workers: int, target: float | None) -> tuple[Plan, float]:
    """The driver's plan of a study of which nothing is there, and the processor seconds that it took."""
    gc.collect()
    began = time.process_time()
    work = plan(study.parts(), DEFAULT_PROBES, workers, MEMORY, target)
    return work, time.process_time() - began


def cases(run: Run, study: Study, served: Mapping[str, Served]) -> Iterator[Case]:
    """Every number of workers by the plan's own shards in every world; then by each shard size with SQLite."""
    for workers in WORKERS:
        for target in (None, *TARGETS):
            run.say(f"{workers:,} workers, shards of {target or 'as planned'}")
            work, planning = planned(study, workers, target)
            for world, (costs, luck) in worlds(served).items():
                if target is None or world == "SQLite":
                    found = sorted(
                        (
                            simulate(work.shards, workers, costs, replace(luck, seed=seed), planning)
                            for seed in range(DRAWS if workers > 100 else 1)
                        ),
                        key=lambda one: one.efficiency,
                    )
                    draws = tuple(one.efficiency for one in found)
                    yield Case(workers, target, world, work, found[len(found) // 2], draws)


def scaling(run: Run) -> Iterator[Result]:
    """The rows of the group: makespan, the ideal as its limit, efficiency as the target."""
    if not run.wants("simulated workers"):
        return
    served, rates = measured(run.quick)
    study = mixed(SEEDS // 100 if run.quick else SEEDS)
    for case in cases(run, study, served):
        yield row(case, rates)


def row(case: Case, rates: Mapping[str, float]) -> Result:
    """A case as a row of results."""
    found, own = case.found, case.target is None
    size = "the plan's shards" if own else f"shards of {case.target:g} s"
    aimed = own and case.workers == 1_000 and case.world in ("SQLite", "PostgreSQL")
    targets = [Target("of the workers' time", found.efficiency, _EFFICIENCY)] if aimed else []
    shards = case.work.shards
    return Result(
        "scaling",
        f"{case.workers:,} simulated workers, {case.work.points:,} points, {size}, {case.world}",
        found.makespan,
        found.ideal,
        targets=targets,
        note=f"{found.efficiency:.1%}; {found.bottleneck}",
        details={
            "workers": case.workers,
            "points": case.work.points,
            "target": case.target,
            "world": case.world,
            "draws": case.draws,
            "efficiency": found.efficiency,
            "bottleneck": found.bottleneck,
            "driver": found.driver,
            "driver_share": found.driver_share,
            "losses": found.losses,
            "planning": found.planning,
            "shards": found.shards,
            "longest": shards[0].seconds,
            "shortest": min(shard.seconds for shard in shards),
            "core hours": found.busy / 3600,
            "memory": psutil.Process().memory_info().rss,
            "luck": asdict(LUCK),
            "measured": dict(rates),
        },
    )


def tables(rows: list[Result]) -> str:
    """The tables of ``docs/scaling.md``."""
    rates: dict[str, Any] = dict(rows[0].details["measured"])
    text = [
        "| measured here | |",
        "|---|---|",
        *(f"| {name} | {value:.3g} |" for name, value in rates.items()),
    ]
    text += [
        "",
        "| workers | index | makespan | ideal | efficiency | shards | driver busy | planning | most goes to |",
    ]
    text += ["|---|---|---|---|---|---|---|---|---|"]
    for one in (r for r in rows if r.details["target"] is None):
        d = one.details
        text.append(
            f"| {d['workers']:,} | {d['world']} | {one.ours:,.0f} s | {one.limit:,.0f} s | "
            f"{d['efficiency']:.1%} ({d['draws'][0]:.1%}–{d['draws'][-1]:.1%}) | "
            f"{d['shards']:,} of {d['shortest']:.2f}–{d['longest']:.1f} s | {d['driver_share']:.0%} | "
            f"{d['planning']:.1f} s | {d['bottleneck']} |"
        )
    text += [
        "",
        f"| workers | {' | '.join(f'{t:g} s' for t in TARGETS)} | as planned |",
        "|---" * (len(TARGETS) + 2) + "|",
    ]
    for workers in dict.fromkeys(r.details["workers"] for r in rows):
        some = {r.details["target"]: r.details for r in rows if _is(r, workers)}
        cells = [
            f"{some[t]['efficiency']:.1%}, {some[t]['bottleneck']}" for t in (*TARGETS, None) if t in some
        ]
        text.append(f"| {workers:,} | {' | '.join(cells)} |")
    return "\n".join(text)


def _is(row: Result, workers: int) -> bool:
    return row.details["workers"] == workers and row.details["world"] == "SQLite"


def main() -> None:
    """Everything, the figure and the tables."""
    from .scaling_figure import draw

    rows = []
    for one in scaling(Run(say=lambda text: None)):
        rows.append(one)
        print(f"{one.workload}: {one.ours:,.1f} s, ideal {one.limit:,.1f} s, {one.note}", flush=True)
    draw(rows, Path(__file__).parent.parent / "docs" / "scaling.png")
    print(tables(rows))


if __name__ == "__main__":
    main()
