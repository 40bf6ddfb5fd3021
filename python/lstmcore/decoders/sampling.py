"""Draws of the next token, from what a model of sequences says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _random
from .._arguments import as_array, number, one_of, positive_integer
from .._arguments import seed as checked_seed
from .ctc import KINDS

Array = NDArray[Any]


def sample(
    inputs: ArrayLike,
    temperature: float = 1.0,
    *,
    top_k: int | None = None,
    top_p: float | None = None,
    kind: str = "logits",
    seed: int | np.random.Generator | None = None,
) -> Array:
    """Draw a class for each row, by what a model says of them: the next character, word or event.

    >>> import numpy as np
    >>> from lstmcore import decoders
    >>> probabilities = np.array([[0.5, 0.4, 0.1], [0.0, 0.0, 1.0]])
    >>> decoders.sample(probabilities, top_k=2, kind="probabilities", seed=0)
    array([1, 2])

    A text is written by a stream, a token a call, each drawn from what the model says behind those before; its
    `generate` does the same in one call:

    >>> from lstmcore import Sequential, layers
    >>> model = Sequential([layers.Embedding(5, 4, input_shape=(None,)), layers.LSTM(8, return_sequences=True)])
    >>> model.add(layers.Dense(5, activation="softmax"))
    >>> stream, token = model.stream(), np.array([0])
    >>> written = []
    >>> for _ in range(6):
    ...     token = decoders.sample(stream(token[:, None])[:, -1], temperature=0.8, kind="probabilities")
    ...     written.append(int(token[0]))
    >>> len(written)
    6

    Parameters
    ----------
    inputs : (..., classes), what the model says.
    temperature : the probabilities are taken to the power 1 / temperature: 1 as they are, less is safer, 0 takes the
        most probable.
    top_k : keep so many of the most probable classes alone; among equal ones the first.
    top_p : keep of those the fewest of the most probable whose probabilities reach this sum (Holtzman et al. 2020).
    kind : what the inputs are: "logits", "log_probabilities" or "probabilities".
    seed : of the draws, or a generator of NumPy's that makes them; None draws from that of `utils.set_random_seed`.

    Returns
    -------
    (...) int64, the classes.

    Raises
    ------
    ValueError, TypeError
        An argument is out of range; inputs are NaN or say that no class is possible, or are negative probabilities.

    References
    ----------
    Holtzman, Buys, Du, Forbes & Choi 2020, "The curious case of neural text degeneration", ICLR.
    """
    chances = distribution(inputs, temperature, top_k=top_k, top_p=top_p, kind=kind)
    if isinstance(seed, np.random.Generator):
        rng = seed
    else:
        chosen = checked_seed("seed", seed)
        rng = _random.generator() if chosen is None else np.random.default_rng(chosen)
    sums = np.cumsum(chances, axis=-1)
    # Of what rng.random gives, below 1, so that a class of no probability behind the last is never reached.
    drawn = rng.random((*chances.shape[:-1], 1)) * sums[..., -1:]
    classes: Array = np.argmax(sums > drawn, axis=-1)
    return classes


def distribution(
    inputs: ArrayLike, temperature: float = 1.0, *, top_k: int | None, top_p: float | None, kind: str
) -> Array:
    """Return the probabilities that `sample` draws by, float64."""
    array = as_array("inputs", inputs)
    if array.ndim == 0 or array.shape[-1] == 0 or array.dtype.kind != "f":
        raise ValueError(f"inputs: expected floats of shape (..., classes), got {array.dtype} {array.shape}")
    heat = number("temperature", temperature, "[0, inf)")
    one_of("kind", kind, KINDS)
    logs = array.astype(np.float64)
    if kind == "probabilities":
        if (logs < 0).any():
            raise ValueError(f"inputs: expected probabilities from 0 on, got {logs.min()}")
        with np.errstate(divide="ignore"):
            logs = np.log(logs)
    largest = logs.max(axis=-1, keepdims=True)
    if not np.isfinite(largest).all():  # NaN, or infinite, or no class that is possible
        raise ValueError(f"inputs: expected numbers and a class that is possible in each row, got {largest.min()}")
    ranks = np.empty(logs.shape, np.int64)  # of the classes: 0 for the most probable, among equal ones the first
    order = np.argsort(-logs, axis=-1, kind="stable")
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(logs.shape[-1]), logs.shape), axis=-1)
    if heat == 0:
        most: Array = (ranks == 0).astype(np.float64)
        return most
    chances: Array = np.exp((logs - largest) / heat)
    if top_k is not None:
        chances[ranks >= positive_integer("top_k", top_k)] = 0
    chances /= chances.sum(axis=-1, keepdims=True)
    enough = 1.0 if top_p is None else number("top_p", top_p, "(0, 1]")
    if enough < 1:  # with 1, sums that are rounded could leave out the last
        sorted_chances = np.take_along_axis(chances, order, axis=-1)
        before = np.cumsum(sorted_chances, axis=-1) - sorted_chances  # what those before it reach
        chances[np.take_along_axis(before, ranks, axis=-1) >= enough] = 0
        chances /= chances.sum(axis=-1, keepdims=True)
    return chances
