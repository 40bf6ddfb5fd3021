"""What models that run a plan of layers share: a chain and a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import _masks
from .._tree import leaves, map_leaves, map_shapes
from ..activations import Activation
from ..graph.drawing import Drawing
from ..graph.kept import Kept
from ..graph.plan import Slot
from ..graph.symbol import Call, Symbol, given
from ..variables import Variable
from .model import Model


class Planned(Model):
    """A model whose passes are those of a `Drawing`.

    Layers belong to no one: those of another model can be part of it, and are trained by whoever trains.
    """

    _kept: Kept | None = None

    def _draw(self, inputs: Any, outputs: Any) -> None:
        """Be the model from these symbols to those."""
        self._drawing, self._kept = Drawing(self.name, inputs, outputs), None

    @property
    def drawing(self) -> Drawing:
        """What the model does, as symbols."""
        if self._drawing is None:
            self._require_built()
            raise AttributeError(f"{self.name}: is not drawn")
        return self._drawing

    # --- layers ---

    @property
    def output_key(self) -> str | None:
        """The name of the only output, which a dict of targets is to have."""
        names = None if self._drawing is None else self._drawing.names
        return names if isinstance(names, str) else None

    @property
    def inputs(self) -> list[Symbol]:
        """The symbols of the inputs, one after the other."""
        return list(leaves(self.input))

    @property
    def outputs(self) -> list[Symbol]:
        """The symbols of the outputs, one after the other."""
        return list(leaves(self.output))

    @property
    def input(self) -> Any:
        """The symbols that it is given, in lists and dicts as they were."""
        return self.drawing.inputs

    @property
    def output(self) -> Any:
        """The symbols that it returns, in lists and dicts as they were."""
        return self.drawing.outputs

    def _distinct(self) -> list[Variable]:
        return list({id(v): v for layer in self.sublayers for v in layer.variables}.values())

    # --- in graphs ---

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the outputs for inputs of that shape, batch first."""
        plan = self.drawing.plan
        at: list[Any] = [None] * (plan.size + 1)
        shaped = map_shapes(lambda one: given(self.name, tuple(one), self.dtype), input_shape)
        flat = isinstance(shaped, list) and all(isinstance(part, Symbol) for part in shaped)
        if not flat or len(shaped) != len(self.inputs):
            shaped = self.ordered(shaped)  # not yet, as they are for a call in a graph
        for symbol, slot, part in zip(self.inputs, plan.inputs, leaves(shaped), strict=True):
            at[slot] = given(symbol.name, part.shape, symbol.dtype)

        def placed(value: Any) -> Any:
            return map_leaves(lambda part: at[part] if isinstance(part, Slot) else part, value)

        for step in plan.steps:
            options = {name: placed(value) for name, value in step.options.items()}
            made = Call(step.layer, (), *step.layer.result_of_call(placed(step.inputs), options)).outputs
            for slot, symbol in zip(step.outputs, leaves(made), strict=True):
                at[slot] = symbol
        slots = iter(plan.outputs)
        return map_leaves(lambda _: at[next(slots)].shape, self.output)

    def dtype_of_call(self, inputs: Any) -> Any:
        """Return the dtypes of the outputs, in their places."""
        return map_leaves(lambda symbol: symbol.dtype, self.output)

    # --- passes ---

    def _run(self, inputs: Any, training: bool, mask: Any, logits: bool | Sequence[bool]) -> tuple[Any, Any]:
        if self.last_returned is not None:
            self.last_returned = None
        outputs, mask, kept = (self._drawing or self.drawing).run(inputs, training, mask, logits)
        if training:
            self.__dict__["_kept"] = kept  # what is set as an attribute is searched for layers
        return outputs, mask

    def forward(
        self, inputs: Any, training: bool = False, mask: Any = None, logits: bool | Sequence[bool] = False
    ) -> Any:
        """Pass a batch through the layers; with ``training``, keep what `backward` needs."""
        return self.run(inputs, training, mask, logits)[0]

    def forward_with_mask(
        self, inputs: Any, training: bool = False, mask: Any = None, logits: bool = False, **options: Any
    ) -> tuple[Any, Any]:
        """Return the outputs for a batch and their masks."""
        if options:
            raise TypeError(f"{self.name} got an unexpected argument {next(iter(options))!r}")
        return self._run(inputs, training, _masks.unless_ended(self, mask), logits)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the outputs, by passing a batch through the layers."""
        return self.run(self._accept(inputs), mask=mask)[1]

    def backward(self, d_outputs: Any, need_d_inputs: bool = True, logits: bool | Sequence[bool] = False) -> Any:
        """Add to the gradients of all weights, from those of the outputs; return those of the inputs, if needed."""
        kept, self.__dict__["_kept"] = self._kept, None
        if kept is None:
            raise RuntimeError(f"{self.name}: backward needs a forward pass with training=True before it")
        return self.drawing.backward(d_outputs, kept, need_d_inputs, logits)

    @property
    def last_activation(self) -> Activation | None:  # type: ignore[override]
        """The activation that the layer of the only output ends with, if it can leave it out."""
        return self.last_activations[0] if self._drawing is not None and isinstance(self.output, Symbol) else None


def refuse_equal_names(model: Any) -> None:
    """Refuse layers of one name, which could not be loaded."""
    names = [layer.name for layer in model.layers]
    for own in names:
        if names.count(own) > 1:
            raise ValueError(f"{model.name}: expected a name of its own for every layer, got {own!r} again")
