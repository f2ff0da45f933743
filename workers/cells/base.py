"""What a cell is: a step, its adjoint beside it, and what gamma turns. The sweeps know no cell.

Shapes: a stack has P points, B batch columns, N hidden units; a cell has G net-input blocks and a state of
``components`` blocks. One step's arrays are contiguous: net input (G, P, B, N), state (components, P, B, N).
A bundle of Q adjoint rows a column is (components, P, Q, B, N). A chunk of C steps has C in front.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import aligned
from ..activations import ACTIVATIONS, Activation
from ..errors import Unreachable
from ..products import multiply
from ..weights import standard_uniform

Array = NDArray[np.floating]
Shifts = NDArray[np.int64] | None


class Knobs(Protocol):
    """The parameters of a point that drawing its arrays needs."""

    cell: str
    gamma: float
    gamma_kind: str
    weights: str | None
    hidden_size: int
    input_size: int
    leak: float | None
    recurrent_gain: float | None
    gate_bias: float | None
    gate_init: str | None
    rho_min: float | None
    seed: int


@dataclass(frozen=True)
class Weights:
    """Parameters of a stack as a step uses them.

    U (G, P, N, N) with U[g, p] block g; W (G, P, N, M); b (G, P, 1, N); p (3, P, 1, N); a, leak (P, 1, 1);
    b_u (P, 1, N); turn (3, P, 1, N/2): ρ, cos θ, sin θ of every pair; V (P, K, N); d (P, 1, K).
    augmented (G, P, N + M + 1, N): Uᵀ, Wᵀ and b below one another. lift (P, M, N) is Wᵀ with a largest element in
    [2^3, 2^4) a row, where entering (P, 1, M), a power of two, is not zero. What a cell lacks is None.
    """

    V: Array
    d: Array
    W: Array
    U: Array | None = None
    b: Array | None = None
    a: Array | None = None
    leak: Array | None = None
    p: Array | None = None
    b_u: Array | None = None
    turn: Array | None = None
    augmented: Array | None = None
    lift: Array | None = None
    entering: Array | None = None

    def net(self, row: Array, out: Array, gates: slice = slice(None), part: slice = slice(None)) -> None:
        """U h + W x + b of some blocks into ``out`` (G, P, B, N), from augmented rows [h, x, 1] (P, B, N + M + 1),
        as one product; of a ``part`` of the sum where ``row`` is only that part of the rows."""
        assert self.augmented is not None
        np.matmul(row, self.augmented[gates, :, part], out=out)

    def pull(self, delta: Array, out: Array, gates: slice = slice(None)) -> None:
        """Σ_g U_gᵀ δ_g: (G, P, Q, B, N) -> ``out`` (P, Q, B, N)."""
        assert self.U is not None
        G, P, Q, B, N = delta.shape
        flat, total = delta.reshape(G, P, Q * B, N, copy=False), out.reshape(P, Q * B, N, copy=False)
        multiply(flat[0], self.U[gates][0], total)
        for block, U in zip(flat[1:], self.U[gates][1:], strict=True):
            total += multiply(block, U, aligned.scratch("product", total))


class Lacking(NamedTuple):
    """The powers of two (P, B) that δ_k and λ_{k−1} of a step down lack, where there are any."""

    delta: Shifts = None
    adjoint: Shifts = None


class Chunk(NamedTuple):
    """C consecutive steps of a tape, for sums over time: everything that a gradient is made of.

    delta (G + extra, P, C, B, N) error terms; before (components, C, P, B, N) the states s_{k−1}, or the loops
    (1, C, P, B, M) of a cell that commutes;
    drive (P, C, B, M) what W multiplies; local: the cell's factors of these steps; rows, where they are at hand:
    [h_{k−1}, x_k, 1] (P, C, B, N + M + 1), or of a cell that commutes [g(x_k), y_{k−1}] (P, C, B, 2 M).
    """

    delta: Array
    before: Array
    drive: Array
    local: tuple[Any, ...]
    rows: Array | None = None

    def part(self, steps: slice) -> Chunk:
        """Some of its steps."""
        local = tuple(None if factor is None else factor[steps] for factor in self.local)
        rows = None if self.rows is None else self.rows[:, steps]
        return Chunk(self.delta[:, :, steps], self.before[:, steps], self.drive[:, steps], local, rows)

    def right(self) -> Array:
        """The rows [h, x, 1] of all steps and columns, (P, C·B, N + M + 1)."""
        P, C, B, M = self.drive.shape
        rows = self.rows
        if rows is None:
            N = self.before.shape[-1]
            rows = np.empty((P, C, B, N + M + 1), self.delta.dtype)
            rows[..., :N], rows[..., N:-1], rows[..., -1] = self.before[0].swapaxes(0, 1), self.drive, 1
        return rows.reshape(P, C * B, -1)


class Steps(Protocol):
    """C steps of a tape, from ``start`` (from 0) to ``stop``: states (C+1, components, P, B, N), states[0] the one
    before them; net (C, G + spare, P, B, N), the net inputs z and behind them what the cell put aside."""

    @property
    def start(self) -> int: ...
    @property
    def stop(self) -> int: ...
    @property
    def states(self) -> Array: ...
    @property
    def net(self) -> Array: ...


class Cell(ABC):
    """A step map s_t = F(s_{t−1}, x_t; θ) with its adjoint. One instance serves any number of stacks."""

    name: ClassVar[str]
    label: ClassVar[str]
    """How people write the name in a sentence."""
    gates: ClassVar[tuple[str, ...]]
    """Names of the G net-input blocks, in the order of U's, W's and b's blocks."""
    components: ClassVar[int] = 1
    parameters: ClassVar[tuple[str, ...]]
    """Parameters of a point that only some cells have and this one does."""
    arrays: ClassVar[tuple[str, ...]]
    """Names of the trained arrays besides V and d."""
    recurrent: ClassVar[tuple[str, ...]] = ("U",)
    """Those of them that multiply the old state."""
    gamma_kinds: ClassVar[tuple[str, ...]] = ("nominal", "realised")
    knob_kind: ClassVar[str] = "nominal"
    """The gamma_kind whose gamma a calibration turns."""
    default_gamma: ClassVar[float] = 1.0
    bounded: ClassVar[tuple[str, ...]] = ()
    """The curves for which γ^ℓ is a theorem: of "adjoint" and "delta"."""
    keep_gate: ClassVar[int | None] = None
    """The block whose logistic value multiplies the old state, where there is one."""
    logistic_gates: ClassVar[tuple[str, ...]] = ()
    """The blocks of ``gates`` that are logistic."""
    extra: ClassVar[int] = 0
    """Error-term blocks behind the net input's, kept only for gradients."""
    spare: ClassVar[int] = 0
    """Blocks behind the net input's in which a step leaves what its adjoint needs: factors of its derivatives."""
    over: ClassVar[bool] = False
    """Whether ``step_adjoint`` may be told to write δ over λ."""
    same: ClassVar[bool] = False
    """Whether δ_k is λ_k: one array may then be both."""
    augmented: ClassVar[bool] = True
    """Whether a step sees h, x and 1 side by side, as a row that Uᵀ, Wᵀ and b multiply in one product."""
    commutes: ClassVar[bool] = False
    """Whether all that recurs is one loop, alike in every unit: it then commutes with W, and ``step`` takes M loops
    over the inputs in place of N units."""
    together: ClassVar[int] = 1
    """Units that belong together: hidden_size is a multiple of it."""

    def __init__(
        self, activation: str | None = None, reset: str | None = None, gradient: str | None = None
    ) -> None:
        self.f: Activation = ACTIVATIONS[activation or "tanh"]
        self.reset = reset
        self.truncated = gradient == "truncated"

    def shapes(self, N: int, M: int, K: int) -> dict[str, tuple[int, ...]]:
        """Shapes of every trained array of one point."""
        G = len(self.gates)
        every = {"U": (G * N, N), "W": (G * N, M), "b": (G * N,), "a": (), "p": (3 * N,)}
        every |= {"rho": (N // 2,), "theta": (N // 2,)}
        return {name: every[name] for name in self.arrays} | {"V": (K, N), "d": (K,)}

    def optional(self, N: int, M: int, K: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the trained arrays that are there only where the caller gives them; never drawn."""
        return {}

    def lacks(self, name: str) -> str:
        """That the cell has no array of this name, for the start of an error's line."""
        return f"the {self.name} cell has no array {name!r}"

    @abstractmethod
    def draw(self, point: Knobs) -> dict[str, NDArray[np.float64]]:
        """The arrays of one point but V and d. Raises Unreachable where the knob cannot give its gamma."""

    @abstractmethod
    def nominal(self, arrays: dict[str, NDArray[np.float64]], leak: float | None) -> float:
        """γ_nominal from the arrays alone."""

    def drive(self, x: Array) -> Array:
        """What W multiplies: the inputs, or g of them; (P, T, B, M) -> the same shape."""
        return x

    @abstractmethod
    def step(self, w: Weights, z: Array, row: Array, before: Array, after: Array) -> None:
        """One step in place: the net inputs z (G + spare, P, B, N) are made from ``row`` [h, x, 1]
        (P, B, N + M + 1) where the cell is ``augmented``, else they come with W x + b; ``after`` is filled.

        The spare blocks are for what the step's adjoint needs: it is made while its arguments are in the cache.
        """

    @abstractmethod
    def local(self, w: Weights, steps: Steps) -> tuple[Any, ...]:
        """The local derivatives of C steps, (C, …) each or None, which ``step_adjoint`` takes a step of."""

    @abstractmethod
    def step_adjoint(
        self, w: Weights, local: tuple[Any, ...], adjoint: Array, delta: Array, back: Array
    ) -> Lacking:
        """λ_k -> δ_k (G + extra, P, Q, B, N) and λ_{k−1} (components, P, Q, B, N) for a bundle of rows, written to
        ``delta`` and ``back``, in which a row (B, N) is contiguous; and what they lack."""

    @abstractmethod
    def gradients(self, chunk: Chunk) -> dict[str, Array]:
        """Σ over the chunk's steps and columns for every trained array but V and d; each (P, *shape)."""

    def read_out(self, state: Array) -> Array:
        """h from the state: (components, P, …, N) -> (P, …, N)."""
        return state[0]

    def read_out_adjoint(self, state: Array, signal: Array) -> tuple[Array, Shifts]:
        """∂L_t/∂s_t (components, P, R, B, N) from ∂L_t/∂h_t (P, R, B, N), with a shift (P, R, B) or None."""
        adjoint = np.zeros((self.components, *signal.shape), signal.dtype)
        adjoint[0] = signal
        return adjoint, None

    @abstractmethod
    def squashed(self, steps: Steps) -> tuple[Activation, Array]:
        """The nonlinearity whose saturation counts, and its argument (C, P, B, N) for C steps."""


def logit(gamma: float, cell: str, gate: str) -> float:
    """The bias at which a logistic gate with no net input is ``gamma``. Raises Unreachable outside (0, 1)."""
    if not 0.0 < gamma < 1.0:
        raise Unreachable(
            f"gamma = {gamma:g}: the {cell} cell's gamma is the value of its {gate} gate at zero net input; "
            "give one inside (0, 1)"
        )
    return float(np.log(gamma) - np.log1p(-gamma))


def keep_bias(point: Knobs, gate: str) -> NDArray[np.float64]:
    """The bias (N,) of the gate that multiplies the old state, for the point's gate_init.

    constant: σ(b) = γ. chrono (Tallec & Ollivier 2018): b = ln u, u ~ U(1, T_max − 1) for every unit, so that
    the gates' times 1/(1 − σ(b)) are spread up to T_max = 1/(1 − γ), and γ is the largest gate. Raises
    Unreachable.
    """
    if point.gate_init != "chrono":
        return np.full(point.hidden_size, logit(point.gamma, point.cell, gate))
    if not 0.5 <= point.gamma < 1.0:
        raise Unreachable(
            f"gamma = {point.gamma:g}: with gate_init = 'chrono' gamma is the largest {gate} gate of the "
            f"{point.cell} cell, 1 − 1/T_max with T_max − 1 ≥ 1; give one from 0.5 to below 1, or "
            "gate_init = 'constant'"
        )
    longest = point.gamma / (1 - point.gamma)  # T_max − 1
    return np.log1p(standard_uniform(point.seed, "chrono", point.hidden_size) * (longest - 1))


def geometric_gate(bias: NDArray[np.float64]) -> float:
    """Geometric mean over units of a logistic gate at zero net input."""
    return float(np.exp(-np.mean(np.logaddexp(0.0, -bias))))
