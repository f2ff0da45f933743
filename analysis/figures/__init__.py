"""The registry of figures: a new one is one file and one line here; a report shows them in this order."""

from .all_pairs import ALL_PAIRS
from .base import Figure
from .bound_gap import BOUND_GAP
from .gammas import GAMMAS
from .gates import GATES
from .gradient_growth import GRADIENT_GROWTH
from .horizons import HORIZONS
from .lag_curves import LAG_CURVES
from .lyapunov import LYAPUNOV
from .mean_field import MEAN_FIELD
from .memory_function import MEMORY_FUNCTION
from .phase_map import PHASE_MAP
from .preserved_norm import PRESERVED_NORM
from .saturation import SATURATION
from .seeds import SEEDS
from .sensitivity import SENSITIVITY
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
        ALL_PAIRS,
        TRUNCATION,
        GRADIENT_GROWTH,
        SATURATION,
        GATES,
        MEMORY_FUNCTION,
        PRESERVED_NORM,
        SENSITIVITY,
        SEEDS,
    )
}

__all__ = ["FIGURES", "Figure"]
