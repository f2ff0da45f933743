"""The registry of figures: a new one is one file and one line here; a report shows them in this order."""

from .all_pairs import ALL_PAIRS
from .base import Figure
from .bound_gap import BOUND_GAP
from .gammas import GAMMAS
from .gates import GATES
from .horizons import HORIZONS
from .lag_curves import LAG_CURVES
from .memory_function import MEMORY_FUNCTION
from .phase_map import PHASE_MAP
from .preserved_norm import PRESERVED_NORM
from .saturation import SATURATION
from .seeds import SEEDS
from .sensitivity import SENSITIVITY

FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        LAG_CURVES,
        HORIZONS,
        PHASE_MAP,
        GAMMAS,
        BOUND_GAP,
        SATURATION,
        ALL_PAIRS,
        GATES,
        MEMORY_FUNCTION,
        PRESERVED_NORM,
        SENSITIVITY,
        SEEDS,
    )
}

__all__ = ["FIGURES", "Figure"]
