"""All pairs of a simple network against its matrix products: ``python benchmarks/all_pairs.py``.

T²/2 error terms of B columns are T²/2·B products of a vector with an (N, N) matrix, 2N² operations each. Their rate
over the whole call, from drawing the weights to the table, is compared with that of one large product of the
same inner size, measured in the same run, in turns, in seconds of processor time on one BLAS thread.
"""

import statistics
import time

import numpy as np
from longlag.workers import Point, measure
from threadpoolctl import threadpool_limits

REPETITIONS, ROWS, TIMES = 9, 4096, 60


def product_rate(N: int) -> float:
    """Operations a second of (4096, N) × (N, N)."""
    rng = np.random.default_rng(0)
    left, right, out = rng.standard_normal((ROWS, N)), rng.standard_normal((N, N)), np.empty((ROWS, N))
    began = time.process_time()
    for _ in range(TIMES):
        np.matmul(left, right, out=out)
    return TIMES * 2 * ROWS * N * N / (time.process_time() - began)


def pairs_rate(point: Point) -> tuple[float, float]:
    """Operations a second of all pairs of a point, and the seconds it takes."""
    began = time.process_time()
    measure(point, probes=["all_pairs"])
    seconds = time.process_time() - began
    T, B, N = point.length, point.batch_size, point.hidden_size
    return T * T / 2 * B * 2 * N * N / seconds, seconds


def main() -> None:
    """Print medians over interleaved repetitions."""
    point = Point(length=256, loss_times="every")
    with threadpool_limits(1, "blas"):
        pairs_rate(point)
        rounds = [(product_rate(point.hidden_size), *pairs_rate(point)) for _ in range(REPETITIONS)]
    product, pairs, seconds = (statistics.median(values) for values in zip(*rounds, strict=True))
    ratio = statistics.median(pairs / product for product, pairs, _ in rounds)
    print(f"product   {product / 1e9:6.1f} GFLOP/s")
    print(f"all pairs {pairs / 1e9:6.1f} GFLOP/s in {seconds:.3f} s")
    print(f"ratio     {ratio:6.2f}")


if __name__ == "__main__":
    main()
