"""What training changes of layers beside their weights: where random numbers are, and what is kept of batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._arguments import as_array, mapping
from .._random import Stream
from ._traced import tracing_of


def state_of(layer: Any, random: Stream | None) -> dict[str, Any]:
    """Return the state of a layer and of those within it, by `Layer.state`'s names."""
    state: dict[str, Any] = {}
    made = tracing_of(layer).streams if layer.is_traced else {}
    for name, stream in {"random": random, **{f"made/{name}": stream for name, stream in made.items()}}.items():
        if stream is not None and stream.seed is not None:
            state[name] = np.array([stream.seed % 2**64, stream.calls], np.uint64)
    for k, within in enumerate(layer.sublayers):
        state |= {f"{k}/{name}": value for name, value in within.state().items()}
    return state


def load_state(layer: Any, state: Mapping[str, Any]) -> Stream | None:
    """Set the states of the layers within, all or none; return where the layer's own random numbers are."""
    parts: list[dict[str, Any]] = [{} for _ in layer.sublayers]
    own: dict[str, Any] = {}
    for name, value in mapping(f"{layer.name}: state", state).items():
        head, slash, tail = name.partition("/")
        if slash and head.isdigit() and int(head) < len(parts):
            parts[int(head)][tail] = value
        else:
            own[name] = value
    random = _random_numbers(layer.name, "random", own.pop("random")) if "random" in own else None
    made = [name for name in own if layer.is_traced and name.startswith("made/")]
    streams = {name.removeprefix("made/"): _random_numbers(layer.name, name, own.pop(name)) for name in made}
    if own:
        raise ValueError(f"{layer.name}: state: expected that of a {type(layer).__name__}, got {', '.join(own)} too")
    before = [within.state() for within in layer.sublayers]
    try:
        for within, part in zip(layer.sublayers, parts, strict=True):
            within.load_state(part)
    except BaseException:
        for within, part in zip(layer.sublayers, before, strict=True):
            within.load_state(part)
        raise
    if layer.is_traced:
        tracing_of(layer).set_streams(streams)
    return random


def _random_numbers(name: str, what: str, value: Any) -> Stream:
    numbers = as_array(f"{name}: {what}", value)
    if numbers.shape != (2,) or numbers.dtype.kind not in "iu" or (numbers < 0).any():
        raise ValueError(f"{name}: {what}: expected two integers from 0 on, got {numbers!r}")
    stream = Stream(int(numbers[0]))
    stream.calls = int(numbers[1])
    return stream
