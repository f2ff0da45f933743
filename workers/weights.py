"""Random numbers of a point: one stream per array, and the ensembles of recurrent blocks.

A stream is named by the seed and the array alone, so weights do not depend on gamma, length or cell: points
that differ in one axis are paired, and the first block of a gated cell is the matrix of the simple cell.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .streams import Source, Streams, drawn, stream, together

Matrix = NDArray[np.float64]
_CACHED_BYTES = 1 << 18


def standard_normal(seed: int, name: str, shape: tuple[int, ...]) -> Matrix:
    """N(0, 1) numbers of the array ``name``; read-only, its first axis a prefix of any longer draw."""
    numbers = math.prod(shape)
    shared = together(seed, (name,), shape, numbers, lambda streams: streams.standard_normal(shape))
    if shared is not None:
        return shared
    return (_cached_normal if 8 * numbers <= _CACHED_BYTES else _normal)(seed, name, shape)


def _normal(seed: int, name: str, shape: tuple[int, ...]) -> Matrix:
    values = stream(seed, name).standard_normal(shape)
    values.flags.writeable = False
    return values


_cached_normal = lru_cache(maxsize=128)(_normal)


def standard_uniform(seed: int, name: str, count: int) -> Matrix:
    """Numbers uniform on [0, 1) of the array ``name``; a prefix of any longer draw."""
    return drawn(seed, (name,), ("uniform", count), count, lambda source: source.random(count))


def _orthogonal(rng: Source, N: int) -> Matrix:
    """Haar-distributed: QR of a Gaussian matrix with the signs of R's diagonal removed (Mezzadri 2007)."""
    Q, R = np.linalg.qr(rng.standard_normal((N, N)))
    return Q * np.where(np.diagonal(R, axis1=-2, axis2=-1) < 0, -1.0, 1.0)[..., None, :]


def _gaussian(rng: Source, N: int) -> Matrix:
    """G/√N, the Ginibre ensemble: spectral radius → 1, spectral norm → 2 for large N."""
    return rng.standard_normal((N, N)) / np.sqrt(N)


def _identity(rng: Source, N: int) -> Matrix:
    """Le, Jaitly & Hinton 2015 start a ReLU network here."""
    return np.eye(N)


def _ring(rng: Source, N: int) -> Matrix:
    """Unit i feeds unit i + 1, the last one the first: a cyclic permutation (Rodan & Tiňo 2011)."""
    return np.roll(np.eye(N), 1, axis=0)


ENSEMBLES: dict[str, Callable[[Source, int], Matrix]] = {
    "orthogonal": _orthogonal,
    "gaussian": _gaussian,
    "identity": _identity,
    "ring": _ring,
}
"""Blocks at gain 1: (source, N) -> (N, N), or (S, N, N) of S streams, or (N, N) where it is not random."""


def block(seed: int, index: int, ensemble: str, N: int) -> Matrix:
    """Recurrent block number ``index`` at gain 1: (N, N), read-only."""
    name = ("U", index, ensemble, N)
    shared = together(seed, name, "block", N * N, lambda streams: _blocks(streams, ensemble, N))
    if shared is not None:
        return shared
    size = 8 * N * N  # what is kept stays below 50 MiB, whatever N
    kept = _small_block if size <= _CACHED_BYTES else _medium_block if size <= 8 * _CACHED_BYTES else _block
    return kept(seed, index, ensemble, N)


def _blocks(streams: Streams, ensemble: str, N: int) -> Matrix:
    """One block for every stream: (S, N, N)."""
    return np.array(np.broadcast_to(ENSEMBLES[ensemble](streams, N), (len(streams), N, N)))


def _block(seed: int, index: int, ensemble: str, N: int) -> Matrix:
    matrix = ENSEMBLES[ensemble](stream(seed, "U", index, ensemble, N), N)
    matrix.flags.writeable = False
    return matrix


_small_block, _medium_block = lru_cache(maxsize=64)(_block), lru_cache(maxsize=16)(_block)


@lru_cache(maxsize=256)
def _norm(seed: int, ensemble: str, N: int) -> float:
    """σ_1 of block 0: exactly 1 where the ensemble is orthogonal by construction."""
    return float(np.linalg.norm(block(seed, 0, ensemble, N), 2)) if ensemble == "gaussian" else 1.0


@lru_cache(maxsize=256)
def _radius(seed: int, ensemble: str, N: int) -> float:
    """ρ of block 0: exactly 1 where the ensemble is orthogonal by construction."""
    if ensemble != "gaussian":
        return 1.0
    return float(np.abs(np.linalg.eigvals(block(seed, 0, ensemble, N))).max())


GAMMA_KINDS: dict[str, Callable[[int, str, int, float], float]] = {
    "nominal": lambda seed, ensemble, N, slope: 1 / (slope * _norm(seed, ensemble, N)),
    "gain": lambda seed, ensemble, N, slope: 1.0,
    "radius": lambda seed, ensemble, N, slope: 1 / _radius(seed, ensemble, N),
}
"""The scale of block 0 for gamma = 1: of σ_1(U)·γ_f = gamma, of U = gamma·Q or gamma·G/√N, of ρ(U) = gamma."""


def recurrent(seed: int, ensemble: str, N: int, kind: str, gamma: float, slope: float) -> Matrix:
    """U (N, N) of a cell whose recurrent matrix is what gamma scales; ``slope`` is γ_f = sup f'."""
    return block(seed, 0, ensemble, N) * (gamma * GAMMA_KINDS[kind](seed, ensemble, N, slope))


def blocks(seed: int, ensemble: str, N: int, count: int, gain: float) -> Matrix:
    """U (count·N, N) of a gated cell: blocks 0 … count−1 in the order of its gates, each times ``gain``."""
    return np.concatenate([block(seed, g, ensemble, N) for g in range(count)]) * gain


def input_weights(seed: int, rows: int, M: int) -> Matrix:
    """W (rows, M) ~ N(0, 1/M)."""
    return standard_normal(seed, "W", (rows, M)) / np.sqrt(M)


def peepholes(seed: int, count: int) -> Matrix:
    """p (count,) ~ N(0, 0.1²)."""
    return standard_normal(seed, "p", (count,)) * 0.1


def ring(seed: int, pairs: int, least: float) -> Matrix:
    """ρ (pairs,): ρ² uniform on [least², 1], and the largest exactly 1 (LRU, Orvieto et al. 2023).

    What is uniform is divided by its maximum: given that, the others are still independent and uniform.
    """
    share = standard_uniform(seed, "rho", pairs)
    return np.sqrt(least**2 + (1 - least**2) * (share / share.max()))


def angles(seed: int, pairs: int) -> Matrix:
    """θ (pairs,) uniform on [0, 2π)."""
    return standard_uniform(seed, "theta", pairs) * (2 * np.pi)


def read_out(seed: int, K: int, N: int) -> Matrix:
    """V (K, N) ~ N(0, 1/N)."""
    return standard_normal(seed, "V", (K, N)) / np.sqrt(N)
