"""The layers, under Keras's names."""

from .batch_normalization import BatchNormalization
from .bidirectional import Bidirectional
from .conv1d import Conv1D
from .conv1d import Conv1D as Convolution1D
from .dense import Dense
from .embedding import Embedding
from .global_pooling1d import GlobalAveragePooling1D, GlobalMaxPooling1D
from .global_pooling1d import GlobalAveragePooling1D as GlobalAvgPool1D
from .global_pooling1d import GlobalMaxPooling1D as GlobalMaxPool1D
from .gru import GRU
from .input import Input, InputLayer
from .layer import Layer
from .layer_normalization import LayerNormalization
from .lstm import LSTM
from .masking import Masking
from .pooling1d import AveragePooling1D, MaxPooling1D
from .pooling1d import AveragePooling1D as AvgPool1D
from .pooling1d import MaxPooling1D as MaxPool1D
from .resizing1d import Cropping1D, UpSampling1D, ZeroPadding1D
from .rnn import RNN, Cell, GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from .simple_rnn import SimpleRNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AveragePooling1D",
    "AvgPool1D",
    "BatchNormalization",
    "Bidirectional",
    "Cell",
    "Conv1D",
    "Convolution1D",
    "Cropping1D",
    "Dense",
    "Embedding",
    "GRUCell",
    "GlobalAveragePooling1D",
    "GlobalAvgPool1D",
    "GlobalMaxPool1D",
    "GlobalMaxPooling1D",
    "Input",
    "InputLayer",
    "LSTMCell",
    "Layer",
    "LayerNormalization",
    "Masking",
    "MaxPool1D",
    "MaxPooling1D",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "UpSampling1D",
    "ZeroPadding1D",
]
