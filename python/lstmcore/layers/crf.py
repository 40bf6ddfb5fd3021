"""Tags for sequences, each chosen with its neighbours in view."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _masks, activations, functional, initializers, regularizers
from .._arguments import ArgumentTypeError, as_array, check_sequences, prefix_lengths, valid_steps
from .._chains import joined, parted
from .._tagging import Allowed, Tags, number_and_names
from .layer import Array, Layer, Shape


class CRF(Layer):
    """The most likely tags of sequences: a linear-chain conditional random field (Lafferty et al. 2001).

    Inputs are emissions, a score of each tag at each step, of a Dense without activation for instance. To them come a
    score of each tag behind each other, of the first and of the last. What is returned is the path of the largest sum
    (Viterbi 1967): integers. With the loss "crf" the model is trained on -ln of the probability that the labels have
    among all paths.

    >>> import numpy as np
    >>> from lstmcore import Sequential, layers
    >>> model = Sequential([
    ...     layers.Embedding(100, 8, mask_zero=True, input_shape=(None,)),
    ...     layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
    ...     layers.Dense(3),
    ...     layers.CRF(["O", "B-PER", "I-PER"], constraints="BIO"),
    ... ])
    >>> model.compile("adam", "crf", metrics=["accuracy"])
    >>> words, labels = np.array([[5, 17, 4, 0], [9, 2, 3, 8]]), np.array([[1, 2, 0, 0], [0, 1, 2, 2]])
    >>> history = model.fit(words, labels, verbose=0)
    >>> model.predict(words).shape
    (2, 4)

    Weights: ``transitions`` (tags, tags), from the row's tag to the column's, ``start`` (tags), ``end`` (tags).

    Where the mask of the inputs is False, which may be behind the steps of a row only, the tag is 0; the mask goes on.

    Parameters
    ----------
    tags : how many there are, or their names in the order of their integers.
    constraints : which tags may stand where: "BIO", "BILOU" or "BIOES" for tags with names of that scheme; a boolean
        matrix (tags, tags), True where the column's tag may stand behind the row's; or three arrays, that matrix and
        (tags,) for the first and the last, as `utils.tag_constraints` returns them. What is forbidden is never
        returned, and labels that have it are refused by the loss. Where no path is left for a row, its tags are -1.
    transitions_initializer, start_initializer, end_initializer : names or callables.
    transitions_regularizer : penalty on the transitions: a name or a `regularizers.Regularizer`.
    **options : ``name``, ``dtype``, ``input_shape`` as for every layer.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its kind, the message names it; a mask has padding that is not behind the steps.
    """

    def __init__(
        self,
        tags: int | Iterable[str],
        constraints: Any = None,
        transitions_initializer: str | Callable[..., Array] = "zeros",
        start_initializer: str | Callable[..., Array] = "zeros",
        end_initializer: str | Callable[..., Array] = "zeros",
        transitions_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if self.activity_regularizer is not None:
            raise ValueError("CRF: activity_regularizer: expected none, for the outputs are integers")
        self.tags, self.tag_names = number_and_names("CRF", tags)
        self.allowed = self._allowed(constraints)
        self.transitions_initializer = initializers.get(transitions_initializer)
        self.start_initializer = initializers.get(start_initializer)
        self.end_initializer = initializers.get(end_initializer)
        self.transitions_regularizer = regularizers.get(transitions_regularizer)

    def _allowed(self, constraints: Any) -> Allowed | None:
        """Return what may stand where; None if all may."""
        if constraints is None:
            return None
        if isinstance(constraints, str):
            if self.tag_names is None:
                raise ValueError(f"CRF: constraints: expected tags with names for {constraints!r}, got {self.tags}")
            return Tags(self.tag_names, constraints, "CRF: ").allowed()
        parts = [constraints, np.ones(self.tags, bool), np.ones(self.tags, bool)]
        if isinstance(constraints, (tuple, list)) and len(constraints) == 3:  # or a matrix of three rows, in lists
            parts = list(constraints) if as_array("CRF: constraints", constraints[0]).ndim == 2 else parts
        shapes = ((self.tags, self.tags), (self.tags,), (self.tags,))
        arrays = [as_array("CRF: constraints", part) for part in parts]
        for array, shape in zip(arrays, shapes, strict=True):
            if array.dtype != bool:
                raise ArgumentTypeError(f"CRF: constraints: expected bool, True for what is allowed, got {array.dtype}")
            if array.shape != shape:
                raise ValueError(f"CRF: constraints: expected shape {shape}, got {array.shape}")
        return Allowed(*(array.copy() for array in arrays))

    def build(self, input_shape: Shape) -> None:
        """Create the scores of transitions, first and last tags."""
        self._check(input_shape)
        shape = (self.tags, self.tags)
        self.transitions = self.add_weight(
            "transitions", shape, self.transitions_initializer, offered="tags", regularizer=self.transitions_regularizer
        )
        self.start = self.add_weight("start", shape[1:], self.start_initializer)
        self.end = self.add_weight("end", shape[1:], self.end_initializer)

    def _check(self, shape: Shape) -> None:
        check_sequences(self.name, shape)
        if shape[2] != self.tags:
            raise ValueError(
                f"{self.name}: inputs: expected a score for each of {self.tags} tags, got shape {shape}; put a "
                f"Dense({self.tags}) before it"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, steps)."""
        self._check(input_shape)
        return input_shape[:2]

    def dtype_of_call(self, inputs: Any) -> np.dtype[Any]:
        """Return int64, of tags."""
        return np.dtype(np.int64)

    def compute_mask(self, inputs: Any, mask: Array | None = None) -> Array | None:
        """Return the mask of the inputs."""
        return mask

    # --- passes ---

    @property
    def scores(self) -> tuple[Array, Array, Array]:
        """Transitions, start and end with -inf for what is forbidden."""
        values = self.transitions.value, self.start.value, self.end.value
        if self.allowed is None:
            return values
        transitions, start, end = (
            np.where(allowed, value, value.dtype.type(-np.inf))
            for allowed, value in zip(self.allowed, values, strict=True)
        )
        return transitions, start, end

    @property
    def last_activation(self) -> activations.Activation | None:  # type: ignore[override]
        """What makes tags of that which goes to the loss."""
        return _best_paths

    def forward(self, inputs: Array, training: bool = False, mask: Array | None = None, logits: bool = False) -> Array:
        """Return the tags (batch, steps); with ``logits``, what the loss makes itself and its gradient from."""
        self._check(inputs.shape)
        lengths = self._lengths(inputs.shape, mask)
        if not logits:
            return functional.crf_decode(inputs, *self.scores, lengths)[0]
        if training:
            self._cache = inputs.shape
        return joined(inputs, *self.scores, inputs.shape[1] if lengths is None else lengths)

    def forward_with_mask(
        self, inputs: Array, training: bool = False, mask: Array | None = None, **options: Any
    ) -> tuple[Array, Array | None]:
        """Return what `forward` does, and the mask, which is of the steps in either case."""
        if not options.get("logits"):
            return super().forward_with_mask(inputs, training, mask, **options)
        if mask is not None:
            _masks.check(self.name, mask, inputs.shape)
        return self.forward(inputs, training=training, mask=mask, **options), mask

    def backward(self, d_outputs: Array, need_d_inputs: bool = True, logits: bool = False) -> Array | None:
        """Add to the gradients of the weights and return that of the inputs, from that of the loss by `forward`."""
        if not logits:
            raise ValueError(
                f"{self.name}: its outputs are integers, which have no gradient; let it be the last layer, and compile "
                "the model with the loss 'crf'"
            )
        self.kept()
        d = parted(d_outputs)
        variables = self.transitions, self.start, self.end
        for k, (variable, rows) in enumerate(zip(variables, (d.transitions, d.start, d.end), strict=True)):
            gradient = np.add.reduce(rows, axis=0)
            if self.allowed is not None:
                gradient[~self.allowed[k]] = 0
            variable.gradient += gradient
        return np.ascontiguousarray(d.emissions) if need_d_inputs else None

    def marginals(self, inputs: ArrayLike, mask: ArrayLike | None = None, lengths: ArrayLike | None = None) -> Array:
        """Return the probability of each tag at each step, over all paths (batch, steps, tags).

        >>> import numpy as np
        >>> from lstmcore.layers import CRF
        >>> CRF(2).marginals(np.log([[[1.0, 3.0]]])).round(2).tolist()
        [[[0.25, 0.75]]]

        Parameters
        ----------
        inputs : emissions (batch, steps, tags), what the layer before returns: of a graph, the outputs of a Model that
            ends there; of a chain, what its layers return when they are called one after the other.
        mask, lengths : as for a call.
        """
        arrays = self._accept(inputs)
        self._check(arrays.shape)
        if mask is None and lengths is None:
            mask = _masks.of(inputs)
        return functional.crf_marginals(arrays, *self.scores, self._lengths(arrays.shape, mask, lengths))

    def _lengths(self, shape: Shape, mask: ArrayLike | None, lengths: ArrayLike | None = None) -> Array | None:
        """Return how many steps of each row count; None if all do."""
        if mask is None and lengths is None:
            return None
        batch, steps, _ = shape
        assert batch is not None
        assert steps is not None
        return prefix_lengths(self.name, valid_steps(f"{self.name}: ", batch, steps, mask, lengths))


class _BestPaths(activations.Activation):
    """From what goes to the loss to tags."""

    name = "crf"

    def value(self, x: Array) -> Array:
        if not len(x):
            return np.zeros((0, parted(x).emissions.shape[1]), np.int64)
        emissions, transitions, start, end, lengths = parted(x)
        return functional.crf_decode(emissions, transitions[0], start[0], end[0], lengths.astype(np.int64))[0]


_best_paths = _BestPaths()
