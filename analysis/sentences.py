"""How numbers become sentences: which row of a table speaks for a variant, and how several share a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .load import Frames, longest
from .text import listing
from .variants import Variant

MOST, ENDS, LONGEST = 8, 2, 720
"""So many variants, and in so many characters, are all named; of more, so many at either end. The tables have them
all."""
Said = tuple[Variant, float, str]
"""A variant, the γ at which something is said of it, and what."""


def at_headline(frames: Frames, table: pd.DataFrame) -> list[tuple[Variant, float, dict]]:
    """The row of each variant at its greatest length and at the γ nearest to the cell's default."""
    if table.empty:
        return []
    table = longest(table)
    default = (
        table["variant"].astype(object).map({v.label: v.default_gamma for v in frames.variants.values()})
    )
    nearest = table.assign(_far=(table["gamma"] - default.astype("float64")).abs())
    nearest = nearest.sort_values(["variant", "_far"], kind="stable").drop_duplicates("variant")
    rows = nearest.drop(columns="_far").to_dict("records")
    return [(frames.variants[str(row["variant"])], float(row["gamma"]), row) for row in rows]


def few(said: list[Said], sizes: Sequence[float]) -> tuple[list[Said], str]:
    """What is said of all variants, or where there are too many of those at either end by size; and a remark."""
    length = sum(len(v.noun) + len(text) + len(v.at(gamma)) for v, gamma, text in said)
    if len(said) <= 2 * ENDS or (len(said) <= MOST and length <= LONGEST):
        return said, ""
    if min(sizes) == max(sizes):
        same = len({text for _, _, text in said}) == 1
        others = f"the other {len(said) - 2 * ENDS} variants"
        return said[: 2 * ENDS], f"So it is for {others}." if same else f"The table has {others}."
    order = sorted(range(len(said)), key=lambda i: sizes[i])
    kept = [said[i] for i in (*order[:ENDS], *order[-ENDS:])]
    return kept, f"These are the least and the most of {len(said)} variants; the table has all."


def together(
    said: list[Said], sizes: Sequence[float], verb: tuple[str, str], also: str | tuple[str, str]
) -> list[str]:
    """A sentence for the variants at one nominal γ, and one for all others.

    ``At nominal γ = 1 the A keeps x and the B y.`` ``The C with a loop weight of 1 and the D with its forget
    gate at 0.99 keep z.`` ``verb``: of one and of several subjects; ``also`` (one, or of one and of
    several) stands in its place from the second part on. Variants of which the same is said are named together.
    """
    said, remark = few(said, sizes)
    leading = [one for one in said if one[0].at(one[1]).startswith("at ")]
    phrase = leading[0][0].at(leading[0][1]) if leading else ""
    first = [one for one in leading if one[0].at(one[1]) == phrase]
    rest = [one for one in said if one not in first]
    sentences = [f"{capital(phrase)} {_parts(first, verb, also, with_place=False)}."] if first else []
    sentences += [f"{capital(_parts(rest, verb, also, with_place=True))}."] if rest else []
    return sentences + ([remark] if remark else [])


def _parts(said: list[Said], verb: tuple[str, str], also: str | tuple[str, str], with_place: bool) -> str:
    """the A and the B with a loop weight of 1 <verb> x, the C with its forget gate at 0.99 <also> y."""
    texts: dict[str, dict[str, list[str]]] = {}
    for variant, gamma, text in said:
        place = f" {variant.at(gamma)}" if with_place else ""
        texts.setdefault(text, {}).setdefault(place, []).append(f"the {variant.noun}")
    parts = []
    for i, (text, places) in enumerate(texts.items()):
        subjects = [f"{listing(nouns)}{place}" for place, nouns in places.items()]
        several = len(subjects) > 1 or len(next(iter(places.values()))) > 1
        then = also if isinstance(also, str) else also[several]
        parts.append(f"{listing(subjects)} {then if i else verb[several]}{text}")
    return listing(parts) if len(texts) < 2 or not with_place else "; ".join(parts)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
