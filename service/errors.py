"""The service's branch of the tree of errors; every one is a builtin as well, and its text is one line.

LonglagError (``workers.errors``)
├── InvalidStudy (ValueError)            a study, or a study file, that cannot be
├── InvalidSettings (ValueError)         an option or variable that cannot be
├── StoreUnavailable (OSError)           the folder of the Parquet files cannot be written or read
├── DatabaseUnavailable (RuntimeError)   the index cannot be reached, is damaged, or is of a newer schema
├── JobConflict (RuntimeError)           another job of the study is in the way
├── QueryRefused (ValueError)            SQL that is wrong, writes, or passes a limit
├── ClusterUnavailable (ConnectionError) no Ray at the address, or its nodes do not see the store
└── NotFound (LookupError)               a study, revision, job, index or store that is not there
"""

from collections.abc import Iterable
from difflib import get_close_matches

from ..workers.errors import LonglagError

__all__ = [
    "ClusterUnavailable",
    "DatabaseUnavailable",
    "InvalidSettings",
    "InvalidStudy",
    "JobConflict",
    "LonglagError",
    "NotFound",
    "QueryRefused",
    "StoreUnavailable",
    "first_line",
    "hint",
]


class InvalidStudy(LonglagError, ValueError):
    """A study, or a study file, that cannot be: the text says what was given, and what is allowed."""


class InvalidSettings(LonglagError, ValueError):
    """An option or environment variable that cannot be: the text says what is allowed."""


class StoreUnavailable(LonglagError, OSError):
    """The store's folder cannot be written or read: no permission, not a folder, a full disk."""


class DatabaseUnavailable(LonglagError, RuntimeError):
    """The index cannot be reached, is damaged or busy, or a newer longlag made it: the text says what to do."""


class JobConflict(LonglagError, RuntimeError):
    """Another job of the study is in the way: the text names it and how to wait for it or to cancel it."""


class QueryRefused(LonglagError, ValueError):
    """SQL that is wrong, that is not one reading statement, or that passes the time limit or row cap."""


class ClusterUnavailable(LonglagError, ConnectionError):
    """No Ray answers at the address, or a node of the cluster does not see the store."""


class NotFound(LonglagError, LookupError):
    """A study, revision, job, index or store that is not there: the text gives the nearest, or how to make it."""


def hint(name: object, known: Iterable[str], otherwise: str = "") -> str:
    """``did you mean 'gamma' or 'gamma_kind'?`` where some known name is near, else ``otherwise``.

    For long lists of names; ``workers.errors.nearest`` prints the whole list.
    """
    names = {known_name.lower(): known_name for known_name in known}
    close = get_close_matches(str(name).lower(), names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(repr(names[c]) for c in close)}?" if close else otherwise


def first_line(problem: BaseException) -> str:
    """The first line of an exception's text, or its class where it has none."""
    return next((line.strip() for line in str(problem).splitlines() if line.strip()), type(problem).__name__)
