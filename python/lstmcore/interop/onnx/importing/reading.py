"""Files of ONNX: read, and refused by name where they are not whole or not to be trusted."""

from __future__ import annotations

import functools
import heapq
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..package import imported

_OLDEST, _NEWEST = 7, 26  # opsets whose operators are known here
_DOMAINS = ("", "ai.onnx")


def read(where: str) -> tuple[Any, int, bool]:
    """Return the graph of a file, in the package's terms, the version of its operators, and whether we wrote it.

    Raises
    ------
    ValueError
        The file is not whole, is none of ONNX, or asks for what is not to be done; the message names it.
    """
    onnx = imported("load_model")
    with open(where, "rb") as file:
        content = file.read()
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except Exception as error:  # DecodeError, whose package is nobody's business here
        raise ValueError(f"{where}: expected an ONNX file, got one that is not whole or something else") from error
    if not all(isinstance(text, str) for text in (*(o.domain for o in proto.opset_import), *_texts(proto.graph))):
        raise ValueError(f"{where}: expected an ONNX file, got one whose names are no texts")
    if not proto.graph.node and not proto.graph.output:
        raise ValueError(f"{where}: expected an ONNX file, got one without a graph")
    opset = _opset(where, proto)
    if proto.functions:
        raise ValueError(f"{where}: functions: expected none, got {proto.functions[0].name!r}")
    return proto.graph, opset, proto.producer_name == "lstmcore"


def _texts(graph: Any) -> Iterator[Any]:
    """Yield the names in a graph, which a damaged file may have as bytes."""
    for value in (*graph.initializer, *graph.input, *graph.output):
        yield value.name
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        for attribute in node.attribute:
            yield attribute.name
            for inner in (attribute.g, *attribute.graphs):
                yield from _texts(inner)


def _opset(where: str, proto: Any) -> int:
    versions = {entry.domain: entry.version for entry in proto.opset_import}
    version = next((versions[domain] for domain in _DOMAINS if domain in versions), None)
    if version is None or not _OLDEST <= version <= _NEWEST:
        raise ValueError(f"{where}: opset: expected a version from {_OLDEST} to {_NEWEST}, got {version}")
    return int(version)


def domain_of(node: Any) -> str:
    """Return the domain of a node's operator, the standard one as an empty string."""
    return "" if node.domain in _DOMAINS else str(node.domain)


def array_of(where: str, tensor: Any) -> NDArray[Any]:
    """Return the numbers of a tensor, which must be as many as its shape says."""
    onnx = imported("load_model")
    dims = tuple(tensor.dims)
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, ValueError, TypeError):
        raise ValueError(f"{where}: {tensor.name}: expected numbers, got data type {tensor.data_type}") from None
    if any(n < 0 for n in dims):
        raise ValueError(f"{where}: {tensor.name}: expected sizes from 0 on, got shape {dims}")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        content = _external(where, tensor, math.prod(dims) * dtype.itemsize)
        return np.frombuffer(content, dtype.newbyteorder("<")).reshape(dims).astype(dtype)
    if tensor.HasField("raw_data"):
        size = len(tensor.raw_data) // dtype.itemsize if len(tensor.raw_data) % dtype.itemsize == 0 else -1
    else:
        size = max(map(len, (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data)), default=0)
        size = max(size, len(tensor.uint64_data), len(tensor.string_data))
    if size != math.prod(dims):
        raise ValueError(f"{where}: {tensor.name}: expected the numbers of shape {dims}, got {size} of them")
    try:
        return np.array(onnx.numpy_helper.to_array(tensor))
    except Exception as error:
        raise ValueError(f"{where}: {tensor.name}: expected a tensor, got one that does not fit together") from error


