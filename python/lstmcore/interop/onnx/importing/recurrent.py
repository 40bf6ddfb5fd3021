"""LSTM, GRU and RNN: the weights of ONNX in our order, and the axes of what these operators return."""

from __future__ import annotations

from typing import Any

import numpy as np

from .... import activations
from ....graph.symbol import Symbol
from ....layers import (
    GRU,
    LSTM,
    Bidirectional,
    Cast,
    Concatenate,
    Parameter,
    Reshape,
    SequenceMask,
    SimpleRNN,
    ZeroPadding1D,
)
from .errors import UnsupportedError
from .functions import functions_of
from .masks import OfMask
from .nodes import Node
from .values import Constant, OtherBatchError, Value, batch_first, laid_out

_KINDS: dict[str, tuple[Any, int, list[str]]] = {
    "LSTM": (LSTM, 4, ["Sigmoid", "Tanh", "Tanh"]),
    "GRU": (GRU, 3, ["Sigmoid", "Tanh"]),
    "RNN": (SimpleRNN, 1, ["Tanh"]),
}
# Where ONNX's gates (i, o, f, c and z, r, h) stand in our order (i, f, g, o and z, r, h).
_ORDER = {4: (0, 2, 3, 1), 3: (0, 1, 2), 1: (0,)}


def recurrent(node: Node, used: list[bool], dtype: Any) -> list[Any]:
    """Return what a recurrent operator makes: outputs of all steps and last states, those of ``used`` alone."""
    kind, gates, default = _KINDS[node.operator]
    direction = node.get("direction", "forward")
    if direction not in ("forward", "reverse", "bidirectional"):
        raise ValueError(f"direction: expected forward, reverse or bidirectional, got {direction!r}")
    count = 2 if direction == "bidirectional" else 1
    W, R = _weights(node, 1, "W"), _weights(node, 2, "R")
    B, P = node.constant(3, "B"), node.constant(7, "P")
    units = R.shape[-1]
    _check_shapes(node, W, R, B, P, (count, gates, units))
    functions = functions_of(node, default * count)
    names = [functions[k * len(default) : (k + 1) * len(default)] for k in range(count)]
    if (layout := node.get("layout", 0)) not in (0, 1):
        raise ValueError(f"layout: expected 0 or 1, got {layout}")
    x = _sequence(node.inputs[0], layout)
    x, left_out = _shortened(node, x)
    repeats = len(node.inputs) > 4 and isinstance(node.inputs[4], OfMask)
    mask = node.inputs[4].mask.symbol if repeats else _mask(node, x, layout)
    initial = _initial(node, count, layout, x, dtype)

    of_steps, of_h, of_c = (*used, False, False)[:3]
    every = of_steps or not (of_h or of_c)
    many = of_c or (every and of_h)
    if count == 2:
        many = many or of_h
    options: dict[str, Any] = {"zero_output_for_mask": True} if mask is not None and every and not repeats else {}
    options |= {"return_sequences": every, "return_state": many, "dtype": dtype}

    def layer(k: int, backwards: bool) -> Any:
        return kind(
            units,
            use_bias=B is not None,
            go_backwards=backwards,
            **_options(node, names[k], P is not None),
            **options,
        )

    if count == 2:
        made: Any = Bidirectional(layer(0, False), backward_layer=layer(1, True), dtype=dtype)
    else:
        made = layer(0, direction == "reverse")
    given = {"initial_state": initial, "mask": mask}
    returned = made(x, **{name: value for name, value in given.items() if value is not None})
    made.set_weights([a for k in range(count) for a in _ours(node, k, W, R, B, P, gates)])
    symbols = list(returned) if many else [returned]
    outputs, states = symbols[0], symbols[1:]
    if not many and not every:
        states = [outputs]
    if every and mask is not None:
        outputs = Cast(dtype=dtype)(outputs)  # where the mask ends, of which the file's other operators know nothing
    if every and count == 1 and direction == "reverse":
        outputs = outputs[:, ::-1]
    if every and left_out:
        outputs = ZeroPadding1D((0, left_out), dtype=dtype)(outputs)
    if every and count == 2:
        outputs = _apart(outputs, units)
        axes: tuple[tuple[int, ...], ...] = ((1,), (2,), (0,), (3,)) if layout == 0 else ((0,), (1,), (2,), (3,))
    else:
        axes = ((1,), (), (0,), (2,)) if layout == 0 else ((0,), (1,), (), (2,))
    result: list[Any] = [Value(outputs, axes) if every else None]
    per = len(states) // count
    for k in range(per):
        if count == 1:
            result.append(Value(states[k], ((), (0,), (1,)) if layout == 0 else ((0,), (), (1,))))
        else:
            pair = _apart(Concatenate(dtype=dtype)([states[k], states[per + k]]), units)
            result.append(Value(pair, ((1,), (0,), (2,)) if layout == 0 else ((0,), (1,), (2,))))
    return result + [None] * (3 - len(result))


