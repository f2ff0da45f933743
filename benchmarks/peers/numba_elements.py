"""What a compiled kernel does element by element: nonlinearities, inputs and biases, what is collected for their
gradients. A pass over rows that are in the cache, with the processor's widest vectors.

Arrays here are those of one step of one point: rows of N units (or G N net inputs), one a column of the batch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

numba: Any = import_module("numba")
llvm: Any = import_module("llvmlite.binding")
ir: Any = import_module("llvmlite.ir")
intrinsic: Any = import_module("numba.extending").intrinsic

# By itself LLVM takes half of the 64 bytes that a vector could have, gives up a loop that needs more than eight
# checks on overlap, and checks the blocks of an array (B, G, N) over all rows at once, where they always overlap.
_FEATURES = llvm.get_host_cpu_features()
if _FEATURES.get("avx512f"):
    numba.config.CPU_FEATURES = f"{_FEATURES.flatten()},-prefer-256-bit"
llvm.set_option("", "-runtime-memory-check-threshold=128")
llvm.set_option("", "-hoist-runtime-checks=false")

compiled = numba.njit(fastmath=True, error_model="numpy")
TOGETHER = 4
"""Inputs that a pass takes; their number is filled up with zeros to a multiple of it."""


@intrinsic
def like(_: Any, x: Any, constant: Any) -> Any:
    """A number in the type of x, so that single precision stays single."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return context.cast(builder, given[1], signature.args[1], signature.args[0])

    return x(x, constant), code


@intrinsic
def nearest(_: Any, x: Any) -> Any:
    """The nearest integer, as a number of the type of x."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.call(builder.module.declare_intrinsic("llvm.rint", [given[0].type]), given)

    return x(x), code


@intrinsic
def two_to(_: Any, n: Any) -> Any:
    """2ⁿ of an integer within the range of exponents, put together from its bits."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        bits, bias, fraction = (32, 127, 23) if signature.args[0].bitwidth == 32 else (64, 1023, 52)
        word = ir.IntType(bits)
        exponent = builder.add(builder.fptosi(given[0], word), ir.Constant(word, bias))
        return builder.bitcast(builder.shl(exponent, ir.Constant(word, fraction)), given[0].type)

    return n(n), code


@numba.njit(fastmath={"contract", "nnan", "ninf", "nsz"})  # sums keep their order, divisions are divisions
def shares(x: Any) -> Any:
    """eˣ/(1+eˣ), 1/(1+eˣ) and their difference tanh(x/2), from one exponential and one division.

    eˣ = 2ⁿ (q+p)/(q−p) with Padé's approximant [6/6] of r = x − n ln 2; the difference is taken before the
    division, where nothing cancels. |x| is at most 60, where the logistic is 1 to the last digit.
    """
    x = min(max(x, like(x, -60.0)), like(x, 60.0))
    n = nearest(x * like(x, 1.4426950408889634))
    r = x - n * like(x, 0.693145751953125) - n * like(x, 1.42860682030941723212e-6)
    s = r * r
    p = r * ((like(x, 42.0) * s + like(x, 10080.0)) * s + like(x, 332640.0))
    q = ((s + like(x, 840.0)) * s + like(x, 75600.0)) * s + like(x, 665280.0)
    two, low, one = two_to(n), q - p, like(x, 1.0)
    up = two * (q + p)
    over = one / (up + low)
    return up * over, low * over, (two * (p + p) + (two - one) * low) * over


@compiled
def tanh_of(x: Any, out: Any) -> None:
    """tanh of every element of a contiguous array, into another one."""
    source, target = x.reshape(-1), out.reshape(-1)
    for i in range(source.size):
        target[i] = shares(source[i] + source[i])[2]


@compiled
def driven(z: Any, x: Any, W: Any, b: Any) -> None:
    """z += W x + b of every row: z (B, G N), x (B, M), W (M, G N) transposed, b (G N)."""
    for i in range(len(z)):
        for n in range(z.shape[1]):
            z[i, n] += b[n] + x[i, 0] * W[0, n] + x[i, 1] * W[1, n] + x[i, 2] * W[2, n] + x[i, 3] * W[3, n]
        for m in range(TOGETHER, len(W), TOGETHER):
            for n in range(z.shape[1]):
                z[i, n] += (
                    x[i, m] * W[m, n]
                    + x[i, m + 1] * W[m + 1, n]
                    + x[i, m + 2] * W[m + 2, n]
                    + x[i, m + 3] * W[m + 3, n]
                )


@compiled
def collected(delta: Any, x: Any, gW: Any, gb: Any) -> None:
    """gW += Σ x δᵀ and gb += Σ δ over the rows: the shapes of ``driven``."""
    for i in range(len(delta)):
        for n in range(delta.shape[1]):
            gb[n] += delta[i, n]
        for m in range(0, len(gW), TOGETHER):
            a, b, c, d = gW[m], gW[m + 1], gW[m + 2], gW[m + 3]
            for n in range(delta.shape[1]):
                one = delta[i, n]
                a[n] += x[i, m] * one
                b[n] += x[i, m + 1] * one
                c[n] += x[i, m + 2] * one
                d[n] += x[i, m + 3] * one


@compiled
def read(h: Any, V: Any, d: Any, labels: Any, signal: Any, gV: Any, gd: Any) -> None:
    """∂L/∂h of ½‖V h + d − y‖² in every row: h and signal (B, N), labels (B, K); gV and gd are added to."""
    signal[:] = like(h[0, 0], 0.0)
    for i in range(len(h)):
        for k in range(len(V)):
            miss = d[k] - labels[i, k]
            for n in range(h.shape[1]):
                miss += V[k, n] * h[i, n]
            gd[k] += miss
            for n in range(h.shape[1]):
                signal[i, n] += miss * V[k, n]
                gV[k, n] += miss * h[i, n]
