"""What becomes of an operator: a constant, what stands for an array, or a call of a layer."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import numpy as np

from ....layers import Absolute, Cast, Negative
from ..package import imported
from . import (
    attention,
    conditions,
    layers,
    masks,
    normalising,
    places,
    recurrent,
    reducing,
    shapes,
    spreading,
    subgraphs,
    windows,
)
from .errors import UnsupportedError
from .folding import OPERATORS, folded
from .nodes import Node
from .reshaping import flatten, reshape
from .sizes import Size
from .values import Value, unmerged

_PASSED = ("Identity", "Dropout")
_LAYERS: dict[str, Any] = {
    **dict.fromkeys(layers.ACTIVATIONS, layers.activation),
    **dict.fromkeys(("Softmax", "LogSoftmax"), layers.softmax),
    **dict.fromkeys(("MaxPool", "AveragePool"), windows.pool),
    **dict.fromkeys(("GlobalMaxPool", "GlobalAveragePool"), windows.global_pool),
    **dict.fromkeys(reducing.REDUCTIONS, reducing.reduce),
    **dict.fromkeys(layers.FUNCTIONS, layers.function),
    **dict.fromkeys(conditions.COMPARED, conditions.compare),
    "Not": conditions.invert,
    "IsNaN": layers.is_nan,
    "IsInf": layers.is_infinite,
    "RMSNormalization": normalising.rms_normalization,
    "InstanceNormalization": normalising.instance_normalization,
    "Where": conditions.where,
    "Reciprocal": layers.reciprocal,
    "ArgMax": reducing.arg_max,
    "HardSigmoid": layers.hard_sigmoid,
    "Clip": layers.clip,
    "PRelu": layers.prelu,
    "Gemm": layers.gemm,
    "BatchNormalization": normalising.batch_normalization,
    "LayerNormalization": normalising.layer_normalization,
    "Conv": windows.conv,
    "Pad": windows.pad,
}
_OF_SIZES = {"GroupNormalization": normalising.group_normalization, "Attention": attention.attention}
_ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mean", "Sum")
_MOVING = {"Transpose": shapes.transpose, "Squeeze": shapes.squeeze, "Unsqueeze": shapes.unsqueeze}
_SIZED = {
    "Slice": shapes.slice_,
    "Reshape": reshape,
    "Concat": shapes.concat,
    "Flatten": flatten,
    "Expand": spreading.expand,
    "Tile": spreading.tile,
    "ReverseSequence": shapes.reverse_sequence,
}
# What looks at axes one by one, so that several of ours that are one of the file's must be one.
_ALONG_AXES = {
    *("Slice", "Split", "Concat", "Gather", "GatherElements", "GatherND", "Softmax", "LogSoftmax", "ArgMax", "Pad"),
    *("BatchNormalization", "LayerNormalization", "SplitToSequence", "Expand", *reducing.REDUCTIONS),
}
_SYMBOLIC = (Value, shapes.Pieces, places.Order, places.Places, masks.OfMask)  # what is no constant
_OF_MARKS = ("SequenceAt", "GatherND")
_MOST_BYTES, _MOST_TIMES = 1 << 26, 8  # of constants that are computed: by themselves, and for each byte of weights
_BY_NAME = (
    "Constant",
    "Split",
    "If",
    "Abs",
    "SplitToSequence",
    "SequenceAt",
    "TopK",
    "GatherND",
    "Loop",
    "CumSum",
    "OneHot",
    "GatherElements",
)
_EITHER = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow")  # whose first input may be a constant alone
_RECURRENT = ("LSTM", "GRU", "RNN")


def is_known(kind: str) -> bool:
    """Return whether an operator of the standard domain is offered, in some way of using it."""
    tables = (_LAYERS, _ELEMENTWISE, _OF_SIZES, _MOVING, _SIZED, _PASSED, _RECURRENT, OPERATORS, _BY_NAME)
    return any(kind in table for table in tables)


def made(walk: Any, node: Node, readers: Counter[str], bias: Any) -> list[Any]:
    """Return what an operator makes; ``readers`` says how often each name is read, ``bias`` is a vector to be added."""
    kind = node.operator
    if kind in _ALONG_AXES:
        node.inputs = [unmerged(value) if isinstance(value, Value) else value for value in node.inputs]
    inputs = node.inputs
    first = inputs[0] if inputs else None
    if kind == "Constant":
        return [_constant(node)]
    if kind == "If":
        return subgraphs.branch(walk, node)
    if kind == "Loop":
        return subgraphs.unrolled(walk, node)
    if kind == "Shape" and isinstance(first, Value):
        shape = first.shape(walk.sizes)[node.get("start", 0) : node.get("end", None)]
        unknown = any(isinstance(n, Size) for n in shape)
        return [np.array(shape, object if unknown else np.int64)]
    if not any(isinstance(value, _SYMBOLIC) for value in inputs):
        return _within_limits(walk, folded(node))
    if any(isinstance(value, masks.OfMask) for value in inputs) and kind not in _RECURRENT:
        if kind == "GatherElements":
            return [masks.moved(node, walk.sizes)]
        if kind == "Where" and isinstance(first, masks.OfMask):
            return [masks.begun(node)]
        made = masks.followed(node, walk.sizes, walk.dtype)
        return made if isinstance(made, list) else [made]
    if any(isinstance(value, places.Order) for value in inputs):
        return [places.reordered(node, walk.sizes)]
    if any(places.numbers_of(value) is not None for value in inputs) and kind in conditions.COMPARED:
        return [places.sequence_mask(node, walk.sizes)]
    if kind == "Concat" and (found := places.places(node, walk.sizes)) is not None:
        return [found]
    if any(isinstance(value, (shapes.Pieces, places.Places)) for value in inputs) and kind not in _OF_MARKS:
        raise UnsupportedError("what is made for indices, or of single steps, alone")
    if kind == "GatherND" and isinstance(first, Value):
        return [places.gather_nd(node)]
    if kind == "GatherElements" and isinstance(first, Value):
        return [places.gather_elements(node, walk.sizes)]
    if kind == "TopK":
        return places.top_k(node, walk.sizes)
    if kind == "SplitToSequence":
        return [shapes.Pieces.of(node)]
    if kind == "SequenceAt":
        if not isinstance(first, shapes.Pieces):
            raise UnsupportedError("other than the pieces of SplitToSequence")
        return [first.at(node)]
    if kind in _PASSED:
        if (
            len(inputs) > 2
            and inputs[2] is not None
            and not (isinstance(inputs[2], np.ndarray) and not inputs[2].any())
        ):
            raise UnsupportedError("training_mode")
        return [first]
    if kind == "Cast":
        return [_cast(walk, node)]
    if isinstance(first, Value) and kind in ("Neg", "Abs"):
        return [layers.same_axes(first, (Negative if kind == "Neg" else Absolute)(dtype=walk.dtype))]
    if (found := _of_integers(walk, node)) is not None:
        return [found]
    if kind in _RECURRENT:
        used = [bool(name) and readers[name] > 0 for name in node.outputs]
        return recurrent.recurrent(node, used, walk.dtype)
    if kind in (*_MOVING, *_SIZED, "Split") and kind != "Concat" and not isinstance(first, Value):
        raise UnsupportedError("a constant with what is computed")
    if kind in _MOVING:
        return [_MOVING[kind](node)]
    if kind in _SIZED:
        return [_SIZED[kind](node, walk.sizes)]
    if kind == "Split":
        return list(shapes.split(node, walk.sizes))
    if kind == "OneHot":
        if isinstance(first, Value):
            walk.embedded.add(first.symbol.key)
        return [
            layers.one_hot(
                node, walk.dtype, walk.uses.get(node.outputs[0]) == {"Cast"}, functools.partial(_within_limits, walk)
            )
        ]
    if kind == "Gather":
        if isinstance(first, np.ndarray):
            walk.embedded.add(inputs[1].symbol.key)
            return [layers.embedding(node, walk.dtype)]
        if isinstance(inputs[1], np.ndarray):
            return [shapes.gather(node)]
        raise UnsupportedError("indices that are computed")
    if kind == "MatMul":
        if isinstance(first, Value) and isinstance(inputs[1], np.ndarray):
            return [layers.dense(node, bias, walk.dtype)]
        if isinstance(first, np.ndarray):
            raise UnsupportedError("a constant on the left")
        return [shapes.matmul(node, walk.dtype)]
    if kind in _OF_SIZES:
        return [_OF_SIZES[kind](node, walk.dtype, walk.sizes)]
    if kind in _ELEMENTWISE:
        return [shapes.elementwise(node, walk.dtype, walk.sizes)]
    if kind not in _LAYERS:
        raise UnsupportedError(kind)
    if not isinstance(first, Value) and kind not in (*_EITHER, *conditions.COMPARED, "Where"):
        raise UnsupportedError("a constant with weights that are computed")
    return [_LAYERS[kind](node, walk.dtype)]


def _within_limits(walk: Any, arrays: list[Any]) -> list[Any]:
    """Return what was computed of constants, as long as that is no more than the file lets expect."""
    walk.computed += sum(array.nbytes for array in arrays)
    if walk.computed > _MOST_BYTES + _MOST_TIMES * walk.given:
        raise ValueError(f"expected constants of at most {_MOST_BYTES >> 20} MB to be computed, beside the weights")
    return arrays


def _cast(walk: Any, node: Node) -> Any:
    value: Value = node.inputs[0]
    target = np.dtype(imported("load_model").helper.tensor_dtype_to_np_dtype(node.get("to")))
    source = value.symbol.dtype
    if source == target or (source.kind in "iu" and target.kind in "iu"):
        return value
    if source.kind == target.kind == "f" and walk.uses.get(node.outputs[0], {""}) <= {"IsNaN", "IsInf"}:
        return value
    if source.kind in "iu" and walk.uses.get(node.outputs[0]) == {"Less"}:
        return value
    if walk.ours and source.kind == "b" and target == np.int64:
        return masks.of_mask(value, walk.sizes)
    if source.kind == "b" and target.kind in "iu" and walk.uses.get(node.outputs[0], set()) <= {"Cast", "ReduceSum"}:
        return value  # which is counted
    if source.kind in "iub" and target == walk.dtype:
        return layers.same_axes(value, Cast(dtype=walk.dtype))
    raise UnsupportedError(f"from {source} to {target}")


def _of_integers(walk: Any, node: Node) -> Any:
    """Return what comes of integers that are made ready for an Embedding, as tf2onnx does; None if it is not that.

    ``x + n`` where ``x < 0``, and ``x`` elsewhere, is ``x``: our Embedding takes no negative numbers. `run` sees to
    it that they go there.
    """
    values = [one for one in node.inputs if isinstance(one, Value)]
    if len(values) != 1 or len(node.inputs) != 2 or values[0].symbol.dtype.kind not in "iu":
        return None
    constant = next(one for one in node.inputs if not isinstance(one, Value))
    if not isinstance(constant, np.ndarray) or constant.dtype == object:
        return None
    if node.operator == "Less" and node.inputs[0] is values[0] and not constant.any():
        walk.not_negative.add(values[0].symbol.key)
        return np.zeros((), bool)
    neutral = {"Add": 0, "Mul": 1}.get(node.operator)
    if neutral is not None and (constant == neutral).all():
        return values[0]
    return constant if node.operator == "Mul" and not constant.any() else None


def _constant(node: Node) -> Any:
    for name, value in node.attributes.items():
        if name == "value":
            return value
        if name in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if name in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
    raise UnsupportedError("other than numbers")
