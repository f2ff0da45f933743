"""Saturation: the derivative of the squashing function, over all steps and by step.

For simple and residual cells f'(z_t); for the memory cell and the LSTMs tanh'(c_t), which closes the read-out;
for the GRU tanh'(z_n). The linear loop has f' = 1. A unit counts as saturated where f' is below 5 or 25 % of f's
largest slope γ_f: the logistic function's f' never exceeds 1/4.
"""

import numpy as np

from .base import Column, Probe, Swept, Values, Work, grid

_SHARES = (0.05, 0.25)


def measure(swept: Swept) -> Values:
    """Means over columns and units of f' and of ln f' and saturated fractions, by step t = 1 … T; dead units."""
    P, T = swept.stack.inputs.shape[:2]
    mean, ln_mean, *saturated = (np.empty((P, T)) for _ in range(2 + len(_SHARES)))
    awake = np.zeros((P, swept.stack.weights.V.shape[-1]), np.bool_)
    name = ""
    for segment in swept.tape.segments():
        for t in range(segment.start, segment.stop):
            first = t - segment.start
            f, z = swept.stack.cell.squashed(segment.part(first, first + 1))
            z, name = np.ascontiguousarray(z[0]), f.name
            D = f.derivative(z)
            for target, values in ((mean, D), (ln_mean, f.ln_derivative(z))):
                target[:, t] = values.astype(np.float64).reshape(P, -1).mean(axis=-1)
            for target, share in zip(saturated, _SHARES, strict=True):
                target[:, t] = (share * f.slope > D).reshape(P, -1).mean(axis=-1)
            awake |= (D > 0).any(axis=1)
    steps = grid(T)[1:]
    dead = 1 - awake.mean(axis=-1)
    return {
        "saturation": mean.mean(axis=-1),
        "dead_units": dead if name == "relu" else np.full(P, np.nan),
        "saturation_step": np.broadcast_to(steps, (P, len(steps))),
        "saturation_curve": mean[:, steps - 1],
        "ln_saturation_curve": ln_mean[:, steps - 1],
        "saturated_05_curve": saturated[0][:, steps - 1],
        "saturated_25_curve": saturated[1][:, steps - 1],
    }


SATURATION = Probe(
    "saturation",
    "mean derivative of the squashing function, over all steps and by step; saturated and dead units",
    (
        Column(
            "saturation", "float64", "", "mean f' over steps, columns and units: 1 is linear, 0 saturated"
        ),
        Column(
            "dead_units",
            "float64",
            "",
            "fraction of ReLU units with f' = 0 at every step and column; null for other activations",
        ),
        Column("saturation_step", "list<int64>", "steps", "t: all to 1,024, then 64 a decade"),
        Column("saturation_curve", "list<float64>", "", "mean f' by step, over columns and units"),
        Column("ln_saturation_curve", "list<float64>", "ln", "mean ln f' by step, over columns and units"),
        *(
            Column(
                f"saturated_{100 * share:02.0f}_curve",
                "list<float64>",
                "",
                f"fraction of columns and units with f' below {share:g} γ_f, γ_f = sup f', by step",
                "Karpathy, Johnson & Fei-Fei 2015, for gates",
            )
            for share in _SHARES
        ),
    ),
    measure,
    cost=lambda s: Work(elements=1.5 * s.T * s.B * s.N, steps=0.6 * s.T, bytes=32.0 * s.T),
)
