"""A second implementation of every cell, from the definitions alone: plain, slow, one point at a time.

Nothing here comes from ``longlag``: the engine is checked against it. Every function takes a ``point``
(anything with attributes ``cell``, ``activation``, ``leak``, ``reset``, ``gradient``, ``loss``), ``parameters``
without a point axis (U (G·N,N), W (G·N,M), b (G·N), a (), p (3·N), rho and theta (N/2), b_u (N), V (K,N),
d (K)), inputs (T,B,M), targets (T,B,K) or classes (T,B), in any dtype, complex ones included: derivatives are
complex steps, Im F(x + ih)/h with h = 1e-30: no cancellation, so exact to rounding wherever F is analytic
(Squire & Trapp 1998). relu is analytic away from its kink; ``central_gradient`` (error of order h²) checks it
without that assumption. A gradient that is truncated on purpose is one of F with constants: their real parts.
"""

from dataclasses import dataclass

import numpy as np

H = 1e-30
"""Complex step. Its square is far below the last bit of any number that it is added to."""

GATES = {
    "lstm_1997": ("i", "o", "c"),
    "lstm": ("i", "f", "o", "c"),
    "lstm_peephole": ("i", "f", "o", "c"),
    "gru": ("k", "r", "n"),
    "mingru": ("k", "n"),
}
"""Blocks of the net input, in order; the other cells have one."""


def logistic(z):
    """1/(1 + e^−z), without overflow on either side."""
    small = np.exp(np.where(z.real > 0, -z, z))
    return np.where(z.real > 0, 1.0, small) / (1.0 + small)


ACTIVATIONS = {
    "tanh": np.tanh,
    "logistic": logistic,
    "relu": lambda z: np.where(z.real > 0, z, 0.0),
    "identity": lambda z: z,
}


# ---- cells: (point, parameters, state (B,S), x (B,M), push (B,G·N)) -> new state (B,S), net input z (B,G·N);
# ---- `push` is an additive perturbation of z


def simple(point, p, h, x, push):
    z = h @ p["U"].T + x @ p["W"].T + p["b"] + push
    return ACTIVATIONS[point.activation](z), z


def linear(point, p, h, x, push):
    z = ACTIVATIONS[point.activation](x) @ p["W"].T + push
    return p["a"] * h + z, z


memory = linear  # the same loop, on c; they differ in what the read-out sees: h = c and h = tanh c


def residual(point, p, h, x, push):
    z = h @ p["U"].T + x @ p["W"].T + p["b"] + push
    return (1 - point.leak) * h + point.leak * ACTIVATIONS[point.activation](z), z


def lstm_1997(point, p, state, x, push):
    h, c = np.split(state, 2, axis=-1)
    h = h.real if point.gradient == "truncated" else h  # a constant
    z = h @ p["U"].T + x @ p["W"].T + p["b"] + push
    zi, zo, zc = np.split(z, 3, axis=-1)
    c = p["a"] * c + logistic(zi) * np.tanh(zc)
    h = logistic(zo) * np.tanh(c)
    return np.concatenate([h, c], axis=-1), z


def lstm(point, p, state, x, push):
    h, c = np.split(state, 2, axis=-1)
    z = h @ p["U"].T + x @ p["W"].T + p["b"] + push
    zi, zf, zo, zc = np.split(z, 4, axis=-1)
    c = logistic(zf) * c + logistic(zi) * np.tanh(zc)
    h = logistic(zo) * np.tanh(c)
    return np.concatenate([h, c], axis=-1), z


def lstm_peephole(point, p, state, x, push):
    h, c = np.split(state, 2, axis=-1)
    pi, pf, po = np.split(p["p"], 3)
    zi, zf, zo, zc = np.split(h @ p["U"].T + x @ p["W"].T + p["b"] + push, 4, axis=-1)
    zi, zf = zi + pi * c, zf + pf * c
    c = logistic(zf) * c + logistic(zi) * np.tanh(zc)
    zo = zo + po * c
    h = logistic(zo) * np.tanh(c)
    return np.concatenate([h, c], axis=-1), np.concatenate([zi, zf, zo, zc], axis=-1)


