"""How a layer is called on arrays: what it is given, and what of it the caller may keep."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _masks
from .._arguments import flag, valid_steps
from .._tree import copies, leaves, map_leaves, shapes
from ..graph import symbol
from ..variables import drawn


def call(layer: Any, inputs: Any, training: Any, mask: Any, lengths: Any, options: dict[str, Any]) -> Any:
    """Return what `Layer.__call__` does."""
    if isinstance(mask, (list, tuple, dict)) and mask and all(part is None for part in leaves(mask)):
        mask = None
    if not isinstance(inputs, np.ndarray) and symbol.among(inputs):
        return symbol.called(layer, inputs, training, mask, lengths, options)
    of = drawn()
    if of is not None and layer.makes_weights and inputs is not None:
        raise TypeError(
            f"{of.name}: call: calls {layer.name} on numbers that come of none of its inputs, with the weights of now; "
            f"make them by a layer, as in positions = layers.Lambda(lambda x: np.broadcast_to(np.arange(x.shape[1]), "
            f"x.shape))(x) for an array of tokens x, and call {layer.name} on that"
        )
    if options and symbol.among(options):
        raise TypeError(f"{layer.name}: expected arrays only, or symbols only, got arrays as inputs and symbols beside")
    if layer._second == "mask" and not isinstance(training, (bool, np.bool_, type(None))):
        if mask is not None:
            raise TypeError(f"{layer.name} got two values for mask")
        training, mask = False, training
    training = training is not None and flag(f"{layer.name}: training", training)
    by_hand = mask is not None or lengths is not None
    if by_hand and layer.loses_mask:
        raise ValueError(
            f"{layer.name}: {'mask' if lengths is None else 'lengths'}: the forward of {type(layer).__name__} takes "
            "no mask; give it an argument mask"
        )
    if not by_hand:
        mask = _masks.of(inputs)
    further = {}
    if options and layer.is_traced:
        further = {name: found for name, value in options.items() if (found := _masks.of(value)) is not None}
    arrays = layer._accept(inputs)
    run = layer.forward_with_mask
    if arrays is not inputs and (found := _masks.of(arrays)) is not None and _masks.of(inputs) is None:
        # A model has padded a list of arrays.
        if by_hand:
            given = "mask" if lengths is None else "lengths"
            raise ValueError(
                f"{layer.name}: {given}: expected None for inputs of different length, whose ends are known"
            )
        mask, run = found, _masks.strictly(run)
    if mask is not None and by_hand:
        mask = layer.fit_mask(mask, arrays)
        _masks.give(mask)
    if training:
        arrays, options = copies(arrays), copies(options)
    if further:
        options = options | {"further_masks": further}
    if lengths is None:
        outputs, mask = run(arrays, training, mask, **options)
    else:
        if not isinstance(arrays, np.ndarray) or arrays.ndim < 2:
            raise ValueError(f"{layer.name}: lengths: expected inputs (batch, steps, ...), got {shapes(arrays)}")
        mask = valid_steps(f"{layer.name}: ", arrays.shape[0], arrays.shape[1], mask, lengths)
        _masks.give(mask)
        if layer._takes_lengths:
            own = copies(arrays) if layer.takes_copies else arrays
            outputs = layer.forward(own, training=training, **options | {"lengths": lengths})
            mask = _masks.after(layer, arrays, outputs, mask)
        else:
            outputs, mask = layer.forward_with_mask(arrays, training, mask, **options)
    outputs = own_outputs(outputs, None if training else arrays)
    if training:
        layer.last_returned = (outputs.shape, outputs.dtype, layer._cache) if isinstance(outputs, np.ndarray) else None
    return _masks.attach(layer.name, inputs, outputs, mask, by_hand)


def own_outputs(outputs: Any, inputs: Any) -> Any:
    """Return outputs that share no memory with the inputs or one another; without inputs, with anything: copies."""
    if inputs is None:
        return copies(outputs)
    others = [part for part in leaves(inputs) if part is not None]

    def own(array: Any) -> Any:
        if isinstance(array, np.ndarray):
            array = array.copy() if any(np.may_share_memory(array, other) for other in others) else array
            others.append(array)
        return array

    return own(outputs) if isinstance(outputs, np.ndarray) else map_leaves(own, outputs)
