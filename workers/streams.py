"""Streams of random numbers, one per seed and array; those of many seeds are begun together where they are short.

A stream is named by the seed and the array alone. To begin one takes longer than to draw a few hundred numbers from
it, and a stack of small points needs thousands: within ``company`` the first to ask for a short array has it drawn
for the next seeds as well, with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

SHORT = 512
"""Numbers of an array up to which its streams are begun together."""
_TOGETHER = 256
_WORD = 1 << 32


def stream(seed: int, *name: object) -> np.random.Generator:
    """The generator of one array: SeedSequence of the seed and a hash of the array's name."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, _hash(name)))))


def _hash(name: tuple[object, ...]) -> int:
    digest = blake2b("/".join(map(str, name)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


class Streams:
    """The streams of one array for S seeds. Every array drawn has S in front of the shape that is asked for."""

    def __init__(self, seeds: list[int], *name: object) -> None:
        self._words = _states(seeds, _hash(name))

    def __len__(self) -> int:
        return len(self._words)

    def _generators(self) -> Iterator[np.random.Generator]:
        for words in self._words:
            seeded: Any = _Words(words)  # of a kind that NumPy's documentation allows and its stubs do not
            yield np.random.Generator(np.random.PCG64(seeded))

    def standard_normal(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """N(0, 1), (S, *shape)."""
        values = np.empty((len(self._words), *shape))
        for one, generator in zip(values, self._generators(), strict=True):
            generator.standard_normal(out=one)
        return values

    def random(self, count: int) -> NDArray[np.float64]:
        """Uniform on [0, 1), (S, count)."""
        return np.array([generator.random(count) for generator in self._generators()])

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Uniform on [low, high), (S, *shape)."""
        return np.array([generator.uniform(low, high, shape) for generator in self._generators()])

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Whole numbers, uniform on low … high − 1, (S, *shape)."""
        return np.array([generator.integers(low, high, shape) for generator in self._generators()])


class _Words(ISeedSequence):
    """A seed sequence that has been run already: the four words that PCG64 asks for."""

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self._words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[Any]:
        """The words, whatever is asked."""
        return self._words


def _states(seeds: list[int], name: int) -> NDArray[np.uint64]:
    """``SeedSequence((seed, name)).generate_state(4, uint64)`` of every seed, (S, 4)."""
    if name < _WORD or max(seeds) >= _WORD:  # fewer, or more, words of entropy than three
        several = (np.random.SeedSequence((seed, name)) for seed in seeds)
        return np.array([one.generate_state(4, np.uint64) for one in several])
    seed = np.array(seeds, np.uint32)
    return _seed_sequences([seed, np.full_like(seed, name % _WORD), np.full_like(seed, name // _WORD)])


def _seed_sequences(entropy: list[NDArray[np.uint32]]) -> NDArray[np.uint64]:
    """NumPy's SeedSequence (its documentation, after M. E. O'Neill's ``seed_seq_fe``) for S entropies of at most
    four words, side by side: eight words of 32 bits each, as four of 64, (S, 4)."""
    hashed = _Hash(0x43B0D7E5, 0x931E8875)
    pool = [hashed(word) for word in [*entropy, *[np.zeros_like(entropy[0])] * (4 - len(entropy))]]
    for source in range(4):
        for target in range(4):
            if source != target:
                mixed = pool[target] * np.uint32(0xCA01F9DD) - hashed(pool[source]) * np.uint32(0x4973F715)
                pool[target] = mixed ^ (mixed >> np.uint32(16))
    hashed = _Hash(0x8B51F9DD, 0x58F38DED)
    words = [hashed(pool[i % 4]).astype(np.uint64) for i in range(8)]
    pairs = [low + high * np.uint64(_WORD) for low, high in zip(words[::2], words[1::2], strict=True)]
    return np.stack(pairs, axis=-1)


class _Hash:
    """A multiplicative hash of 32-bit words, whose constant moves on with every use."""

    def __init__(self, start: int, factor: int) -> None:
        self._constant, self._factor = start, factor

    def __call__(self, word: NDArray[np.uint32]) -> NDArray[np.uint32]:
        word = word ^ np.uint32(self._constant)
        self._constant = self._constant * self._factor % _WORD
        word = word * np.uint32(self._constant)
        return word ^ (word >> np.uint32(16))


class _Company:
    """Seeds that are drawn for together, and what has been drawn so far."""

    def __init__(self, seeds: Iterable[int]) -> None:
        self.seeds = list(dict.fromkeys(seeds))
        self.place = {seed: i for i, seed in enumerate(self.seeds)}
        self.drawn: dict[Hashable, dict[int, NDArray[Any]]] = {}


_company: ContextVar[_Company | None] = ContextVar("company", default=None)


@contextmanager
def company(seeds: Iterable[int]) -> Iterator[None]:
    """Within this context short arrays are drawn for many of these seeds at once."""
    token = _company.set(_Company(seeds))
    try:
        yield
    finally:
        _company.reset(token)


Source = np.random.Generator | Streams
"""Where random numbers come from: one stream, or those of S seeds, with S in front of every shape."""


def together(
    seed: int, name: tuple[object, ...], what: Hashable, numbers: int, draw: Callable[[Streams], NDArray[Any]]
) -> NDArray[Any] | None:
    """An array of the stream ``name``, read-only, drawn for many seeds at once; ``what`` tells one array of a
    stream from another, ``numbers`` is its size. None where it is not short, or the seed is in no company."""
    there = _company.get()
    if there is None or numbers > SHORT or seed not in there.place:
        return None
    drawn = there.drawn.setdefault((name, what), {})
    if seed not in drawn:
        first = there.place[seed]
        seeds = [one for one in there.seeds[first : first + _TOGETHER] if one not in drawn]
        values = draw(Streams(seeds, *name))
        values.flags.writeable = False
        drawn.update(zip(seeds, values, strict=True))
    return drawn[seed]


def drawn(
    seed: int, name: tuple[object, ...], what: Hashable, numbers: int, draw: Callable[[Source], NDArray[Any]]
) -> NDArray[Any]:
    """The same, drawn by itself where it cannot be together."""
    found = together(seed, name, what, numbers, draw)
    return draw(stream(seed, *name)) if found is None else found
