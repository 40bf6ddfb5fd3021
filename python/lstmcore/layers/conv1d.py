"""Convolution over the steps of sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import _core, _masks, activations, constraints, initializers, regularizers
from .._arguments import channels_last, flag, one_of, positive_integer, reject_options, single_integer
from ..streaming import Stage
from ._quantized import operands, refuse_training
from ._windows import Windows
from .layer import Array, Layer, Shape

_NOT_OFFERED = {"lora_rank", "lora_alpha", "dora_rank", "dora_alpha", "quantization_config"}

# Windows whose part of the kernel's gradient is computed at a time: their transpose, which the core packs, then stays
# in the cache.
_CHUNK = 512


class Conv1D(Layer):
    """``activation(convolution of x with W, + b)`` over the steps of sequences.

    >>> import numpy as np
    >>> from lstmcore.layers import Conv1D
    >>> Conv1D(8, 3, padding="causal")(np.zeros((2, 7, 4), "float32")).shape
    (2, 7, 8)

    Output step t is ``activation(b + sum over j of x[t * strides + j * dilation_rate - before] W[j])``,
    x zero outside of the sequence, and ``before`` the number of steps that ``padding`` adds before it.

    Weights: ``kernel`` (kernel_size, channels / groups, filters), ``bias`` (filters).

    Steps that a mask (batch, steps) leaves out are zeros to the convolution, whatever stands there, as the
    steps beyond the ends are: a padded sequence gives what it gives alone. (Keras does not look at the
    mask here; padding that another layer has made other than zero reaches its last outputs.) The mask goes
    on: with "same" and "causal", output step t counts where input step t * strides does, and with "valid"
    where its whole window does.

    Where the windows of "same" lie depends, with strides, upon the number of steps (TensorFlow's rule). To
    have them lie the same in every batch, pad to a multiple of ``strides``.

    Parameters
    ----------
    filters : width of the outputs.
    kernel_size : steps that an output sees.
    strides : steps from one window to the next.
    padding : "valid" (none), "same" (as many outputs as steps, divided by ``strides``; TensorFlow's
        sides) or "causal" (an output sees nothing of later steps).
    data_format : "channels_last".
    dilation_rate : steps from one input of a window to the next; other than 1 only without strides.
    groups : parts of equal size that channels and filters are divided into, in order; each part of the filters sees
        its part of the channels only. With as many as there are channels, each has filters of its own.
    activation : name or `activations.Activation`.
    use_bias : whether there is a bias.
    kernel_initializer, bias_initializer : names or callables.
    kernel_regularizer, bias_regularizer, activity_regularizer : add penalties to the loss.
    kernel_constraint, bias_constraint : are put upon the weights after every step.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind, or the inputs are shorter than a window; the message names it.
    NotImplementedError
        ``data_format`` is not offered.
    """

    quantized_weights: ClassVar[dict[str, bool]] = {"kernel": False}
    narrow_products = True

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int],
        strides: int | tuple[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | tuple[int] = 1,
        groups: int = 1,
        activation: str | activations.Activation | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Callable[..., Array] = "glorot_uniform",
        bias_initializer: str | Callable[..., Array] = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        reject_options("Conv1D", {k: options.pop(k) for k in _NOT_OFFERED & options.keys()}, _NOT_OFFERED)
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.filters = positive_integer("Conv1D: filters", filters)
        self.kernel_size = single_integer("Conv1D: kernel_size", kernel_size)
        self.strides = single_integer("Conv1D: strides", strides)
        self.padding = one_of("Conv1D: padding", padding, ("valid", "same", "causal"))
        channels_last("Conv1D: data_format", data_format)
        self.dilation_rate = single_integer("Conv1D: dilation_rate", dilation_rate)
        if self.strides > 1 and self.dilation_rate > 1:
            raise ValueError(f"Conv1D: dilation_rate: expected 1 with strides={strides}, got {dilation_rate}")
        self.groups = positive_integer("Conv1D: groups", groups)
        if self.filters % self.groups:
            raise ValueError(f"Conv1D: groups: expected a divisor of filters={filters}, got {groups}")
        self.activation = activations.get(activation)
        self.use_bias = flag("Conv1D: use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self._windows = Windows(self.kernel_size, self.strides, self.padding, self.dilation_rate)

    @property
    def last_activation(self) -> activations.Activation | None:  # type: ignore[override]
        """The activation that the layer ends with, if it can leave it out."""
        return self.activation if self.activation.stepwise else None

    def build(self, input_shape: Shape) -> None:
        """Create kernel and bias."""
        self.compute_output_shape(input_shape)
        channels = input_shape[-1]
        if not channels:
            raise ValueError(f"{self.name}: inputs: expected a known number of channels, got shape {input_shape}")
        if channels % self.groups:
            raise ValueError(
                f"{self.name}: groups: expected a divisor of the {channels} channels of inputs, got {self.groups}"
            )
        self.kernel = self.add_weight(
            "kernel",
            (self.kernel_size, channels // self.groups, self.filters),
            self.kernel_initializer,
            offered="filters",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                (self.filters,),
                self.bias_initializer,
                offered="filters",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, windows, filters), or what the activation makes of it."""
        channels = self.kernel.shape[1] * self.groups if self.built else None
        if len(input_shape) != 3 or (self.built and input_shape[2] != channels):
            width = f"channels={channels}" if self.built else "channels"
            raise ValueError(f"{self.name}: inputs: expected shape (batch, steps, {width}), got {input_shape}")
        batch, steps, _ = input_shape
        windows = None if steps is None else self._windows.outputs(self.name, steps)
        return self.activation.compute_output_shape((batch, windows, self.filters))

    def leaks(self, inputs: Any, mask: Any) -> str | None:
        """Return that windows would lie otherwise in a padded sequence, if they would."""
        return self._windows.leaks(inputs.shape[1], mask)

    def compute_mask(self, inputs: Array, mask: Array | None = None) -> Array | None:
        """Return where an output counts: where the step that it stands for does or, with "valid", all of its window."""
        if mask is None:
            return None
        count, last = self._windows.outputs(self.name, mask.shape[1]), 1
        if self.padding == "valid":
            last = self._windows.span
        steps = [mask[:, k :: self.strides][:, :count] for k in range(0, last, self.dilation_rate)]
        return np.logical_and.reduce(steps)  # type: ignore[no-any-return]

    # The passes know only convolutions without strides and dilation, of sequences that lie end to end in memory as
    # the rows of one matrix: the windows then are a matrix too, whose rows overlap, and nothing need be copied for one
    # product over the whole batch. What it computes where a window reaches into the next sequence is left out. Steps
    # are blocked for that: with strides, a row holds the channels of that many steps, and with dilation, every
    # dilation_rate-th step is part of a sequence of its own. The channels of each group are a batch by themselves.

    @property
    def _reach(self) -> int:
        return -(-self.kernel_size // self.strides)  # rows that a window touches

    def _blocks(self, steps: int) -> int:
        """Return the rows that so many steps become, padding included; with dilation, those of each part."""
        last = (self._windows.outputs(self.name, steps) - 1) * self.strides + self._windows.span
        return -(-max(self._windows.before(steps) + steps, last) // (self.strides * self.dilation_rate))

    def _rows(self, inputs: Array, left_out: Array | None) -> Array:
        """Return the rows of inputs (batch, steps, channels), zeros where steps are left out."""
        batch, steps, channels = inputs.shape
        blocks, dilation, before = self._blocks(steps), self.dilation_rate, self._windows.before(steps)
        width = self.strides * channels
        if blocks * self.strides * dilation > steps or left_out is not None:
            padded = np.zeros((batch, blocks * self.strides * dilation, channels), self.dtype)
            own = padded[:, before : before + steps]
            own[...] = inputs
            if left_out is not None:
                own[left_out] = 0
        else:
            padded = np.ascontiguousarray(inputs)
        parts = padded.reshape(batch, blocks, dilation, width).swapaxes(1, 2)
        return parts.reshape(batch * dilation * blocks, width)

    def _steps(self, rows: Array, batch: int, blocks: int, channels: int) -> Array:
        """Return the steps (batch, steps, channels) of rows, padding included."""
        dilation = self.dilation_rate
        parts = rows.reshape(batch, dilation, blocks, rows.shape[1]).swapaxes(1, 2)
        return parts.reshape(batch, blocks * dilation * rows.shape[1] // channels, channels)

    def forward(self, inputs: Array, training: bool = False, mask: Array | None = None, logits: bool = False) -> Array:
        """Return the outputs, (batch, windows, filters); ``logits`` leaves out the activation."""
        if training and self.quantization_mode is not None:
            refuse_training(self)
        self.compute_output_shape(inputs.shape)
        count = self._windows.outputs(self.name, inputs.shape[1])
        left_out = None if mask is None else self._left_out(mask, inputs.shape)
        parts = _apart(inputs, self.groups)
        rows = self._rows(parts, None if left_out is None else np.tile(left_out, (self.groups, 1)))
        size, width = len(rows) // self.groups, self.filters // self.groups
        sums = np.empty((len(rows), width), self.dtype)
        for group, kernel in enumerate(operands(self, self.kernel, self.groups)):
            windows = _overlapping(rows[group * size :][:size], self._reach, self.kernel_size * parts.shape[2])
            bias = self.bias.value[group * width :][:width] if self.use_bias else None
            _core.matmul(windows, kernel, bias, sums[group * size :][: len(windows)])
        sums = self._steps(sums, len(parts), self._blocks(inputs.shape[1]), width)[:, :count]
        sums = np.ascontiguousarray(_together(sums, self.groups))
        outputs = sums if logits else self.activation(sums)
        if training:
            self._cache = inputs.shape, left_out, rows, sums if self.activation.needs_input else None, outputs
        return outputs

    def backward(self, d_outputs: Array, need_d_inputs: bool = True, logits: bool = False) -> Array | None:
        """Add to the gradients of the weights and return that of the inputs, if needed."""
        (batch, steps, channels), left_out, rows, sums, outputs = self.kept()
        d_sums = d_outputs if logits else self.activation.backward(sums, outputs, d_outputs)
        if self.use_bias:
            self.bias.gradient += d_sums.reshape(-1, self.filters).sum(0)

        # The gradients of the sums, where the forward pass had the sums; elsewhere, and before the first row, zeros.
        groups, reach, blocks = self.groups, self._reach, self._blocks(steps)
        size, width = len(rows) // groups, self.filters // groups
        d_rows = np.zeros((reach - 1 + len(rows), width), self.dtype)
        places = d_rows[reach - 1 :].reshape(groups * batch, self.dilation_rate, blocks, width)
        for phase in range(self.dilation_rate):
            part = _apart(d_sums[:, phase :: self.dilation_rate], groups)
            places[:, phase, : part.shape[1]] = part

        gradient = self.kernel.gradient.reshape(-1, self.filters)
        for group in range(groups):
            windows = _overlapping(rows[group * size :][:size], reach, len(gradient))
            own_d_rows = d_rows[reach - 1 + group * size :]
            d_kernel = gradient if groups == 1 else np.zeros((len(gradient), width), self.dtype)
            for begin in range(0, len(windows), _CHUNK):
                chunk = windows[begin : begin + _CHUNK]
                d_chunk = own_d_rows[begin:][: len(chunk)]
                _core.matmul(chunk.T, d_chunk, None, d_kernel, True, self._precision)
            if groups > 1:
                gradient[:, group * width :][:, :width] += d_kernel
        if not need_d_inputs:
            return None

        # dx[n] = sum over i of d_sums[n - i] W[i]^T: the windows of d_rows by the kernel's rows in reverse.
        kernel = np.zeros((reach * self.strides, channels // groups, self.filters), self.dtype)
        kernel[: self.kernel_size] = self.kernel.value
        kernel = kernel.reshape(reach, -1, self.filters)[::-1].swapaxes(1, 2)
        d_parts = np.empty((len(rows), kernel.shape[2]), self.dtype)
        for group in range(groups):
            windows = _overlapping(d_rows[group * size :][: reach - 1 + size], reach, reach * width)
            turned = kernel[:, group * width :][:, :width].reshape(reach * width, -1)
            d_part = d_parts[group * size :][:size]
            _core.matmul(windows, turned, None, d_part, False, self._precision)
        before = self._windows.before(steps)
        d_steps = self._steps(d_parts, groups * batch, blocks, channels // groups)[:, before : before + steps]
        d_inputs = _together(d_steps, groups)
        if left_out is not None:
            d_inputs[left_out] = 0
        return d_inputs

    def _left_out(self, mask: Array, shape: tuple[int, ...]) -> Array | None:
        """Return where a mask is False; None if nowhere."""
        left_out = ~_masks.fit(self.name, mask, shape[:2], 2)
        return left_out if left_out.any() else None

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return a `streaming.Stage`, which does for the next chunk of steps what the layer does for all."""
        if self.padding != "causal" or self.strides > 1:
            raise ValueError(
                f"{self.name}: padding: a stream gives one output for each step and sees none of the later ones: "
                f"expected padding='causal' and strides=1, got {self.padding!r} and {self.strides}"
            )
        if not self.activation.stepwise:
            raise ValueError(f"{self.name}: activation: one of another axis than the last cannot stream")
        return _Conv1DStage(self, batch_size, steps)


def _apart(array: Array, groups: int) -> Array:
    """Return (groups * batch, steps, channels / groups) of an array (batch, steps, channels)."""
    batch, steps, channels = array.shape
    parts = array.reshape(batch, steps, groups, channels // groups).transpose(2, 0, 1, 3)
    return parts.reshape(groups * batch, steps, channels // groups)


def _together(array: Array, groups: int) -> Array:
    """Undo `_apart`."""
    batch, steps, width = len(array) // groups, *array.shape[1:]
    return array.reshape(groups, batch, steps, width).transpose(1, 2, 0, 3).reshape(batch, steps, groups * width)


def _overlapping(rows: Array, reach: int, width: int) -> Array:
    """The windows (rows - reach + 1, width) of a contiguous matrix: each begins with a row and goes on into others."""
    count = max(0, len(rows) - reach + 1)
    step = rows.shape[1] * rows.itemsize
    return np.ndarray((count, width), rows.dtype, rows, 0, (step, rows.itemsize))


class _Conv1DStage(Stage):
    def __init__(self, layer: Conv1D, batch_size: int, steps: int) -> None:
        kernel_size, channels, filters = layer.kernel.shape
        width = filters // layer.groups
        super().__init__(layer.output_shape[-1] or filters, layer.dtype)
        self.filters = filters
        self.groups = [
            (
                kernel if isinstance(kernel, _core.PackedMatrix) else _core.PackedMatrix(kernel),
                layer.bias.numpy()[group * width :][:width] if layer.use_bias else None,
                slice(group * width, (group + 1) * width),
            )
            for group, kernel in enumerate(operands(layer, layer.kernel, layer.groups))
        ]
        self.activation = layer.activation
        self.before = (kernel_size - 1) * layer.dilation_rate
        # The steps that are still to be seen, with room behind: they move to the front only when it is used up, and
        # then do not overlap.
        self.recent = np.zeros((batch_size, 2 * self.before + steps, channels * layer.groups), layer.dtype)
        self.begin = 0
        batch, step, channel = self.recent.strides
        self.strides = batch, step, step * layer.dilation_rate, channel
        self.windows = np.zeros((batch_size * steps, kernel_size * channels), layer.dtype)
        self.sums = None if layer.groups == 1 else np.zeros((batch_size * steps, width), layer.dtype)

    def __call__(self, inputs: Array, out: Array | None = None) -> Array:
        batch, steps, channels = inputs.shape
        channels //= len(self.groups)
        if self.begin + self.before + steps > self.recent.shape[1]:
            self.recent[:, : self.before] = self.recent[:, self.begin : self.begin + self.before]
            self.begin = 0
        end = self.begin + self.before
        self.recent[:, end : end + steps] = inputs
        windows, rows = self.windows[: batch * steps], self.rows(inputs, self.filters, out)
        shape = batch, steps, windows.shape[1] // channels, channels
        first = self.begin * self.strides[1]
        for kernel, bias, own in self.groups:
            windows.reshape(shape)[...] = np.ndarray(shape, windows.dtype, self.recent, first, self.strides)
            if self.sums is None:
                _core.matmul(windows, kernel, bias, rows)
            else:
                rows[:, own] = _core.matmul(windows, kernel, bias, self.sums[: len(rows)])
            first += channels * windows.itemsize
        self.begin += steps
        return self.activated(self.activation.in_place, rows, inputs, out)

    def memory(self) -> list[Array]:
        return [self.recent[:, self.begin : self.begin + self.before].copy()]

    def load(self, state: Sequence[Array]) -> None:
        self.begin = 0
        self.recent[:, : self.before] = state[0]

    def reset(self) -> None:
        self.begin = 0
        self.recent[:, : self.before] = 0
