"""What can be trained: `fit`, and the state that it can go on from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import _random
from .._arguments import positive_integer, rate
from .._screen import is_watched
from .._signatures import suggesting
from .._warnings import warn
from ..callbacks import Callback, CallbackList, History, ProgbarLogger
from ..layers.layer import Array
from ..serialization.state import join, split
from .arguments import callback_list, check_verbose, frequency, steps_or_none
from .class_weights import ClassWeights
from .data import Arrays, Batch, Feed, Source
from .evaluation import Evaluating
from .loop import Loop
from .measures import Logs
from .progress import Progress
from .turns import in_turn


class Trainer(Evaluating):
    """A layer that is a whole model: it has a loss and an optimizer and can be trained."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.history: History | None = None
        self.stop_training = False
        self._shuffle_stream: _random.Stream | None = None
        # Where the fit under way is to go on, and what is to guard it when it does.
        self._resume: tuple[dict[str, Any], Callable[[Callable[[], None]], None]] | None = None

    @property
    def _shuffle(self) -> _random.Stream:
        """Decides the order of the rows; its seed comes from the global one."""
        if self._shuffle_stream is None:
            self._shuffle_stream = _random.Stream(int(_random.generator().integers(2**32)))
        return self._shuffle_stream

    @suggesting
    @in_turn(within=False)
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Iterable[Callback] | Callback | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        *,
        mask: Any = None,
        lengths: Any = None,
    ) -> History:
        """Train.

        Parameters
        ----------
        x : inputs: arrays, one row a sample; or, for sequences of different length, lists of arrays (steps, ...),
            of which those of similar length make a batch; or batches (x, y) or (x, y, sample_weight) from a
            generator, an iterable, or a data set with ``data[k]`` and ``len(data)``.
        y : targets, unless ``x`` gives them. For several outputs, a list of arrays in the order of the outputs, or a
            dict by their names; so are those of batches and ``sample_weight``, of which one array is that of all.
        batch_size : of arrays, rows in a step; the last of an epoch may have fewer. By default 32, or, with
            ``steps_per_epoch``, what makes an epoch a pass over the arrays. Data that come in batches keep theirs.
        epochs : the epoch to stop before; counted from ``initial_epoch``.
        verbose : 0 silent; 1 a progress bar on a terminal or in a notebook, a line an epoch elsewhere; 2 a line an
            epoch; "auto" is 1.
        callbacks : `callbacks.Callback` objects.
        validation_split : part of the data, from its end, to validate on instead of training.
        validation_data : (x, y), (x, y, sample_weight) or a source of batches to validate on; goes
            before ``validation_split``.
        shuffle : take the rows, or the batches of a data set, in a new random order in every epoch;
            "batch" changes the order within each batch only. Generators keep theirs.
        class_weight : class -> weight of its samples in the loss.
        sample_weight : weights of the samples, or (samples, steps).
        initial_epoch : number of the first epoch.
        steps_per_epoch : batches of an epoch; the next one goes on behind them. By default, all.
        validation_steps : batches to validate on, from the first on; by default, all.
        validation_batch_size : ``batch_size`` by default, and without that as it goes by
            ``validation_steps``.
        validation_freq : validate in every so many epochs, or in those listed, counted from 1.

        mask : of arrays, (rows, steps), True where a step counts; for several inputs, as they are said.
        lengths : instead, how many steps of each row count.

        Returns
        -------
        History, also kept as ``model.history``.

        Raises
        ------
        ValueError, TypeError
            An argument does not fit, and the message names it; or `compile` was not called.
        RuntimeError
            `fit` is running already: one thread at a time trains or evaluates a model, or those that share layers.
        KeyboardInterrupt
            After Ctrl-C, once the step under way is whole; the model is as after that step.

        Warns
        -----
        RuntimeWarning
            Once, when the loss stops being finite.
        UserWarning
            When there are fewer batches than ``steps_per_epoch`` and ``epochs`` ask for: the epoch ends, and
            with a generator the training.

        Notes
        -----
        An exception, from a callback for instance, leaves the model as after the last whole step. Arrays are not
        copied as a whole: leave them as they are until `fit` returns; nothing of them is kept then.
        """
        self._require_compiled()
        verbose = verbose if self.is_first_process else 0
        batch_size = steps_or_none("batch_size", batch_size)
        epochs = positive_integer("epochs", epochs)
        if isinstance(initial_epoch, bool) or not isinstance(initial_epoch, (int, np.integer)) or initial_epoch < 0:
            raise ValueError(f"initial_epoch: expected an integer from 0 on, got {initial_epoch!r}")
        steps_per_epoch = steps_or_none("steps_per_epoch", steps_per_epoch)
        validation_steps = steps_or_none("validation_steps", validation_steps)
        validation_batch_size = steps_or_none("validation_batch_size", validation_batch_size) or batch_size
        validates = frequency(validation_freq)
        check_verbose(verbose)
        if not (isinstance(shuffle, (bool, np.bool_)) or (isinstance(shuffle, str) and shuffle == "batch")):
            raise TypeError(f"shuffle: expected True, False or 'batch', got {shuffle!r}")
        classes = None if class_weight is None else self._class_weights(class_weight)
        if classes is not None and sample_weight is not None:
            raise ValueError("class_weight: expected None beside a sample_weight; multiply them yourself")

        about: dict[str, Any] = {"batch_size": batch_size, "steps": steps_per_epoch, "mask": mask, "lengths": lengths}
        data = self._source(x, y, sample_weight, shuffle=shuffle, **about)
        validation: Source | None = None
        if validation_data is not None:
            validation = self._validation(validation_data, validation_batch_size, validation_steps)
            masked = mask is not None or lengths is not None
            if masked and isinstance(validation, Arrays) and not validation.masked:
                warn(
                    "validation_data: has no mask, for mask and lengths are those of x, and padding in it is taken for "
                    "data; give lists of arrays of different length, or validation_split"
                )
        elif share := rate("validation_split", 0.0 if validation_split is None else validation_split):
            if not isinstance(data, Arrays):
                raise ValueError(
                    f"validation_split: expected arrays to split, got {type(x).__name__}; use validation_data"
                )
            data, validation = data.split(share, validation_batch_size, validation_steps)

        feed = Feed(data, self._shuffle, steps_per_epoch)
        history = self.history = History()
        bar = ProgbarLogger(bar=verbose != 2 and is_watched()) if verbose else None
        params = {"epochs": epochs, "steps": steps_per_epoch or data.steps, "verbose": verbose}
        hooks = CallbackList([history, *callback_list(callbacks), *([bar] if bar else [])], self, params)
        optimizer, _, _, measures = self._ready()
        take_step = functools.partial(self._take_step, classes=classes)
        validate = None
        if validation is not None:
            validate = functools.partial(self._validate, validation, validation_steps, hooks)
        loop = Loop(self, feed, take_step, validate, validates, hooks, bar, epochs)
        self.stop_training = False
        self._resume = None
        progress = Progress(initial_epoch, self, measures, self._own_metrics, self._logs, feed, validation, hooks)
        self._progress = progress
        try:
            hooks.on_train_begin()
            if self._resume is not None:  # a callback has restored the state of a training that was interrupted
                (state, guard), self._resume = self._resume, None
                guard(functools.partial(progress.restore, state))
                if bar and progress.begun:
                    bar.on_epoch_begin(progress.epoch)
            if self.distribution is not None:
                self.distribution.begin(self, data, validation)
            logs = loop.run(progress)
            optimizer.finalize(self._ready()[1])
        finally:
            self._progress = None
        hooks.on_train_end(logs)
        if self.distribution is not None:
            self.distribution.end()
        return history

    def _validation(self, validation_data: Any, batch_size: int | None, steps: int | None) -> Source:
        """Return the source of what is validated on."""
        parts = validation_data if isinstance(validation_data, (tuple, list)) else (validation_data,)
        if not 1 <= len(parts) <= 3 or (len(parts) == 1 and parts is validation_data):
            raise ValueError(
                "validation_data: expected a pair (x, y), (x, y, sample_weight) or a source of batches, got "
                f"{len(parts)} values"
            )
        x, y, weight = (*parts, None, None)[:3]
        return self._source(x, y, weight, prefix="validation_data: ", batch_size=batch_size, steps=steps)

    def _take_step(self, batch: Batch, classes: ClassWeights | None) -> tuple[float, Logs | None]:
        """Train on a batch; return the loss, and what a step of the user's own returned."""
        x, y, weight = batch
        if y is None:
            self._refuse_no_targets(y, of=" with every batch of x")
        if classes is not None:
            if weight is not None:
                raise ValueError("class_weight: expected None for data with a sample_weight")
            if y is None:
                raise ValueError("class_weight: expected None without targets")
            weight = classes(y, len(self.output_shape))
        x = self._given("x", x)
        if not self._defines("train_step"):
            return self._train_step(x, y, weight), None
        given = self._step(x, y, weight, training=True) or {}
        return float(np.mean(given.get("loss", 0.0))), given

    def _validate(self, validation: Source, steps: int | None, hooks: CallbackList) -> Logs:
        """Evaluate, and go on counting what the epoch has given so far."""
        with self._own_measures():
            return self._evaluate(validation, steps, hooks, "validation_data: ")

    # --- state ---

    def training_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return all that training depends on beside the weights: plain data, and arrays by name.

        That is the optimizer's state, the layers' random numbers and states, the order of the rows,
        and, while `fit` is running, how far it is: a state taken by a callback, in the middle of an
        epoch or at its end, is one from which training goes on bit for bit. Of the arrays, some may
        be the model's own: copy or write them before the next step.
        """
        # The state of an optimizer is of all weights that it has moved, before some were quantized.
        none = self.optimizer is None or any(v.int8 is not None for v in self.variables)
        state: dict[str, Any] = {
            "layers": self.state(),
            "optimizer": None if none or self.optimizer is None else self.optimizer.state(),
            "shuffle": None if self._shuffle_stream is None else [self._shuffle.seed, self._shuffle.calls],
            "progress": None if self._progress is None else self._progress.state(),
        }
        return split(state)

    def load_training_state(
        self,
        plain: Mapping[str, Any],
        arrays: Mapping[str, Array],
        guard: Callable[[Callable[[], None]], None] = lambda action: action(),
    ) -> None:
        """Set what `training_state` has returned: all or, on an error, nothing. Weights are the caller's to restore.

        Called within `fit`, by a callback's ``on_train_begin``, it makes that `fit` go on where the
        state was taken: with the same data, the rest of that epoch is the same. Data that cannot be
        rewound, a generator's, have to begin anew: what had been seen of them is left out.

        Parameters
        ----------
        plain, arrays : what `training_state` returned.
        guard : calls what then makes `fit` go on, and undoes what was restored if that raises, for the state
            may be that of a training with other metrics, data or callbacks.

        Raises
        ------
        ValueError, TypeError
            The state is not of such a model.
        """
        state = join(plain, arrays)
        shuffle = None if state["shuffle"] is None else list(map(int, state["shuffle"]))
        before = self.state()
        self.load_state(state["layers"])
        if state["optimizer"] is not None and self.optimizer is not None and self.parameters is not None:
            try:
                self.optimizer.load_state(state["optimizer"], self.parameters)
            except BaseException:
                self.load_state(before)
                raise
        if shuffle is None:
            self._shuffle_stream = None
        else:
            # The same object as before: a `fit` under way draws from it.
            stream = self._shuffle_stream = self._shuffle_stream or _random.Stream(0)
            stream.seed, stream.calls = shuffle
        if self._progress is not None:
            self._resume = None if state["progress"] is None else (state["progress"], guard)
