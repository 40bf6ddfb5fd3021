"""Keras's recurrent layers on our kernels, on its PyTorch, JAX and NumPy backends.

>>> import lstmcore.keras
>>> with lstmcore.keras.accelerate() as acceleration:
...     pass  # build models, fit, predict
>>> acceleration
no calls of recurrent layers yet
"""

from typing import NoReturn as _NoReturn

from .interop.keras import Acceleration, accelerate, undo

__all__ = ["Acceleration", "accelerate", "undo"]


def __getattr__(name: str) -> _NoReturn:
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}: it makes Keras's own layers faster; lstmcore has Keras's "
        "modules itself: import lstmcore as keras"
    )