def _apart(symbol: Symbol, units: int) -> Symbol:
    """Return both directions, which stand side by side, along an axis of their own."""
    sizes = [-1 if n is None else n for n in symbol.shape[1:-1]]
    result: Symbol = Reshape([*sizes, 2, units])(symbol)
    return result


def _weights(node: Node, index: int, name: str) -> Constant:
    value = node.constant(index, name)
    if value is None or value.ndim != 3:
        raise ValueError(f"{node.operator}: {name}: expected three axes, got {None if value is None else value.shape}")
    return value


def _check_shapes(
    node: Node, W: Constant, R: Constant, B: Constant | None, P: Constant | None, sizes: tuple[int, int, int]
) -> None:
    count, gates, units = sizes
    expected: list[tuple[str, Constant | None, tuple[int, ...]]] = [
        ("W", W, (count, gates * units, W.shape[2])),
        ("R", R, (count, gates * units, units)),
        ("B", B, (count, 2 * gates * units)),
        ("P", P, (count, 3 * units)),
    ]
    for name, array, shape in expected:
        if array is not None and array.shape != shape:
            raise ValueError(f"{node.operator}: {name}: expected shape {shape}, got {array.shape}")
    if node.get("hidden_size", units) != units:
        raise ValueError(f"{node.operator}: hidden_size: expected {units}, as in R, got {node.get('hidden_size')}")


def _sequence(value: Any, layout: int) -> Symbol:
    """Return the inputs as a symbol (batch, steps, features)."""
    if not isinstance(value, Value):
        raise UnsupportedError("inputs that are constants")
    if len(value.axes) != 3:
        raise ValueError(f"X: expected three axes, got {len(value.axes)}")
    wanted = 0 if layout else 1
    if value.axes[wanted] != (0,):
        raise OtherBatchError(wanted, value)
    return batch_first(value)


def _mask(node: Node, x: Symbol, layout: int) -> Symbol | None:
    """Return the mask that the lengths of the rows make; None where all steps count."""
    lengths = node.inputs[4] if len(node.inputs) > 4 else None
    if lengths is None:
        return None
    if isinstance(lengths, Value):
        if lengths.axes != ((0,),) or lengths.symbol.ndim != 1:
            raise UnsupportedError("sequence_lens of other than a number a row")
        return SequenceMask()([x, lengths.symbol])  # type: ignore[no-any-return]
    return None  # see `_shortened`


def _shortened(node: Node, x: Symbol) -> tuple[Symbol, int]:
    """Return the steps that count where that is a constant, the same for all rows, and how many do not."""
    lengths = node.inputs[4] if len(node.inputs) > 4 else None
    if not isinstance(lengths, np.ndarray) or lengths.dtype == object:
        return x, 0
    steps, found = x.shape[1], set(lengths.reshape(-1).tolist())
    if steps is None or len(found) != 1:
        raise UnsupportedError("sequence_lens that are constants, and others for each row or of unknown steps")
    count = found.pop()
    if not 0 < count <= steps:
        raise ValueError(f"{node.operator}: sequence_lens: expected numbers from 1 to {steps}, got {count}")
    return (x, 0) if count == steps else (x[:, :count], steps - count)


