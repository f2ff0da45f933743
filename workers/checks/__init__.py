"""The scorecard: why to believe the engine of this installation.

Every check measures through the public ``measure`` and ``trace``, as a user would, and compares with something
that the engine has no part in: a closed form, complex step on the textbook's forward pass, linear algebra,
quadrature, enumeration. The suite runs the same list; ``longlag verify`` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import chance, gates, gradients, kept, learning, linear, lyapunov, mean_field, memory, range, spectra
from .base import Check, Entry, Finding

_OWN = "derived in docs/verification.md"
_HS97 = "Hochreiter & Schmidhuber 1997"
_WERBOS = "Werbos 1990"
_PASCANU = "Pascanu, Mikolov & Bengio 2013"
_SQUIRE = "Squire & Trapp 1998"
_ARJOVSKY = "Arjovsky, Shah & Bengio 2016"

CHECKS: dict[str, Entry] = {
    # ---- error terms
    "orthogonal linear network: r(ℓ) = ℓ ln γ at every lag up to 9,999 (a lag's)": Entry(
        "error terms", linear.orthogonal, _OWN
    ),
    "linear loop, γ = 1: the error term is constant to the last bit": Entry(
        "error terms", linear.loop_is_constant, _HS97
    ),
    "linear loop: half-life and horizons are ln(share)/ln a": Entry("error terms", linear.loop_decays, _OWN),
    "diagonal linear network: λ_i^ℓ for every unit (relative, a lag's)": Entry(
        "error terms", linear.diagonal_weights, _OWN
    ),
    "Jordan block: the curve rises before it falls, ℓ λ^(ℓ−1) (relative)": Entry(
        "error terms", linear.jordan_block, "Trefethen & Embree 2005"
    ),
    "delay line of N units: alive for N − 1 lags, then exactly zero": Entry(
        "error terms", linear.delay_line, _OWN
    ),
    "residual network at rest: r(ℓ) = ℓ ln(1 − a + a u) (a lag's)": Entry(
        "error terms", linear.residual_at_rest, "Jaeger et al. 2007"
    ),
    "logistic unit at z = 0: w/4 a step, so w = 4 is critical (a lag's)": Entry(
        "error terms", linear.logistic_unit, "Hochreiter 1991"
    ),
    "the bound γ^ℓ, where it is a theorem, is never passed": Entry(
        "error terms", linear.nominal_bound, _PASCANU
    ),
    "the product of ‖D_i Uᵀ‖ is never passed, nor passes γ^ℓ": Entry(
        "error terms", linear.path_bound, _PASCANU
    ),
    # ---- gradients
    "gradient of every array of every cell against complex step (relative)": Entry(
        "gradients", gradients.squared_loss, _SQUIRE
    ),
    "the same with cross-entropy at every step (relative)": Entry(
        "gradients", gradients.cross_entropy, _SQUIRE
    ),
    "error terms of every cell, loss time and step against complex step (relative)": Entry(
        "gradients", gradients.error_terms_by_step, _SQUIRE
    ),
    "tangent forwards = adjoint backwards over 200 steps (relative)": Entry(
        "gradients", gradients.duality, "Griewank & Walther 2008"
    ),
    "double sum over t and k = gradient of one sweep (relative)": Entry(
        "gradients", gradients.double_sum, _WERBOS
    ),
    "sum over lags = gradient of one sweep, LSTM (relative)": Entry(
        "gradients", gradients.sum_over_lags, _WERBOS
    ),
    "truncated BPTT, u = .9, K = 10: g_K/g = 1 − u^K": Entry("gradients", gradients.truncated, _OWN),
    "truncated BPTT, probe: share 1 − u^K, bias u^K at every window (relative)": Entry(
        "gradients", gradients.truncation_probe, _OWN
    ),
    "gradient by lag, probe: the first K lags hold 1 − u^K of ∂L/∂U": Entry(
        "gradients", gradients.lag_share_probe, _OWN
    ),
    "all pairs, probe: mean by lag of a loss at every step, LSTM (relative)": Entry(
        "gradients", gradients.all_pairs_probe, "Aicher, Foti & Fox 2019"
    ),
    "weight of the linear loop: Σ (T − k) a^(T−k−1) x_k (relative)": Entry(
        "gradients", gradients.loop_weight, _OWN
    ),
    "linear loop: ∂L/∂W grows as √(E g² · T) though δ is constant (relative)": Entry(
        "gradients", gradients.loop_gradient_grows, _OWN
    ),
    "ReLU network is homogeneous: ⟨W, ∂W⟩ + ⟨b, ∂b⟩ = ⟨V, ∂V⟩ (relative)": Entry(
        "gradients", gradients.relu_homogeneity, "Du, Hu & Lee 2018"
    ),
    "tanh network with the signs of units flipped: gradients flip with their arrays (relative)": Entry(
        "gradients", gradients.sign_flips, "Sussmann 1992"
    ),
    "softmax: Σ ∂L/∂d = 0, and without a read-out the loss is ln K": Entry(
        "gradients", gradients.softmax_is_shift_free, _OWN
    ),
    # ---- gates
    "LSTM without recurrence: ∂c_T/∂c_k = ∏ f (relative)": Entry(
        "gates", gates.lstm_without_recurrence, "Gers, Schmidhuber & Cummins 2000"
    ),
    "LSTM without recurrence: gate product = adjoint curve (relative)": Entry(
        "gates", gates.gate_product_is_the_gradient, _OWN
    ),
    "forget bias b: half-life ln 2/ln(1 + e^−b), 103.218 at b = 5 (relative)": Entry(
        "gates", gates.half_lives, "Tallec & Ollivier 2018"
    ),
    "GRU with a constant keep gate: γ^ℓ (a lag's)": Entry("gates", gates.gru_keep, "Cho et al. 2014"),
    "GRU: both reset conventions agree where the gate is one (relative)": Entry(
        "gates", gates.gru_conventions_agree, _OWN
    ),
    "block Jacobians of gated cells against complex step (relative)": Entry(
        "gates", gates.block_jacobians, _SQUIRE
    ),
    "LSTM: adjoint curve = product of complex-step block Jacobians over 40 lags": Entry(
        "gates", gates.full_gradient_beats_gate_product, _SQUIRE
    ),
    "chrono: a gate of (T − 1)/T is at b = ln(T − 1)": Entry(
        "gates", gates.chrono_bias, "Tallec & Ollivier 2018"
    ),
    "chrono: e^b is uniform on [1, T − 1] (distance)": Entry(
        "gates", gates.chrono_law, "Tallec & Ollivier 2018"
    ),
    "diagonal cell: |λ|² is uniform on [r_min², r_max²] (distance)": Entry(
        "gates", gates.ring_law, "Orvieto et al. 2023"
    ),
    "diagonal cell: ρ^ℓ for every pair (relative, a lag's)": Entry("gates", gates.diagonal_pairs, _OWN),
    # ---- spectra
    "Gaussian blocks, N = 256: spectral radius → g": Entry("spectra", spectra.ginibre_radius, "Ginibre 1965"),
    "Gaussian blocks: mean |λ|² = g²/2, the circular law": Entry(
        "spectra", spectra.circular_law, "Ginibre 1965"
    ),
    "Gaussian blocks, N = 256: spectral norm → 2g": Entry("spectra", spectra.ginibre_norm, "Johnstone 2001"),
    "orthogonal blocks: UᵀU = I": Entry("spectra", spectra.orthogonal_blocks, "Mezzadri 2007"),
    "leaky ring at rest grows by 1 − a + a g": Entry("spectra", spectra.leaky_ring, "Jaeger et al. 2007"),
    "leaky Gaussian network at rest, N = 256: 1 − a + a g": Entry(
        "spectra", spectra.leaky_gaussian, "Jaeger et al. 2007"
    ),
    "linear Gaussian network: far lags grow by the spectral radius": Entry(
        "spectra", spectra.gaussian_growth, "Gelfand 1941"
    ),
    "Lyapunov spectrum, orthogonal linear network: ln γ throughout": Entry(
        "spectra", lyapunov.orthogonal, "Benettin et al. 1980"
    ),
    "Lyapunov spectrum, linear Gaussian network: ln|eigenvalues|, 3/n": Entry(
        "spectra", lyapunov.eigenvalues, "Oseledets 1968"
    ),
    "Lyapunov spectrum: Σ λ_i = ln|det U| + mean Σ ln f'(z) (relative)": Entry(
        "spectra", lyapunov.sum_is_the_determinant, "Engelken, Wolf & Abbott 2023"
    ),
    "γ_lyapunov is exp of the largest exponent (relative)": Entry("spectra", lyapunov.largest_is_gamma, _OWN),
    "γ_lyapunov ≤ γ_path ≤ γ_nominal, where γ^ℓ is a theorem": Entry(
        "spectra", lyapunov.path_is_between, _PASCANU
    ),
    "γ_path by singular values of diag f'(z_t) U (relative)": Entry("spectra", lyapunov.path_by_svd, _OWN),
    "Kaplan–Yorke dimension of exponents ln 2, 0, −ln 4: 2.5": Entry(
        "spectra", lyapunov.kaplan_yorke, "Kaplan & Yorke 1979"
    ),
    "singular values of a product of Jacobians, by SVD of the product (relative)": Entry(
        "spectra", lyapunov.product_by_svd, "Saxe, McClelland & Ganguli 2014"
    ),
    # ---- mean field
    "critical input of tanh, g = 1.5: .43144": Entry(
        "mean field", mean_field.critical_input, "Schuecker, Goedeke & Helias 2018"
    ),
    "critical gain of ReLU: g² = 2": Entry("mean field", mean_field.critical_relu, "He et al. 2015"),
    "critical gain of logistic units without bias: 10.149": Entry(
        "mean field", mean_field.critical_logistic, "Schoenholz et al. 2017"
    ),
    "variance and χ of tanh networks, by adaptive quadrature": Entry(
        "mean field", mean_field.fixed_points, "Poole et al. 2016"
    ),
    "autonomous tanh network, N = 400: λ_1 = ½ ln χ at g = 1.5 and 3": Entry(
        "mean field", mean_field.autonomous_chaos, "Molgedey, Schuchhardt & Schuster 1992"
    ),
    "driven tanh network, N = 400, g = 1.5, input sd .5: λ_1 = ½ ln χ": Entry(
        "mean field", mean_field.driven, "Molgedey, Schuchhardt & Schuster 1992"
    ),
    "autonomous tanh network, N = 1,600: λ_1 = ½ ln χ at g = 1.5 and 3": Entry(
        "mean field", mean_field.large_autonomous, "Molgedey, Schuchhardt & Schuster 1992", slow=True
    ),
    "driven tanh network, N = 1,600, g = 1.5, input sd .5: λ_1 = ½ ln χ": Entry(
        "mean field", mean_field.large_driven, "Molgedey, Schuchhardt & Schuster 1992", slow=True
    ),
    # ---- calibration
    "calibration: the knob of an orthogonal linear network is its γ (relative)": Entry(
        "calibration", kept.calibrated, _OWN
    ),
    "calibration: tanh, input sd .5, N = 256: gain 1.5497 (relative)": Entry(
        "calibration", kept.calibrated_tanh, "Schuecker, Goedeke & Helias 2018"
    ),
    # ---- memory
    "memory cell, N(0, 1) steps: E[1 − tanh² c_t] = √(2/(πt)) (relative)": Entry(
        "memory", memory.normal_steps, _OWN
    ),
    "memory cell, logistic steps: mean ln(1 − tanh² c_t) = ln 4 − t (relative)": Entry(
        "memory", memory.logistic_steps, _OWN
    ),
    "memory cell: on the path of c no bit is lost over 500 lags": Entry(
        "memory", memory.read_out_closes_with_time, _OWN
    ),
    "one-unit latch, w = 1.5: bistable iff |h| < w x* − atanh x*": Entry(
        "memory", memory.latch, "Bengio, Simard & Frasconi 1994"
    ),
    "memory capacity of an orthogonal linear network: N = 5, 10, 15": Entry(
        "memory", kept.capacity, "Jaeger 2001"
    ),
    "linear loop, constant input: h_T² and (∂h_T/∂a)² (relative)": Entry("memory", kept.sensitivity, _OWN),
    "linear loop, white input: E(∂h/∂a)² = (1 + a²)/(1 − a²)³ (relative)": Entry(
        "memory", kept.sensitivity_limit, "Zucchet & Orvieto 2024"
    ),
    "forget gate at rest: τ = −1/ln f (relative)": Entry("memory", kept.gate_time, "Tallec & Ollivier 2018"),
    "linear loop: Ω = (T − 1)(1 − a)² (relative)": Entry("memory", kept.preserved, _PASCANU),
    # ---- range
    "tanh' at z = 300 from z: ln 4 − 600": Entry("range", range.tanh_derivative, _OWN),
    "logistic' at z = 600 from z: −600": Entry("range", range.logistic_derivative, _OWN),
    "tanh' for |z| ≤ 25: every digit (relative)": Entry("range", range.moderate_derivatives, _OWN),
    "a loop of weight 2 overflows at step 1,025, and says so": Entry(
        "range", range.overflow_step, "IEEE 754"
    ),
    "float32: .9^ℓ down to 1e−229 (a lag's)": Entry("range", range.single_precision, _OWN),
    "float32 against float64, tanh network over 1,000 lags (relative)": Entry(
        "range", range.single_against_double, _OWN
    ),
    "two rows 1e+602 apart: each ratio by itself": Entry("range", range.far_apart_rows, _OWN),
    # ---- chance levels of the long-lag tasks
    "adding, sum of two U[0, 1]: 1/6": Entry("chance levels", chance.adding, _ARJOVSKY),
    "adding, half the sum: 1/24": Entry("chance levels", chance.adding_half, _OWN),
    "adding of 1997, first pair not marked: 1/24": Entry("chance levels", chance.adding_1997, _HS97),
    "adding of 1997, with its rule for the first pair: 19/480": Entry(
        "chance levels", chance.adding_1997_first_pair, _HS97
    ),
    "adding of 1997, 40,000 drawn targets: variance 19/480 (relative)": Entry(
        "chance levels", chance.drawn_adding, _HS97
    ),
    "copy, delay 100: 10 ln 8/(T + 20) (relative)": Entry("chance levels", chance.copy, _ARJOVSKY),
    "parity: ln 2 (relative)": Entry("chance levels", chance.parity, _HS97),
    "long lag without noise, p = 100: ln 2/p (relative)": Entry("chance levels", chance.long_lag, _HS97),
    "a network that reads nothing has the loss of chance (relative)": Entry(
        "chance levels", chance.blind_network, _OWN
    ),
    # ---- learning; slow
    "LSTM of 1997 learns a lag of 100: at most 3 × 5,040 sequences (ratio)": Entry(
        "learning", learning.lstm_long_lag, _HS97, slow=True
    ),
    "a simple network never learns it in as many": Entry(
        "learning", learning.simple_long_lag, _HS97, slow=True
    ),
    "LSTM of 1997 learns adding, T = 100: at most 3 × 74,000 sequences (ratio)": Entry(
        "learning", learning.lstm_adding, _HS97, slow=True
    ),
}
"""Name -> what is checked. In brackets: the error and tolerance are relative, or a lag's; else absolute."""


def chosen(slow: bool = False) -> dict[str, Entry]:
    """The checks of a run: all but the slow ones, or all."""
    return {name: entry for name, entry in CHECKS.items() if slow or not entry.slow}


def verify(slow: bool = False) -> Iterator[Check]:
    """Every check, one after the other, as it is done."""
    for name, entry in chosen(slow).items():
        yield check(name, entry)


def check(name: str, entry: Entry) -> Check:
    """Do one check."""
    value, reference, error, tolerance = map(float, entry.find())
    return Check(entry.subject, name, value, reference, error, tolerance, entry.source)


__all__ = ["CHECKS", "Check", "Entry", "Finding", "check", "chosen", "verify"]
