"""Calls of layers on Keras's JAX backend: callbacks within compiled programs, with a derivative of their own.

A compiled program hands on nothing but arrays, and may run a callback once more or not at all. So the backward callback
computes the forward pass again, and keeps nothing between them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .passes import Operands, Problem, backward, forward

BEGINS_WITH_STATE = True


def outside_graphs(attempt: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that no compiler looks into: JAX's sees but the callbacks."""
    return attempt


def refusal(given: Operands) -> str | None:
    """Return why our kernels cannot be given these tensors, or None."""
    if jax.default_backend() != "cpu":
        return f"arrays on {jax.default_backend()}: the kernels are for CPUs"
    return None


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def run(problem: Problem, given: Operands) -> Any:
    """Return outputs and last states."""
    batch, steps, _ = given.x.shape
    shape = (batch, steps) if problem.return_sequences else (batch,)
    outputs = jax.ShapeDtypeStruct((*shape, given.h.shape[1]), given.x.dtype)
    return _callback(functools.partial(_forward, problem), (outputs, _like(given.states)), given)


def _keep(problem: Problem, given: Operands) -> Any:
    return run(problem, given), given


def _go_back(problem: Problem, given: Operands, d_results: Any) -> tuple[Operands]:
    shapes = _like((given.x, given.states, given.weights))
    d_x, d_first, d_weights = _callback(functools.partial(_backward, problem), shapes, given, *d_results)
    d_h, d_c = d_first if len(d_first) == 2 else (*d_first, None)
    return (Operands(d_x, d_h, d_c, None, None, None, d_weights),)


run.defvjp(_keep, _go_back)


def _callback(function: Any, shapes: Any, *arguments: Any) -> Any:
    return jax.pure_callback(function, shapes, *arguments, vmap_method="sequential")


def _like(arrays: Any) -> Any:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), arrays)


def _forward(problem: Problem, given: Operands) -> Any:
    outputs, states, _ = forward(problem, jax.tree.map(np.asarray, given), False)
    return outputs, states


def _backward(problem: Problem, given: Operands, d_outputs: Any, d_states: Any) -> Any:
    *_, kept = forward(problem, jax.tree.map(np.asarray, given), True)
    d_y, d_last = jax.tree.map(np.asarray, (d_outputs, tuple(d_states)))
    d_x, d_first, d_weights = backward(kept, d_y, d_last, True)
    return d_x, d_first, tuple(d_weights)
