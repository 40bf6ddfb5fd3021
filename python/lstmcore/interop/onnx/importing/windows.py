"""Operators of windows over steps, which ONNX has as (batch, channels, steps), and of steps before and behind."""

from __future__ import annotations

from typing import Any

import numpy as np

from .... import layers
from .errors import UnsupportedError
from .nodes import MOST, Node, bounded
from .shapes import without
from .values import OtherBatchError, Value, batch_first

_MOST = 1000  # steps that are others again, each of which is a part of its own
_MOST_SINGLE = 64  # of which each is taken by its number


def _steps_last(value: Any) -> Any:
    """Return the symbol (batch, steps, channels) of a value (batch, channels, steps)."""
    if len(value.axes) != 3:
        raise UnsupportedError(f"windows over {len(value.axes) - 2} axes")
    if value.axes[0] != (0,):
        raise OtherBatchError(0, value)
    if value.axes == ((0,), (2,), (1,)):
        return value.symbol
    return layers.Permute((2, 1))(batch_first(value))


def _channels_first(symbol: Any) -> Value:
    return Value(symbol, ((0,), (2,), (1,)))


def _pads(node: Node, symbol: Any, size: int) -> tuple[int, int]:
    kind = node.get("auto_pad", "NOTSET")
    stride = node.get("strides", [1])[0]
    if kind in ("SAME_UPPER", "SAME_LOWER"):
        steps = symbol.shape[1]
        if steps is None and stride > 1:
            raise UnsupportedError(f"{kind} with strides and a number of steps that is not known")
        whole = size - 1 if steps is None else max(0, (-(-steps // stride) - 1) * stride + size - steps)
        less, more = whole // 2, whole - whole // 2
        return (less, more) if kind == "SAME_UPPER" else (more, less)
    pads = node.get("pads", [0, 0])
    return (0, 0) if kind == "VALID" else (pads[0], pads[1])


def _check_sizes(node: Node) -> None:
    """Refuse windows, or steps around them, that no sequence has: memory would be made of them."""
    for name in ("kernel_shape", "strides", "dilations", "pads"):
        least = 0 if name == "pads" else 1
        if any(not least <= int(n) <= MOST for n in node.get(name, ())):
            raise ValueError(f"{name}: expected numbers from {least} to {MOST}, got {list(node.get(name))}")


def _one_axis(node: Node, number: int) -> tuple[Node, int | None]:
    """Return an operator over steps for one over two axes of which one has a single element, and which axis that is.

    So TensorFlow has its convolutions over steps.
    """
    _check_sizes(node)
    value: Value = node.inputs[0]
    alone = [k for k, own in enumerate(value.axes) if k > 1 and own == ()]
    if len(value.axes) != 4 or not alone:
        return node, None
    gone = alone[0] - 2
    inputs = [without(value, gone + 2, 0), *node.inputs[1:]]
    if number and isinstance(inputs[1], np.ndarray):
        if inputs[1].ndim != 4 or inputs[1].shape[gone + 2] != 1:
            raise UnsupportedError(f"{node.operator} over {inputs[1].ndim - 2} axes")
        inputs[1] = inputs[1].squeeze(gone + 2)
    attributes = dict(node.attributes)
    for name in ("kernel_shape", "strides", "dilations"):
        if name in attributes:
            if len(attributes[name]) != 2 or (name == "kernel_shape" and attributes[name][gone] != 1):
                raise UnsupportedError(f"{node.operator} over two axes")
            attributes[name] = [attributes[name][1 - gone]]
    if "pads" in attributes:
        pads = attributes["pads"]
        if len(pads) != 4 or pads[gone] or pads[gone + 2]:
            raise UnsupportedError(f"{node.operator} over two axes")
        attributes["pads"] = [pads[1 - gone], pads[3 - gone]]
    return Node(node.operator, attributes, inputs, node.outputs, node.opset), gone + 2


def _with_axis(value: Value, axis: int | None) -> Value:
    return value if axis is None else Value(value.symbol, (*value.axes[:axis], (), *value.axes[axis:]))


def conv(node: Node, dtype: Any) -> Value:
    """Return a convolution over steps."""
    node, alone = _one_axis(node, 1)
    kernel, bias = node.constant(1, "W"), node.constant(2, "B")
    if kernel is None or kernel.ndim != 3:
        raise UnsupportedError(f"Conv over {0 if kernel is None else kernel.ndim - 2} axes")
    if node.get("kernel_shape", [kernel.shape[2]]) != [kernel.shape[2]]:
        raise ValueError(f"kernel_shape: expected [{kernel.shape[2]}], as W has it, got {node.get('kernel_shape')}")
    symbol = _steps_last(node.inputs[0])
    dilation, stride = node.get("dilations", [1])[0], node.get("strides", [1])[0]
    pads = _pads(node, symbol, (kernel.shape[2] - 1) * dilation + 1)
    if any(pads):
        symbol = layers.ZeroPadding1D(pads, dtype=dtype)(symbol)
    layer = layers.Conv1D(
        kernel.shape[0],
        kernel.shape[2],
        strides=stride,
        dilation_rate=dilation,
        groups=node.get("group", 1),
        use_bias=bias is not None,
        dtype=dtype,
    )
    outputs = layer(symbol)
    layer.set_weights([kernel.transpose(2, 1, 0), *([] if bias is None else [bias])])
    return _with_axis(_channels_first(outputs), alone)


def pool(node: Node, dtype: Any) -> Value:
    """Return a pooling over windows of steps."""
    node, alone = _one_axis(node, 0)
    return _with_axis(_pooled(node, dtype), alone)


def _pooled(node: Node, dtype: Any) -> Value:
    symbol = _steps_last(node.inputs[0])
    size, stride = node.get("kernel_shape")[0], node.get("strides", [1])[0]
    if node.get("dilations", [1])[0] != 1:
        raise UnsupportedError("dilations of pooling")
    largest = node.operator == "MaxPool"
    kind = layers.MaxPooling1D if largest else layers.AveragePooling1D
    pads, steps = _pads(node, symbol, size), symbol.shape[1]
    if min(pads) < 0 or max(pads) >= size:
        raise ValueError(f"{node.operator}: pads: expected numbers from 0 to {size - 1}, got {list(pads)}")
    if node.get("ceil_mode", 0) and stride > 1:
        pads = _up_to_the_last_step(pads, size, stride, steps, largest)
    if not any(pads):
        return _channels_first(kind(size, stride, "valid", dtype=dtype)(symbol))
    whole = size - 1 if steps is None else max(0, (-(-steps // stride) - 1) * stride + size - steps)
    same = pads == (whole // 2, whole - whole // 2) and (steps is not None or stride == 1)
    if same and (largest or not node.get("count_include_pad")):
        return _channels_first(kind(size, stride, "same", dtype=dtype)(symbol))
    if largest:  # a window with steps from outside has the first or the last one too, so that copies change nothing
        symbol = _padded(symbol, pads, "edge", dtype)
    elif node.get("count_include_pad"):
        symbol = layers.ZeroPadding1D(pads, dtype=dtype)(symbol)
    else:
        raise UnsupportedError(f"pads {list(pads)} of means without count_include_pad")
    return _channels_first(kind(size, stride, "valid", dtype=dtype)(symbol))


def _up_to_the_last_step(
    pads: tuple[int, int], size: int, stride: int, steps: int | None, largest: bool
) -> tuple[int, int]:
    """Return the pads with which there is, for ``ceil_mode``, a last window that is not whole."""
    if steps is None:
        more = stride - 1  # of which no window is made that has enough already
        if not largest or stride + pads[1] > size:  # or one could begin behind the last step, which is none
            raise UnsupportedError("ceil_mode of a number of steps that is not known, but of maxima of near windows")
    else:
        more = -(steps + sum(pads) - size) % stride
        if steps + sum(pads) + more - size >= steps + pads[0]:  # no window begins behind the last step
            more = 0
    if more and not largest:
        raise UnsupportedError("ceil_mode of means of windows that are not whole")
    return pads[0], pads[1] + more


def global_pool(node: Node, dtype: Any) -> Value:
    """Return the largest value or the mean of all steps."""
    kind = layers.GlobalMaxPooling1D if node.operator == "GlobalMaxPool" else layers.GlobalAveragePooling1D
    return Value(kind(dtype=dtype)(_steps_last(node.inputs[0])), ((0,), (1,), ()))


def pad(node: Node, dtype: Any) -> Value:
    """Return zeros before and behind the steps."""
    value = node.inputs[0]
    pads = node.get("pads") if node.opset < 11 else node.constant(1, "pads")
    fill = np.asarray(node.get("value", 0.0)) if node.opset < 11 else node.constant(2, "constant_value")
    mode = node.get("mode", "constant")
    if pads is None or (mode == "constant" and fill is not None and fill.any()):
        raise UnsupportedError("Pad with other than zeros")
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        raise UnsupportedError("axes of Pad")
    count = len(value.axes)
    wanted = [(int(pads[k]), int(pads[k + count])) for k in range(count)]
    bounded([abs(n) for pair in wanted for n in pair if n])
    used = [k for k, pair in enumerate(wanted) if pair != (0, 0)]
    if not used:
        return value  # type: ignore[no-any-return]
    if len(used) > 1 or value.symbol.ndim != 3 or min(wanted[used[0]]) < 0:
        raise UnsupportedError("Pad of other than the steps")
    if value.axis(used[0], "Pad") == 1:
        return Value(_padded(value.symbol, wanted[used[0]], mode, dtype), value.axes)
    other = {(1,): (2,), (2,): (1,)}
    made = _padded(layers.Permute((2, 1))(value.symbol), wanted[used[0]], mode, dtype)
    return Value(made, tuple(other.get(own, own) for own in value.axes))


def _padded(symbol: Any, pads: tuple[int, int], mode: str, dtype: Any) -> Any:
    """Return a symbol (batch, steps, features) with further steps before and behind."""
    if mode == "constant":
        return layers.ZeroPadding1D(pads, dtype=dtype)(symbol)
    before, behind = pads
    if max(pads) > _MOST:
        raise UnsupportedError(f"Pad of more than {_MOST} steps that are others again")
    if mode == "edge":
        parts = [symbol[:, :1]] * before + [symbol] + [symbol[:, -1:]] * behind
    elif mode == "reflect":
        steps = symbol.shape[1]
        if steps is None:
            return _of_single_steps(symbol, range(before, 0, -1), range(-2, -2 - behind, -1))
        if max(pads) >= steps:
            raise ValueError(f"Pad: pads: expected fewer than {steps} reflected steps, got {list(pads)}")
        parts = [symbol[:, before:0:-1]] * (before > 0) + [symbol]
        parts += [symbol[:, steps - 2 : steps - 2 - behind if steps - 2 >= behind else None : -1]] * (behind > 0)
    elif mode == "wrap":
        steps = symbol.shape[1]
        if steps is None:
            return _of_single_steps(symbol, range(-before, 0), range(behind))
        if max(pads) > steps:
            raise ValueError(f"Pad: pads: expected at most {steps} repeated steps, got {list(pads)}")
        parts = [symbol[:, steps - before :]] * (before > 0) + [symbol] + [symbol[:, :behind]] * (behind > 0)
    else:
        raise ValueError(f"Pad: mode: expected constant, reflect, edge or wrap, got {mode!r}")
    return layers.Concatenate(1, dtype=None)(parts)


def _of_single_steps(symbol: Any, before: range, behind: range) -> Any:
    """Return steps with some of them, by their numbers, before and behind: each alone, so that it must be there."""
    if max(len(before), len(behind)) > _MOST_SINGLE:
        raise UnsupportedError(f"Pad of more than {_MOST_SINGLE} steps where their number is not known")
    parts = [[symbol[:, k, None] for k in one] for one in (before, behind)]
    return layers.Concatenate(1, dtype=None)([*parts[0], symbol, *parts[1]])
