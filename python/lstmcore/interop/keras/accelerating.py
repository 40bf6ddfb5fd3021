"""Keras's layers in whose place our kernels run, what has run on them, and back."""

from __future__ import annotations

import functools
import importlib
import threading
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras

from .calls import LAYERS, LeftToKerasError, described

_BACKENDS = ("torch", "jax", "numpy")
_lock = threading.Lock()
_active: list[Acceleration] = []


class Acceleration:
    """What `accelerate` returns: it counts the calls of layers, and ends by `undo` or with its ``with`` block.

    Attributes
    ----------
    accelerated : calls on our kernels, by the layer's name and class.
    kept : calls that went through Keras, by the layer's name and class and the reason.
    """

    def __init__(self) -> None:
        self.accelerated: Counter[str] = Counter()
        self.kept: Counter[tuple[str, str]] = Counter()

    def undo(self) -> None:
        """Leave the layers to Keras again, unless another acceleration goes on. Once more, it does nothing."""
        with _lock:
            if self in _active:
                _active.remove(self)
                if not _active:
                    _uninstall()

    def __enter__(self) -> Acceleration:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()

    def __repr__(self) -> str:
        lines = [f"accelerated {layer}: {_calls(count)}" for layer, count in self.accelerated.items()]
        lines += [f"kept {layer}: {_calls(count)}: {why}" for (layer, why), count in self.kept.items()]
        return "\n".join(lines or ["no calls of recurrent layers yet"])

    def _count(self, layer: Any, why: str | None) -> None:
        name = f"{layer.name} ({type(layer).__name__})"
        if why is None:
            self.accelerated[name] += 1
        else:
            self.kept[name, why] += 1


def accelerate() -> Acceleration:
    """Make Keras's LSTM, GRU and SimpleRNN layers run on our kernels, forward and backward, wherever they are used.

    Weights, optimizers, files and results are Keras's, up to rounding. What our kernels would not compute as Keras does
    goes through Keras as before; what is returned says what, and why.

    >>> import keras
    >>> import lstmcore.keras
    >>> layer = keras.layers.LSTM(4, name="encoder")
    >>> with lstmcore.keras.accelerate() as acceleration:
    ...     outputs = layer(keras.ops.ones((2, 7, 3)))
    >>> outputs.shape[1], acceleration
    (4, accelerated encoder (LSTM): 1 call)

    Without ``with`` it goes on until `undo`. Programs that Keras has compiled before (JAX; ``jit_compile=True``) are
    not compiled again for it: call it before the first ``fit`` or ``predict``.

    Returns
    -------
    acceleration : counts of calls, `Acceleration.undo`, and a context manager.

    Raises
    ------
    RuntimeError
        Keras runs on another backend than PyTorch, JAX or NumPy.
    """
    backend = keras.backend.backend()
    if backend not in _BACKENDS:
        raise RuntimeError(
            f"lstmcore.keras: expected Keras's backend torch, jax or numpy, got {backend}; choose one by the "
            "environment variable KERAS_BACKEND before Keras is imported"
        )
    room = importlib.import_module(f".on_{backend}", __package__)
    acceleration = Acceleration()
    with _lock:
        if not _active:
            _install(room)
        _active.append(acceleration)
    return acceleration


def undo() -> None:
    """Leave all layers to Keras again: end every acceleration that goes on.

    >>> import lstmcore.keras
    >>> acceleration = lstmcore.keras.accelerate()
    >>> lstmcore.keras.undo()
    """
    for acceleration in tuple(_active):
        acceleration.undo()


# `inner_loop` is where Keras itself chooses among its ways to run the steps: what comes before and after it (states,
# random numbers of dropout, dtypes) stays its own.


def _install(room: ModuleType) -> None:
    for kind in LAYERS:
        kind.inner_loop = _ours(room, kind.inner_loop, "inner_loop" in vars(kind))


def _uninstall() -> None:
    for kind in LAYERS:
        patched = kind.inner_loop
        if patched.is_own:
            kind.inner_loop = patched.__wrapped__
        else:
            del kind.inner_loop


def _ours(room: ModuleType, theirs: Callable[..., Any], is_own: bool) -> Callable[..., Any]:
    attempt = room.outside_graphs(functools.partial(_attempt, room))

    @functools.wraps(theirs)
    def inner_loop(self: Any, sequences: Any, initial_state: Any, mask: Any, training: Any = False) -> Any:
        results = attempt(self, sequences, initial_state, mask, training)
        return theirs(self, sequences, initial_state, mask, training) if results is None else results

    inner_loop.is_own = is_own  # type: ignore[attr-defined]
    return inner_loop


def _attempt(room: ModuleType, layer: Any, sequences: Any, initial_state: Any, mask: Any, training: Any) -> Any:
    """Return what ``inner_loop`` returns, the last output, outputs and states, or None where Keras has to do it."""
    why = None
    try:
        problem, given = described(layer, sequences, initial_state, mask, training, room.BEGINS_WITH_STATE)
        why = room.refusal(given)
    except LeftToKerasError as reason:
        why = str(reason)
    for acceleration in tuple(_active):
        with _lock:
            acceleration._count(layer, why)
    if why is not None:
        return None
    outputs, states = room.run(problem, given)
    last = outputs[:, -1] if layer.return_sequences else outputs
    return last, outputs, list(states)


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"
