"""The layers, under Keras's names."""

from .dense import Dense
from .input import Input, InputLayer
from .layer import Layer
from .lstm import LSTM

__all__ = ["LSTM", "Dense", "Input", "InputLayer", "Layer"]
