"""The registry of cells: a new one is one file and one line here."""

from .base import Cell
from .diagonal import Diagonal
from .gru import GRU
from .linear import Linear
from .lstm import LSTM
from .lstm_1997 import LSTM1997
from .lstm_peephole import LSTMPeephole
from .memory import Memory
from .mingru import MinGRU
from .residual import Residual
from .simple import Simple

CELLS: dict[str, type[Cell]] = {
    "simple": Simple,
    "linear": Linear,
    "memory": Memory,
    "residual": Residual,
    "lstm_1997": LSTM1997,
    "lstm": LSTM,
    "lstm_peephole": LSTMPeephole,
    "gru": GRU,
    "mingru": MinGRU,
    "diagonal": Diagonal,
}

__all__ = ["CELLS", "Cell"]
