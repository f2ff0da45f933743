"""The registry of figures: a new one is one file and one line here; a report shows them in this order."""

from .base import Figure
from .bound_gap import BOUND_GAP
from .gammas import GAMMAS
from .horizons import HORIZONS
from .lag_curves import LAG_CURVES
from .phase_map import PHASE_MAP
from .saturation import SATURATION

FIGURES: dict[str, Figure] = {
    figure.name: figure for figure in (LAG_CURVES, HORIZONS, PHASE_MAP, GAMMAS, BOUND_GAP, SATURATION)
}

__all__ = ["FIGURES", "Figure"]
