"""Learning from a long lag: stochastic gradient descent through the engine's own sweeps, seeds side by side.

The tasks and the rules of success are those of Hochreiter & Schmidhuber (1997). What is ours, and differs:

- g = tanh, h = tanh. The paper's g(z) = 2 tanh(z/2) and h(c) = tanh(c/2) are the same network: with c' = c/2 the
  weights of block c are halved, so they start at half the width and have a quarter of the learning rate;
- cells and gates see the cells' outputs and the input; the paper's see the gates' outputs too;
- outputs are linear, or softmax; the paper's are logistic. Adding has the tangent of the logistic unit at its
  middle, ŷ = 1/2 + o/4: as a network with V and d of its own, these start at a quarter of the width, d at 1/2
  more, and have a sixteenth of the learning rate;
- in experiment 2a there are four cells, each with both gates, where the paper has one and no output gate. The
  read-out sees the cells alone, where the paper's also sees the input, which does all but the last prediction;
  here the loss is that of the last prediction, between x and y, the one that needs the lag. The paper's g is
  logistic and its h the identity; here tanh closes where a hundred like inputs drive the cell one way (the limited
  capacity of the memory cell), and from unbiased input gates nothing is learnt. The paper's own remedy for drift,
  input gates biased to −3, is taken;
- a step of descent takes two sequences (2a) or ten (adding) and sums their gradients; the rate is the paper's.

The gradient is the paper's, truncated at the gates; adding has its two blocks of two cells that share their gates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import tasks
from ..adjoint import backward
from ..kernel import numerics
from ..outputs import read
from ..points import Point
from ..stack import stack
from ..tape import forward

Arrays = dict[str, NDArray[np.float64]]
TOGETHER = 10
"""Sequences of the adding problem a step of descent."""
RECENT = 2000
"""Answers of the adding problem in a row that have to be right."""


@dataclass(frozen=True)
class Learner:
    """P networks in training: what they are, their arrays and learning rates, each with P in front, and how many
    neighbouring cells share an input gate and an output gate."""

    point: Point
    parameters: Arrays
    rates: Arrays
    block: int = 1


def descend(learner: Learner, x: NDArray, labels: NDArray) -> NDArray[np.floating]:
    """One step of stochastic gradient descent for P networks at once, in place; outputs before it (P, B, K).

    x (P, T, B, M); labels of the last step (P, B, K), or classes (P, B). The gradients of the B columns are
    summed.
    """
    P, T, B = x.shape[:3]
    each = [{name: a[p] for name, a in learner.parameters.items()} for p in range(P)]
    point = learner.point
    whole = replace(
        stack([point] * P, each, list(x), (point.length,)), labels=labels[:, None], loss_times=(T,)
    )
    tape = forward(whole)
    outputs = read(whole, tape)
    gradients = backward(whole, tape, outputs).gradients.arrays(
        {name: a.shape[1:] for name, a in learner.parameters.items()}
    )
    for name, rate in learner.rates.items():
        gradient = gradients[name]
        if learner.block > 1 and name in ("U", "W", "b"):
            gradient = of_blocks(
                gradient, point.hidden_size, learner.block, lambda rows: rows.sum(axis=2, keepdims=True)
            )
        learner.parameters[name] -= rate * B * gradient
    return outputs.outputs[:, 0]


def of_blocks(rows: NDArray, N: int, size: int, one: Callable[[NDArray], NDArray]) -> NDArray:
    """Rows (P, 3N, …) in which every ``size`` neighbouring cells have the same for their gates: what ``one`` makes
    of theirs, (P, blocks, size, …) -> (P, blocks, 1, …). The rows of the cells' own input stay as they are."""
    gates = rows[:, : 2 * N]
    blocks = gates.reshape(len(rows), 2 * N // size, size, *rows.shape[2:])
    shared = np.broadcast_to(one(blocks), blocks.shape).reshape(gates.shape)
    return np.concatenate([shared, rows[:, 2 * N :]], axis=1)


_OF_1997 = Point(cell="lstm_1997", gradient="truncated", gamma=1.0, hidden_size=4)


def lstm_for_long_lag(P: int, p: int) -> Learner:
    """P networks of the LSTM of 1997 for experiment 2a: 4 cells, weights uniform in ±.2, rate 1, input gates
    biased to −3, two sequences a step and the truncated gradient."""
    point = _OF_1997.replace(length=p, input_size=p + 1, output_size=2, batch_size=2, loss="cross_entropy")
    return _lstm(point, P, 0.2, 0.0, np.full(4, -3.0), 1.0)


def lstm_for_adding(P: int, T: int) -> Learner:
    """P networks for adding: two blocks of two cells, weights and biases uniform in ±.1 but those of the input
    gates, −3 in the first block and −6 in the second, rate .5 and the truncated gradient."""
    point = _OF_1997.replace(length=T, input_size=2, output_size=1, batch_size=TOGETHER, loss="squared")
    alone = _lstm(point, P, 0.1, 0.1, np.array([-3.0, -3.0, -6.0, -6.0]), 0.5, slope=0.25)
    alone.parameters["d"] += 0.5
    tied = {
        name: of_blocks(alone.parameters[name], 4, 2, lambda rows: rows[:, :, :1]) for name in ("U", "W", "b")
    }
    return replace(alone, parameters=alone.parameters | tied, block=2)


def _lstm(
    point: Point, P: int, width: float, bias: float, input_gates: NDArray, rate: float, slope: float = 1.0
) -> Learner:
    """P networks of the LSTM of 1997, weights uniform in ±width and biases in ±bias, the input gates' as given,
    with the paper's scales of g and h, and with outputs of a slope (see above)."""
    N, M, K = point.hidden_size, point.input_size, point.output_size
    half = np.repeat([1.0, 1.0, 0.5], N)
    rng = np.random.default_rng(1997)
    drawn = {
        "U": rng.uniform(-width, width, (P, 3 * N, N)) * half[:, None],
        "W": rng.uniform(-width, width, (P, 3 * N, M)) * half[:, None],
        "V": rng.uniform(-width, width, (P, K, N)) * slope,
        "b": rng.uniform(-bias, bias, (P, 3 * N)) * half,
        "d": rng.uniform(-bias, bias, (P, K)) * slope,
        "a": np.ones(P),
    }
    drawn["b"][:, :N] = input_gates
    rates = {
        "U": rate * half[:, None] ** 2,
        "W": rate * half[:, None] ** 2,
        "b": rate * half**2,
        "V": np.array(rate * slope**2),
        "d": np.array(rate * slope**2),
    }
    return Learner(point, drawn, rates)


def simple(P: int, N: int, M: int, K: int, T: int, width: float, rate: float, B: int = 1) -> Learner:
    """P simple networks with logistic units, as the paper's, weights uniform in ±width."""
    point = Point(
        activation="logistic",
        length=T,
        hidden_size=N,
        input_size=M,
        output_size=K,
        batch_size=B,
        loss="cross_entropy",
    )
    rng = np.random.default_rng(1997)
    shapes = {"U": (N, N), "W": (N, M), "b": (N,), "V": (K, N), "d": (K,)}
    drawn = {name: rng.uniform(-width, width, (P, *shape)) for name, shape in shapes.items()}
    return Learner(point, drawn, {name: np.array(rate) for name in shapes})


def long_lag_successes(learner: Learner, p: int, budget: int, enough: int) -> NDArray[np.float64]:
    """Sequences until 100 of experiment 2a in a row were answered with an error below 1/4, network by network,
    until ``enough`` of them have succeeded; inf for the others. There are but two sequences, so these are as good
    as the paper's ten thousand; both are shown together at every step of descent, with their gradients summed."""
    P = len(learner.parameters["d"])
    x = np.broadcast_to(tasks.long_lag_sequences(np.array([0, 1]), p).inputs, (P, p, 2, p + 1))
    classes, side = np.tile([0, 1], (P, 1)), np.array([-1.0, 1.0])
    needed, streak = np.full(P, np.inf), np.zeros(P)
    for count in range(2, budget + 1, 2):
        with numerics():
            y = descend(learner, x, classes)
        right = ((y[..., 1] - y[..., 0]) * side > np.log(3.0)).all(axis=-1)  # softmax above 3/4
        streak = np.where(right, streak + 2, 0)
        needed = np.where(np.isinf(needed) & (streak >= 100), count, needed)
        if np.isfinite(needed).sum() >= enough:
            break
    return needed


def adding_successes(learner: Learner, T: int, budget: int, enough: int) -> NDArray[np.float64]:
    """Sequences until the last 2,000 were all answered within .04, and with a mean absolute error below .01,
    network by network, until ``enough`` of them have succeeded; inf for the others. All networks see the same
    sequences, of T to T + T/10 steps, ``TOGETHER`` of one length at a time."""
    P = len(learner.parameters["d"])
    rng = np.random.default_rng(4)
    needed, errors = np.full(P, np.inf), np.full((P, RECENT), np.inf)
    for count in range(TOGETHER, budget + 1, TOGETHER):
        length = int(rng.integers(T, T + T // 10 + 1))
        drawn = tasks.adding(rng, length, TOGETHER, "1997")
        x = np.broadcast_to(drawn.inputs, (P, *drawn.inputs.shape))
        target = np.broadcast_to(drawn.labels[-1], (P, TOGETHER, 1))
        with numerics():
            y = descend(learner, x, target)
        at = (count - TOGETHER) % RECENT
        errors[:, at : at + TOGETHER] = np.abs(y - target)[..., 0]
        right = (errors < 0.04).all(axis=1) & (errors.mean(axis=1) < 0.01)
        needed = np.where(np.isinf(needed) & right, count, needed)
        if np.isfinite(needed).sum() >= enough:
            break
    return needed
