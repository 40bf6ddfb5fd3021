"""The way through the graph of a file: every operator becomes a constant or a layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ....graph.symbol import Symbol
from ....layers import Input
from ..package import imported
from . import masks, places, rows
from .errors import UnsupportedError
from .nodes import Node
from .operators import is_known
from .reading import array_of, attributes_of, check_inputs, domain_of, in_order, needed, read, read_for
from .reshaping import separate
from .sizes import Sizes
from .values import OtherBatchError, Value, batch_first


class _Unknown:
    """Stands for what an operator would have made that is not offered."""


_UNKNOWN = _Unknown()
_ONE_WAY = " (lstmcore wrote this file; was it changed? save keeps a model that is to come back)"


def symbols(where: str, model_of: Callable[..., Any]) -> tuple[list[Symbol], list[Symbol]]:
    """Return the inputs and outputs of a file as symbols of our layers, batch first; ``model_of`` makes models of such.

    Raises
    ------
    NotImplementedError
        There are operators that our layers do not say; the message lists all.
    ValueError
        The file is not whole, or does not fit together; the message names it.
    """
    graph, opset, ours = read(where)
    batches: dict[str, int] = {}
    tried: set[tuple[str, int]] = set()
    while True:
        walk = _Walk(where, graph, opset, batches, ours, model_of)
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
    def __init__(
        self, where: str, graph: Any, opset: int, batches: dict[str, int], ours: bool, model_of: Callable[..., Any]
    ) -> None:
        self.ours, self.model_of = ours, model_of  # the latter for models that are layers
        self.where, self.graph, self.opset, self.batches = where, graph, opset, batches
        self.values: dict[str, Any] = {"": None}
        self.sizes = Sizes()
        self.missing: list[str] = []
        self.inputs: dict[str, Symbol] = {}
        self.dtype = np.dtype(np.float32)
        self.orders: dict[str, Any] = {}  # in which rows stand, where it is not that of the inputs
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
        self.follow(self.graph)
        if self.not_negative - self.embedded:
            self.missing.append("Less (of integers that are not those of an embedding)")
        if self.missing:
            raise NotImplementedError(
                f"{self.where}: operators, or ways to use them, that are not offered: "
                + "; ".join(dict.fromkeys(self.missing))
                + (_ONE_WAY if self.ours else "")
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

    def follow(self, graph: Any) -> None:
        """Make what the operators of a graph make, under the names that they have there."""
        nodes = read_for(in_order(self.where, graph.node, set(self.values)), [v.name for v in graph.output])
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
                if domain_of(proto) or not is_known(proto.op_type):
                    self._miss(proto, None)
            elif domain_of(proto):
                outputs = [_UNKNOWN] * len(proto.output)
                self._miss(proto, None)
            else:
                bias = self._bias_after(proto, inputs, readers, following)
                try:
                    check_inputs(proto, self.opset)
                    order = self._order_after(node, proto)
                    outputs = rows.made(self, node, readers, None if bias is None else bias[1])
                    if proto.op_type != "If":  # whose branch has said it
                        self.orders.update(dict.fromkeys(proto.output, order))
                        if isinstance(order, masks.Moved) and proto.op_type in ("LSTM", "GRU", "RNN"):
                            self.orders.update(dict.fromkeys(proto.output[1:], None))  # states have no steps
                    if bias is not None:
                        taken.add(id(bias[0]))
                        self.values[bias[0].output[0]] = outputs[0]
                        self.orders[bias[0].output[0]] = order
                except UnsupportedError as error:
                    outputs = [_UNKNOWN] * len(proto.output)
                    self._miss(proto, error)
                except (OtherBatchError, NotImplementedError, ImportError, MemoryError):
                    raise
                except Exception as error:  # what a hostile or damaged file makes go wrong can be anything
                    raise ValueError(f"{self.where}: {proto.name or proto.op_type}: {error}") from error
            for k, name in enumerate(proto.output):
                if not name:
                    continue
                self.values[name] = outputs[k] if k < len(outputs) else None
                if self.values[name] is None and readers[name]:
                    self._miss(proto, UnsupportedError(f"output {k}"))
                    self.values[name] = _UNKNOWN

    def _order_after(self, node: Node, proto: Any) -> Any:
        """Return the order in which rows, or steps, stand in what an operator makes."""
        before = {self.orders.get(name) for name in proto.input if isinstance(self.values[name], Value)}
        if any(isinstance(one, masks.Moved) for one in before) or any(isinstance(v, masks.OfMask) for v in node.inputs):
            if any(isinstance(one, places.Order) for one in before):
                raise UnsupportedError("rows in another order, and steps too")
            return masks.order_after(node, before)
        return places.order_after(node, before)

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
