"""Many points without an object for each: places on a grid.

A million points are a few axes and, of each point, its place on them: four bytes. Points, their ids and the columns
of a record file are made from that where they are needed, for as many as are needed.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .points import KERNEL_VERSION, SHAPING, Point, encode

Places = NDArray[np.int32]
_TOGETHER = 4096


class Source(Protocol):
    """Where points are taken from, by their places."""

    def point(self, place: int) -> Point:
        """One point."""
        ...

    def ids(self, places: Places) -> list[str]:
        """The point_id of each."""
        ...

    def column(self, name: str, places: Places, kind: pa.DataType) -> pa.Array:
        """A parameter of each."""
        ...

    def shapes(self, places: Places) -> NDArray[np.int64]:
        """A number for each, equal for points of equal shape."""
        ...

    def narrowed(self, places: Places) -> tuple[Source, Places]:
        """A source of these points and no others, and their places in it: what is sent to a worker."""
        ...


class Grid:
    """The product of axes, the last axis fastest: ``values`` has for every parameter its values, checked, of which
    None is the only one where the cell lacks the parameter."""

    def __init__(self, values: Mapping[str, tuple[Any, ...]]) -> None:
        self.fixed = {name: axis[0] for name, axis in values.items() if len(axis) == 1}
        self.axes = {name: axis for name, axis in values.items() if len(axis) > 1}
        self.size = 1
        self._strides: dict[str, int] = {}
        for name, axis in reversed(self.axes.items()):
            self._strides[name] = self.size
            self.size *= len(axis)

    def codes(self, name: str, places: Places) -> Places:
        """Which value of an axis each place has."""
        return places // self._strides[name] % len(self.axes[name])

    def point(self, place: int) -> Point:
        """One point."""
        axes = self.axes.items()
        return Point.trusted(
            self.fixed | {name: axis[place // self._strides[name] % len(axis)] for name, axis in axes}
        )

    def ids(self, places: Places) -> list[str]:
        """The point_id of each: the hash of the same text as ``identity`` makes, put together from its pieces."""
        pieces = [self._pieces[name] for name in self._order]
        if not pieces:
            return [self.point(0).point_id] * len(places)
        ids: list[str] = []
        for start in range(0, len(places), _TOGETHER):
            some = places[start : start + _TOGETHER]
            codes = (self.codes(name, some).tolist() for name in self._order)
            columns = [map(piece.__getitem__, code) for piece, code in zip(pieces, codes, strict=True)]
            ids += [
                hashlib.blake2b(b"".join(text), digest_size=16).hexdigest()
                for text in zip(*columns, strict=True)
            ]
        return ids

    @cached_property
    def _order(self) -> list[str]:
        """The axes in the order of the text."""
        return sorted(self.axes)

    @cached_property
    def _pieces(self) -> dict[str, list[bytes]]:
        """For every axis and value the text from behind the axis before, and for the last to the text's end."""
        fixed = {"kernel": KERNEL_VERSION, **{n: v for n, v in self.fixed.items() if v is not None}}
        names = sorted([*fixed, *self.axes])
        pieces: dict[str, list[bytes]] = {}
        before = "{"
        for i, name in enumerate(names):
            key = f"{',' if i else ''}{encode(name)}:"
            if name in fixed:
                before += key + encode(fixed[name])
            else:
                pieces[name] = [f"{before}{key}{encode(value)}".encode() for value in self.axes[name]]
                before = ""
        if pieces:
            last = self._order[-1]
            pieces[last] = [piece + f"{before}}}".encode() for piece in pieces[last]]
        return pieces

    def column(self, name: str, places: Places, kind: pa.DataType) -> pa.Array:
        """A parameter of each."""
        if name in self.fixed:
            return pa.repeat(pa.scalar(self.fixed[name], kind), len(places))
        return pa.array(self.axes[name], kind).take(pa.array(self.codes(name, places)))

    def shapes(self, places: Places) -> NDArray[np.int64]:
        """A number for each, equal for points of equal shape."""
        number = np.zeros(len(places), np.int64)
        for name, axis in self.axes.items():
            if name in SHAPING:
                number = number * len(axis) + self.codes(name, places)
            elif name == "gamma_kind":
                realised = np.array([value == "realised" for value in axis])
                number = 2 * number + realised[self.codes(name, places)]
        return number

    def narrowed(self, places: Places) -> tuple[Grid, Places]:
        """A grid of those values only that these places have, and their places on it."""
        values = {name: (value,) for name, value in self.fixed.items()}
        narrow = np.zeros(len(places), np.int32)
        for name, axis in self.axes.items():
            used, codes = np.unique(self.codes(name, places), return_inverse=True)
            values[name] = tuple(axis[code] for code in used.tolist())
            narrow = narrow * np.int32(len(used)) + codes.astype(np.int32)
        return Grid(values), narrow

    def inside(self, other: Mapping[str, Sequence[Any]], places: Places) -> NDArray[np.bool_]:
        """Which of the points have for every parameter one of these values."""
        found = np.ones(len(places), np.bool_)
        for name, values in other.items():
            keep = frozenset(values)
            if name in self.fixed:
                found &= self.fixed[name] in keep
            else:
                found &= np.array([value in keep for value in self.axes[name]])[self.codes(name, places)]
        return found


