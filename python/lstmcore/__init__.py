"""LSTM, GRU and simple recurrent networks on a CPU, trained and run, without a framework.

The names are Keras's: replace ``tensorflow.keras`` by ``lstmcore`` in an import line.

===============  ====================================================================================================
models           `Sequential`, `Model` (also of `Input` and outputs), in `models` with `models.load_model`
layers           `layers`: LSTM, GRU and all others; `Layer`, the base of your own
training         `losses`, `metrics`, `optimizers`, `callbacks`; `Loss`, `Metric`, `Optimizer`, the bases of your own
weights          `initializers`, `regularizers`, `constraints`; `Initializer`, `Regularizer`, the bases of your own
parts            `activations`, `functional` (the layers on plain arrays, with their gradients), `reference` (the same
                 in NumPy, equation by equation)
data             `datasets`, `preprocessing`, `utils`, `audio` (WAV files and what a recogniser looks at; needs SciPy)
running          `streaming` (step by step), `decoders` (of CTC, and draws of the next token), `saving`
precision        `mixed_precision`, `dtype_policies`, `DTypePolicy`, `config`; `quantize`, `quantization`
processes        `distributed` (training over MPI, prediction over Dask; needs mpi4py, Dask)
searching        `tuner` (hyper-parameters; needs Optuna)
PyTorch          `from_torch`, `to_torch`, `from_state_dict`, `to_state_dict`; ``lstmcore.torch``, its recurrent modules
                 on these kernels; needs PyTorch
Keras            ``lstmcore.keras``, its recurrent layers on these kernels; needs Keras
scikit-learn     ``lstmcore.sklearn``, estimators; needs scikit-learn
this machine     `show_config`, `set_num_threads`, `get_num_threads`, `threads`; ``python -m lstmcore --help``
===============  ====================================================================================================
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from . import _not_offered
from ._config import __version__, get_num_threads, set_num_threads, show_config, threads

if _TYPE_CHECKING:
    from . import (
        activations,
        audio,
        callbacks,
        config,
        constraints,
        datasets,
        decoders,
        distributed,
        dtype_policies,
        functional,
        initializers,
        layers,
        losses,
        metrics,
        mixed_precision,
        models,
        optimizers,
        preprocessing,
        quantization,
        reference,
        regularizers,
        saving,
        streaming,
        tuner,
        utils,
    )
    from . import sklearn as sklearn
    from ._policy import DTypePolicy
    from .initializers import Initializer
    from .interop.torch_models.named import from_state_dict, to_state_dict
    from .interop.torch_models.reading import from_torch
    from .interop.torch_models.writing import to_torch
    from .layers import Input, Layer
    from .losses import Loss
    from .metrics import Metric
    from .models import Model, Sequential
    from .optimizers import Optimizer
    from .quantization import quantize
    from .regularizers import Regularizer

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
    "distributed",
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
    "quantization",
    "quantize",
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

# What is loaded when it is first used, so that importing the package costs next to nothing: a name, and its module.
_MODULE_OF = {
    "DTypePolicy": "_policy",
    "Initializer": "initializers",
    "Input": "layers",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "Sequential": "models",
    "from_state_dict": "interop.torch_models.named",
    "from_torch": "interop.torch_models.reading",
    "quantize": "quantization",
    "to_state_dict": "interop.torch_models.named",
    "to_torch": "interop.torch_models.writing",
}
# All else that is offered and not here already is a module; these three stand for another package, which they need.
_MODULES = {"keras", "sklearn", "torch"}.union(__all__) - _MODULE_OF.keys() - globals().keys()


def __getattr__(name: str) -> _Any:
    if name in _MODULES:
        return _import_module(f"{__name__}.{name}")
    if name in _MODULE_OF:
        value = getattr(_import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        return globals().setdefault(name, value)
    raise _not_offered.error(__name__, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