def _external(where: str, tensor: Any, size: int) -> bytes:
    """Return the bytes of a tensor in a file beside; one in another folder is not opened."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    location = said.get("location", "")
    folder = os.path.realpath(os.path.dirname(os.path.abspath(where)))
    path = os.path.realpath(os.path.join(folder, location))
    if not location or os.path.isabs(location) or os.path.commonpath([folder, path]) != folder or path == folder:
        raise ValueError(f"{where}: {tensor.name}: external data: expected a file in the same folder, got {location!r}")
    if not os.path.isfile(path):
        raise ValueError(f"{where}: {tensor.name}: external data: expected a file, got {location!r}, which is none")
    try:
        offset, length = int(said.get("offset", 0)), int(said.get("length", size))
    except ValueError:
        raise ValueError(f"{where}: {tensor.name}: external data: expected numbers for offset and length") from None
    if offset < 0 or length != size or offset + length > os.path.getsize(path):
        raise ValueError(
            f"{where}: {tensor.name}: external data: expected {size} bytes, as the shape says, within {location!r}, "
            f"got {length} from {offset} on"
        )
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(length)


def attributes_of(where: str, node: Any) -> dict[str, Any]:
    """Return the attributes of a node: numbers, strings, lists, arrays and graphs."""
    kinds = imported("load_model").AttributeProto
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.type == kinds.TENSOR:
            found[attribute.name] = array_of(where, attribute.t)
        elif attribute.type == kinds.GRAPH:
            found[attribute.name] = attribute.g
        elif attribute.type == kinds.STRING:
            found[attribute.name] = attribute.s.decode("utf-8", "replace")
        elif attribute.type == kinds.STRINGS:
            found[attribute.name] = [s.decode("utf-8", "replace") for s in attribute.strings]
        elif attribute.type == kinds.INT:
            found[attribute.name] = attribute.i
        elif attribute.type == kinds.FLOAT:
            found[attribute.name] = attribute.f
        elif attribute.type == kinds.INTS:
            found[attribute.name] = list(attribute.ints)
        elif attribute.type == kinds.FLOATS:
            found[attribute.name] = list(attribute.floats)
        else:
            raise ValueError(f"{where}: {node.op_type}: {attribute.name}: expected numbers, strings or arrays")
    return found


def in_order(where: str, nodes: Iterable[Any], known: set[str]) -> list[Any]:
    """Return nodes such that each comes after those that make its inputs.

    Raises
    ------
    ValueError
        Nodes need one another in a circle, something that nothing makes, or make the same.
    """
    left, order, done = list(nodes), [], set(known) | {""}
    made: dict[str, Any] = {}
    for node in left:
        for name in filter(None, node.output):
            if name in made or name in known:
                raise ValueError(f"{where}: {name}: expected one node that makes it, got several")
            made[name] = node
    waits = [{name for name in needed(node) if name not in done} for node in left]
    readers: dict[str, list[int]] = {}
    for k, names in enumerate(waits):
        for name in names:
            readers.setdefault(name, []).append(k)
    ready = [k for k, names in enumerate(waits) if not names]
    heapq.heapify(ready)  # of those that can come next the one that stands first in the file
    while ready:
        node = left[heapq.heappop(ready)]
        order.append(node)
        for name in filter(None, node.output):
            for k in readers.get(name, ()):
                waits[k].discard(name)
                if not waits[k]:
                    heapq.heappush(ready, k)
    if len(order) < len(left):
        waiting = [(node, names) for node, names in zip(left, waits, strict=True) if names]
        absent = sorted({name for _, names in waiting for name in names if name not in made})
        if absent:
            raise ValueError(f"{where}: {waiting[0][0].op_type}: expected inputs that something makes, got {absent}")
        raise ValueError(
            f"{where}: expected a graph without circles, but "
            f"{', '.join(n.name or n.op_type for n, _ in waiting[:5])} need one another"
        )
    return order


def read_for(nodes: list[Any], outputs: Iterable[str]) -> list[Any]:
    """Return the nodes, which are in order, that outputs depend on."""
    wanted, found = set(outputs), []
    for node in reversed(nodes):
        if not wanted.isdisjoint(filter(None, node.output)):
            wanted.update(needed(node))
            found.append(node)
    return found[::-1]


@functools.cache
def _inputs_of(operator: str, opset: int) -> tuple[str, ...]:
    """Return of each input of an operator whether it is "Single", "Optional" or "Variadic": it and all behind it."""
    defs = imported("load_model").defs
    try:
        return tuple(one.option.name for one in defs.get_schema(operator, opset, "").inputs)
    except defs.SchemaError:
        return ()


def check_inputs(node: Any, opset: int) -> None:
    """Refuse a node without an input that its operator needs, or with more than it has: `onnx.checker` does not."""
    options = _inputs_of(node.op_type, opset)
    if options and options[-1] != "Variadic" and len(node.input) > len(options):
        raise ValueError(f"expected at most {len(options)} inputs, got {len(node.input)}")
    for k, option in enumerate(options):
        given = node.input[k:] if option == "Variadic" else node.input[k : k + 1] or [""]
        if option != "Optional" and not all(given):
            raise ValueError(f"expected an input {k}, got none")


def needed(node: Any) -> list[str]:
    """Return the names that a node needs, those that graphs within take from outside too."""
    names = list(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            own = {t.name for t in graph.initializer} | {v.name for v in graph.input}
            own |= {name for inner in graph.node for name in inner.output}
            names += [name for inner in graph.node for name in needed(inner) if name not in own]
    return names
