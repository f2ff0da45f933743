"""Size of the gradient of every trained array: its Frobenius norm, in logarithms."""

import numpy as np

from .base import Column, Probe, Swept, Values, Work

ARRAYS = ("U", "W", "b", "a", "V", "d", "p", "rho", "theta", "b_u")


def measure(swept: Swept) -> Values:
    """ln‖∂L/∂θ‖ of the arrays that the cell has; −inf where a gradient is exactly zero."""
    norms = swept.backward.gradients.ln_norms()
    nothing = np.full(len(swept.nominal), np.nan)
    return {f"ln_grad_norm_{name}": norms.get(name, nothing) for name in ARRAYS}


GRADIENTS = Probe(
    "gradients",
    "size of the gradient of every trained array",
    tuple(
        Column(
            f"ln_grad_norm_{name}",
            "float64",
            "ln",
            f"ln of the Frobenius norm of ∂L/∂{name}; null where absent",
        )
        for name in ARRAYS
    ),
    measure,
    cost=lambda s: Work(elements=0.2 * s.G * s.N * (s.N + s.M)),
    of_gradient=True,
)
