"""The registry of probes: what is measured, as named columns. A new one is one file and one line here."""

from collections.abc import Iterable

from ..cells import CELLS
from ..errors import InvalidPoint, nearest
from .base import Column, Probe, Swept
from .curves import CURVES
from .gradients import GRADIENTS
from .jacobian import JACOBIAN
from .lyapunov import LYAPUNOV
from .mean_field import MEAN_FIELD
from .pairs import ALL_PAIRS, PAIR_MAP
from .path import PATH
from .saturation import SATURATION
from .truncation import GRADIENT_BY_LAG, TRUNCATED_BPTT

PROBES: dict[str, Probe] = {
    probe.name: probe
    for probe in (
        CURVES,
        GRADIENTS,
        SATURATION,
        PATH,
        LYAPUNOV,
        JACOBIAN,
        ALL_PAIRS,
        PAIR_MAP,
        GRADIENT_BY_LAG,
        TRUNCATED_BPTT,
        MEAN_FIELD,
    )
}
DEFAULT_PROBES = ("curves", "gradients", "saturation")

BASE_COLUMNS = (
    Column("status", "string", "", "ok, dead, overflow, unreachable or no_signal"),
    Column("status_detail", "string", "", "what the status means here, with the step; null where ok"),
    Column(
        "gamma_nominal",
        "float64",
        "1/lag",
        "γ_u·γ_f or the cell's own meaning, from its arrays",
        "Bengio, Simard & Frasconi 1994; Pascanu, Mikolov & Bengio 2013",
    ),
    Column("loss_value", "float64", "", "L, summed over loss times, averaged over the batch"),
    Column("dead_fraction", "float64", "", "share of loss times and columns whose adjoint is zero at step 1"),
)
"""What every run has, whatever its probes."""


def scalar_columns() -> tuple[Column, ...]:
    """Every measure that is a number, flag or text: base first, then by probe."""
    probes = (column for probe in PROBES.values() for column in probe.columns)
    return tuple(c for c in (*BASE_COLUMNS, *probes) if not c.type.startswith("list"))


def check_probes(names: Iterable[str], cells: Iterable[str] = ()) -> tuple[str, ...]:
    """The probes asked for, each once, in the registry's order.

    Raises InvalidPoint for an unknown one, and for one that none of the ``cells`` can have.
    """
    given = [names] if isinstance(names, str) else list(names)
    for name in given:
        if name not in PROBES:
            raise InvalidPoint(f"no probe is called {name!r}: {nearest(name, PROBES)}")
    if not given:
        raise InvalidPoint(f"no probe is asked for: give some of {', '.join(PROBES)}")
    kinds = [CELLS[cell] for cell in dict.fromkeys(cells)]
    for name in given:
        reasons = [PROBES[name].lacking(kind) for kind in kinds]
        if reasons and all(reasons):
            raise InvalidPoint(f"probe {name!r}: {reasons[0]}")
    return tuple(name for name in PROBES if name in given)


__all__ = [
    "BASE_COLUMNS",
    "DEFAULT_PROBES",
    "PROBES",
    "Column",
    "Probe",
    "Swept",
    "check_probes",
    "scalar_columns",
]
