"""Every check can fail: the engine is broken on purpose, and exactly the checks that should see it turn red.

A mutation names checks that must fail and others, of what it leaves alone, that must still pass. Together they
turn every check of the scorecard red.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from longlag.workers import activations, checks, losses, scale, stack, tasks, theory, walk, weights
from longlag.workers.cells import diagonal, gru, linear, lstm, mingru, simple
from longlag.workers.cells.base import Weights
from longlag.workers.checks import chance, gates, gradients, kept, lyapunov, mean_field, range, spectra
from longlag.workers.checks import linear as terms
from longlag.workers.checks import memory as remembered
from longlag.workers.probes import PROBES, pairs, truncation
from longlag.workers.probes import gates as gate_probe

Patch = Callable[[pytest.MonkeyPatch], None]


class Mutation(NamedTuple):
    """What is broken; checks that must turn red; checks that must not."""

    breaks: Patch
    red: list[Callable[[], Any]]
    green: list[Callable[[], Any]]


def after(owner: Any, name: str, change: Callable[..., Any]) -> Patch:
    """Let ``change(result, *arguments)`` have the last word on what a function or method gives."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: change(original(*a, **k), *a))

    return patch


def entry(table: dict[str, Any], key: str, **changes: Any) -> Patch:
    """Another entry in a table of frozen records, with some fields changed."""
    return lambda monkeypatch: monkeypatch.setitem(table, key, replace(table[key], **changes))


def scaled(owner: Any, name: str, factor: float) -> Patch:
    return after(owner, name, lambda result, *_: result * factor)


def adjoint_scaled(cell: type, factor: float) -> Patch:
    return stepped_back(cell, lambda delta, back: np.multiply(back, factor, out=back))


def both(first: Patch, second: Patch) -> Patch:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        first(monkeypatch)
        second(monkeypatch)

    return patch


def grown(factor: float) -> Callable[..., Any]:
    """The powers (C+1, P) of a number that is larger by a factor, and their exponents."""
    return lambda found, *_: (found[0] * factor ** np.arange(len(found[0]))[:, None], found[1])


def stepped_back(cell: type, change: Callable[[Any, Any], Any]) -> Patch:
    """Change the error terms or the adjoint that a step down has written."""

    def last_word(lacking: Any, cell: Any, w: Any, local: Any, adjoint: Any, delta: Any, back: Any) -> Any:
        change(delta, back)
        return lacking

    return after(cell, "step_adjoint", last_word)


def gradient_scaled(owner: Any, name: str, array: str, factor: float) -> Patch:
    return after(owner, name, lambda found, *_: found | {array: found[array] * factor})


def transposed_pull(monkeypatch: pytest.MonkeyPatch) -> None:
    """U where the adjoint needs Uᵀ."""
    original = Weights.pull

    def pull(self: Weights, delta: Any, out: Any, gates: slice = slice(None)) -> None:
        assert self.U is not None
        original(replace(self, U=self.U.swapaxes(-1, -2)), delta, out, gates)

    monkeypatch.setattr(Weights, "pull", pull)


def pull_scaled(factor: float) -> Patch:
    """Uᵀδ times a factor, where it is written."""

    def change(_: None, weights: Weights, delta: Any, out: Any, *__: Any) -> None:
        out *= factor

    return after(Weights, "pull", change)


def swapped_gates(delta: Any, back: Any) -> None:
    """Error terms of the input and the forget gate change places."""
    delta[:2] = delta[[1, 0]]


def leaking(delta: Any, back: Any) -> None:
    """The adjoint of the cell state shrinks."""
    back[1] *= 1 - 1e-8


def changed_step(cell: type, change: Callable[[Any], None]) -> Patch:
    """Change the new state in place after every step."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        original = cell.step

        def step(self: Any, w: Any, z: Any, row: Any, before: Any, new: Any) -> None:
            original(self, w, z, row, before, new)
            change(new)

        monkeypatch.setattr(cell, "step", step)

    return patch


def shrink(factor: float) -> Callable[[Any], None]:
    def change(new: Any) -> None:
        new *= factor

    return change


def shift(amount: float) -> Callable[[Any], None]:
    def change(new: Any) -> None:
        new += amount

    return change


def undifferentiated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adjoint of a simple network without its factor f'."""
    original = simple.Simple.step_adjoint
    monkeypatch.setattr(
        simple.Simple,
        "step_adjoint",
        lambda self, w, local, *rows: original(self, w, (np.ones_like(local[0]), None), *rows),
    )


