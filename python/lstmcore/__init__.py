"""LSTM, GRU and simple recurrent networks on a CPU, trained and run, without a framework.

The names are Keras's: replace ``tensorflow.keras`` by ``lstmcore`` in an import line. Beside them:

- `lstmcore.functional`: the layers on plain arrays, with their gradients.
- `lstmcore.reference`: the same in NumPy, equation by equation.
- `lstmcore.audio`: WAV files and what a recogniser of speech looks at; needs SciPy.
- `lstmcore.torch`: PyTorch's recurrent modules on these kernels; needs PyTorch.
- `lstmcore.keras`: Keras's recurrent layers on these kernels; needs Keras.
- `lstmcore.sklearn`: estimators for scikit-learn, which it needs.
- `show_config`, `set_num_threads`, `get_num_threads`, `threads`.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from . import (
    _not_offered,
    activations,
    callbacks,
    config,
    constraints,
    decoders,
    dtype_policies,
    functional,
    initializers,
    layers,
    losses,
    metrics,
    mixed_precision,
    models,
    optimizers,
    reference,
    regularizers,
    saving,
    streaming,
    utils,
)
from ._config import __version__, get_num_threads, set_num_threads, show_config, threads
from ._policy import DTypePolicy
from .initializers import Initializer
from .layers import Input, Layer
from .losses import Loss
from .metrics import Metric
from .models import Model, Sequential
from .optimizers import Optimizer
from .regularizers import Regularizer

if _TYPE_CHECKING:
    from . import audio, datasets, preprocessing, tuner
    from . import sklearn as sklearn
    from .interop.torch_models.named import from_state_dict, to_state_dict
    from .interop.torch_models.reading import from_torch
    from .interop.torch_models.writing import to_torch

# Without those that need another package: ``from lstmcore import *`` asks for each.
__all__ = [
    "DTypePolicy",
    "Initializer",
    "Input",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "__version__",
    "activations",
    "audio",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "decoders",
    "dtype_policies",
    "from_state_dict",
    "from_torch",
    "functional",
    "get_num_threads",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "optimizers",
    "preprocessing",
    "reference",
    "regularizers",
    "saving",
    "set_num_threads",
    "show_config",
    "streaming",
    "threads",
    "to_state_dict",
    "to_torch",
    "tuner",
    "utils",
]

_OF_TORCH = {"from_torch": "reading", "from_state_dict": "named", "to_state_dict": "named", "to_torch": "writing"}


def __getattr__(name: str) -> _Any:
    # Not every program needs these: together they would take as long to import as all the rest.
    if name in ("audio", "datasets", "keras", "preprocessing", "sklearn", "torch", "tuner"):
        return _import_module(f"{__name__}.{name}")
    if name in _OF_TORCH:
        return getattr(_import_module(f"{__name__}.interop.torch_models.{_OF_TORCH[name]}"), name)
    raise _not_offered.error(__name__, name)


_not_offered.answer_for(
    activations.__name__,
    callbacks.__name__,
    config.__name__,
    constraints.__name__,
    dtype_policies.__name__,
    initializers.__name__,
    layers.__name__,
    losses.__name__,
    metrics.__name__,
    mixed_precision.__name__,
    models.__name__,
    optimizers.__name__,
    optimizers.schedules.__name__,
    regularizers.__name__,
    saving.__name__,
    utils.__name__,
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
