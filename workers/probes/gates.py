"""Gates: the time scale of every unit's keep gate, and how often gates stand open or closed.

A unit whose keep gate were constant, f, would forget by e in −1/ln f steps. Everything is read from the net
input z: ln f = −ln(1 + e^{−z}), and a logistic gate is above 0.9 where z > ln 9.
"""

import numpy as np

from ..activations import ln_logistic
from ..cells import CELLS, Cell
from .base import Column, Probe, Swept, Values, Work, grid

_LN9 = float(np.log(9.0))
_LETTERS = {"i": "input", "f": "forget", "o": "output", "k": "keep", "r": "reset"}
_KARPATHY = "Karpathy, Johnson & Fei-Fei 2015"


def measure(swept: Swept) -> Values:
    """Times by unit, fractions by gate, and of the keep gate by step."""
    cell, keep = swept.stack.cell, swept.stack.cell.keep_gate
    assert keep is not None
    P, T, B, _ = swept.stack.inputs.shape
    N = swept.stack.weights.V.shape[-1]
    blocks = {gate: cell.gates.index(gate) for gate in cell.logistic_gates}
    open_, closed = ({gate: np.zeros((P, T), np.int64) for gate in blocks} for _ in range(2))
    ln_keep = np.zeros((P, N))
    for segment in swept.tape.segments():
        for t, net in enumerate(segment.net, segment.start):
            for gate, block in blocks.items():
                z = net[block].reshape(P, B * N)
                open_[gate][:, t] = (z > _LN9).sum(axis=-1)
                closed[gate][:, t] = (z < -_LN9).sum(axis=-1)
            ln = ln_logistic(np.ascontiguousarray(net[keep])).astype(np.float64)
            ln_keep += np.ascontiguousarray(ln.swapaxes(-1, -2)).sum(axis=-1)
    times, steps, name = T * B / np.abs(ln_keep), grid(T)[1:], cell.gates[keep]
    return {
        **{f"gate_open_{gate}": count.sum(axis=-1) / (T * B * N) for gate, count in open_.items()},
        **{f"gate_closed_{gate}": count.sum(axis=-1) / (T * B * N) for gate, count in closed.items()},
        "gate_time": times,
        "gate_time_median": np.median(times, axis=-1),
        "gate_step": np.broadcast_to(steps, (P, len(steps))),
        "keep_open_curve": open_[name][:, steps - 1] / (B * N),
        "keep_closed_curve": closed[name][:, steps - 1] / (B * N),
    }


def _lacking(cell: type[Cell]) -> str | None:
    if cell.keep_gate is not None:
        return None
    having = ", ".join(name for name, one in CELLS.items() if one.keep_gate is not None)
    return (
        f"the {cell.name} cell has no gate that keeps or forgets its old state; cells that have one: {having}"
    )


GATES = Probe(
    "gates",
    "time scales of the keep (forget) gates, and how often gates stand open or closed",
    (
        *(
            Column(
                f"gate_{what}_{letter}",
                "float64",
                "",
                f"fraction of steps, columns and units with the {gate} gate {letter} {limit}; null where absent",
                _KARPATHY,
            )
            for letter, gate in _LETTERS.items()
            for what, limit in (("open", "above 0.9"), ("closed", "below 0.1"))
        ),
        Column(
            "gate_time_median",
            "float64",
            "steps",
            "median of gate_time over units",
            "Tallec & Ollivier 2018",
        ),
        Column(
            "gate_time",
            "list<float64>",
            "steps",
            "−1/⟨ln f⟩ of every unit, f its keep (forget) gate, mean over steps and columns; +inf: never closes",
            "Tallec & Ollivier 2018",
        ),
        Column("gate_step", "list<int64>", "steps", "t: all to 1,024, then 64 a decade"),
        Column(
            "keep_open_curve",
            "list<float64>",
            "",
            "fraction of columns and units with the keep gate above 0.9, by step",
            _KARPATHY,
        ),
        Column(
            "keep_closed_curve",
            "list<float64>",
            "",
            "fraction of columns and units with the keep gate below 0.1, by step",
            _KARPATHY,
        ),
    ),
    measure,
    cost=lambda s: Work(
        elements=1.2 * s.T * s.B * s.N, steps=0.5 * s.T, bytes=40.0 * s.B * s.N + 16.0 * s.T * s.G
    ),
    lacking=_lacking,
)
