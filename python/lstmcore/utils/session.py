"""What a program that makes many models begins anew with."""

from __future__ import annotations

from .. import _policy
from .._arguments import flag
from ..layers import _naming


def clear_session(free_memory: bool = True) -> None:
    """Give layers and models the names and the dtypes they would have in a new program: "lstm", not "lstm_7".

    The global dtype policy is forgotten too, but not `config.floatx`. Nothing else is kept from one model to the next.

    >>> from lstmcore import layers, utils
    >>> utils.clear_session()
    >>> layers.LSTM(8).name
    'lstm'

    Parameters
    ----------
    free_memory : accepted for Keras's sake, without effect.
    """
    flag("free_memory", free_memory)
    _naming.begin_anew()
    _policy.begin_anew()