def _initial(node: Node, count: int, layout: int, x: Symbol, dtype: Any) -> list[Symbol] | None:
    """Return the states that it begins with, those of both directions one after the other; None for zeros."""
    given = list(node.inputs[5:7] if node.operator == "LSTM" else node.inputs[5:6])
    for value in given:
        if isinstance(value, np.ndarray) and value.shape[-1] != node.inputs[2].shape[-1]:
            raise ValueError(f"{node.operator}: initial states of {value.shape}, which do not fit R")
    if all(value is None or (isinstance(value, np.ndarray) and not value.any()) for value in given):
        return None
    given += [None] * ((2 if node.operator == "LSTM" else 1) - len(given))
    units = node.inputs[2].shape[-1]
    if any(isinstance(value, np.ndarray) for value in given) or any(value is None for value in given):
        given = [_state(value, count, units, layout, x, dtype) for value in given]
    values: list[Value] = given
    wanted = 0 if layout else 1
    for value in values:
        if value.axes[wanted] != (0,):
            raise OtherBatchError(wanted, value)
    found: list[Symbol] = []
    if count == 1:
        for value in values:
            own = [a for a in value.axes if a]
            direct = len(own) == 2 and value.symbol.ndim == 2
            found.append(value.symbol if direct else batch_first(value)[:, 0])
        return found
    whole = [laid_out(value).symbol for value in values]
    return [symbol[:, k] for k in range(2) for symbol in whole]


def _state(value: Any, count: int, units: int, layout: int, x: Symbol, dtype: Any) -> Value:
    """Return a state, of a constant one that is the same for all rows as one that can be learned."""
    if isinstance(value, Value):
        return value
    array = np.zeros((count, 1, units), dtype) if value is None else value
    rows = 0 if layout and value is not None else 1
    if array.ndim != 3 or array.shape[1 - rows] != count or array.shape[2] != units:
        raise ValueError(f"initial states: expected those of {count} directions and {units} units, got {array.shape}")
    if not (array == array.take([0], axis=rows)).all():
        raise UnsupportedError("initial states that are another constant for each row of the batch")
    layer = Parameter([count, units], dtype=dtype)
    symbol = layer(x)
    layer.set_weights([array.take(0, axis=rows)])
    return Value(symbol, ((0,), (1,), (2,)) if layout else ((1,), (0,), (2,)))


def _options(node: Node, functions: list[Any], peepholes: bool) -> dict[str, Any]:
    """Return the arguments of our layer."""
    clip = {} if node.get("clip") is None else {"clip": node.get("clip")}
    if node.operator == "RNN":
        return {"activation": functions[0]} | clip
    options: dict[str, Any] = {"recurrent_activation": functions[0], "activation": functions[1]} | clip
    if node.operator == "GRU":
        return options | {"reset_after": bool(node.get("linear_before_reset", 0))}
    candidate, output = functions[1:]
    options |= {"peepholes": peepholes, "coupled": bool(node.get("input_forget", 0))}
    if activations.get(candidate).in_core == activations.get(output).in_core:
        return options
    if output == "linear":
        return options | {"output_activation": False}
    if candidate == "linear":
        return options | {"activation": output, "input_activation": False}
    return options | {"output_activation": output}


def _ours(
    node: Node, k: int, W: Constant, R: Constant, B: Constant | None, P: Constant | None, gates: int
) -> list[Constant]:
    """Return the weights of a direction as our layer has them."""
    coupled = node.operator == "LSTM" and bool(node.get("input_forget", 0))

    def columns(matrix: Constant) -> Constant:
        blocks = np.split(matrix, gates, axis=0)
        order = [g for g in _ORDER[gates] if not (coupled and g == 2)]  # without f, which is 1 - i
        return np.concatenate([blocks[g] for g in order]).T

    found = [columns(W[k]), columns(R[k])]
    if B is not None:
        halves = np.split(B[k], 2)
        two = node.operator == "GRU" and node.get("linear_before_reset", 0)
        found.append(np.stack([columns(half) for half in halves]) if two else columns(halves[0] + halves[1]))
    if P is not None:  # i, o, f becomes i, f, o
        found.append(P[k].reshape(3, -1)[[0, 2, 1]])
    return found
