"""Keras 3: its recurrent layers on our kernels. What reads or writes its models' files does not live here."""

try:
    import keras as _keras
except ImportError as error:
    if (error.name or "").partition(".")[0] == "keras":
        text = "lstmcore.keras needs Keras: pip install 'keras>=3'"
    else:
        text = (
            f"lstmcore.keras: Keras cannot be imported ({error}); choose a backend that is installed, by the "
            "environment variable KERAS_BACKEND (torch, jax or numpy), or pip install the one chosen"
        )
    text += ". For Keras's modules themselves without Keras: import lstmcore as keras"
    raise ImportError(text) from error

if not hasattr(_keras.layers.RNN, "inner_loop"):
    raise ImportError(f"lstmcore.keras needs Keras 3, got {_keras.__version__}: pip install 'keras>=3'")

from .accelerating import Acceleration, accelerate, undo

__all__ = ["Acceleration", "accelerate", "undo"]
