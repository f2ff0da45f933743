"""Small things that several numerical tests do with the results of ``trace`` and ``measure``."""

import numpy as np
from longlag.workers import measure


def row(point, **given):
    """The one row of ``measure`` as a dict."""
    return measure([point], **given).to_pylist()[0]


def lags(T):
    """Lag of every k = 1…T from t = T."""
    return T - np.arange(1, T + 1)


def vectors(t):
    """δ_{t,k} themselves (R,T,B,G·N), where they are in range."""
    return t.error_terms * np.exp(t.ln_norms)[..., None]


def start(t, r=-1):
    """∂L_t/∂h_t (B,N) of a squared loss at loss time number r."""
    end = t.loss_times[r] - 1
    return (t.outputs[end] - t.targets[end]) @ t.parameters["V"]


def fitting(cell, shape):
    """The shape with an even hidden_size where the cell's units stand in pairs."""
    N = shape["hidden_size"]
    return shape | {"hidden_size": N + N % 2 if cell == "diagonal" else N}


def label(value):
    """Name of a parametrised case: the values of its dict."""
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)
