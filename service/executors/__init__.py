"""Where shards are computed: in this process, or by Ray. Peers under one contract; Ray is imported only if used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ahead import Ahead
from .base import ClusterLost, Executor, Outcome

if TYPE_CHECKING:
    from ..settings import Settings

__all__ = ["Ahead", "ClusterLost", "Executor", "Outcome", "make_executor"]


def make_executor(settings: Settings, inline: bool = False) -> Executor:
    """The executor that the settings name; ``inline`` where the work is too small for another process."""
    if inline or settings.ray == "inline":
        from .inline import InlineExecutor

        return InlineExecutor(settings.data)
    from .ray import RayExecutor

    return RayExecutor(settings)
