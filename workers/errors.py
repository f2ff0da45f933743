"""The tree of errors; every one is a builtin as well, and its text is one line that says what to do.

LonglagError
├── InvalidPoint (ValueError)   a parameter, probe or own array that cannot be
├── Unreachable (ValueError)    a gamma that the cell's knob cannot reach, a critical point that is nowhere
├── TooLarge (MemoryError)      more memory than there is
└── BadFile (OSError)           a file that is missing, truncated, altered, or not what it has to be
"""

from collections.abc import Iterable
from difflib import get_close_matches


class LonglagError(Exception):
    """What every error of longlag is: its text is one line that says what was given, allowed, and to do."""


class InvalidPoint(LonglagError, ValueError):
    """A parameter, probe or own array that cannot be: the text names it, what is allowed and the nearest."""


class Unreachable(LonglagError, ValueError):
    """A gamma that this cell's knob cannot reach, or a critical point that is nowhere; the text gives the range."""


class TooLarge(LonglagError, MemoryError):
    """More memory than there is; the text gives the estimate, the limit and what would make it smaller."""


class BadFile(LonglagError, OSError):
    """A file that is missing, truncated, altered or not what it has to be; the text says which and what to do."""


def nearest(name: object, allowed: Iterable[str]) -> str:
    """``did you mean 'lstm'? Allowed: a, b, c``, for the end of a message about an unknown name."""
    names = list(allowed)
    close = get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Allowed: {', '.join(names)}"
