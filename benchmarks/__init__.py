"""The yardstick: what longlag takes against the machine's limit and against its peers. Run by ``longlag bench``.

A group is a function from ``timing.Run`` to rows (``results.Result``); it lives in the module that is named
here and is imported when it is run. Only a checkout has this package; the wheel does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .results import Result
    from .timing import Run


class Group(NamedTuple):
    """What a group measures in a line, and the module and function that do it."""

    line: str
    module: str
    function: str

    def load(self) -> Callable[[Run], Iterable[Result]]:
        """The function of the group."""
        return getattr(import_module(f".{self.module}", __name__), self.function)


GROUPS = {
    "sweeps": Group("curves and all gradients of five cells, four shapes, two types", "kernels", "sweeps"),
    "pairs": Group("all pairs of error terms at T = 256 and 1,024", "kernels", "pairs"),
    "lyapunov": Group("Lyapunov spectra of stacked networks", "kernels", "lyapunov"),
    "studies": Group("a whole study of 3,000 mixed points on two cores", "studies", "studies"),
    "millions": Group(
        "100,000 and 1,000,000 trivial points: plan, commit, resume, query", "millions", "millions"
    ),
    "scaling": Group("a million mixed points on 10 to 10,000 simulated workers", "scaling", "scaling"),
    "startup": Group("longlag --help, and what an import loads", "startup", "startup"),
}
"""Every group, in the order in which they are run."""
