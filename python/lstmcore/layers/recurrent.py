"""What the layers of a cell each have in common: everything but the cell."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _core, _random, constraints, functional, regularizers
from .._arguments import batch_rows, flag, float_array, mapping, positive_integer, rate, reject_options
from .._arguments import seed as seed_or_none
from .._options import CellOptions
from .._passes import BackwardCall, Call, run_backward, run_forward
from .._stepwise import StepwiseWeights
from ..initializers import Zeros
from ..initializers import get as get_initializer
from ..streaming import RecurrentStream, Stage
from ..variables import Variable
from ._quantized import refuse_training
from ._streams import ChunkStream
from .layer import Array, Shape
from .sequence_layer import SequenceLayer, flat_states

# The order of Keras's arguments by position, behind the activations: of cells, and of layers after them.
INITIALIZERS = ("use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer")
REGULARIZERS = ("kernel_regularizer", "recurrent_regularizer", "bias_regularizer")
CONSTRAINTS = ("kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout")
RETURNS = ("return_sequences", "return_state", "go_backwards", "stateful", ("unroll", False))
# What can be quantized of the cells whose kernel has products of int8: with a scale of each column.
BOTH_KERNELS = {"kernel": False, "recurrent_kernel": False}
# Arguments of Keras's that choose among its implementations: there is one here.
_WITHOUT_EFFECT = {"use_cudnn", "unroll", "implementation"}
_NOT_OFFERED = {"time_major"}


class Recurrent(SequenceLayer):
    """A layer that takes a sequence step by step.

    A subclass names its ``pack`` function (of `lstmcore.functional`), its states and those of them that
    zoneout is for, and makes its options. Which weights it has follows from these.

    Parameters
    ----------
    units : width of the state.
    use_bias : whether there is a bias.
    kernel_initializer, recurrent_initializer, bias_initializer : names or callables.
    kernel_regularizer, recurrent_regularizer, bias_regularizer : penalties on the weights: names or
        `regularizers.Regularizer`.
    kernel_constraint, recurrent_constraint, bias_constraint : what the weights are held to: names or
        `constraints.Constraint`.
    dropout : share of the inputs left out, fixed over the steps (Gal & Ghahramani 2016).
    recurrent_dropout : share of h left out on its way into the recurrent product; both are then
        drawn for each gate.
    zoneout : share of h, or of an LSTM (of h, of c), that keeps its value for a step (Krueger et al. 2017).
    seed : of the random masks; drawn from the global seed by default.
    return_sequences : return the output of every step instead of the last.
    return_state : also return the last states.
    go_backwards : take the steps from the last to the first and return the outputs in that order.
    stateful : begin each batch with the last states of the one before; see `reset_states`.
    zero_output_for_mask : outputs of masked steps are zero instead of the output before them.
    checkpoint : keep states only at every so many steps in training and compute the rest again in
        the backward pass: less memory for about a third more time. Not with ``zoneout``.
    """

    not_in_config = ("use_cudnn",)
    state_names: tuple[str, ...] = ("h",)
    zoneout_names: tuple[str, ...] = ("h",)
    pack: Callable[..., functional.Packed]
    options: CellOptions

    def __init__(
        self,
        units: int,
        *,
        use_bias: bool = True,
        kernel_initializer: str | Callable[..., Array] = "glorot_uniform",
        recurrent_initializer: str | Callable[..., Array] = "orthogonal",
        bias_initializer: str | Callable[..., Array] = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        zoneout: float | Sequence[float] = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        zero_output_for_mask: bool = False,
        checkpoint: int | None = None,
        **options: Any,
    ) -> None:
        kind = type(self).__name__
        reject_options(kind, {k: options.pop(k) for k in _NOT_OFFERED & options.keys()}, _NOT_OFFERED)
        super().__init__(**{k: v for k, v in options.items() if k not in _WITHOUT_EFFECT})
        self.units = positive_integer(f"{kind}: units", units)
        self.use_bias = flag(f"{kind}: use_bias", use_bias)
        self.kernel_initializer = get_initializer(kernel_initializer)
        self.recurrent_initializer = get_initializer(recurrent_initializer)
        self.bias_initializer = get_initializer(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = rate(f"{kind}: dropout", dropout)
        self.recurrent_dropout = rate(f"{kind}: recurrent_dropout", recurrent_dropout)
        rates = zoneout if isinstance(zoneout, Sequence) else (zoneout,) * len(self.zoneout_names)
        if len(rates) != len(self.zoneout_names):
            names = ", ".join(self.zoneout_names)
            pair = f" or one for each of {names}" if len(self.zoneout_names) > 1 else f", the rate of {names}"
            raise ValueError(f"{kind}: zoneout: expected a number{pair}, got {zoneout!r}")
        self.zoneout = zoneout
        self._zoneout: dict[str, Any] = dict(
            zip(self.zoneout_names, (rate(f"{kind}: zoneout", r) for r in rates), strict=True)
        )
        self._zones = any(self._zoneout.values())
        self.reseed(seed)
        self.return_sequences = flag(f"{kind}: return_sequences", return_sequences)
        self.return_state = flag(f"{kind}: return_state", return_state)
        self.go_backwards = flag(f"{kind}: go_backwards", go_backwards)
        self.stateful = flag(f"{kind}: stateful", stateful)
        self.zero_output_for_mask = flag(f"{kind}: zero_output_for_mask", zero_output_for_mask)
        self.checkpoint = None if checkpoint is None else positive_integer(f"{kind}: checkpoint", checkpoint)
        self.states: list[Array] | None = None
        self.d_initial_state: list[Array] | None = None
        # With the versions of the weights it was made from, and the precision that it was to have.
        self._packed: tuple[list[int], str, functional.Packed] | None = None

    # --- weights ---

    @property
    def outputs(self) -> int:
        """Width of the outputs."""
        return self.units

    @property
    def state_sizes(self) -> list[int]:
        """Widths of the states."""
        return [self.outputs, *[self.units] * (len(self.state_names) - 1)]

    state_size = state_sizes

    def get_initial_state(self, batch_size: int) -> list[Array]:
        """Return the states that a call begins with where it is given none: zeros, or what a subclass says."""
        rows = batch_rows(f"{self.name}: get_initial_state", batch_size)
        return [np.zeros((rows, width), self.dtype) for width in self.state_sizes]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, those left out with their defaults, as plain data."""
        names = {k: v for k, v in vars(self.options).items() if k.endswith("activation") and isinstance(v, str)}
        return {"unroll": False, "activity_regularizer": None} | super().get_config() | names

    def build(self, input_shape: Shape) -> None:
        """Create kernel, recurrent_kernel if the cell has one, bias and what the options call for."""
        features, columns = self._features(input_shape), self.options.gates * self.units
        self.add_weight(
            "kernel",
            (features, columns),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if "recurrent_kernel" in self.options.weight_names:
            self.add_weight(
                "recurrent_kernel",
                self._recurrent_shape(),
                self._recurrent_initializer(),
                regularizer=self.recurrent_regularizer,
                constraint=self.recurrent_constraint,
            )
        if self.use_bias:
            self.add_weight(
                "bias",
                self._bias_shape(),
                self._initial_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _weight(self, name: str) -> Variable:
        for variable in self.variables:
            if variable.name == name:
                return variable
        when = " before it is built" if name in self.options.weight_names else ""
        raise AttributeError(f"{self.name}: has no {name}{when}")

    @property
    def kernel(self) -> Variable:
        """The weights of the inputs, once built."""
        return self._weight("kernel")

    @property
    def recurrent_kernel(self) -> Variable:
        """The weights of h, once built."""
        return self._weight("recurrent_kernel")

    @property
    def bias(self) -> Variable | None:
        """The bias, once built; None without ``use_bias``."""
        return self._weight("bias") if self.use_bias else None

    def _recurrent_shape(self) -> tuple[int, ...]:
        return (self.outputs, self.options.gates * self.units)

    def _recurrent_initializer(self) -> Any:
        return self.recurrent_initializer

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.options.gates * self.units,)

    def _initial_bias(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return (self.bias_initializer or Zeros())(shape, dtype=dtype)

    def packed_weights(self, training: bool, masked: bool = False) -> functional.Packed:
        """Return the weights as the core reads them: in full where h is ``masked``, by recurrent dropout."""
        versions = [v.place.vectors.version for v in self.variables]
        narrow = self._mixed or self.quantization_mode is not None  # few are: the others need not look further
        precision = self._precision if narrow and not masked else "float32"
        if (known := self._packed) is not None and known[0] == versions and known[1] == precision:
            packed = known[2]
            # What is packed for training does for inference, unless it has another precision than that would have.
            if training == packed.training or (packed.training and packed.precision == precision):
                return packed
        if training and self.quantization_mode is not None:
            refuse_training(self)
        packed = self._packed_for(training, precision)
        self._packed = versions, precision, packed
        return packed

    def _packed_for(self, training: bool, precision: str) -> functional.Packed:
        return type(self).pack(
            [v.place.value for v in self.variables],
            options=self.options,
            training=training,
            zoneout=self._zones,
            precision=precision,
            **({} if self.input_range is None else {"input_range": self.input_range}),
        )

    def in_reverse(self) -> Recurrent:
        """Return a new layer with the same arguments that goes the other way."""
        changed: dict[str, Any] = {"go_backwards": not self.go_backwards}
        if self.seed is not None:  # other masks than this one's
            changed["seed"] = self.seed + 1
        other = copy.copy(self)
        other.given_dtype = self.given_dtype
        other.variables = []
        other.go_backwards = changed["go_backwards"]
        other.reseed(changed.get("seed"))
        other._arguments = self._arguments | changed
        return other

    def kernel_info(self) -> str:
        """Say which kernel the layer runs on.

        >>> from lstmcore.layers import GRU
        >>> layer = GRU(4)
        >>> layer.build((None, None, 3))
        >>> layer.kernel_info().split(",")[0]
        'gru: fused kernel'
        """
        if not self.variables:
            raise ValueError(f"{self.name}: has no weights yet; call it on data or give it an input_shape")
        packed = self.packed_weights(False)
        if isinstance(packed, StepwiseWeights):
            return f"{packed.cell}: step by step in NumPy, for the core has no {packed.foreign}, {packed.dtype}"
        precision = self._said_precision(packed)
        return f"{packed.cell}: {packed.kernel} kernel, {precision}, {_core.config()['instruction_set']}"

    def _said_precision(self, packed: functional.Packed) -> str:
        """Say what the products read, and where that is not what the policy or `quantize` asks for."""
        wanted = self._precision
        if wanted == "float32":
            return packed.dtype if self.quantization_mode is None else f"{packed.dtype}, weights kept in int8"
        if packed.precision != wanted:
            return f"{packed.dtype} (no {wanted} for these options)"
        if wanted == "int8":
            return wanted if self.input_range is None else f"{wanted} with inputs up to {self.input_range:.4g}"
        masked = self.recurrent_dropout
        if not masked and self._packed_for(True, wanted).precision == wanted:
            return wanted
        return f"{wanted} (in training {packed.dtype}{', for its recurrent_dropout' if masked else ''})"

    def reseed(self, seed: int | None) -> None:
        """Start the random masks afresh; None draws a seed from the global one when it is needed."""
        self.seed = seed_or_none(f"{type(self).__name__}: seed", seed)
        self._random = None

    # --- passes ---

    def noise(self, batch: int, features: int, training: bool) -> tuple[Any, Any, Any]:
        """Return the masks of dropout for the inputs and for h, and zoneout, for a call."""
        dropout_mask = recurrent_dropout_mask = zoneout = None
        if training and (self.dropout or self.recurrent_dropout or self._zones):
            rng = self.next_random(self.seed)
            # Keras draws masks for each gate if there is recurrent dropout, and one for all if not.
            copies = (self.options.gates,) if self.recurrent_dropout else ()
            if self.dropout:
                dropout_mask = _random.dropout(rng, self.dropout, (*copies, batch, features), self.dtype)
            if self.recurrent_dropout:
                shape = (*copies, batch, self.outputs)
                recurrent_dropout_mask = _random.dropout(rng, self.recurrent_dropout, shape, self.dtype)
            if self._zones:
                zoneout = functional.Zoneout(**self._zoneout, seed=int(rng.integers(2**32)))
        elif self._zones:
            zoneout = functional.Zoneout(**self._zoneout)
        return dropout_mask, recurrent_dropout_mask, zoneout

    def _states(self, argument: str, given: Any) -> list[Array]:
        """Return given states as a list of arrays; one alone may come without a list around it."""
        return flat_states(f"{self.name}: {argument}", given, self.state_names, self.dtype)

    def _initial_state(self, batch: int, given: Any) -> list[Array] | None:
        if given is not None:
            states = self._states("initial_state", given)
            for state, name, width in zip(states, self.state_names, self.state_sizes, strict=True):
                if state.shape != (batch, width):
                    raise ValueError(
                        f"{self.name}: initial_state: {name}: expected shape {(batch, width)}, got {state.shape}"
                    )
            return states
        if self.stateful and self.states is not None:
            if len(self.states[0]) != batch:
                raise ValueError(
                    f"{self.name}: inputs: expected a batch of {len(self.states[0])} rows, as this stateful layer has "
                    f"had before, got {batch}; reset_states() makes it forget"
                )
            return self.states
        if type(self).get_initial_state is not Recurrent.get_initial_state:
            return self._states("get_initial_state", self.get_initial_state(batch))
        return None

    def run(
        self,
        inputs: Array,
        training: bool = False,
        initial_state: Sequence[ArrayLike] | ArrayLike | None = None,
        mask: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        zero_output_for_mask: bool | None = None,
    ) -> tuple[Array, list[Array]]:
        """Return outputs, each at its own step whatever the direction, and the last states."""
        call = self.prepare(inputs, training, initial_state, mask, lengths, zero_output_for_mask)
        return self.finish(run_forward(call, self.checkpoint), training)

    def prepare(
        self,
        inputs: Array,
        training: bool,
        initial_state: Sequence[ArrayLike] | ArrayLike | None = None,
        mask: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        zero_output_for_mask: bool | None = None,
        out: Array | None = None,
    ) -> Call:
        """Return the arguments of the core's forward pass."""
        self._features(inputs.shape)
        if training and self.checkpoint is not None and self._zones:
            raise ValueError(
                f"{self.name}: checkpoint: expected None with zoneout, whose masks are numbered by the steps of the "
                f"whole sequence; got {self.checkpoint}"
            )
        state = self._initial_state(len(inputs), initial_state)
        noise = self.noise(len(inputs), inputs.shape[2], training)
        return Call(
            self.packed_weights(training, noise[1] is not None),
            inputs,
            state,
            self.return_sequences,
            training,
            out,
            lengths,
            mask,
            self.zero_output_for_mask if zero_output_for_mask is None else zero_output_for_mask,
            self.go_backwards,
            *noise,
            training and not self.takes_copies,
        )

    def finish(self, result: tuple[Any, Any, Any], training: bool) -> tuple[Array, list[Array]]:
        """Keep what is needed of the core's results and return outputs and states."""
        outputs, states, cache = result
        if training:
            self._cache = cache
        if self.stateful:
            self.states = [s.copy() for s in states]  # the caller may write to those returned
        return outputs, list(states)

    def run_backward(
        self,
        d_outputs: Array | None,
        need_d_inputs: bool = True,
        d_state: Sequence[Array | None] | None = None,
    ) -> Array | None:
        """Go back through `run`; `d_initial_state` is set where there was an initial state."""
        return self.finish_backward(run_backward(self.prepare_backward(d_outputs, need_d_inputs, d_state)))

    def prepare_backward(
        self,
        d_outputs: Array | None,
        need_d_inputs: bool = True,
        d_state: Sequence[Array | None] | None = None,
    ) -> BackwardCall:
        """Return the arguments of the core's backward pass."""
        cache = self.kept()
        if d_state is not None and len(d_state) != len(self.state_names):
            raise ValueError(f"{self.name}: d_state: expected {len(self.state_names)} arrays, got {len(d_state)}")
        return BackwardCall(cache, d_outputs, d_state, need_d_inputs, [v.place.gradient for v in self.variables])

    def finish_backward(self, result: tuple[Any, Any, Any]) -> Array | None:
        """Keep what is needed of the core's results and return the gradient of the inputs."""
        d_inputs, _, d_initial = result
        self.d_initial_state = None if d_initial is None else list(d_initial)
        return d_inputs  # type: ignore[no-any-return]

    def forward(
        self,
        inputs: Array,
        training: bool = False,
        initial_state: Sequence[ArrayLike] | ArrayLike | None = None,
        mask: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> Any:
        """Return the outputs, and with ``return_state`` the last states.

        ``mask`` (batch, steps) is True where a step counts; ``lengths`` (batch,) says how many steps
        of each row do.

        With ``training`` this method, which models use, does not copy ``inputs`` but refers to them until
        `backward` is done: they must not be written to before that; outputs of all steps are read-only. Calling
        the layer, ``layer(inputs, training=True)``, does copy both. ``initial_state``, ``mask`` and the states
        returned may be written to.
        """
        outputs, states = self.run(inputs, training, initial_state, mask, lengths)
        if self.go_backwards and self.return_sequences:
            outputs = outputs[:, ::-1]
        return (outputs, *states) if self.return_state else outputs

    def backward(
        self, d_outputs: Array | None, need_d_inputs: bool = True, d_state: Sequence[Array | None] | None = None
    ) -> Array | None:
        """Add to the gradients of the weights and return that of the inputs, if needed.

        ``d_state`` are the gradients of the last states, where they were used.
        """
        if self.go_backwards and self.return_sequences and d_outputs is not None:
            d_outputs = d_outputs[:, ::-1]
        return self.run_backward(d_outputs, need_d_inputs, d_state)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Return (batch, steps, units), or (batch, units); with ``return_state`` a tuple of that and of the states'."""
        self._features(input_shape)
        batch, steps, _ = input_shape
        shape = (batch, steps, self.outputs) if self.return_sequences else (batch, self.outputs)
        return (shape, *((batch, width) for width in self.state_sizes)) if self.return_state else shape

    def compute_mask(self, inputs: Any, mask: Array | None = None) -> Array | None:
        """Pass the mask on with the steps."""
        if mask is None or not self.return_sequences:
            return None
        return mask[:, ::-1] if self.go_backwards else mask

    # --- state ---

    def reset_states(self, states: Sequence[ArrayLike] | None = None) -> None:
        """Make a stateful layer begin with zeros again, or with ``states``."""
        self.states = None if states is None else self.states_to_keep(states)

    def states_to_keep(self, states: Sequence[ArrayLike]) -> list[Array]:
        """Return copies of the states that `reset_states` is given."""
        return states_to_keep(self, self._states("states", states), self.state_sizes)

    def state(self) -> dict[str, Any]:
        """Return where the random masks are and, of a stateful layer, the states it keeps ("state/0", …)."""
        return super().state() | {f"state/{k}": s.copy() for k, s in enumerate(self.states or ())}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set what `state` has returned."""
        states, rest = kept_states(self, state, self.state_sizes)
        super().load_state(rest)
        self.states = states

    def stream(self, batch_size: int, steps: int) -> Stage:
        """Return an object that runs this layer piece by piece; see `models.Sequential.stream`."""
        if self.go_backwards:
            raise ValueError(f"{self.name}: go_backwards: needs the whole sequence, so it cannot be streamed")
        zoneout = functional.Zoneout(**self._zoneout) if self._zones else None
        weights = self.packed_weights(False)
        if isinstance(weights, StepwiseWeights) or type(self).get_initial_state is not Recurrent.get_initial_state:
            return self.stream_from(lambda: self._states("get_initial_state", self.get_initial_state(batch_size)))
        return RecurrentStream(weights, batch_size, steps, zoneout)

    def stream_from(self, start: Callable[[], list[Array]]) -> ChunkStream:
        """Return a stream that begins with given states."""
        weights = self.packed_weights(False)

        def run(inputs: Array, states: list[Array]) -> tuple[Array, list[Array]]:
            call = self.prepare(inputs, False, states)
            outputs, states, _ = run_forward(call._replace(weights=weights, return_sequences=True))
            return outputs, list(states)

        return ChunkStream(run, start, self.outputs, self.dtype)


def states_to_keep(layer: Any, states: Sequence[Array], widths: Sequence[int]) -> list[Array]:
    """Return copies of states for a stateful layer to begin with, after checking their shapes."""
    if not layer.stateful:
        raise ValueError(f"{layer.name}: states: expected a layer with stateful=True; this one keeps no states")
    for k, (state, width) in enumerate(zip(states, widths, strict=True)):
        if state.ndim != 2 or state.shape != (len(states[0]), width):
            raise ValueError(f"{layer.name}: states[{k}]: expected shape (batch, {width}), got {state.shape}")
    return [state.copy() for state in states]


def kept_states(
    layer: Any, state: Mapping[str, Any], widths: Sequence[int]
) -> tuple[list[Array] | None, dict[str, Any]]:
    """Return the states of a stateful layer that `Layer.state` holds, or None, and the rest of what it holds."""
    rest = dict(mapping(f"{layer.name}: state", state))
    given = [name for name in (f"state/{k}" for k in range(len(widths))) if name in rest]
    states = [float_array(f"{layer.name}: {name}", rest.pop(name), layer.dtype) for name in given]
    if not states:
        return None, rest
    if len(states) != len(widths):
        raise ValueError(f"{layer.name}: state: expected {len(widths)} arrays, got {len(states)}")
    return states_to_keep(layer, states, widths), rest
