"""Metrics that layers keep as attributes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from .._tree import all_of
from ..metrics import Metric

# What `compile` was given, what has been found, and the arguments of a class, which may hold some too.
_APART = ("_arguments", "_recipe", "_found_metrics")


def metrics_in(name: str, value: Any) -> list[Metric]:
    """Return the metrics that an attribute is or has in lists and dicts."""
    return [] if name in _APART else all_of(Metric, value)


def metrics_of(layers: Iterable[Any]) -> list[Metric]:
    """Return the metrics that layers keep, each once, in their order."""
    found = [m for layer in layers for name, value in list(vars(layer).items()) for m in metrics_in(name, value)]
    return list({id(metric): metric for metric in found}.values())


@contextlib.contextmanager
def undisturbed(layers: Iterable[Any]) -> Iterator[None]:
    """Within the ``with`` block, layers are run on what is no data: their metrics are then as before."""
    before = [(metric, metric.state()) for metric in metrics_of(layers)]
    try:
        yield
    finally:
        for metric, state in before:
            metric.load_state(state)
