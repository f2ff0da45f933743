"""The registry of figures: a new one is one file and one line here; a report shows them in this order."""

from .base import Figure
from .bound_gap import BOUND_GAP
from .gammas import GAMMAS
from .horizons import HORIZONS
from .lag_curves import LAG_CURVES
from .lyapunov import LYAPUNOV
from .mean_field import MEAN_FIELD
from .phase_map import PHASE_MAP
from .saturation import SATURATION
from .singular_values import SINGULAR_VALUES
from .truncation import TRUNCATION

FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        LAG_CURVES,
        HORIZONS,
        PHASE_MAP,
        GAMMAS,
        MEAN_FIELD,
        BOUND_GAP,
        SINGULAR_VALUES,
        LYAPUNOV,
        TRUNCATION,
        SATURATION,
    )
}

__all__ = ["FIGURES", "Figure"]
