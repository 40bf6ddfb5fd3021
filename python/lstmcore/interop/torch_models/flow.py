"""What flows from one module of PyTorch's to the next, and the model of ours that does the same so far."""

from __future__ import annotations

from typing import Any

from ...layers import Input, Layer
from ...models import Sequential
from .weights import ConversionError, fill

# What a module is given, in PyTorch; ours is always given the second or the third for the last three.
INDICES = "(batch, steps) of indices"
VECTORS = "(batch, channels)"
LAST = "(batch, steps, channels)"
FIRST = "(batch, channels, steps)"
TIME = "(steps, batch, channels)"
_PLACES = {VECTORS: (1, 2), LAST: (2, 3), FIRST: (1, 3), TIME: (2, 3)}


class Flow:
    """A model of ours that grows, beside the layout that PyTorch's outputs have there.

    Parameters
    ----------
    layout : of what the first module is given.
    sequences : the layout of outputs where the first module is given indices.
    shape : of an input of ours, batch left out.
    dtype : of all layers.
    """

    def __init__(self, layout: str, sequences: str, shape: tuple[int | None, ...], dtype: str) -> None:
        self.layout: str | None = layout
        self.sequences = sequences
        self.dtype = dtype
        start: list[Any] = [Input(shape)]
        self.model = Sequential(start)

    @property
    def place(self) -> tuple[int, int] | None:
        """The axis of the channels in PyTorch's outputs, and how many axes these have; None if that is not known."""
        return _PLACES.get(self.layout or "")

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Of our outputs."""
        return tuple(self.model.output_shape)

    def lose(self) -> None:
        """Go on after a module that is not converted: what follows is only looked at for more of these."""
        self.layout = None

    def needs(self, layouts: tuple[str, ...], width: int | None = None) -> None:
        """Refuse a module that takes only these layouts and this number of channels if they are not there."""
        if self.layout is None:
            return
        if self.layout not in layouts:
            hint = "; lstmcore.torch.ChannelsFirst goes between" if {self.layout, *layouts} >= {FIRST, LAST} else ""
            raise ConversionError(f"takes {' or '.join(layouts)}, and what comes before it gives {self.layout}{hint}")
        if width is not None and self.shape[-1] != width:
            raise ValueError(f"takes {width} channels, and what comes before it gives {self.shape[-1]}")

    def becomes(self, layout: str) -> None:
        """Say in which layout the outputs are from here on."""
        if self.layout is not None:
            self.layout = layout

    def add(self, layer: Layer, module: Any = None, depth: int = 0) -> None:
        """Add a layer with the weights of a module, of that of its ``num_layers``."""
        if self.layout is None:
            return
        self.model.add(layer)
        if module is None:
            return
        fill(layer, {name: value.detach().cpu().numpy() for name, value in module.state_dict().items()}, depth)
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            layer.trainable = False

    def takes_back(self, kind: type[Layer], **attributes: Any) -> bool:
        """Take the last layer away again if it is of that class with these attributes, and say whether it was."""
        last = self.model.layers[-1] if self.layout is not None and self.model.layers else None
        if type(last) is not kind or any(getattr(last, name) != value for name, value in attributes.items()):
            return False
        self.model.pop()
        return True
