"""Streams of many seeds at once: the same bits as NumPy's own, one by one."""

import numpy as np
import pytest
from longlag.workers import streams
from longlag.workers.streams import Streams, company, drawn, stream
from longlag.workers.weights import ENSEMBLES, block, standard_normal

SEEDS = [0, 1, 2, 77, 2**31, 2**32 - 1]
LARGE = [*SEEDS, 2**32, 2**63 - 1]  # more words of entropy


@pytest.mark.parametrize("seeds", [SEEDS, LARGE], ids=["words", "double-words"])
@pytest.mark.parametrize("draw", [
    lambda source: source.standard_normal((3, 2)),
    lambda source: source.random(7),
    lambda source: source.uniform(-2.0, 3.0, (2, 1, 5)),
    lambda source: source.integers(0, 10, (4, 3)),
], ids=["normal", "random", "uniform", "integers"])  # fmt: skip
def test_streams_together_have_the_bits_of_each_alone(seeds: list[int], draw) -> None:
    together = draw(Streams(seeds, "inputs", 3))
    for one, seed in zip(together, seeds, strict=True):
        assert one.tobytes() == draw(stream(seed, "inputs", 3)).tobytes()


def test_a_stream_is_numpys_own_for_its_seed_and_name() -> None:
    from hashlib import blake2b

    name = int.from_bytes(blake2b(b"U/0", digest_size=8).digest(), "big")
    own = np.random.Generator(np.random.PCG64(np.random.SeedSequence((5, name))))
    assert (stream(5, "U", 0).standard_normal(9) == own.standard_normal(9)).all()


@pytest.mark.parametrize("ensemble", ENSEMBLES)
@pytest.mark.parametrize("N", [1, 2, 5, 22, 23])  # up to 22² numbers are short
def test_blocks_in_company_have_the_bits_of_each_alone(ensemble: str, N: int) -> None:
    alone = [block(seed, 1, ensemble, N).copy() for seed in LARGE]
    with company(LARGE):
        for seed, one in zip(LARGE, alone, strict=True):
            assert block(seed, 1, ensemble, N).tobytes() == one.tobytes()


def test_a_company_larger_than_what_is_drawn_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_TOGETHER", 4)
    alone = {seed: standard_normal(seed, "V", (2, 3)).copy() for seed in range(11)}
    with company(range(10)):
        for seed in (9, 3, 0, 5, 10, 3, 8):  # in any order; 10 is a stranger
            assert (standard_normal(seed, "V", (2, 3)) == alone[seed]).all()


def test_what_is_drawn_together_is_kept_apart_by_size_and_cannot_be_changed() -> None:
    with company(SEEDS):
        short, long = standard_normal(1, "W", (2, 1)), standard_normal(1, "W", (4, 1))
        assert (long[:2] == short).all()
        with pytest.raises(ValueError, match="read-only"):
            short[0] = 1.0
    free = drawn(1, ("W",), "x", 2, lambda source: source.standard_normal((2,)))
    assert (free == short[:, 0]).all()
