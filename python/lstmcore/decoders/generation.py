"""Tokens behind a prompt, drawn one after the other from what a stream says of the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arguments import as_array
from .._arguments import seed as checked_seed
from .sampling import sample

Array = NDArray[Any]


def prompt_of(prompt: ArrayLike, batch: int, classes: int, one_hot: bool) -> Array:
    """Return a prompt as integers (batch, steps), or raise."""
    tokens = as_array("prompt", prompt)
    rows = tokens[None] if tokens.ndim == 1 and batch == 1 else tokens
    if rows.ndim != 2 or len(rows) != batch or not rows.shape[1]:
        one = " or (steps,)" if batch == 1 else ""
        raise ValueError(f"prompt: expected tokens ({batch}, steps){one}, one step at least, got shape {tokens.shape}")
    if rows.dtype.kind not in "iu":
        raise TypeError(f"prompt: expected tokens as integers, got {rows.dtype}")
    if one_hot and (rows.min() < 0 or rows.max() >= classes):
        raise ValueError(f"prompt: expected tokens from 0 to {classes - 1}, got {rows.min()} to {rows.max()}")
    return rows


def generated(
    run: Callable[[Array], Array],
    prompt: Array,
    n: int,
    steps: int,
    options: Mapping[str, Any],
    seed: int | np.random.Generator | None,
) -> Array:
    """Return ``n`` tokens for each row; ``run`` takes chunks (batch, 1 to ``steps``) and returns what is said of each.

    ``options`` are those of `sample`.
    """
    chosen = seed if isinstance(seed, np.random.Generator) else checked_seed("seed", seed)
    rng = np.random.default_rng(chosen) if isinstance(chosen, int) else chosen  # None: from the global seed
    said = run(prompt[:, :steps])
    for begin in range(steps, prompt.shape[1], steps):
        said = run(prompt[:, begin : begin + steps])
    drawn = np.empty((len(prompt), n), np.int64)
    for k in range(n):
        last = said[:, -1]
        if options["kind"] == "probabilities" and not np.allclose(last.sum(axis=-1), 1, atol=1e-3):
            raise ValueError(
                "generate: expected a model that ends in a softmax over the tokens, got outputs whose sum is "
                f'{last.sum(axis=-1).max():.4g}; of one without it say kind="logits"'
            )
        drawn[:, k] = sample(last, seed=rng, **options)
        if k < n - 1:
            said = run(drawn[:, k : k + 1])
    return drawn
