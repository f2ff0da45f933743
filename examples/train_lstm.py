"""Train PyTorch's nn.LSTM on the adding problem, and save what ``longlag measure`` reads. Needs PyTorch.

    python examples/train_lstm.py        # some minutes; writes adding_lstm.npz and adding_inputs.npy beside it
    longlag measure examples/adding_lstm.npz --cell lstm --readout readout --inputs examples/adding_inputs.npy

The two files are in the repository, so the second line needs no PyTorch. The network sees a number in [0, 1] and
a mark at each of 60 steps, and says the sum of the two marked numbers at the end; 1/6 is the loss of chance.
"""

from pathlib import Path

import numpy as np
import torch

HERE, T, B, N, STEPS = Path(__file__).parent, 60, 32, 24, 4000


def batch(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (T, count, 2): numbers, and marks at one step of either half; and the sums (count, 1)."""
    x = np.zeros((T, count, 2))
    x[..., 0] = rng.uniform(size=(T, count))
    for half in (0, T // 2):
        x[half + rng.integers(T // 2, size=count), np.arange(count), 1] = 1
    return x, (x[..., 0] * x[..., 1]).sum(axis=0)[:, None]


def main() -> None:
    """Train, say how well, and write the files."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    lstm, readout = torch.nn.LSTM(2, N), torch.nn.Linear(N, 1)
    parameters = [*lstm.parameters(), *readout.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=5e-3)
    for step in range(1, STEPS + 1):
        x, y = (torch.tensor(a, dtype=torch.float32) for a in batch(rng, B))
        loss = ((readout(lstm(x)[0][-1]) - y) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if step % 500 == 0:
            print(f"{step} steps: mean squared error {loss.item():.4f} (chance {1 / 6:.4f})", flush=True)
    state = {f"lstm.{name}": value for name, value in lstm.state_dict().items()}
    state |= {f"readout.{name}": value for name, value in readout.state_dict().items()}
    np.savez(HERE / "adding_lstm.npz", **{name: value.numpy() for name, value in state.items()})
    np.save(HERE / "adding_inputs.npy", batch(np.random.default_rng(1), 16)[0].astype(np.float32))


if __name__ == "__main__":
    main()
