"""The layers, under Keras's names."""

from .activation import Activation
from .activity_regularization import ActivityRegularization
from .add import Add
from .alpha_dropout import AlphaDropout
from .bidirectional import Bidirectional
from .concatenate import Concatenate
from .dense import Dense
from .dropout import Dropout
from .elu import ELU
from .embedding import Embedding
from .flatten import Flatten
from .gaussian_dropout import GaussianDropout
from .gaussian_noise import GaussianNoise
from .gru import GRU
from .identity import Identity
from .input import Input, InputLayer
from .layer import Layer
from .leaky_relu import LeakyReLU
from .lstm import LSTM
from .masking import Masking
from .permute import Permute
from .prelu import PReLU
from .relu import ReLU
from .repeat_vector import RepeatVector
from .reshape import Reshape
from .residual import Residual
from .rnn import RNN, Cell, GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from .simple_rnn import SimpleRNN
from .softmax import Softmax
from .spatial_dropout1d import SpatialDropout1D
from .time_distributed import TimeDistributed
from .unit_normalization import UnitNormalization

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Bidirectional",
    "Cell",
    "Concatenate",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "Input",
    "InputLayer",
    "LSTMCell",
    "Layer",
    "LeakyReLU",
    "Masking",
    "PReLU",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "Residual",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "StackedRNNCells",
    "TimeDistributed",
    "UnitNormalization",
]
