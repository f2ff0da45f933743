"""The yardstick: its rows and rules, its limits by hand, our side against the reference, and a quick run.

No test looks at how long something took.
"""

import json
import math
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import reference
from longlag.benchmarks import (
    GROUPS,
    figure,
    kernels,
    limits,
    machine,
    mixed,
    ours,
    results,
    startup,
    tables,
    timing,
)
from longlag.benchmarks.peers import PEERS, Peer
from longlag.benchmarks.peers.base import Answer, Unequal, require_equal
from longlag.benchmarks.results import Result, Target
from longlag.cli import main
from longlag.workers.points import Point

HERE = {
    "cpu": "Some CPU @ 2 GHz",
    "cores": 2,
    "caches": {"L2": "512K"},
    "memory_gib": 8.0,
    "system": "Linux 6",
}
HERE |= {
    "python": "3.12",
    "blas": ["openblas 0.3"],
    "versions": {"numpy": "2.2"},
    "commit": None,
    "date": "2026-01-01",
}


# ---- rows


def test_a_row_has_ratios_and_knows_what_it_reaches() -> None:
    near = Target("× the limit", 1.3, 1.4, at_most=True)
    ahead = Target("× the best peer", 1.9, 2.0)
    row = Result("g", "w", 2.0, 1.0, {"a": 5.0, "b": None}, {"a": 2.4}, (near, ahead))
    assert row.over_limit == 2.0
    assert row.ahead == {"a": 2.4, "b": None}  # the ratio of the rounds goes before that of the medians
    assert (near.reached, ahead.reached, row.reached) == (True, False, False)
    assert near.text == "≤ 1.4 × the limit"
    assert ahead.text == "≥ 2 × the best peer"
    assert Result("g", "w", 2.0).reached is None
    assert not Target("x", math.nan, 1.0).reached
    assert not Target("x", math.nan, 1.0, at_most=True).reached


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_a_time_is_positive_and_finite(wrong: float) -> None:
    for given in ({"ours": wrong}, {"ours": 1.0, "limit": wrong}, {"ours": 1.0, "others": {"a": wrong}}):
        with pytest.raises(ValueError, match="give seconds above zero"):
            Result("g", "w", **given)


def test_a_row_has_a_name_and_ratios_of_times_that_are_there() -> None:
    with pytest.raises(ValueError, match="give it a group and a workload"):
        Result("", "w", 1.0)
    with pytest.raises(ValueError, match="of which there is no time"):
        Result("g", "w", 1.0, measured={"nobody": 2.0})


