"""longlag: how far back does the gradient of a recurrent network really reach?

The public names, loaded when first used, so that ``import longlag`` costs nothing (no NumPy, pandas, Ray or
SQLAlchemy) and so that tools which import a checkout's root under the folder's own name load no module twice.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .face import Client
    from .service.study import Study, linspace, logspace
    from .workers.foreign.network import measure_network, read_network
    from .workers.measure import measure, trace
    from .workers.points import Point

__version__ = "0.1.0"

_HOME = {
    "Client": ".face",
    "Study": ".service.study",
    "linspace": ".service.study",
    "logspace": ".service.study",
    "Point": ".workers.points",
    "measure": ".workers.measure",
    "measure_network": ".workers.foreign.network",
    "read_network": ".workers.foreign.network",
    "trace": ".workers.measure",
}

__all__ = [
    "Client",
    "Point",
    "Study",
    "__version__",
    "linspace",
    "logspace",
    "measure",
    "measure_network",
    "read_network",
    "trace",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
