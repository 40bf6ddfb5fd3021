"""LSTM, GRU and simple recurrent networks on a CPU, trained and run, without a framework.

The names are Keras's: replace ``tensorflow.keras`` by ``lstmcore`` in an import line. Beside them:

- `lstmcore.functional`: the layers on plain arrays, with their gradients.
- `lstmcore.reference`: the same in NumPy, equation by equation.
- `show_config`, `set_num_threads`, `get_num_threads`, `threads`.
"""

from . import (
    activations,
    callbacks,
    datasets,
    functional,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    reference,
    saving,
    streaming,
    utils,
)
from ._config import __version__, get_num_threads, set_num_threads, show_config, threads
from .layers import Input
from .models import Model, Sequential

__all__ = [
    "Input",
    "Model",
    "Sequential",
    "__version__",
    "activations",
    "callbacks",
    "datasets",
    "functional",
    "get_num_threads",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "reference",
    "saving",
    "set_num_threads",
    "show_config",
    "streaming",
    "threads",
    "utils",
]
