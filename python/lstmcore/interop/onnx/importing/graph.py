"""The way through the graph of a file: every operator becomes a constant or a layer."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ....graph.symbol import Symbol
from ....layers import Absolute, Cast, Input, Negative
from ..package import imported
from . import conditions, layers, places, recurrent, shapes, windows
from .folding import OPERATORS, Node, folded
from .reading import array_of, attributes_of, domain_of, in_order, needed, read
from .reshaping import reshape, separate
from .values import OtherBatchError, Size, Sizes, UnsupportedError, Value, batch_first, unmerged

_PASSED = ("Identity", "Dropout")
_LAYERS: dict[str, Any] = {
    **dict.fromkeys(layers.ACTIVATIONS, layers.activation),
    **dict.fromkeys(("Softmax", "LogSoftmax"), layers.softmax),
    **dict.fromkeys(("MaxPool", "AveragePool"), windows.pool),
    **dict.fromkeys(("GlobalMaxPool", "GlobalAveragePool"), windows.global_pool),
    **dict.fromkeys(layers.REDUCTIONS, layers.reduce),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mean", "Sum"), shapes.elementwise),
    **dict.fromkeys(layers.FUNCTIONS, layers.function),
    **dict.fromkeys(conditions.COMPARED, conditions.compare),
    "Not": conditions.invert,
    "Where": conditions.where,
    "Reciprocal": layers.reciprocal,
    "ArgMax": layers.arg_max,
    "HardSigmoid": layers.hard_sigmoid,
    "Clip": layers.clip,
    "PRelu": layers.prelu,
    "Gemm": layers.gemm,
    "BatchNormalization": layers.batch_normalization,
    "LayerNormalization": layers.layer_normalization,
    "Conv": windows.conv,
    "Pad": windows.pad,
}
_MOVING = {"Transpose": shapes.transpose, "Squeeze": shapes.squeeze, "Unsqueeze": shapes.unsqueeze}
_SIZED = {
    "Slice": shapes.slice_,
    "Reshape": reshape,
    "Concat": shapes.concat,
    "Expand": shapes.expand,
    "ReverseSequence": shapes.reverse_sequence,
}
# What looks at axes one by one, so that several of ours that are one of the file's must be one.
_ALONG_AXES = {
    *("Slice", "Split", "Concat", "Gather", "GatherElements", "GatherND", "Softmax", "LogSoftmax", "ArgMax", "Pad"),
    *("BatchNormalization", "LayerNormalization", "SplitToSequence", "Expand", *layers.REDUCTIONS),
}
_OF_MARKS = ("SequenceAt", "GatherND")
_MOST_BYTES, _MOST_TIMES = 1 << 26, 8  # of constants that are computed: by themselves, and for each byte of weights
_MOST_NODES = 100_000  # of loops, in all their rounds
_BY_NAME = ("Constant", "Split", "Flatten", "If", "Abs", "SplitToSequence", "SequenceAt", "TopK", "GatherND", "Loop")
_EITHER = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow")  # whose first input may be a constant alone
_RECURRENT = ("LSTM", "GRU", "RNN")


class _Unknown:
    """Stands for what an operator would have made that is not offered."""


_UNKNOWN = _Unknown()


def symbols(where: str) -> tuple[list[Symbol], list[Symbol]]:
    """Return the inputs and outputs of a file as symbols of our layers, batch first.

    Raises
    ------
    NotImplementedError
        There are operators that our layers do not say; the message lists all.
    ValueError
        The file is not whole, or does not fit together; the message names it.
    """
    graph, opset = read(where)
    batches: dict[str, int] = {}
    tried: set[tuple[str, int]] = set()
    while True:
        walk = _Walk(where, graph, opset, batches)
        try:
            return walk.run()
        except OtherBatchError as other:
            # An input has its batch elsewhere than first: where what was made of it says.
            name, axis = walk.source(other)
            if name is None or batches.get(name, 0) == axis or (name, axis) in tried:
                raise NotImplementedError(f"{where}: a batch that is not the same axis for all: {other}") from None
            tried |= {(name, axis), (name, batches.get(name, 0))}
            batches[name] = axis


class _Walk:
    def __init__(self, where: str, graph: Any, opset: int, batches: dict[str, int]) -> None:
        self.where, self.graph, self.opset, self.batches = where, graph, opset, batches
        self.values: dict[str, Any] = {"": None}
        self.sizes = Sizes()
        self.missing: list[str] = []
        self.inputs: dict[str, Symbol] = {}
        self.dtype = np.dtype(np.float32)
        self.orders: dict[str, places.Order | None] = {}  # in which rows stand, where it is not that of the inputs
        self.given = self.computed = 0  # bytes of constants in the file, and of those that are made of them
        self.shared: dict[Any, Any] = {}  # layers that are called again, by their weights
        self.uses: dict[str, set[str]] = {}  # the operators that read a value
        self.not_negative: set[Any] = set()  # symbols that must go to an Embedding, and to nothing else
        self.embedded: set[Any] = set()

    def run(self) -> tuple[list[Symbol], list[Symbol]]:
        """Return the inputs and the outputs."""
        for tensor in self.graph.initializer:
            self.values[tensor.name] = array_of(self.where, tensor)
        self.given = sum(a.nbytes for a in self.values.values() if a is not None)
        if self.graph.sparse_initializer:
            raise NotImplementedError(f"{self.where}: sparse initializers")
        floats = Counter(a.dtype for a in self.values.values() if isinstance(a, np.ndarray) and a.dtype.kind == "f")
        declared = [v for v in self.graph.input if v.name not in self.values]
        kinds = [self._described(information) for information in declared]
        for _, dtype in kinds:
            if dtype.kind == "f":
                floats[dtype] += 1
        if floats and (most := floats.most_common(1)[0][0]) in (np.float32, np.float64):
            self.dtype = np.dtype(most)
        self._guess_batch(declared)
        for information, (shape, dtype) in zip(declared, kinds, strict=True):
            self._input(information.name, shape, dtype)
        self._nodes(self.graph)
        if self.not_negative - self.embedded:
            self.missing.append("Less (of integers that are not those of an embedding)")
        if self.missing:
            raise NotImplementedError(
                f"{self.where}: operators, or ways to use them, that are not offered: "
                + "; ".join(dict.fromkeys(self.missing))
            )
        if not self.graph.output or not self.inputs:
            raise ValueError(f"{self.where}: expected a graph with inputs and outputs")
        return list(self.inputs.values()), [self._output(v.name) for v in self.graph.output]

    def _described(self, information: Any) -> tuple[list[int | None], np.dtype[Any]]:
        if not information.type.HasField("tensor_type"):
            raise NotImplementedError(f"{self.where}: {information.name}: expected an array")
        tensor = information.type.tensor_type
        if not tensor.HasField("shape"):
            raise ValueError(f"{self.where}: {information.name}: expected a number of axes, got none")
        shape = [int(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim]
        try:
            dtype = np.dtype(imported("load_model").helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        except (KeyError, ValueError, TypeError):
            raise ValueError(
                f"{self.where}: {information.name}: expected numbers, got data type {tensor.elem_type}"
            ) from None
        if dtype.kind not in "iub" and dtype not in (np.float32, np.float64):
            raise NotImplementedError(f"{self.where}: {information.name}: an input of {dtype}")
        return shape, dtype

    def _guess_batch(self, declared: list[Any]) -> None:
        """Say of inputs that have the same size, or the same name of one, in common that it is the batch's."""
        sizes = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in declared]
        if not all(sizes):
            return
        common = next((n for n in sizes[0][:2] if n and all(n in own for own in sizes)), None)
        if common is not None:
            for information, own in zip(declared, sizes, strict=True):
                self.batches.setdefault(information.name, own.index(common))
        axes = [(self.batches.get(v.name, 0), own) for v, own in zip(declared, sizes, strict=True)]
        rows = {own[axis] if axis < len(own) else "" for axis, own in axes}
        if len(rows) == 1 and isinstance(only := rows.pop(), int) and only > 0:
            self.sizes.rows = only

    def _input(self, name: str, shape: list[int | None], dtype: np.dtype[Any]) -> None:
        batch = self.batches.get(name, 0)
        if batch >= len(shape):
            raise NotImplementedError(f"{self.where}: {name}: an input of {len(shape)} axes, which has no batch")
        rest = [n for k, n in enumerate(shape) if k != batch]
        symbol = Input(batch_shape=(None, *rest), dtype=str(dtype), name=name.replace("/", "_"))
        self.inputs[name] = symbol
        places: list[tuple[int, ...]] = [(k + 1,) for k in range(len(rest))]
        places.insert(batch, (0,))
        self.values[name] = Value(symbol, tuple(places))

    def _output(self, name: str) -> Symbol:
        value = self.values.get(name)
        if not isinstance(value, Value):
            raise ValueError(f"{self.where}: {name}: expected an output that depends on the inputs")
        if self.orders.get(name) is not None:
            raise NotImplementedError(f"{self.where}: {name}: rows in the order of their lengths")
        try:
            return batch_first(separate(value))
        except UnsupportedError as error:
            raise NotImplementedError(f"{self.where}: {name}: {error}") from None

    def source(self, other: OtherBatchError) -> tuple[str | None, int]:
        """Return the input that a value is made of, and which of its axes is the batch according to an error."""
        own = other.value.axes[other.axis]
        todo, seen = [other.value.symbol], set()
        while todo:
            symbol = todo.pop()
            if symbol.key in seen:
                continue
            seen.add(symbol.key)
            for name, given in self.inputs.items():
                if given.key == symbol.key:
                    before = self.batches.get(name, 0)
                    axis = own[0] if own and own[0] < given.ndim else 1
                    # The symbol has the batch, which was at ``before``, first.
                    order = [before, *(k for k in range(given.ndim) if k != before)]
                    return name, order[axis]
            todo += symbol.call.sources
        return None, 0

    # --- nodes ---

    def _nodes(self, graph: Any) -> None:
        nodes = in_order(self.where, graph.node, set(self.values))
        readers = Counter(name for node in nodes for name in needed(node))
        readers.update(v.name for v in graph.output)
        following = {name: node for node in nodes for name in node.input}
        for node in nodes:
            for name in node.input:
                self.uses.setdefault(name, set()).add(node.op_type)
        taken: set[int] = set()
        for proto in nodes:
            if id(proto) in taken:
                continue
            inputs = [self.values.get(name) for name in proto.input]
            attributes = attributes_of(self.where, proto)
            node = Node(proto.op_type, attributes, inputs, list(proto.output), self.opset)
            node.shared = self.shared
            if any(value is _UNKNOWN for value in inputs):
                outputs: list[Any] = [_UNKNOWN] * len(proto.output)
                if not self._is_known(proto):
                    self._miss(proto, None)
            elif domain_of(proto):
                outputs = [_UNKNOWN] * len(proto.output)
                self._miss(proto, None)
            else:
                bias = self._bias_after(proto, inputs, readers, following)
                try:
                    order = places.order_after(
                        node, {self.orders.get(name) for name in proto.input if isinstance(self.values[name], Value)}
                    )
                    outputs = self._made(node, readers, None if bias is None else bias[1])
                    if proto.op_type != "If":  # whose branch has said it
                        self.orders.update(dict.fromkeys(proto.output, order))
                    if bias is not None:
                        taken.add(id(bias[0]))
                        self.values[bias[0].output[0]] = outputs[0]
                        self.orders[bias[0].output[0]] = order
                except UnsupportedError as error:
                    outputs = [_UNKNOWN] * len(proto.output)
                    self._miss(proto, error)
                except (ValueError, TypeError, IndexError, KeyError, ArithmeticError) as error:
                    raise ValueError(f"{self.where}: {proto.name or proto.op_type}: {error}") from error
            for k, name in enumerate(proto.output):
                if not name:
                    continue
                self.values[name] = outputs[k] if k < len(outputs) else None
                if self.values[name] is None and readers[name]:
                    self._miss(proto, UnsupportedError(f"output {k}"))
                    self.values[name] = _UNKNOWN

    def _is_known(self, proto: Any) -> bool:
        kind = proto.op_type
        others = (*_PASSED, *_RECURRENT, *OPERATORS, *_BY_NAME)
        return not domain_of(proto) and kind in (*_LAYERS, *_MOVING, *_SIZED, *others)

    def _miss(self, proto: Any, error: UnsupportedError | None) -> None:
        kind = f"{proto.domain}.{proto.op_type}" if domain_of(proto) else proto.op_type
        self.missing.append(
            kind if error is None or (str(error).startswith(kind) and str(error) == kind) else f"{kind} ({error})"
        )

    def _bias_after(self, proto: Any, inputs: list[Any], readers: Counter[str], following: Any) -> Any:
        """Return the node that adds a vector to what a product with a matrix makes, and the vector; None for none."""
        if (
            proto.op_type != "MatMul"
            or len(inputs) != 2
            or not isinstance(inputs[0], Value)
            or not isinstance(inputs[1], np.ndarray)
            or inputs[1].ndim != 2
        ):
            return None
        name = proto.output[0]
        after = following.get(name)
        if readers[name] != 1 or after is None or after.op_type != "Add":
            return None
        other = next((n for n in after.input if n != name), "")
        vector = self.values.get(other)
        if not isinstance(vector, np.ndarray) or vector.shape != inputs[1].shape[1:]:
            return None
        return after, vector

    def _made(self, node: Node, readers: Counter[str], bias: Any) -> list[Any]:
        kind = node.operator
        if kind in _ALONG_AXES:
            node.inputs = [unmerged(value) if isinstance(value, Value) else value for value in node.inputs]
        inputs = node.inputs
        first = inputs[0] if inputs else None
        if kind == "Constant":
            return [_constant(node)]
        if kind == "If":
            return self._branch(node)
        if kind == "Loop":
            return self._unrolled(node)
        if kind == "Shape" and isinstance(first, Value):
            shape = first.shape(self.sizes)[node.get("start", 0) : node.get("end", None)]
            unknown = any(isinstance(n, Size) for n in shape)
            return [np.array(shape, object if unknown else np.int64)]
        if not any(isinstance(value, (Value, shapes.Pieces, places.Order, places.Places)) for value in inputs):
            return self._within_limits(folded(node))
        if any(isinstance(value, places.Order) for value in inputs):
            return [places.reordered(node, self.sizes)]
        if any(places.numbers_of(value) is not None for value in inputs) and kind in conditions.COMPARED:
            return [places.sequence_mask(node, self.sizes)]
        if kind == "Concat" and (found := places.places(node, self.sizes)) is not None:
            return [found]
        if any(isinstance(value, (shapes.Pieces, places.Places)) for value in inputs) and kind not in _OF_MARKS:
            raise UnsupportedError("what is made for indices, or of single steps, alone")
        if kind == "GatherND" and isinstance(first, Value):
            return [places.gather_nd(node)]
        if kind == "GatherElements" and isinstance(first, Value):
            return [places.gather_elements(node, self.sizes)]
        if kind == "TopK":
            return places.top_k(node, self.sizes)
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
            return [self._cast(node)]
        if isinstance(first, Value) and kind in ("Neg", "Abs"):
            return [layers.same_axes(first, (Negative if kind == "Neg" else Absolute)(dtype=self.dtype))]
        if (found := self._of_integers(node)) is not None:
            return [found]
        if kind in _RECURRENT:
            used = [bool(name) and readers[name] > 0 for name in node.outputs]
            return recurrent.recurrent(node, used, self.dtype)
        if kind in (*_MOVING, *_SIZED, "Split", "Flatten") and kind != "Concat" and not isinstance(first, Value):
            raise UnsupportedError("a constant with what is computed")
        if kind in _MOVING:
            return [_MOVING[kind](node)]
        if kind in _SIZED:
            return [_SIZED[kind](node, self.sizes)]
        if kind == "Split":
            return list(shapes.split(node, self.sizes))
        if kind == "Flatten":
            return [shapes.flatten(node)]
        if kind == "Gather":
            if isinstance(first, np.ndarray):
                self.embedded.add(inputs[1].symbol.key)
                return [layers.embedding(node, self.dtype)]
            if isinstance(inputs[1], np.ndarray):
                return [shapes.gather(node)]
            raise UnsupportedError("indices that are computed")
        if kind == "MatMul":
            if isinstance(first, Value) and isinstance(inputs[1], np.ndarray):
                return [layers.dense(node, bias, self.dtype)]
            if isinstance(first, np.ndarray):
                raise UnsupportedError("a constant on the left")
            return [shapes.matmul(node, self.dtype)]
        if kind not in _LAYERS:
            raise UnsupportedError(kind)
        if not isinstance(first, Value) and kind not in (*_EITHER, *conditions.COMPARED, "Where"):
            raise UnsupportedError("a constant with weights that are computed")
        return [_LAYERS[kind](node, self.dtype)]

    def _within_limits(self, arrays: list[Any]) -> list[Any]:
        """Return what was computed of constants, as long as that is no more than the file lets expect."""
        self.computed += sum(array.nbytes for array in arrays)
        if self.computed > _MOST_BYTES + _MOST_TIMES * self.given:
            raise ValueError(f"expected constants of at most {_MOST_BYTES >> 20} MB to be computed, beside the weights")
        return arrays

    def _cast(self, node: Node) -> Value:
        value: Value = node.inputs[0]
        target = np.dtype(imported("load_model").helper.tensor_dtype_to_np_dtype(node.get("to")))
        source = value.symbol.dtype
        if source == target or (source.kind in "iu" and target.kind in "iu"):
            return value
        if source.kind in "iu" and self.uses.get(node.outputs[0]) == {"Less"}:
            return value
        if source.kind in "iub" and target == self.dtype:
            return layers.same_axes(value, Cast(dtype=self.dtype))
        raise UnsupportedError(f"from {source} to {target}")

    def _of_integers(self, node: Node) -> Any:
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
            self.not_negative.add(values[0].symbol.key)
            return np.zeros((), bool)
        neutral = {"Add": 0, "Mul": 1}.get(node.operator)
        if neutral is not None and (constant == neutral).all():
            return values[0]
        return constant if node.operator == "Mul" and not constant.any() else None

    def _branch(self, node: Node) -> list[Any]:
        condition = node.inputs[0]
        if not isinstance(condition, np.ndarray):
            raise UnsupportedError("a condition that is computed")
        graph = node.get("then_branch" if condition.reshape(-1)[0] else "else_branch")
        if graph is None:
            raise ValueError("expected a graph for each outcome of the condition")
        for tensor in graph.initializer:
            self.values[tensor.name] = array_of(self.where, tensor)
        self._nodes(graph)
        self.orders.update({own: self.orders.get(v.name) for own, v in zip(node.outputs, graph.output, strict=True)})
        return [self.values[v.name] for v in graph.output]

    def _unrolled(self, node: Node) -> list[Any]:
        """Return what a loop makes that goes round a number of times that is known."""
        count, condition = node.constant(0, "a number of rounds"), node.constant(1, "a condition")
        if count is None or count.dtype == object or any(self.orders.values()):
            raise UnsupportedError("a number of rounds that is not known")
        if node.get("body") is None:
            raise ValueError("body: expected a graph, got none")
        body, rounds = node.get("body"), int(count.reshape(-1)[0])
        if rounds * len(body.node) > _MOST_NODES:
            raise ValueError(f"Loop: expected at most {_MOST_NODES} operators in all rounds, got {rounds} rounds")
        carried, goes_on = list(node.inputs[2:]), condition is None or bool(condition.reshape(-1)[0])
        if len(body.input) != 2 + len(carried) or len(body.output) < 1 + len(carried):
            raise ValueError(f"Loop: expected a body of {2 + len(carried)} inputs, got {len(body.input)}")
        scanned: list[list[Any]] = [[] for _ in body.output[1 + len(carried) :]]
        own = {name for inner in body.node for name in inner.output}
        for k in range(rounds):
            if not goes_on:
                break
            for name in own:
                self.values.pop(name, None)
            given = [np.array(k, np.int64), np.array(True), *carried]
            self.values.update(zip((v.name for v in body.input), given, strict=True))
            self.values.update({t.name: array_of(self.where, t) for t in body.initializer})
            self._nodes(body)
            made = [self.values[v.name] for v in body.output]
            if not isinstance(made[0], np.ndarray):
                raise UnsupportedError("a condition that is computed")
            goes_on, carried = bool(made[0].reshape(-1)[0]), made[1 : 1 + len(carried)]
            for parts, value in zip(scanned, made[1 + len(carried) :], strict=True):
                parts.append(value)
        return [*carried, *(self._stacked(node, parts) for parts in scanned)]

    def _stacked(self, node: Node, parts: list[Any]) -> Any:
        """Return what the rounds of a loop have made, one after the other."""
        if not parts or not all(isinstance(value, Value) for value in parts):
            raise UnsupportedError("rounds that make constants")
        wide = [Value(value.symbol, ((), *value.axes)) for value in parts]
        return shapes.concat(Node("Concat", {"axis": 0}, wide, [], node.opset), self.sizes)


def _constant(node: Node) -> Any:
    for name, value in node.attributes.items():
        if name == "value":
            return value
        if name in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if name in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
    raise UnsupportedError("other than numbers")
