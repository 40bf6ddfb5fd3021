"""The layers, under Keras's names.

==============  =====================================================================================================
recurrent       LSTM, GRU, SimpleRNN, RNN; around them: Bidirectional; others: MinGRU, MinLSTM, SLSTM
cells           LSTMCell, GRUCell, SimpleRNNCell, StackedRNNCells; Cell, the base of your own
inputs          Input, InputLayer, Embedding, Masking, Normalization, Rescaling
dense           Dense, TimeDistributed, Activation, ReLU, LeakyReLU, PReLU, ELU, Softmax, Clip
over steps      Conv1D (Convolution1D), MaxPooling1D (MaxPool1D), AveragePooling1D (AvgPool1D), GlobalMaxPooling1D
                (GlobalMaxPool1D), GlobalAveragePooling1D (GlobalAvgPool1D), UpSampling1D, ZeroPadding1D, Cropping1D
attention       Attention, AdditiveAttention, MultiHeadAttention
tags            CRF
normalisation   LayerNormalization, BatchNormalization, RMSNormalization, UnitNormalization
noise           Dropout, SpatialDropout1D, AlphaDropout, GaussianDropout, GaussianNoise
merging         Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot, and as functions: add, subtract,
                multiply, average, maximum, minimum, concatenate, dot
shapes          Flatten, Reshape, Permute, RepeatVector
others          Residual, Lambda, Identity, ActivityRegularization; Layer, the base of your own
in graphs       what operators and files of others are made of: Absolute, ArgMax, Arithmetic, Cast, Compare, Count,
                Divide, Elementwise, GetItem, Matmul, Negative, NotEqual, Parameter, Reduction, SequenceMask, Size,
                TakeStep, Where
==============  =====================================================================================================
"""

from .. import _not_offered
from . import _beside as _beside  # by which a call over layers adds to the loss and shows arrays to metrics
from .activation import Activation
from .activity_regularization import ActivityRegularization
from .additive_attention import AdditiveAttention
from .alpha_dropout import AlphaDropout
from .attention import Attention
from .batch_normalization import BatchNormalization
from .bidirectional import Bidirectional
from .cell import Cell
from .cells import GRUCell, LSTMCell, SimpleRNNCell
from .clip import Clip
from .concatenate import Concatenate, concatenate
from .conditions import Cast, Compare, Where
from .conv1d import Conv1D
from .conv1d import Conv1D as Convolution1D
from .crf import CRF
from .dense import Dense
from .dot import Dot, dot
from .dropout import Dropout
from .elementwise import Elementwise
from .elu import ELU
from .embedding import Embedding
from .flatten import Flatten
from .gaussian_dropout import GaussianDropout
from .gaussian_noise import GaussianNoise
from .global_pooling1d import GlobalAveragePooling1D, GlobalMaxPooling1D
from .global_pooling1d import GlobalAveragePooling1D as GlobalAvgPool1D
from .global_pooling1d import GlobalMaxPooling1D as GlobalMaxPool1D
from .gru import GRU
from .identity import Identity
from .input import Input, InputLayer
from .lambda_ import Lambda
from .layer import Layer
from .layer_normalization import LayerNormalization
from .leaky_relu import LeakyReLU
from .lstm import LSTM
from .masking import Masking
from .merging import (
    Add,
    Average,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .min_gru import MinGRU
from .min_lstm import MinLSTM
from .multi_head_attention import MultiHeadAttention
from .normalization import Normalization
from .operators import Absolute, Arithmetic, Divide, GetItem, Matmul, Negative, NotEqual
from .parameter import Parameter
from .permute import Permute
from .pooling1d import AveragePooling1D, MaxPooling1D
from .pooling1d import AveragePooling1D as AvgPool1D
from .pooling1d import MaxPooling1D as MaxPool1D
from .prelu import PReLU
from .reduction import ArgMax, Count, Reduction
from .relu import ReLU
from .repeat_vector import RepeatVector
from .rescaling import Rescaling
from .reshape import Reshape
from .residual import Residual
from .resizing1d import Cropping1D, UpSampling1D, ZeroPadding1D
from .rms_normalization import RMSNormalization
from .rnn import RNN
from .simple_rnn import SimpleRNN
from .slstm import SLSTM
from .softmax import Softmax
from .spatial_dropout1d import SpatialDropout1D
from .stacked_rnn_cells import StackedRNNCells
from .steps import SequenceMask, Size, TakeStep
from .time_distributed import TimeDistributed
from .unit_normalization import UnitNormalization

__all__ = [
    "CRF",
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "SLSTM",
    "Absolute",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "ArgMax",
    "Arithmetic",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AvgPool1D",
    "BatchNormalization",
    "Bidirectional",
    "Cast",
    "Cell",
    "Clip",
    "Compare",
    "Concatenate",
    "Conv1D",
    "Convolution1D",
    "Count",
    "Cropping1D",
    "Dense",
    "Divide",
    "Dot",
    "Dropout",
    "Elementwise",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GetItem",
    "GlobalAveragePooling1D",
    "GlobalAvgPool1D",
    "GlobalMaxPool1D",
    "GlobalMaxPooling1D",
    "Identity",
    "Input",
    "InputLayer",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "Matmul",
    "MaxPool1D",
    "MaxPooling1D",
    "Maximum",
    "MinGRU",
    "MinLSTM",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Negative",
    "Normalization",
    "NotEqual",
    "PReLU",
    "Parameter",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "Reduction",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Residual",
    "SequenceMask",
    "SimpleRNN",
    "SimpleRNNCell",
    "Size",
    "Softmax",
    "SpatialDropout1D",
    "StackedRNNCells",
    "Subtract",
    "TakeStep",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "Where",
    "ZeroPadding1D",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

_not_offered.answer_for(__name__)
