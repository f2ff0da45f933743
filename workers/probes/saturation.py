"""Saturation: the mean derivative of the squashing function, over all steps and by step.

For simple and residual cells f'(z_t); for the memory cell and the LSTMs tanh'(c_t), which closes the read-out;
for the GRU tanh'(z_n). The linear loop has f' = 1.
"""

import numpy as np

from .base import Column, Probe, Swept, Values, Work, grid


def measure(swept: Swept) -> Values:
    """Means over columns and units of f' and of ln f', by step t = 1 … T, and of f' over all steps."""
    P, T = swept.stack.inputs.shape[:2]
    mean, ln_mean = np.empty((P, T)), np.empty((P, T))
    for segment in swept.tape.segments():
        for c, net in enumerate(segment.net):
            f, z = swept.stack.cell.squashed(net[None], segment.states[c + 1 : c + 2])
            z = np.ascontiguousarray(z[0])
            for target, values in ((mean, f.derivative(z)), (ln_mean, f.ln_derivative(z))):
                target[:, segment.start + c] = values.astype(np.float64).reshape(P, -1).mean(axis=-1)
    steps = grid(T)[1:]
    return {
        "saturation": mean.mean(axis=-1),
        "saturation_step": np.broadcast_to(steps, (P, len(steps))),
        "saturation_curve": mean[:, steps - 1],
        "ln_saturation_curve": ln_mean[:, steps - 1],
    }


SATURATION = Probe(
    "saturation",
    "mean derivative of the squashing function, over all steps and by step",
    (
        Column(
            "saturation", "float64", "", "mean f' over steps, columns and units: 1 is linear, 0 saturated"
        ),
        Column("saturation_step", "list<int64>", "steps", "t: all to 1,024, then 64 a decade"),
        Column("saturation_curve", "list<float64>", "", "mean f' by step, over columns and units"),
        Column("ln_saturation_curve", "list<float64>", "ln", "mean ln f' by step, over columns and units"),
    ),
    measure,
    cost=lambda s: Work(elements=0.5 * s.T * s.B * s.N, steps=0.5 * s.T),
)
