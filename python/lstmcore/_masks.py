"""Masks: which steps count. The one rule by which layers and models take them, pass them on and end them.

A mask is boolean, (batch, steps) or with further axes of the inputs behind; `fit` says so at every door. `forward`
passes a batch and its mask through a layer. Where layers are called one by one, `attach` and `of` let the mask go with
the array.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ._arguments import as_array
from ._tree import copies, leaves, map_leaves
from ._warnings import warn

Array = NDArray[Any]


class Masked(Protocol):
    """What is to be known of a layer to take its masks along; see `layers.Layer`."""

    name: str
    consumes_mask: bool
    supports_masking: bool
    ends_mask: bool
    uses_mask: bool
    computes_mask: bool
    loses_mask: bool
    told_of_mask: bool
    adds_loss: bool
    activity_regularizer: Any
    takes_copies: bool
    last_returned: Any

    @property
    def leaks(self) -> Callable[..., str | None]:
        """Why padding would reach what counts, whatever the mask says."""

    @property
    def compute_output_shape(self) -> Callable[..., Any]:
        """From the shape of inputs to that of outputs."""

    @property
    def forward(self) -> Callable[..., Any]:
        """From inputs to outputs."""

    @property
    def compute_mask(self) -> Callable[..., Any]:
        """From inputs and their mask to the mask of the outputs."""


# --- what fits ---


def fit(name: str, mask: Any, shape: tuple[int, ...], least: int | None = None) -> Array:
    """Return a mask as booleans of our own, whose bytes are 0 or 1, after a check against the shape of the inputs.

    It has at least the axes (batch, steps), or ``least``; of vectors, (batch,) says which count.
    """
    array = as_array(f"{name}: mask", mask)
    if array.dtype != bool:
        raise TypeError(f"{name}: mask: expected bool, got {array.dtype}")
    check(name, array, shape, least)
    return array


def check(name: str, mask: Array, shape: tuple[int, ...], least: int | None = None) -> None:
    """Refuse a mask that does not fit inputs of that shape."""
    least = min(2, max(1, len(shape) - 1)) if least is None else least
    if not least <= mask.ndim <= len(shape) or mask.shape != shape[: mask.ndim]:
        sizes = [f"{what}={size}" for what, size in zip(("batch", "steps"), shape, strict=False)]
        expected = (
            f"shape ({', '.join(sizes)}{',' * (len(sizes) == 1)})" if sizes else "none, for the inputs are a number"
        )
        raise ValueError(f"{name}: mask: expected {expected}, got {mask.shape}")


def fit_all(name: str, mask: Any, inputs: Any) -> Any:
    """Return a mask for inputs; for a list or a dict of arrays, a list or a dict of masks, some of them None."""
    if isinstance(inputs, np.ndarray):
        return fit(name, mask, inputs.shape)
    by_name = isinstance(inputs, dict)
    fitting = isinstance(mask, dict) and mask.keys() == inputs.keys() if by_name else isinstance(mask, (list, tuple))
    if not fitting or len(mask) != len(inputs):
        kind = "dict" if by_name else "list"
        raise ValueError(f"{name}: mask: expected a {kind} with a mask or None for each of the {len(inputs)} inputs")
    if by_name:
        return {k: _fit_one(f"{name}: {k}", mask[k], x) for k, x in inputs.items()}
    return [_fit_one(f"{name}[{k}]", m, x) for k, (m, x) in enumerate(zip(mask, inputs, strict=True))]


def _fit_one(name: str, mask: Any, x: Any) -> Any:
    if mask is not None and x is None:
        raise ValueError(f"{name}: mask: expected None for an input that is None, got one of shape {np.shape(mask)}")
    return None if mask is None else fit(name, mask, x.shape)


def fit_symbols(name: str, mask: Any, inputs: Any) -> None:
    """Refuse symbols that cannot stand for a mask of inputs: of booleans, and with axes as `fit` asks for."""
    masks, given = parts(mask), parts(inputs)
    if len(masks) != len(given) or isinstance(mask, dict) != isinstance(inputs, dict):
        kind = "dict" if isinstance(inputs, dict) else "list"
        raise ValueError(f"{name}: mask: expected a {kind} with a mask or None for each of the {len(given)} inputs")
    for m, x in zip(masks, given, strict=True):
        if m is None:
            continue
        if x is None:
            raise ValueError(f"{name}: mask: expected None for an input that is None, got {m!r}")
        if m.dtype != bool:
            raise TypeError(f"{name}: mask: expected symbols of bool, got {m!r}")
        least = min(2, max(1, x.ndim - 1))
        known = [(a, b) for a, b in zip(m.shape, x.shape, strict=False) if a is not None and b is not None]
        if not least <= m.ndim <= x.ndim or any(a != b for a, b in known):
            sizes = ", ".join(map(str, ("batch", *x.shape[1:least])))
            raise ValueError(f"{name}: mask: expected shape ({sizes}), got {m.shape}")


def parts(value: Any) -> list[Any]:
    """Return the parts of a list or a dict, or the one thing."""
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else [value]


# --- through a layer ---


class _Local(threading.local):
    strict = False  # whether a mask that ends unused is an error
    rows = False  # whether a mask that ends is left as that of the rows: within TimeDistributed
    lost: list[_Entry] | None = None  # masks made within a model's `forward`
    given: list[Array] | None = None  # masks that its layers were given by hand


_local = _Local()


@contextlib.contextmanager
def rows() -> Iterator[None]:
    """Within, a row is a step of something longer: a mask that ends says which rows have any step that counts."""
    before, _local.rows = _local.rows, True
    try:
        yield
    finally:
        _local.rows = before


@contextlib.contextmanager
def strict() -> Iterator[None]:
    """Within, what would take padding for data is an error: each row is to give what it gives alone."""
    before, _local.strict = _local.strict, True
    try:
        yield
    finally:
        _local.strict = before


def strictly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is called within `strict`."""

    def called(*arguments: Any, **options: Any) -> Any:
        with strict():
            return function(*arguments, **options)

    return called


