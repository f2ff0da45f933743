"""Numerics and the task that a worker runs. Nothing here knows of Ray, SQL or files but record files.

``from longlag.workers import Point, measure, trace`` needs NumPy and Arrow only.
"""

from .foreign import Layer, measure_network, read_network
from .measure import Trace, measure, trace
from .points import Point

__all__ = ["Layer", "Point", "Trace", "measure", "measure_network", "read_network", "trace"]
