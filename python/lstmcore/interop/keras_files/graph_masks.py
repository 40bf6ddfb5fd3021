"""The masks that Keras 3 writes into the descriptions of graphs: which of them go there by themselves here too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import layers
from ..._tree import leaves
from ...graph.symbol import Symbol
from ...layers import RNN, Bidirectional
from ...layers.recurrent import Recurrent
from .configs import OF_MASKS, Description, is_operation
from .flow import makes_mask, masks_go_by_the_first, passes_on
from .references import Node, Tensor, tensors

_OPERATIONS = {*OF_MASKS, "Concatenate"}
_CONSTANT = ("OnesLike", "ZerosLike")
# Arguments that are masks, and which argument by position each belongs to.
_ARGUMENTS = {"mask": 0, "query_mask": 0, "value_mask": 1, "key_mask": 2}

Sources = frozenset[Tensor]


class Masks:
    """Follows masks through a graph, from the integers and steps that they were made of.

    Keras writes the masks that it hands on as operations and arguments, as if a user had. Where such an argument is
    made of the same as the mask that comes with the inputs, it is that; another is one that the user has given.
    """

    def __init__(self, described: Mapping[str, Description], nodes: Mapping[tuple[str, int], Node]) -> None:
        self.described, self.nodes = described, nodes
        self.come: dict[Tensor, Sources] = {}  # of what the mask of a tensor is made
        self.unused: dict[int, bool] = {}

    def is_of_masks(self, name: str) -> bool:
        """Whether what has that name is one of the operations that masks are made by."""
        return is_operation(self.described[name]) and self.described[name]["class_name"] in _OPERATIONS

    def options(self, layer: Any, node: Node, at: Mapping[Tensor, Symbol]) -> dict[str, Any]:
        """Return the options of a call without the masks that come with its inputs."""
        options = dict(node.options)
        for name, position in _ARGUMENTS.items():
            given = options.get(name)
            if given is None:
                continue
            if all(one is None for one in leaves(given)):  # a model of several inputs gets them as these are
                del options[name]
                continue
            inputs = node.arguments[position] if position < len(node.arguments) else options.get(name[: -len("_mask")])
            pairs = zip(given, inputs or (), strict=True) if isinstance(given, list) else [(given, inputs)]
            if all(one is None or self._sources(one) == self._coming(source) for one, source in pairs):
                del options[name]
            elif isinstance(given, list):
                options[name] = [None if one is None else self._made(one, at) for one in given]
            else:
                options[name] = self._made(given, at)
        if isinstance(layer, (Recurrent, RNN, Bidirectional)):
            self._leave_unused(layer, bool(options.get("initial_state")) and node.options.get("mask") is None)
        return options

    def _leave_unused(self, layer: Any, unused: bool) -> None:
        # Keras 3 hands on the mask of the only argument that is a tensor, and a state is another.
        if self.unused.setdefault(id(layer), unused) != unused:
            raise ValueError(f"{layer.name}: expected an initial_state at all of its calls or at none")
        layer.uses_mask = not unused

    def note(self, layer: Any, key: tuple[str, int], node: Node) -> None:
        """Remember what the mask of the outputs of a call is made of."""
        first = node.arguments[0] if node.arguments else None
        given = [self._coming(one) for one in (first if isinstance(first, list) else [first])]
        if not getattr(layer, "is_model", False) and isinstance(layer, layers.Layer) and makes_mask(layer):
            sources = frozenset(tensors(first))
        elif isinstance(layer, layers.Layer) and passes_on(layer, [bool(one) for one in given]):
            sources = given[0] if masks_go_by_the_first(layer) else frozenset().union(*given)
        else:
            sources = frozenset()
        self.come[Tensor(*key, 0)] = sources

    def _coming(self, value: Any) -> Sources:
        return frozenset().union(*(self.come.get(tensor, frozenset()) for tensor in tensors(value)))

    def _operation(self, value: Any) -> tuple[str, Node] | None:
        if not isinstance(value, Tensor) or value[:2] not in self.nodes or not self.is_of_masks(value.layer):
            return None
        return str(self.described[value.layer]["class_name"]), self.nodes[value[0], value[1]]

    def _sources(self, mask: Any) -> Sources | None:
        """Return what a mask is made of; None if it is not made by operations."""
        found: set[Tensor] = set()
        todo = [mask]
        while todo:
            one = todo.pop()
            operation = self._operation(one)
            if operation is None:
                return None
            kind, node = operation
            if kind == "NotEqual":
                found |= set(tensors(node.arguments[:1]))
            elif kind not in _CONSTANT:
                todo += tensors(node.arguments)
        return frozenset(found)

    def _made(self, mask: Any, at: Mapping[Tensor, Symbol]) -> Any:
        """Return the symbol of a mask that the user has given."""
        if mask in at:
            return at[mask]
        kind, node = self._operation(mask) or ("", Node([], {}))
        any_feature = kind == "Any"
        if any_feature:
            kind, node = self._operation(node.arguments[0]) or ("", node)
        if kind != "NotEqual" or node.arguments[0] not in at:
            raise ValueError(f"{str(getattr(mask, 'layer', mask))[:100]}: a mask made by operations is not offered")
        return layers.NotEqual(node.arguments[1], any_feature)(at[node.arguments[0]])