class Listed:
    """Points as they are given, an object each."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = tuple(points)

    def point(self, place: int) -> Point:
        """One point."""
        return self.points[place]

    def ids(self, places: Places) -> list[str]:
        """The point_id of each."""
        return [self.points[place].point_id for place in places.tolist()]

    def column(self, name: str, places: Places, kind: pa.DataType) -> pa.Array:
        """A parameter of each."""
        return pa.array([getattr(self.points[place], name) for place in places.tolist()], kind)

    def shapes(self, places: Places) -> NDArray[np.int64]:
        """A number for each, equal for points of equal shape."""
        known: dict[Any, int] = {}
        shapes = (self.points[place].shape for place in places.tolist())
        return np.array([known.setdefault(shape, len(known)) for shape in shapes], np.int64)

    def narrowed(self, places: Places) -> tuple[Listed, Places]:
        """A list of these points and no others."""
        return Listed([self.points[p] for p in places.tolist()]), np.arange(len(places), dtype=np.int32)


class Points(Sequence[Point]):
    """Points in their order, read only: places of one source or several. Equal where the ids are."""

    def __init__(self, parts: Iterable[tuple[Source, Places]]) -> None:
        self._parts = tuple((source, places) for source, places in parts if len(places))
        self._ends = np.cumsum([0, *(len(places) for _, places in self._parts)]).tolist()

    @classmethod
    def of(cls, points: Iterable[Point]) -> Points:
        """Points as they come."""
        if isinstance(points, Points):
            return points
        listed = Listed(tuple(points))
        return cls([(listed, np.arange(len(listed.points), dtype=np.int32))])

    @classmethod
    def joined(cls, several: Sequence[Points]) -> Points:
        """One behind the other."""
        parts: list[tuple[Source, list[Places]]] = []
        for source, places in (part for points in several for part in points._parts):
            if parts and parts[-1][0] is source:
                parts[-1][1].append(places)
            else:
                parts.append((source, [places]))
        return cls((source, np.concatenate(places)) for source, places in parts)

    def __len__(self) -> int:
        return self._ends[-1]

    def __iter__(self) -> Iterator[Point]:
        return (source.point(place) for source, places in self._parts for place in places.tolist())

    @overload
    def __getitem__(self, which: int) -> Point: ...
    @overload
    def __getitem__(self, which: slice) -> Points: ...
    def __getitem__(self, which: int | slice) -> Point | Points:
        if isinstance(which, slice):
            return self.take(np.arange(len(self))[which])
        place = range(len(self))[which]
        part = bisect_right(self._ends, place) - 1
        source, places = self._parts[part]
        return source.point(int(places[place - self._ends[part]]))

    def take(self, which: NDArray[np.integer]) -> Points:
        """These of the points, in this order."""
        of = np.searchsorted(self._ends, which, side="right") - 1
        cuts = [0, *(np.flatnonzero(np.diff(of)) + 1).tolist(), len(which)]
        parts = []
        for a, b in pairwise(cuts):
            if a < b:
                source, places = self._parts[of[a]]
                parts.append((source, places[which[a:b] - self._ends[of[a]]]))
        return Points(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Points, ([source.narrowed(places) for source, places in self._parts],))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Points) and self.ids() == other.ids()

    def __hash__(self) -> int:
        return hash(tuple(self.ids()))

    def __repr__(self) -> str:
        return f"<{len(self):,} points>"

    def ids(self) -> list[str]:
        """The point_id of each."""
        return [one for source, places in self._parts for one in source.ids(places)]

    def column(self, name: str, kind: pa.DataType) -> pa.ChunkedArray:
        """A parameter of each, of this Arrow type; null where the cell lacks it."""
        return pa.chunked_array([source.column(name, places, kind) for source, places in self._parts], kind)

    def by_shape(self) -> Iterator[tuple[tuple[Any, ...], Points]]:
        """The points of every shape, those of a part together."""
        for source, places in self._parts:
            numbers, where = np.unique(source.shapes(places), return_inverse=True)
            for number in range(len(numbers)):
                own = places[where == number]
                yield source.point(int(own[0])).shape, Points([(source, own)])

    def by_seed(self) -> Points:
        """Those of one seed together: they share their random numbers."""
        parts = []
        for source, places in self._parts:
            seeds = source.column("seed", places, pa.int64()).to_numpy()
            parts.append((source, places[np.argsort(seeds, kind="stable")]))
        return Points(parts)