def from_the_value(name: str, value: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Patch:
    """The derivative of an activation from h instead of from z, and its logarithm."""

    def ln(z: Any) -> Any:
        with np.errstate(divide="ignore"):
            return np.log(slope(value(z)))

    def both(z: Any, into: Any, derivative: Any) -> None:
        np.copyto(into, value(z))
        np.copyto(derivative, slope(into))

    return entry(activations.ACTIVATIONS, name, both=both, ln_derivative=ln)


def never_rescaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain floating-point numbers, without the logarithmic scale."""

    monkeypatch.setattr(scale.Bundle, "rescale", lambda self, ahead=0: scale.squared_norms(self.value))


def other_blocks(factor: float) -> Patch:
    """Recurrent blocks that are larger than their ensemble says."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        original = weights._block  # not the cached one
        monkeypatch.setattr(weights, "block", lambda *a: original(*a) * factor)

    return patch


def measured(probe: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Patch:
    """A probe with other values in some columns."""
    original = PROBES[probe].measure
    return entry(PROBES, probe, measure=lambda swept: change(dict(original(swept))))


def longer_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Truncated gradients of one lag more than was asked for."""
    original = truncation.truncated_gradients
    monkeypatch.setattr(
        truncation, "truncated_gradients", lambda a, b, c, K: original(a, b, c, np.append(K[1:], K[-1]))
    )


def labels(name: str, change: Callable[[Any], Any]) -> Patch:
    """A task with other labels."""
    return after(tasks, name, lambda made, *_: replace(made, labels=change(made.labels)))


def together(*patches: Patch) -> Patch:
    """Several at once."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        for one in patches:
            one(monkeypatch)

    return patch


TANH = activations.ACTIVATIONS["tanh"]
LOGISTIC = activations.ACTIVATIONS["logistic"]
SOFTMAX = losses.LOSSES["cross_entropy"]

MUTATIONS: dict[str, Mutation] = {
    "a simple network forgets f'": Mutation(
        undifferentiated,
        [terms.logistic_unit, terms.path_bound, gradients.squared_loss],
        [terms.diagonal_weights, terms.jordan_block, terms.delay_line, gates.block_jacobians],
    ),
    "U instead of its transpose": Mutation(
        transposed_pull,
        [terms.jordan_block, terms.delay_line, gates.block_jacobians, gates.full_gradient_beats_gate_product],
        [terms.diagonal_weights, terms.residual_at_rest, terms.logistic_unit],
    ),
    "Uᵀδ is larger by 1e−12": Mutation(
        pull_scaled(1 + 1e-12),
        [
            terms.orthogonal,
            terms.loop_is_constant,
            terms.diagonal_weights,
            terms.jordan_block,
            terms.delay_line,
            terms.residual_at_rest,
            terms.logistic_unit,
            range.far_apart_rows,
        ],
        [terms.loop_decays, terms.path_bound, gates.gru_keep, gates.half_lives],
    ),
    "the loop is heavier backwards than forwards": Mutation(
        both(adjoint_scaled(linear.Linear, 1 + 1e-6), after(walk, "powers", grown(1 + 1e-6))),
        [
            terms.loop_is_constant,
            terms.loop_decays,
            terms.nominal_bound,
            remembered.read_out_closes_with_time,
            gradients.loop_weight,
            kept.preserved,
        ],
        [terms.diagonal_weights, terms.path_bound, remembered.logistic_steps],
    ),
    "∂L/∂U of an LSTM is larger by 1e−9": Mutation(
        gradient_scaled(lstm, "matrix_gradients", "U", 1 + 1e-9),
        [gradients.squared_loss, gradients.cross_entropy, gradients.sum_over_lags],
        [gradients.error_terms_by_step, gradients.duality, gradients.double_sum],
    ),
    "∂L/∂b of a simple network is larger by 1e−9": Mutation(
        gradient_scaled(simple, "matrix_gradients", "b", 1 + 1e-9),
        [gradients.squared_loss, gradients.double_sum, gradients.truncated, gradients.relu_homogeneity],
        [gradients.error_terms_by_step, gradients.sum_over_lags, gradients.loop_weight],
    ),
    "∂L/∂W of a loop is larger by a tenth": Mutation(
        gradient_scaled(linear.Linear, "gradients", "W", 1.1),
        [gradients.squared_loss, gradients.loop_gradient_grows],
        [gradients.loop_weight, gradients.double_sum],
    ),
    "error terms of two gates change places": Mutation(
        stepped_back(lstm.LSTM, swapped_gates),
        [gradients.error_terms_by_step, gradients.duality, gradients.squared_loss],
        [gates.block_jacobians, gradients.double_sum],
    ),
    "tanh is not odd": Mutation(
        changed_step(simple.Simple, shift(1e-6)),
        [gradients.sign_flips, gradients.squared_loss, gradients.error_terms_by_step],
        [gradients.sum_over_lags, gradients.loop_weight],
    ),
    "cross-entropy without its label": Mutation(
        entry(losses.LOSSES, "cross_entropy", gradient=lambda y, c: SOFTMAX.gradient(y, c).clip(min=0)),
        [gradients.cross_entropy, gradients.softmax_is_shift_free],
        [gradients.squared_loss, gradients.double_sum],
    ),
    "cross-entropy in bits": Mutation(
        entry(losses.LOSSES, "cross_entropy", value=lambda y, c: SOFTMAX.value(y, c) / np.log(2)),
        [chance.blind_network, gradients.softmax_is_shift_free],
        [gradients.cross_entropy],
    ),
    "the carousel of the LSTM leaks backwards": Mutation(
        stepped_back(lstm.LSTM, leaking),
        [
            gates.lstm_without_recurrence,
            gates.gate_product_is_the_gradient,
            gates.half_lives,
            gates.block_jacobians,
            gates.full_gradient_beats_gate_product,
        ],
        [gates.gru_keep, gates.gru_conventions_agree],
    ),
    "the GRU keeps less than it says": Mutation(
        adjoint_scaled(gru.GRU, 1 - 1e-12),
        [gates.gru_keep, gates.block_jacobians],
        [gates.lstm_without_recurrence, gates.half_lives],
    ),
    "gates keep for longer than they were told": Mutation(
        after(mingru, "keep_bias", lambda bias, *_: bias + 0.2),
        [gates.chrono_bias, gates.chrono_law],
        [gates.ring_law, gates.half_lives],
    ),
    "the ring is too small": Mutation(
        scaled(diagonal, "ring", 0.97), [gates.ring_law], [gates.chrono_law, gates.diagonal_pairs]
    ),
    "a pair shrinks less backwards": Mutation(
        adjoint_scaled(diagonal.Diagonal, 1 + 1e-12), [gates.diagonal_pairs], [gates.ring_law]
    ),
    "one reset convention has another gradient": Mutation(
        after(
            gru.GRU,
            "gradients",
            lambda found, cell, _: found | {"U": found["U"] * (1 if cell.reset == "before" else 1 + 1e-9)},
        ),
        [gates.gru_conventions_agree, gradients.squared_loss],
        [gates.block_jacobians, gates.gru_keep],
    ),
    "recurrent blocks are larger by a tenth": Mutation(
        other_blocks(1.1),
        [
            spectra.ginibre_radius,
            spectra.circular_law,
            spectra.ginibre_norm,
            spectra.orthogonal_blocks,
            spectra.leaky_ring,
            mean_field.driven,
        ],
        [spectra.gaussian_growth, gates.block_jacobians],
    ),
    "Uᵀδ is larger by a fifth": Mutation(
        pull_scaled(1.2),
        [
            spectra.gaussian_growth,
            spectra.leaky_ring,
            spectra.leaky_gaussian,
            mean_field.autonomous_chaos,
            lyapunov.orthogonal,
            lyapunov.eigenvalues,
            lyapunov.sum_is_the_determinant,
            lyapunov.path_is_between,
            lyapunov.path_by_svd,
            lyapunov.product_by_svd,
            lyapunov.kaplan_yorke,
            kept.calibrated,
            kept.calibrated_tanh,
        ],
        [spectra.orthogonal_blocks, lyapunov.largest_is_gamma, mean_field.critical_input],
    ),
    "γ_lyapunov is of the smallest exponent": Mutation(
        measured(
            "lyapunov", lambda found: found | {"gamma_lyapunov": np.exp(found["lyapunov_spectrum"][:, -1])}
        ),
        [lyapunov.largest_is_gamma],
        [lyapunov.eigenvalues],
    ),
    "windows of lags are one too long": Mutation(
        longer_windows,
        [gradients.truncation_probe, gradients.lag_share_probe],
        [gradients.truncated, gradients.all_pairs_probe],
    ),
    "ratios over all pairs are larger by 1e−9": Mutation(
        after(pairs, "_mean_and_spread", lambda found, *_: (found[0] * (1 + 1e-9), found[1])),
        [gradients.all_pairs_probe],
        [terms.nominal_bound, gradients.truncation_probe],
    ),
    "critical gains are larger by 1e−6": Mutation(
        scaled(theory, "critical_gain", 1 + 1e-6),
        [mean_field.critical_relu, mean_field.critical_logistic],
        [mean_field.critical_input, mean_field.fixed_points],
    ),
    "critical inputs are larger by 1e−6": Mutation(
        scaled(theory, "critical_input", 1 + 1e-6), [mean_field.critical_input], [mean_field.critical_relu]
    ),
    "χ is larger by 1e−6": Mutation(
        after(theory, "fixed_point", lambda found, *_: (found[0], found[1] * (1 + 1e-6))),
        [mean_field.fixed_points],
        [mean_field.critical_relu],
    ),
    "∂h/∂a of a loop is larger by 1e−9": Mutation(
        gradient_scaled(linear.Linear, "gradients", "a", 1 + 1e-9),
        [kept.sensitivity, kept.sensitivity_limit, gradients.squared_loss],
        [kept.preserved, gradients.error_terms_by_step],
    ),
    "a memory capacity that is a little too high": Mutation(
        measured(
            "memory", lambda found: found | {"memory_capacity_raw": found["memory_capacity_raw"] + 1e-8}
        ),
        [kept.capacity],
        [kept.sensitivity],
    ),
    "logarithms of gates are larger by 1e−9": Mutation(
        scaled(gate_probe, "ln_logistic", 1 + 1e-9),
        [kept.gate_time],
        [gates.gate_product_is_the_gradient, kept.preserved],
    ),
    "the memory cell leaks forwards": Mutation(
        changed_step(linear.Linear, shrink(0.97)),
        [remembered.normal_steps, remembered.logistic_steps, range.overflow_step],
        [remembered.read_out_closes_with_time, terms.loop_is_constant],
    ),
    "the latch is weaker by a thousandth": Mutation(
        changed_step(simple.Simple, shrink(0.999)),
        [remembered.latch],
        [remembered.logistic_steps, terms.diagonal_weights],
    ),
    "tanh' from h": Mutation(
        from_the_value("tanh", TANH.value, lambda h: 1 - h * h),
        [range.tanh_derivative, range.moderate_derivatives, remembered.logistic_steps],
        [range.logistic_derivative, gradients.squared_loss],
    ),
    "logistic' from h": Mutation(
        from_the_value("logistic", LOGISTIC.value, lambda h: h * (1 - h)),
        [range.logistic_derivative],
        [range.tanh_derivative, gradients.error_terms_by_step],
    ),
    "no logarithmic scale": Mutation(
        never_rescaled,
        [terms.orthogonal, range.single_precision, range.single_against_double, range.far_apart_rows],
        [terms.diagonal_weights, terms.delay_line, gradients.squared_loss],
    ),
    "the adding problem's targets are others": Mutation(
        together(*(entry(tasks.ADDING, form, target=lambda a, b: a + 1.01 * b) for form in tasks.ADDING)),
        [
            chance.adding,
            chance.adding_half,
            chance.adding_1997,
            chance.adding_1997_first_pair,
            chance.drawn_adding,
        ],
        [chance.parity, chance.copy],
    ),
    "the first pair counts as any other": Mutation(
        entry(tasks.ADDING, "1997", framed=False),
        [chance.adding_1997_first_pair, chance.drawn_adding],
        [chance.adding_1997, chance.adding],
    ),
    "labels tell less than they should": Mutation(
        together(
            labels("copy_sequences", lambda y: np.minimum(y, 6)), labels("parity_sequences", np.zeros_like)
        ),
        [chance.copy, chance.parity],
        [chance.adding, chance.blind_network],
    ),
    "the last symbol is always x": Mutation(
        labels("long_lag_sequences", lambda y: np.minimum(y, y.max() - 1)), [chance.long_lag], [chance.copy]
    ),
}


@pytest.fixture(autouse=True)
def cells_made_anew() -> Iterator[None]:
    """A cell is made once and has its activation from the table of that moment."""
    stack._cell.cache_clear()
    yield
    stack._cell.cache_clear()


def is_red(find: Callable[[], Any]) -> bool:
    """Whether a check fails, or cannot even be computed."""
    try:
        with np.errstate(all="ignore"):
            found = find()
    except (ArithmeticError, IndexError, ValueError, TypeError):
        return True
    return not found.error <= found.tolerance


@pytest.mark.parametrize("name", MUTATIONS)
def test_exactly_the_right_checks_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation = MUTATIONS[name]
    mutation.breaks(monkeypatch)
    blind = [find.__qualname__ for find in mutation.red if not is_red(find)]
    shy = [find.__qualname__ for find in mutation.green if is_red(find)]
    assert (blind, shy) == ([], [])


def test_every_check_is_turned_red_by_something() -> None:
    turned = {find for mutation in MUTATIONS.values() for find in mutation.red}
    assert {entry.find for entry in checks.chosen().values()} == turned
