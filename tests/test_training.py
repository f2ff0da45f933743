"""Learning by the engine's sweeps: what a step of descent changes, and the rules by which a network succeeds."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from longlag.workers import tasks
from longlag.workers.checks import learning, training

T, P = 24, 2


def shown() -> tuple[np.ndarray, np.ndarray]:
    """Ten sequences of the adding problem for P networks, and their targets."""
    drawn = tasks.adding(np.random.default_rng(1), T, training.TOGETHER, "1997")
    x = np.broadcast_to(drawn.inputs, (P, *drawn.inputs.shape))
    return x, np.broadcast_to(drawn.labels[-1], (P, training.TOGETHER, 1))


def fully_differentiated() -> training.Learner:
    """With its full gradient, and weights that are large enough for differences of the loss to be told."""
    learner = training.lstm_for_adding(P, T)
    larger = {
        name: learner.parameters[name] * factor
        for name, factor in {"U": 10, "W": 10, "V": 10, "b": 0.2}.items()
    }
    return replace(
        learner, point=learner.point.replace(gradient="full"), parameters=learner.parameters | larger
    )


def loss(learner: training.Learner) -> np.ndarray:
    """½ Σ (ŷ − y)² of the ten sequences, network by network; no rates, so that nothing is learnt."""
    x, target = shown()
    y = training.descend(replace(learner, rates={}), x, target)
    return ((y - target) ** 2).sum(axis=(1, 2)) / 2


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("b", (slice(None), slice(0, 2))),  # the first block's input gate: two rows, one parameter
        ("U", (slice(None), slice(6, 8), 1)),  # the second block's output gate
        ("W", (slice(None), 9, 0)),  # a cell's own input
        ("V", (slice(None), 0, 2)),
        ("d", (slice(None), 0)),
    ],
)
def test_a_step_goes_down_the_slope_of_what_is_shared(name: str, where: tuple) -> None:
    learner, h = fully_differentiated(), 1e-6
    around = []
    for side in (h, -h):
        moved = {key: a.copy() for key, a in learner.parameters.items()}
        moved[name][where] += side
        around.append(loss(replace(learner, parameters=moved)))
    slope = (around[0] - around[1]) / (2 * h)
    before = learner.parameters[name].copy()
    training.descend(learner, *shown())
    step = np.reshape((learner.parameters[name] - before)[where], (P, -1))
    rate = np.broadcast_to(learner.rates[name], before.shape[1:])[where[1:]].ravel()[0]
    np.testing.assert_allclose(step, np.repeat(-rate * slope[:, None], step.shape[1], axis=1), rtol=1e-6)


def test_adding_starts_as_published_and_blocks_keep_their_gates() -> None:
    learner = training.lstm_for_adding(64, T)
    start = {name: a.copy() for name, a in learner.parameters.items()}
    assert learner.point.gradient == "truncated"
    assert (start["b"][:, :4] == [-3.0, -3.0, -6.0, -6.0]).all()
    for name, width in {"U": 0.1, "W": 0.1, "V": 0.025}.items():  # the cells' own rows: half of it
        assert 0.99 * width < np.abs(start[name]).max() <= width
    assert np.abs(start["U"][:, 8:]).max() <= 0.05
    assert (np.abs(start["b"][:, 4:8]) <= 0.1).all()
    assert (np.abs(start["d"] - 0.5) <= 0.025).all()
    x, target = (a[:1].repeat(64, axis=0) for a in shown())
    training.descend(learner, x, target)
    for name in ("U", "W", "b"):
        rows = learner.parameters[name]
        assert (rows[:, 0:8:2] == rows[:, 1:8:2]).all()
        assert (rows[:, 8] != rows[:, 9]).any()
        assert (rows[:, :8] != start[name][:, :8]).any()


def answering(monkeypatch: pytest.MonkeyPatch, errors: Iterator[np.ndarray]) -> None:
    """Networks that learn nothing and whose answers to the next ten sequences err by (P, 10)."""
    monkeypatch.setattr(training, "descend", lambda learner, x, target: target + next(errors)[..., None])


def test_two_thousand_in_a_row_and_a_small_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = training.lstm_for_adding(4, 100)

    def errors() -> Iterator[np.ndarray]:
        for step in range(10_000):
            now = np.full((4, 10), 0.005)
            now[1, 3] = -0.05 if step == 99 else 0.005  # the 994th is wrong
            now[2] = 0.02  # all right, and on average not good enough
            now[3, 0] = 0.05 if step % 200 == 0 else 0.005  # one in 2,000 is wrong
            yield now

    answering(monkeypatch, errors())
    needed = training.adding_successes(learner, 100, 8_000, 4)
    assert needed.tolist() == [2_000, 3_000, np.inf, np.inf]  # told at the end of a step of ten


def test_no_more_is_learnt_than_the_median_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    rights = iter([np.full((4, 10), 0.005)] * 200)
    answering(monkeypatch, rights)
    assert training.adding_successes(training.lstm_for_adding(4, 100), 100, 8_000, 3).tolist() == [2_000] * 4
    assert next(rights, None) is None


def test_a_median_beyond_the_budget_fails() -> None:
    late = np.array([70_000.0] * 4 + [np.inf] * 4)
    found = learning._within_three(late, learning.ADDING)
    assert found.value == 222_001
    assert found.error > found.tolerance
    found = learning._within_three(np.array([70_000.0] * 5 + [np.inf] * 3), learning.ADDING)
    assert found.error == 70_000 / 74_000
