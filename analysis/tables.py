"""Tables as a page shows them: text in cells, the variant once a group, and no more rows than a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from . import compare, coverage, horizon
from .load import DRAWN_GAMMAS, Frames, longest
from .text import fixed, lags, power_of_ten, short
from .variants import GROUP, headline_gamma, pick, present

MOST_ROWS = 300
LENGTHS = 6


@dataclass(frozen=True)
class Table:
    """What a page shows. ``rows`` holds groups: the first cell of a group spans its rows."""

    title: str
    head: list[str]
    groups: list[tuple[str, list[list[str]]]]
    left_out: int = 0
    note: str = ""
    prose: tuple[str, ...] = ()
    """Columns of words: set to the left; all others are numbers."""

    @property
    def row_count(self) -> int:
        """Rows that are shown."""
        return sum(len(rows) for _, rows in self.groups)


def grouped(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> Table:
    """Rows with the first cell of equal neighbours put together; at most ``MOST_ROWS`` of them."""
    groups: list[tuple[str, list[list[str]]]] = []
    for first, *rest in rows[:MOST_ROWS]:
        if not groups or groups[-1][0] != first:
            groups.append((first, []))
        groups[-1][1].append([*rest])
    return Table(title, list(head), groups, max(len(rows) - MOST_ROWS, 0), note)


def listed(title: str, shown: pd.DataFrame, note: str = "") -> Table:
    """What an analysis prints, as a page shows it."""
    rows = [[_plain(value) for value in row] for row in shown.itertuples(index=False, name=None)]
    return grouped(title, list(shown.columns), rows, note)


def counts(table: pd.DataFrame) -> Table:
    """Coverage: points and statuses by variant, and a sum."""
    statuses = coverage.present(table)
    shown = coverage.shown(table)
    rows = [[_plain(value) for value in row] for row in shown.itertuples(index=False, name=None)]
    if len(rows) > 1:
        sums = [f"{int(table[name].sum()):,}" for name in ("points", *statuses)]
        rows.append(["all", "", "", "", *sums])
    return grouped("", list(shown.columns), rows)


def _plain(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def reasons(table: pd.DataFrame) -> Table:
    """Why points are not ok."""
    rows = [
        [str(row[name]) for name in ("variant", "status", "points", "gammas", "lengths", "example")]
        for row in table.assign(status=table["status"].str.replace("_", " ")).to_dict("records")
    ]
    head = ["cell variant", "status", "points", "γ", "T", "for example"]
    return replace(grouped("Points that are not ok", head, rows), prose=("status", "for example"))


def horizons(frames: Frames, table: pd.DataFrame, rates: pd.DataFrame) -> Table:
    """Horizons at the greatest length of each variant, for at most five γ."""
    keys = list(GROUP)
    own = longest(table[table["level"].isin(horizon.LEVELS)])
    labels = present(own)[: MOST_ROWS // DRAWN_GAMMAS]
    more = own[~own["variant"].isin(labels)].groupby("variant", observed=True)["gamma"].nunique()
    own = own[own["variant"].isin(labels)]
    own = own.assign(text=[horizon.text(r) for r in own.to_dict("records")])
    wide = own[own["level"] == own["level"].iloc[0]][[*keys, "n"]] if len(own) else own[[*keys, "n"]]
    for level in horizon.LEVELS:
        texts = own.loc[own["level"] == level, [*keys, "text"]].rename(columns={"text": level})
        wide = wide.merge(texts, on=keys, how="left")
    bound = own.loc[own["level"] == "horizon_1", [*keys, "bound"]]
    wide = wide.merge(bound, on=keys, how="left").merge(rates, on=keys, how="left")
    rows: list[list[str]] = []
    for label, part in wide.groupby("variant", observed=True, sort=True):
        chosen = pick(part["gamma"], DRAWN_GAMMAS, headline_gamma(frames.variants[str(label)], part["gamma"]))
        rows += [_horizon_row(row) for row in part[part["gamma"].isin(chosen)].to_dict("records")]
    head = ["cell variant", "γ", "half", "10 %", "1 %", "1 % of γ^ℓ"]
    note = (
        f"At the greatest length of each variant; at most {DRAWN_GAMMAS} γ of each. “> L”: the curve never falls "
        "so far within its L lags. “median”: some seeds are censored; in brackets the smallest and the largest "
        "seed. The horizon is of the adjoint, its decay rate a least-squares slope, natural logarithm a lag."
    )
    title = "Horizons in lags, with 95 % intervals over seeds"
    shown = grouped(title, [*head, "decay rate", "left at the end", "seeds"], rows, note)
    return replace(shown, left_out=int(more.clip(upper=DRAWN_GAMMAS).sum()))


def _horizon_row(row: dict) -> list[str]:
    texts = (row[level] for level in horizon.LEVELS)
    return [
        str(row["variant"]),
        short(row["gamma"]),
        *(text if isinstance(text, str) else "–" for text in texts),
        "never" if np.isinf(row["bound"]) else lags(row["bound"]),
        fixed(row.get("decay_rate", np.nan), 3),
        power_of_ten(row.get("ln_ratio_end", np.nan)),
        str(row["n"]),
    ]


def lengths(table: pd.DataFrame) -> Table:
    """The 1 % horizon at every γ and length."""
    own = table[table["level"] == "horizon_1"]
    pairs = own[["variant", "gamma"]].drop_duplicates()
    left_out = max(len(pairs) - MOST_ROWS, 0)
    own = own.merge(pairs.head(MOST_ROWS), on=["variant", "gamma"])
    own = own.assign(text=[horizon.text(r) for r in own.to_dict("records")])
    wide = own.pivot(index=["variant", "gamma"], columns="length", values="text")
    shown = sorted(wide.columns)[-LENGTHS:]
    rows = [
        [str(variant), short(gamma), *(text if isinstance(text := row[T], str) else "–" for T in shown)]
        for (variant, gamma), row in zip(wide.index, wide.to_dict("records"), strict=True)
    ]
    head = ["cell variant", "γ", *(f"T = {T:,}" for T in shown)]
    return replace(grouped("The 1 % horizon at every γ and length", head, rows), left_out=left_out)


def comparisons(table: pd.DataFrame) -> Table:
    """Paired differences."""
    rows = [
        [
            f"{r['level']} against {r['reference']}",
            short(r["gamma"]),
            f"{r['length']:,}",
            compare.rate_text(r),
            compare.ratio_text(r),
            fixed(float(np.nanmax([r["n"], r["horizon_n"]])), 0),
        ]
        for r in table.to_dict("records")
    ]
    head = ["cell variants", "γ", "T", "decay rate, difference", "1 % horizon, ratio", "pairs"]
    return grouped("", head, rows)