def gru(point, p, h, x, push):
    Uk, Ur, Un = np.split(p["U"], 3)
    Wk, Wr, Wn = np.split(p["W"], 3)
    bk, br, bn = np.split(p["b"], 3)
    pk, pr, pn = np.split(push, 3, axis=-1)
    zk = h @ Uk.T + x @ Wk.T + bk + pk
    zr = h @ Ur.T + x @ Wr.T + br + pr
    k, r = logistic(zk), logistic(zr)
    recurrent = {"before": lambda: (r * h) @ Un.T, "after": lambda: r * (h @ Un.T + p.get("b_u", 0.0))}[
        point.reset
    ]()
    zn = x @ Wn.T + bn + recurrent + pn
    renewed = logistic(-zk)  # 1 − k, with its digits where the keep gate is wide open
    return k * h + renewed * np.tanh(zn), np.concatenate([zk, zr, zn], axis=-1)


def mingru(point, p, h, x, push):
    z = x @ p["W"].T + p["b"] + push
    zk, zn = np.split(z, 2, axis=-1)
    return logistic(zk) * h + logistic(-zk) * zn, z


def diagonal(point, p, h, x, push):
    # every pair as the real and imaginary part of one number would be complex already: written as a matrix
    z = x @ p["W"].T + p["b"] + push
    A = np.zeros((h.shape[-1],) * 2, np.result_type(p["rho"], p["theta"]))
    for j, (rho, theta) in enumerate(zip(p["rho"], p["theta"], strict=True)):
        rotation = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
        A[2 * j : 2 * j + 2, 2 * j : 2 * j + 2] = rho * rotation
    return h @ A.T + z, z


STEPS = {
    f.__name__: f for f in (simple, linear, residual, lstm_1997, lstm, lstm_peephole, gru, mingru, diagonal)
}
STEPS |= {"memory": memory}


def blocks(cell):
    """G, the number of blocks of the net input."""
    return len(GATES.get(cell, "z"))


def width(cell):
    """S/N: the state of the lstm cells is h then c."""
    return 2 if cell.startswith("lstm") else 1


def hidden(point, p, state):
    """h (…,N), what the read-out sees of a state (…,S)."""
    return np.tanh(state) if point.cell == "memory" else state[..., : np.shape(p["V"])[1]]


