"""The layers, under Keras's names."""

from .batch_normalization import BatchNormalization
from .bidirectional import Bidirectional
from .conv1d import Conv1D
from .dense import Dense
from .embedding import Embedding
from .global_pooling1d import GlobalAveragePooling1D, GlobalMaxPooling1D
from .gru import GRU
from .input import Input, InputLayer
from .layer import Layer
from .layer_normalization import LayerNormalization
from .lstm import LSTM
from .masking import Masking
from .pooling1d import AveragePooling1D, MaxPooling1D
from .resizing1d import Cropping1D, UpSampling1D, ZeroPadding1D
from .rnn import RNN, Cell, GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from .simple_rnn import SimpleRNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AveragePooling1D",
    "BatchNormalization",
    "Bidirectional",
    "Cell",
    "Conv1D",
    "Cropping1D",
    "Dense",
    "Embedding",
    "GRUCell",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "Input",
    "InputLayer",
    "LSTMCell",
    "Layer",
    "LayerNormalization",
    "Masking",
    "MaxPooling1D",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "UpSampling1D",
    "ZeroPadding1D",
]