def within_rows() -> bool:
    """Return whether rows are steps of something longer."""
    return _local.rows


def unless_ended(layer: Masked, mask: Any) -> Any:
    """Return the mask that a layer is given, or None with a warning if it is to end there."""
    if layer.ends_mask and any(m is not None for m in parts(mask)):
        _warn_of_end(layer)
        return None
    return mask


def forward_with_mask(
    layer: Masked, inputs: Any, training: bool = False, mask: Any = None, **options: Any
) -> tuple[Any, Any]:
    """Return what `forward` does and the mask of that; the layer gets the mask of its inputs if it takes one."""
    if layer.last_returned is not None:
        layer.last_returned = None
    if mask is not None:
        mask = unless_ended(layer, mask)
    if mask is None and not layer.takes_copies:
        outputs = layer.forward(inputs, training=training, **options)
        return outputs, after(layer, inputs, outputs, None) if layer.computes_mask else None
    if mask is not None:
        if isinstance(inputs, np.ndarray):
            if mask.ndim == 1 and inputs.ndim > 2 and _local.rows:
                mask = steps_of(mask, inputs.shape[1])
            check(layer.name, mask, inputs.shape)
        if layer.consumes_mask and layer.uses_mask:
            options["mask"] = mask
        elif layer.consumes_mask and _local.strict:
            raise _refused(layer, "uses_mask: it takes padding for data")
        if _local.strict and (reason := layer.leaks(inputs, mask)) is not None:
            raise _refused(layer, reason)
    own = inputs
    if layer.takes_copies:
        own, options = copies(inputs), copies(options)
    outputs = layer.forward(own, training=training, **options)  # which may have its mask second
    left = after(layer, inputs, outputs, mask)
    if _local.strict and mask is not None:
        _check_exact(layer, inputs, outputs, mask, left)
    return outputs, left


def _check_exact(layer: Masked, inputs: Any, outputs: Any, mask: Any, left: Any) -> None:
    """Refuse outputs of which not as many steps count as of each sequence by itself, and penalties on all steps."""
    if left is None or not isinstance(outputs, np.ndarray):
        return
    if layer.adds_loss or layer.activity_regularizer is not None:
        what = "adds to the loss" if layer.adds_loss else "activity_regularizer"
        raise _refused(layer, f"{what}: padded steps would count in the loss")
    if left is mask or not isinstance(inputs, np.ndarray) or mask.ndim != 2 or left.ndim != 2:
        return
    for steps, found in {*zip(mask.sum(axis=1).tolist(), left.sum(axis=1).tolist(), strict=True)}:
        alone = layer.compute_output_shape((1, steps, *inputs.shape[2:]))[1]
        if found != alone:
            raise _refused(
                layer,
                f"of a sequence of {steps} steps, {type(layer).__name__} makes {alone} by itself, {found} in a batch",
            )


def _refused(layer: Masked, reason: str) -> ValueError:
    return ValueError(
        f"{layer.name}: expected inputs of one length, for {reason}; predict or train on each length apart"
    )