def shapes(point):
    """Name -> shape of every parameter of the point's cell."""
    N, M, K, G = point.hidden_size, point.input_size, point.output_size, blocks(point.cell)
    loop, dense = {"a": (), "W": (N, M)}, {"U": (G * N, N), "W": (G * N, M), "b": (G * N,)}
    own = loop if point.cell in ("linear", "memory") else dense
    if point.cell in ("mingru", "diagonal"):
        own = {"W": (G * N, M), "b": (G * N,)}
    more = {
        "lstm_1997": {"a": ()},
        "lstm_peephole": {"p": (3 * N,)},
        "diagonal": {"rho": (N // 2,), "theta": (N // 2,)},
    }.get(point.cell, {})
    return own | more | {"V": (K, N), "d": (K,)}


def draw(point, seed, scale=0.6):
    """Random parameters for the point's cell, and standard normal inputs (T,B,M)."""
    rng = np.random.default_rng(seed)
    p = {name: scale * rng.standard_normal(shape) for name, shape in shapes(point).items()}
    p |= {"a": np.array(0.9)} if "a" in p else {}
    return p, rng.standard_normal((point.length, point.batch_size, point.input_size))


# ---- losses of one batch column, (B,K) and (B,K) or (B,) -> (B,)


def squared(y, target):
    return 0.5 * ((y - target) ** 2).sum(axis=-1)


def cross_entropy(y, target):
    # −ln softmax(y)[target] = ln Σ exp(y_j − y_target): written with differences, so that 1 − softmax keeps
    # its digits where the label is nearly certain
    over = y - np.take_along_axis(y, np.asarray(target, dtype=int)[..., None], axis=-1)
    top = over.real.max(axis=-1)
    return top + np.log(np.exp(over - top[..., None]).sum(axis=-1))


LOSSES = {"squared": squared, "cross_entropy": cross_entropy}


@dataclass
class Run:
    """The forward sweep: states (T+1,B,S), net inputs (T,B,G·N), outputs (T,B,K), losses (R,B) a column."""

    states: np.ndarray
    net_inputs: np.ndarray
    outputs: np.ndarray
    losses: np.ndarray

    @property
    def loss(self):
        """L: the sum over loss times of the mean over the batch."""
        return self.losses.mean(axis=1).sum()


def run(point, p, inputs, targets, loss_times, push=None, nudge=None):
    """The whole sequence from s_0 = 0; ``push`` (T,B,G·N) is added to z, ``nudge`` (T+1,B,S) to the states.

    A nudge of s_k acts on all that comes after, the loss of step k included.
    """
    T, B, _ = inputs.shape
    N = np.shape(p["V"])[1]
    dtype = np.result_type(*p.values(), inputs, *(a for a in (push, nudge) if a is not None))
    push = np.zeros((T, B, blocks(point.cell) * N), dtype) if push is None else push
    nudge = np.zeros((T + 1, B, width(point.cell) * N), dtype) if nudge is None else nudge
    states, nets, outputs = [nudge[0].astype(dtype)], [], []
    for x, dz, ds in zip(inputs, push, nudge[1:], strict=True):
        state, z = STEPS[point.cell](point, p, states[-1], x, dz)
        states.append(state + ds)
        nets.append(z)
        outputs.append(hidden(point, p, states[-1]) @ p["V"].T + p["d"])
    losses = [LOSSES[point.loss](outputs[t - 1], targets[t - 1]) for t in loss_times]
    return Run(np.array(states), np.array(nets), np.array(outputs), np.array(losses))


# ---- derivatives


def gradients(point, p, inputs, targets, loss_times):
    """∂L/∂θ for every parameter, one element after the other by complex step."""
    found = {}
    for name, value in p.items():
        found[name] = np.zeros(np.shape(value))
        for index in np.ndindex(found[name].shape):
            moved = np.array(value, dtype=complex)
            moved[index] += 1j * H
            found[name][index] = run(point, {**p, name: moved}, inputs, targets, loss_times).loss.imag / H
    return found


def central_gradient(point, p, inputs, targets, loss_times, name, h):
    """∂L/∂θ of one parameter by central differences: error of order h², no analyticity assumed."""
    found = np.zeros(np.shape(p[name]))
    for index in np.ndindex(found.shape):
        sides = []
        for sign in (1, -1):
            moved = np.array(p[name])
            moved[index] += sign * h
            sides.append(run(point, {**p, name: moved}, inputs, targets, loss_times).loss)
        found[index] = (sides[0] - sides[1]) / (2 * h)
    return found


def error_terms(point, p, inputs, targets, loss_times):
    """δ_{t,k} = ∂L_t/∂z_k (R,T,B,G·N) of each batch column, z_k moved one component after the other."""
    T, B, _ = inputs.shape
    width_z = blocks(point.cell) * np.shape(p["V"])[1]
    found = np.zeros((len(loss_times), T, B, width_z))
    for k, j in np.ndindex(T, width_z):
        push = np.zeros((T, B, width_z), dtype=complex)
        push[k, :, j] = 1j * H
        found[:, k, :, j] = run(point, p, inputs, targets, loss_times, push=push).losses.imag / H
    return found


def adjoints(point, p, inputs, targets, loss_times):
    """λ_{t,k} = ∂L_t/∂s_k (R,T,B,S) of each batch column, k at index k − 1, s_k moved likewise."""
    T, B, _ = inputs.shape
    width_s = width(point.cell) * np.shape(p["V"])[1]
    found = np.zeros((len(loss_times), T, B, width_s))
    for k, j in np.ndindex(T, width_s):
        nudge = np.zeros((T + 1, B, width_s), dtype=complex)
        nudge[k + 1, :, j] = 1j * H
        found[:, k, :, j] = run(point, p, inputs, targets, loss_times, nudge=nudge).losses.imag / H
    return found


def directional(point, p, inputs, targets, loss_times, directions):
    """Σ over the parameters in ``directions`` of ⟨∂L/∂θ, direction⟩, in one complex step: a tangent."""
    moved = p | {name: p[name] + 1j * H * direction for name, direction in directions.items()}
    return run(point, moved, inputs, targets, loss_times).loss.imag / H


def step_jacobians(point, p, states, inputs):
    """∂s_k/∂s_{k−1} (T,B,S,S) and ∂s_k/∂z_k (T,B,S,G·N) of every step of a trajectory, column by column."""
    T, B, S = states[:-1].shape
    before, x = states[:-1].reshape(T * B, S), inputs.reshape(T * B, -1)
    width_z = blocks(point.cell) * np.shape(p["V"])[1]
    step, still = STEPS[point.cell], np.zeros((T * B, width_z))
    by_state = [step(point, p, before + 1j * H * e, x, still)[0].imag / H for e in np.eye(S)]
    by_net = [step(point, p, before, x, still + 1j * H * e)[0].imag / H for e in np.eye(width_z)]
    return (np.stack(columns, axis=-1).reshape(T, B, S, -1) for columns in (by_state, by_net))


def at_loss(point, p, states, targets, t):
    """λ_{t,t} = ∂L_t/∂s_t (B,S), where the adjoint of loss time t starts."""
    found = np.zeros(states[t].shape)
    for j, e in enumerate(np.eye(states.shape[-1])):
        y = hidden(point, p, states[t] + 1j * H * e) @ p["V"].T + p["d"]
        found[:, j] = LOSSES[point.loss](y, targets[t - 1]).imag / H
    return found


def products(point, p, states, inputs, targets, t):
    """δ_{t,k} and λ_{t,k}, k = 1…t, by the explicit product of Jacobians, norms kept as logarithms.

    Returns four arrays: unit vectors (t,B,G·N) and ln norms (t,B) of δ, then (t,B,S) and (t,B) of λ.
    """
    by_state, by_net = step_jacobians(point, p, states[: t + 1], inputs[:t])
    row, scale = split(at_loss(point, p, states, targets, t))
    rows, scales, lost = [row], [scale], np.zeros_like(scale)
    for J in by_state[:0:-1]:
        row, gained = split(np.einsum("bi,bij->bj", row, J))
        dead = np.isneginf(gained) | np.isneginf(scale)
        gained = np.where(dead, 0.0, gained) + lost
        total = np.where(dead, 0.0, scale) + gained
        lost = gained - (total - np.where(dead, 0.0, scale))  # Kahan: ten thousand roundings are not one
        scale = np.where(dead, -np.inf, total)
        rows.append(row)
        scales.append(scale)
    rows, scales = np.array(rows[::-1]), np.array(scales[::-1])
    deltas, gained = split(np.einsum("tbi,tbij->tbj", rows, by_net))
    return deltas, scales + gained, rows, scales


def split(vectors):
    """Unit vectors and ln norms; a zero vector stays zero, with −inf."""
    top = np.abs(vectors).max(axis=-1, keepdims=True)
    top = np.where(top > 0, top, 1.0)
    norms = np.sqrt(((vectors / top) ** 2).sum(axis=-1, keepdims=True)) * top
    alive = norms > 0
    logs = np.where(alive, np.log(np.where(alive, norms, 1.0)), -np.inf)
    return vectors / np.where(alive, norms, 1.0), logs[..., 0]