def test_rows_of_groups_that_run_apart_come_together(tmp_path: Path) -> None:
    path = tmp_path / "some" / "file.json"
    a, b = Result("sweeps", "a", 1.0, 0.5, note="n"), Result("startup", "b", 2.0, others={"p": 3.0})
    results.merge(path, HERE, [a])
    results.merge(path, {**HERE, "date": "2026-01-02"}, [b])
    again = Result("sweeps", "a", 7.0)
    rows = results.merge(path, HERE, [again])
    assert rows == [b, again]
    content = results.read(path)
    assert [Result.from_dict(row) for row in content["results"]] == rows
    assert content["machine"]["startup"]["date"] == "2026-01-02"
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    for text in ("nothing", "[]", '{"format": 99}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(OSError, match="move it away"):
            results.merge(tmp_path / "x.json", HERE, [Result("g", "w", 1.0)])


# ---- times, machine, table


def test_turns_warm_up_and_let_the_slow_run_once() -> None:
    calls: list[str] = []

    def contestant(name: str, seconds: float) -> timing.Contestant:
        def once() -> float:
            calls.append(name)
            return seconds

        return once

    several = {"a": contestant("a", 0.1), "b": contestant("b", 0.2), "slow": contestant("slow", 99.0)}
    rounds = timing.interleaved(several, rounds=4, warm=frozenset({"b"}))
    assert {name: len(v) for name, v in rounds.items()} == {"a": 4, "b": 4, "slow": 1}
    assert calls[:2] == ["a", "slow"]  # b was warm
    assert calls[2:8] == ["a", "b", "slow", "b", "a", "a"]  # the order turns
    assert timing.ratio(rounds, "b", "a") == pytest.approx(2.0)
    assert timing.ratio(rounds, "slow", "a") == pytest.approx(990.0)


def test_the_machine_has_a_short_name_and_a_line() -> None:
    assert machine.slug(HERE) == "some-2-cores"
    here = machine.describe()
    assert here["versions"]["numpy"] == np.__version__
    assert "Some CPU" in machine.one_line(HERE)
    assert machine.one_line(here)


def test_the_table_has_what_was_measured_and_leaves_the_rest_empty() -> None:
    rows = [
        Result(
            "sweeps",
            "w",
            0.304,
            0.152,
            {"jax_scan": 0.477, "torch_loop": None},
            details={"whole run (s)": 0.3},
        ),
        Result("other", "x", 1234.0, targets=(Target("points/s", 12345.6, 10000.0),)),
    ]
    text = tables.markdown(rows, {"sweeps": HERE})
    assert "Not installed, so their columns are empty: torch_loop (`uv sync --group peers`)" in text
    assert "| w | **304 ms** | 300 ms | 152 ms (2.00 ×) | 477 ms (1.57 ×) |  |  |" in text
    assert "| x | **21 min** | ✓ ≥ 10,000 points/s: 12,346 |" in text
    assert tables.line(rows[0]) == "w: ours 304 ms, limit 152 ms (2.00 ×), jax_scan 477 ms (1.57 ×)"


# ---- limits


def test_operations_of_a_sweep_by_hand() -> None:
    """T = 3, B = 2, N = 4, M = 2, K = 1, of one point and of five."""
    simple = Point(length=3, batch_size=2, hidden_size=4, input_size=2, output_size=1)
    forward, adjoint, gradient = (3 * (2 * 2 * 4 * 4) for _ in range(3))
    inputs = 2 * 3 * (2 * 2 * 2 * 4)  # into z, and ∂L/∂W
    read_out = 3 * (2 * 2 * 1 * 4)  # ŷ, ∂ℓ/∂h and ∂L/∂V, once
    tape = 8 * 3 * 2 * 4 * 2  # h and f'
    work = limits.sweeps(simple, 1)
    assert work.flops == forward + adjoint + gradient + inputs + read_out
    assert work.transcendental == 3 * 2 * 4
    assert work.held == tape
    assert work.moved == 2 * tape + 2 * 8 * (3 * 2 * 2)
    five = limits.sweeps(simple, 5)
    assert (five.flops, five.moved, five.held) == (5 * work.flops, 5 * work.moved, work.held)
    sizes = {"length": 3, "batch_size": 2, "hidden_size": 4, "input_size": 2, "output_size": 1}
    lstm = limits.sweeps(Point(cell="lstm", **sizes), 1)
    assert lstm.flops == 4 * (work.flops - read_out) + read_out
    assert lstm.transcendental == 5 * work.transcendental
    gru = limits.sweeps(Point(cell="gru", **sizes), 1)
    assert (gru.flops, gru.transcendental) == (
        3 * (work.flops - read_out) + read_out,
        3 * work.transcendental,
    )
    linear = limits.sweeps(Point(cell="linear", **sizes), 1)
    assert (linear.flops, linear.transcendental) == (inputs + read_out, 3 * 2 * 2)
    memory = limits.sweeps(Point(cell="memory", **sizes), 1)
    assert memory.transcendental == 3 * 2 * 2 + 2 * 4
    single = limits.sweeps(simple.replace(dtype="float32"), 1)
    assert (single.flops, single.moved) == (work.flops, work.moved / 2)


def test_operations_of_pairs_and_spectra_by_hand() -> None:
    point = Point(length=3, batch_size=2, hidden_size=4, input_size=2, output_size=1, loss_times="every")
    pairs = limits.pairs(point)
    rows = (1 + 2 + 3) * 2  # k ≤ t, of every column
    assert pairs.flops == rows * 2 * 16 + 3 * 2 * (2 * 16 + 2 * 2 * 4 + 2 * 2 * 1 * 4)
    assert pairs.transcendental == 3 * 2 * 4 + rows
    spectrum = limits.spectrum(Point(length=3, batch_size=2, hidden_size=4), 7)
    each = 4 * 2 * 16 + 8 / 3 * 64  # four rows through U, then QR
    assert spectrum.flops == pytest.approx(7 * (3 * 2 * each + 3 * 2 * 2 * 16))


def test_the_limit_is_the_larger_of_arithmetic_and_bytes() -> None:
    rates = limits.Rates(gemm=10.0, transcendental=2.0, bandwidth={100: 4.0, 1000: 1.0})
    assert limits.least(limits.Work(100.0, 20.0, 8.0, 50.0), rates) == 20.0
    assert limits.least(limits.Work(100.0, 20.0, 800.0, 50.0), rates) == 200.0
    assert limits.least(limits.Work(100.0, 20.0, 800.0, 500.0), rates) == 800.0
    assert rates.bytes_a_second(1e9) == 1.0


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rates_are_measured_and_limits_positive(dtype: str) -> None:
    meter = limits.Meter(dtype, seconds=1e-5, working_sets=(1 << 16, 1 << 20))
    for _ in range(2):
        meter.contestant()
    rates = meter.rates()
    assert min(rates.gemm, rates.transcendental, *rates.bandwidth.values()) > 0
    for cell in ("simple", "linear", "memory", "lstm", "gru"):
        assert limits.least(limits.sweeps(Point(cell=cell, dtype=dtype), 4), rates) > 0


# ---- equality

SMALL = {"length": 7, "batch_size": 3, "hidden_size": 4, "input_size": 2, "output_size": 2}


def small(cell: str, dtype: str = "float64", inputs: int = 2) -> list[Point]:
    sizes = SMALL | {"input_size": inputs}
    return ours.points_of(Point(cell=cell, dtype=dtype, input_scale=0.3, **sizes), 3)


@pytest.mark.parametrize("cell", ["simple", "linear", "memory", "lstm", "gru"])
def test_what_is_timed_is_what_the_reference_has(cell: str) -> None:
    """Curves and all gradients of a stack cut in two, against complex steps through the plain implementation."""
    points = small(cell)
    problem = ours.problem_of(points, "sweeps")
    found = ours.Sweeps.of(points, problem, 2).answer()
    for p, point in enumerate(points):
        arrays = {name: value[p] for name, value in problem.parameters.items()}
        targets = np.zeros((point.length, *problem.labels.shape[2:]))
        targets[-1] = problem.labels[p, 0]
        given = (point, arrays, problem.inputs[p], targets, (point.length,))
        for name, value in reference.gradients(*given).items():
            assert np.abs(found.gradients[name][p] - value).max() <= 1e-9 * max(np.abs(value).max(), 1e-3)
        for kind, terms in (
            ("delta", reference.error_terms(*given)),
            ("adjoint", reference.adjoints(*given)),
        ):
            ln = np.log(np.linalg.norm(terms, axis=-1))
            assert np.abs(found.ln[kind][p] - ln).max() < 1e-9
            curve = (ln[0, ::-1] - ln[0, -1:]).mean(axis=-1)
            assert np.abs(found.curves[kind][p] - curve).max() < 1e-9


def test_all_pairs_that_are_timed_are_the_reference_s() -> None:
    points = [Point(loss_times="every", **SMALL)]
    problem = ours.problem_of(points, "pairs")
    found = ours.Sweeps.of(points, problem, 1).answer().ln["delta"][0]
    arrays = {name: value[0] for name, value in problem.parameters.items()}
    times = points[0].steps_with_loss
    terms = reference.error_terms(points[0], arrays, problem.inputs[0], problem.labels[0], times)
    size = np.linalg.norm(terms, axis=-1)
    assert np.array_equal(np.isneginf(found), size == 0)
    assert np.abs(np.exp(found) - size).max() < 1e-12


def test_a_peer_that_differs_is_refused() -> None:
    points = small("simple")
    own = ours.Sweeps.of(points, ours.problem_of(points, "sweeps"), 3).answer()
    require_equal("twin", own, own, "float64")
    moved = Answer(own.ln, {"delta": own.curves["delta"] + 1e-7})
    with pytest.raises(Unequal, match="twin: the curve of delta differs by 1e-07, allowed is 1e-08"):
        require_equal("twin", moved, own, "float64")
    require_equal("twin", moved, own, "float32")
    far = Answer(own.ln, {"delta": own.curves["delta"] + 3e-3})
    exact = Answer(own.ln, own.curves | {"delta": own.curves["delta"] + 1e-3}, own.gradients)
    require_equal("twin", far, own, "float32", exact)  # rounding moves ours by a third of that
    with pytest.raises(Unequal, match=r"differs by 0\.003, allowed is 0\.002"):
        require_equal("twin", far, own, "float32", own)
    U = own.gradients["U"]
    with pytest.raises(Unequal, match="gradient of U"):
        require_equal("twin", Answer(gradients={"U": U + 1e-8 * np.abs(U).max()}), own, "float64")
    with pytest.raises(Unequal, match="gradient of U differs by nan"):
        require_equal("twin", Answer(gradients={"U": np.full_like(U, np.nan)}), own, "float64")
    with pytest.raises(Unequal, match="nothing to compare"):
        require_equal("nobody", Answer(), own, "float64")


def peers_of(kind: str, cell: str = "simple") -> list[str]:
    names = ["torch_stacked", "jax_scan"]
    if kind == "sweeps":
        names += ["torch_loop", "numba_kernel"]
    return [n for n in names + (["torch_lstm"] if cell == "lstm" else []) if PEERS[n].installed]


@pytest.mark.parametrize("cell", ["simple", "linear", "memory", "lstm", "gru"])
def test_installed_peers_give_the_same(cell: str) -> None:
    kinds = [("float64", 2), ("float64", 6), *([("float32", 2)] if cell in ("simple", "lstm") else [])]
    for dtype, inputs in kinds:
        points = small(cell, dtype, inputs)
        problem = ours.problem_of(points, "sweeps")
        own = ours.Sweeps.of(points, problem, 3).answer()
        assert all(np.isfinite(value).all() for value in (*own.ln.values(), *own.gradients.values()))
        for name in peers_of("sweeps", cell):
            work, answer = import_module(f"longlag.benchmarks.peers.{name}").prepare(problem)
            require_equal(name, answer(work()), own, dtype)


def test_a_compiled_kernel_is_shown_and_no_target_counts_it() -> None:
    """As fast as it may be: the best peer is the best of the libraries."""
    point = Point(cell="lstm", batch_size=16, hidden_size=64)
    libraries = {"torch_stacked": 2.0, "jax_scan": 3.0}
    found = kernels.targets_of(point)(3.0, libraries | {"torch_lstm": 0.5, "numba_kernel": 0.1})
    assert [target.value for target in found if target.text.endswith("best peer")] == [2.0]
    assert found == kernels.targets_of(point)(3.0, libraries)
    assert all("numba_kernel" in kernels.SHOWN[cell] for cell in kernels.CELLS)


def test_every_peer_of_a_kernel_has_a_mark_and_a_line_in_the_documentation() -> None:
    page = (Path(__file__).parents[1] / "docs" / "performance.md").read_text(encoding="utf-8")
    assert set(figure.MARKS) == set(PEERS)
    assert [name for name in PEERS if f"`{name}`" not in page] == []


def test_installed_peers_give_the_same_pairs_and_spectra() -> None:
    every = [Point(loss_times="every", **SMALL)]
    pairs = ours.problem_of(every, "pairs")
    points = ours.points_of(Point(**SMALL), 2)
    own_pairs, own_spectra = ours.Sweeps.of(every, pairs, 1).answer(), ours.spectrum(points, 2)
    assert own_spectra.spectrum is not None
    assert own_spectra.spectrum.shape == (2, 4)
    for name in peers_of("pairs"):
        peer = import_module(f"longlag.benchmarks.peers.{name}")
        for problem, own in ((pairs, own_pairs), (ours.problem_of(points, "lyapunov"), own_spectra)):
            work, answer = peer.prepare(problem)
            require_equal(name, answer(work()), own, "float64")


def test_the_study_is_what_its_name_says() -> None:
    whole = mixed.study()
    assert whole.size == 3000
    points = mixed.points(quick=True)
    assert len(mixed.one_a_shape(points)) == 15
    cut = mixed.batches(points, range(len(points)), 4)
    assert sorted(i for batch in cut for i in batch) == list(range(len(points)))
    assert all(len({points[i].shape for i in batch}) == 1 and len(batch) <= 4 for batch in cut)
    assert [points[batch[0]].length for batch in cut] == sorted(
        (points[b[0]].length for b in cut), reverse=True
    )
    assert mixed.spread(points, 3) == [0, 10, 20]
    assert mixed.spread(points, 999) == list(range(30))


def test_rows_of_a_study_are_compared() -> None:
    points = mixed.points(quick=True)
    chosen = mixed.batches(points, range(len(points)), 50)[0]
    some = [points[i] for i in chosen]
    rows = mixed.rows_of(chosen, ours.Sweeps.of(some, ours.problem_of(some, "sweeps"), 9).answer())
    mixed.require_ours("twin", points, rows)
    rows[-1]["ln_grad"]["W"] += 1e-7
    with pytest.raises(Unequal, match="twin: ln of W of Point"):
        mixed.require_ours("twin", points, rows)
    with pytest.raises(Unequal, match="no rows"):
        mixed.require_ours("twin", points, [])


# ---- the verb


def test_a_quick_run_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sweeps with what peers there are; then other groups as where there is none, with JSON on standard output."""
    assert main(["bench", "sweeps", "--quick", "--only", "linear", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "linear (4, 2, 8, 24) float32: ours" in out
    assert "\nnext: " in out
    monkeypatch.setattr(Peer, "installed", False)
    several = ["pairs", "lyapunov", "startup"]
    assert main(["bench", *several, "--quick", "--json", "--quiet", "--out", str(tmp_path)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["group"] for row in rows] == ["pairs", "lyapunov", "startup", "startup"]
    (path,) = tmp_path.glob("*-quick.json")
    content = results.read(path)
    groups = {row["group"] for row in content["results"]}
    assert groups == {"sweeps", "pairs", "lyapunov", "startup"} == set(content["machine"])
    for row in map(Result.from_dict, content["results"]):
        assert row.limit is not None
        assert row.group == "sweeps" or not any(row.others.values())
    assert path.with_suffix(".png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    assert "## lyapunov: Lyapunov spectra" in page


def test_importing_longlag_loads_nothing_heavy() -> None:
    assert startup.imported() == []


def test_the_list_names_groups_and_peers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name} " in out for name in (*GROUPS, *PEERS))
    assert main(["bench", "--list", "--json"]) == 0
    assert [row["group"] for row in json.loads(capsys.readouterr().out)] == [*GROUPS]
    for group in GROUPS.values():
        assert callable(group.load())


def test_what_cannot_be_run_is_told_in_a_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bench", "sweps"]) == 2
    assert "did you mean 'sweeps'?" in capsys.readouterr().err
    assert main(["bench", "pairs", "--quick", "--only", "nothing", "--out", str(tmp_path)]) == 1
    assert "no workload of pairs has 'nothing' in its name" in capsys.readouterr().err


def test_without_a_checkout_one_line_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "longlag.benchmarks", None)  # as in an installed wheel
    monkeypatch.delattr("longlag.benchmarks", raising=False)
    assert main(["bench"]) == 1
    err = capsys.readouterr().err
    assert "clone the repository and type 'uv run longlag bench' there" in err
    assert err.count("\n") == 1


def test_one_core_is_one_core_and_one_thread() -> None:
    """And both are given back."""
    import os

    from threadpoolctl import threadpool_info

    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, cores = threads(), os.sched_getaffinity(0)
    with timing.one_core() as core:
        assert set(threads()) == {1}
        assert os.sched_getaffinity(0) == {core}
    assert threads() == before
    assert os.sched_getaffinity(0) == cores