def after(layer: Masked, inputs: Any, outputs: Any, mask: Any) -> Any:
    """Return the mask of a layer's outputs; there is a warning where the layer, not being done with it, ends it."""
    if mask is not None and layer.loses_mask:
        _warn_of_end(layer)
        return None
    keeps = mask is None or layer.supports_masking
    result = layer.compute_mask(inputs, mask) if keeps else None
    if result is None and mask is None:
        return None
    if result is not None and isinstance(first := parts(outputs)[0], np.ndarray):
        if result is not mask:
            result = fit(f"{layer.name}: compute_mask", result, first.shape)
        elif layer.computes_mask:
            check(layer.name, result, first.shape)
        elif not (isinstance(mask, np.ndarray) and first.ndim >= inputs.ndim and _begins(first.shape, mask.shape)):
            result, keeps = None, layer.consumes_mask  # a layer that says nothing of masks, and whose steps are others
    if result is None and any(m is not None for m in parts(mask)):
        if _local.rows and isinstance(mask, np.ndarray):
            steps = tuple(range(1, mask.ndim))
            result = mask.any(axis=steps)
            keeps = keeps or (result == mask.all(axis=steps)).all()  # the rows' mask says all that there was to say
        if not keeps:
            _warn_of_end(layer)
    return result


def _begins(shape: tuple[int, ...], beginning: tuple[int, ...]) -> bool:
    return shape[: len(beginning)] == beginning


def for_each(outputs: Any, mask: Any) -> list[Any]:
    """Return the mask of each array that a layer has returned, of outputs and states that of the outputs."""
    if isinstance(outputs, np.ndarray):
        return [mask]
    if isinstance(mask, (list, tuple, dict)):
        return list(leaves(mask))

    def fits(part: Any) -> bool:
        return isinstance(part, np.ndarray) and part.ndim > mask.ndim and _begins(part.shape, mask.shape)

    return [mask if mask is not None and fits(part) else None for part in leaves(outputs)]


def steps_of(mask: Array, steps: int) -> Array:
    """Return the mask of steps in rows that count or do not."""
    return np.repeat(mask[:, None], steps, axis=1)


def _warn_of_end(layer: Masked) -> None:
    if layer.told_of_mask and not _local.strict:
        return
    kind = type(layer).__name__
    if layer.loses_mask:
        text = f"the forward of {kind} takes no mask, so that padding is taken for data; give it an argument mask"
    elif layer.ends_mask:
        text = f"ends_mask: as in Keras, this {kind}, and what is behind it, takes padding for data"
    else:
        text = (
            f"a {kind} ends the mask of its inputs: layers behind it take padding for data; put a layer before it that "
            "takes the mask and gives one vector a row (a recurrent layer without return_sequences, "
            "GlobalAveragePooling1D), or leave the padding out of the inputs"
        )
    if _local.strict:
        raise _refused(layer, text)
    layer.told_of_mask = True
    warn(f"{layer.name}: {text}")


# --- with the arrays ---


class _Entry:
    """The mask of an array, and who made it."""

    __slots__ = ("by_hand", "exact", "maker", "mask", "seen")

    def __init__(self, mask: Array, maker: str, by_hand: bool, exact: bool | None = None) -> None:
        self.mask, self.maker = mask, maker
        self.exact = exact  # of data: whether what it leaves out is padding of ours; None for what layers return
        self.by_hand = by_hand  # it comes from one that the caller has, and so can use where it does not go by itself
        self.seen = False


# The masks of arrays that are alive. One operation on a dict at a time, so that threads need no lock.
_known: dict[int, tuple[weakref.ref[Array], _Entry]] = {}


def _entry(array: Any) -> _Entry | None:
    found = _known.get(id(array))
    return found[1] if found is not None and found[0]() is array else None


def of(inputs: Any) -> Any:
    """Return the mask that goes with an array, or None; with a list or a dict of arrays, a list or a dict of them."""
    if not _known:
        return None
    if isinstance(inputs, np.ndarray):
        entry = _entry(inputs)
        return None if entry is None else entry.mask
    if not isinstance(inputs, (list, tuple, dict)):
        return None
    masks = [of(part) if isinstance(part, np.ndarray) else None for part in parts(inputs)]
    if all(mask is None for mask in masks):
        return None
    return dict(zip(inputs, masks, strict=True)) if isinstance(inputs, dict) else masks


def attach(maker: str, inputs: Any, outputs: Any, mask: Any, by_hand: bool = False) -> Any:
    """Let a mask go with the outputs of a layer; return them, or views of what were its inputs."""
    if _known:
        for part in parts(inputs):
            entry = _entry(part)
            if entry is not None:
                entry.seen = True
                by_hand = by_hand or entry.by_hand
                if part is outputs:  # a view, so that the mask of the one is not that of the other
                    outputs = outputs.view()
    if mask is None:
        return outputs
    if isinstance(outputs, np.ndarray):
        return _with(outputs.view() if outputs is inputs else outputs, mask, maker, by_hand)
    for part, its in zip(leaves(outputs), for_each(outputs, mask), strict=True):
        if its is not None:
            _with(part, its, maker, by_hand)
    return outputs


def _with(array: Array, mask: Array, maker: str, by_hand: bool, exact: bool | None = None) -> Array:
    entry, key = _Entry(mask, maker, by_hand, exact), id(array)

    def forget(_: Any, known: dict[int, Any] = _known, key: int = key) -> None:
        known.pop(key, None)

    _known[key] = weakref.ref(array, forget), entry
    if _local.lost is not None:
        _local.lost.append(entry)
    return array


