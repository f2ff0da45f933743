"""Numbers as people read them: few digits, a true minus sign, and ``> L`` where a horizon is censored."""

from __future__ import annotations

import math
from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"


def number(value: float, digits: int = 2) -> str:
    """A number to so many significant digits, or whole: 0.012, 9.1, 43, 1,290; – where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value == 0:
        return "0"
    size, decade = abs(value), math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if size >= 1e15 or size < 1e-4:
        mantissa, exponent = f"{size:.{max(digits - 1, 0)}e}".split("e")
        text = f"{mantissa}e{int(exponent)}".replace("e-", f"e{MINUS}")
    else:
        text = f"{size:,.{max(digits - 1 - decade, 0)}f}"
    return (MINUS if value < 0 and any(c in "123456789" for c in text) else "") + text


def exact(value: float) -> str:
    """A parameter's value as it was given: 1, 0.99, 0.5."""
    return f"{value:.12g}".replace("-", MINUS)


def short(gamma: float) -> str:
    """A γ in a label: as it was given, or where that is long (σ(1), √2) to as few digits as leave it and its
    distance from one right to two thousandths: 0.731, 1.414, 0.9933."""
    given = exact(gamma)
    if len(given) <= 6 or not math.isfinite(gamma):
        return given
    apart = 2e-3 * min(abs(gamma), abs(1 - gamma))
    texts = (exact(float(f"{gamma:.{digits}g}")) for digits in range(3, 12))
    return next((t for t in texts if abs(float(t.replace(MINUS, "-")) - gamma) <= apart), given)


def fixed(value: float, places: int) -> str:
    """A number to so many decimal places, so that the numbers of a column line up."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{abs(value):,.{places}f}"
    return (MINUS if value < 0 and any(c in "123456789" for c in text) else "") + text


def power_of_ten(ln: float) -> str:
    """exp(ln) as 10 to a power, however small or large: 10^−48.4, 0.034, 12."""
    if math.isnan(ln):
        return "–"
    if math.isinf(ln):
        return "0" if ln < 0 else "∞"
    decades = ln / math.log(10)
    return number(math.exp(ln)) if -3 <= decades <= 4 else f"10^{fixed(decades, 1)}"


def between(low: float, high: float, n: int, digits: int = 2) -> str:
    """`` [low, high]`` behind a mean, or `` (n = 1)`` where one seed gives no interval."""
    if n == 1:
        return " (n = 1)"
    if math.isnan(low) or math.isnan(high):
        return ""
    return f" [{number(low, digits)}, {number(high, digits)}]"


def spread(low: str, high: str, n: int) -> str:
    """`` [low, high]`` of texts behind a mean; nothing where the seeds are alike, `` (n = 1)`` for one seed."""
    if n == 1:
        return " (n = 1)"
    return "" if "–" in (low, high) or low == high else f" [{low}, {high}]"


def horizon(kind: str, centre: float, low: float, high: float, n: int, censored: int, limit: float) -> str:
    """A horizon over seeds in a table: ``9.1 [7.6, 10.9]``, ``> 255``, ``median 180 [120, > 255]``."""
    beyond = f"> {lags(limit, 0)}"
    if kind == "none" or n == 0:
        return "–"
    if kind == "geometric mean":
        return lags(centre) + ("" if centre == 0 else lag_range(centre, low, high, n))
    if kind == "median":
        return f"median {lags(centre)} [{lags(low)}, {beyond}]"
    return beyond if censored == n else f"median {beyond} [{lags(low)}, {beyond}]"


def lags(value: float, places: int | None = None) -> str:
    """A horizon in lags: one decimal below a hundred, whole above, or so many ``places``."""
    if math.isnan(value):
        return "–"
    return f"{value:,.{_places(value) if places is None else places}f}"


def _places(value: float) -> int:
    return 1 if value < 99.95 else 0


def lag_range(centre: float, low: float, high: float, n: int) -> str:
    """`` [9.8, 11.4]`` behind a horizon, to as many places as its centre has."""
    if n == 1:
        return " (n = 1)"
    if math.isnan(low) or math.isnan(high):
        return ""
    ends = [lags(end, min(_places(centre), _places(end))) for end in (low, high)]
    return f" [{', '.join(ends)}]"


def listing(items: Sequence[str]) -> str:
    """a, b and c."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 point``, ``1,290 points``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
