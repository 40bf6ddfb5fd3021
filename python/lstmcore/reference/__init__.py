"""The same functions as `lstmcore.functional`, convolution and decoders, in NumPy, from the equations: slow and plain.

What the kernels are held against. The library itself uses the steps of the cells, for activations that the core does
not have.
"""

from .activations import sigmoid
from .attention import attention, attention_backward
from .convolution import conv1d, conv1d_backward
from .crf import CRFGradients, crf_decode, crf_loss, crf_loss_and_gradient, crf_marginals
from .ctc import ctc_loss, ctc_loss_and_gradient
from .ctc_decode import ctc_beam_search, ctc_greedy
from .gru import gru, gru_backward
from .low_precision import bfloat16, int8
from .lstm import lstm, lstm_backward
from .min_gru import min_gru, min_gru_backward
from .min_lstm import min_lstm, min_lstm_backward
from .rnn import rnn, rnn_backward
from .slstm import slstm, slstm_backward

__all__ = [
    "CRFGradients",
    "attention",
    "attention_backward",
    "bfloat16",
    "conv1d",
    "conv1d_backward",
    "crf_decode",
    "crf_loss",
    "crf_loss_and_gradient",
    "crf_marginals",
    "ctc_beam_search",
    "ctc_greedy",
    "ctc_loss",
    "ctc_loss_and_gradient",
    "gru",
    "gru_backward",
    "int8",
    "lstm",
    "lstm_backward",
    "min_gru",
    "min_gru_backward",
    "min_lstm",
    "min_lstm_backward",
    "rnn",
    "rnn_backward",
    "sigmoid",
    "slstm",
    "slstm_backward",
]