def private(maker: str, inputs: Any, mask: Any, by_hand: bool) -> Any:
    """Return copies of the inputs, with their masks, for the `forward` of a model, which may write over them."""
    if isinstance(inputs, np.ndarray):
        return inputs.copy() if mask is None else _with(inputs.copy(), mask, maker, by_hand)
    masks = [None] * len(inputs) if mask is None else parts(mask)
    own = [private(maker, part, its, by_hand) for part, its in zip(parts(inputs), masks, strict=True)]
    return dict(zip(inputs, own, strict=True)) if isinstance(inputs, dict) else type(inputs)(own)


def copied(value: Any) -> Any:
    """Return ``value`` with copies of the arrays in it, and the masks that go with them."""
    return kept(value, copies(value))


def kept(before: Any, after: Any) -> Any:
    """Return arrays that were made of others, in their order, with the masks that went with those."""
    if _known:
        for array, other in zip(leaves(before), leaves(after), strict=True):
            entry = _entry(array)
            if entry is not None and other is not array:
                _with(other, entry.mask, entry.maker, entry.by_hand, entry.exact)
    return after


def cut(value: Any, rows: slice) -> Any:
    """Return ``value`` with some rows of the arrays in it, and the masks that go with them; None stays None."""

    def part(array: Any) -> Any:
        if array is None:
            return None
        entry = _entry(array) if _known else None
        own = array[rows]
        return own if entry is None else _with(own, entry.mask[rows], entry.maker, entry.by_hand, entry.exact)

    return map_leaves(part, value)


def given(array: Array, mask: Array, exact: bool) -> Array:
    """Return data that a mask goes with; ``exact`` says that it tells sequences from padding of ours."""
    return _with(array, mask, "x", True, exact)


def is_exact(inputs: Any) -> bool:
    """Return whether there is padding of ours in an array, or in one of several."""
    return bool(_known) and any((entry := _entry(part)) is not None and entry.exact for part in leaves(inputs))


def of_data(inputs: Any) -> Any:
    """Return the masks that arrays of a data set were given, as `of` does; what layers have made is none of these."""
    known = _known and any((entry := _entry(part)) is not None and entry.exact is not None for part in leaves(inputs))
    return of(inputs) if known else None


def give(mask: Any) -> None:
    """Note a mask that a layer was given by hand: to `watched`, that mask has reached a layer."""
    if _local.given is not None:
        _local.given += [part for part in parts(mask) if part is not None]


@contextlib.contextmanager
def watched(model: Masked) -> Iterator[None]:
    """Warn of masks that no layer called within has seen: what is worked out without layers has none."""
    before, _local.lost, _local.given = (_local.lost, _local.given), [], []
    try:
        yield
        made, given = _local.lost, _local.given
    finally:
        _local.lost, _local.given = before
    missed = [entry for entry in made if not (entry.seen or entry.by_hand)]
    missing = [entry for entry in missed if not any(np.array_equal(entry.mask, mask) for mask in given)]
    # What else was given may be another's mask changed as its array was.
    for mask in given:
        if not any(np.array_equal(entry.mask, mask) for entry in missed):
            same = next((entry for entry in missing if _may_come_from(mask, entry.mask)), None)
            missing = [entry for entry in missing if entry is not same]
    lost = [entry.maker for entry in missing]
    what = "is given" if lost[:1] == [model.name] else "returns"
    if lost and not model.told_of_mask:
        model.told_of_mask = True
        warn(
            f"{model.name}: forward: the mask of what {lost[0]} {what} has reached neither a layer nor the loss: "
            "it goes from layer to layer where they are called on one another's outputs, not through NumPy; "
            "give the layer behind it mask=..., from compute_mask",
        )


def _may_come_from(mask: Array, other: Array) -> bool:
    """Whether a mask can be another one whose steps were reversed, cut, repeated or set among others, or whose rows."""
    if mask.ndim != other.ndim or mask.ndim < 2 or len(mask) != len(other):
        return True
    steps, more = other.shape[1], mask.shape[1] - other.shape[1]
    if more <= 0:
        axes = tuple(range(1, mask.ndim))
        return bool((mask.sum(axes) <= other.sum(axes)).all())
    windows = (mask[:, k : k + steps] for k in range(more + 1))
    repeated = mask[:, :: mask.shape[1] // steps][:, :steps] if steps else mask
    return any(np.array_equal(part, other) for part in (*windows, repeated))


def seen(array: Array) -> Any:
    """Return the mask that goes with a model's outputs, which by that have not lost it."""
    entry = _entry(array)
    if entry is None:
        return None
    entry.seen = True
    return entry.mask
