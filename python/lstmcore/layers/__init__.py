"""The layers, under Keras's names."""

from .bidirectional import Bidirectional
from .dense import Dense
from .embedding import Embedding
from .gru import GRU
from .input import Input, InputLayer
from .layer import Layer
from .lstm import LSTM
from .masking import Masking
from .rnn import RNN, Cell, GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from .simple_rnn import SimpleRNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "Cell",
    "Dense",
    "Embedding",
    "GRUCell",
    "Input",
    "InputLayer",
    "LSTMCell",
    "Layer",
    "Masking",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
]
