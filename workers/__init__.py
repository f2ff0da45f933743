"""Numerics and the task that a worker runs. Nothing here knows of Ray, SQL or files but record files.

``from longlag.workers import Point, measure, trace`` needs NumPy and Arrow only.
"""

from .measure import Trace, measure, trace
from .points import Point

__all__ = ["Point", "Trace", "measure", "trace"]
