"""Whole data sets through a model, without training it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import _masks
from .._screen import is_watched
from .._signatures import suggesting
from ..callbacks import Callback, CallbackList, ProgbarLogger
from ..layers._calls import own_outputs
from .arguments import callback_list, check_verbose, steps_or_none
from .data import Arrays, Source, Targets, joined, lengths_of, source
from .measures import Logs
from .steps import Stepping
from .turns import in_turn


class Evaluating(Stepping):
    """A model that takes steps on batches, and evaluates and predicts over data sets."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stop_evaluating = self.stop_predicting = False

    def _source(self, x: Any, y: Any = None, sample_weight: Any = None, prefix: str = "", **options: Any) -> Source:
        """Return the source of batches for data, with the model built for them."""
        self._look_again()
        about: dict[str, Any] = {"several": self.takes_several, "dimensions": self._axes, "key": self.input_key}
        about["known"] = self.input_symbols
        options.setdefault("needs_targets", self.needs_targets)

        def targets(inputs: Any) -> Targets:
            if self.made_by_data and not self.built:
                self._inputs(inputs, f"{prefix}x")
            return self._targets()

        made = source(x, y, sample_weight, targets=targets, prefix=prefix, **about, **options)
        if isinstance(made, Arrays) and self.distribution is not None:
            # Steps of the user's own take whole batches; and what follows targets is to be as long as these.
            own = any(map(self._defines, ("train_step", "test_step", "predict_step")))
            made.on_demand = not own and not lengths_of(made.x)
        if not self.built or isinstance(made, Arrays):  # what makes its batches anew is not to do so for nothing
            self._inputs(made.first()[0], f"{prefix}x")
        return made

    def _evaluate(self, data: Source, steps: int | None, hooks: CallbackList | None, prefix: str = "") -> Logs:
        """Let the measures see a data set; return what is to be reported."""
        batch_begin = hooks is not None and hooks.listens("on_test_batch_begin")
        batch_end = hooks is not None and hooks.listens("on_test_batch_end")
        self.stop_evaluating = False
        if hooks is not None:
            hooks.on_test_begin()
        step, given = -1, None
        for step, (x, y, weight) in enumerate(data.steps_of(steps)):
            if y is None:
                self._refuse_no_targets(y, prefix, " with every batch of x")
            if batch_begin:
                hooks.on_test_batch_begin(step)  # type: ignore[union-attr]
            given = self._step(self._given(f"{prefix}x", x), y, weight, training=False, name=f"{prefix}y")
            if batch_end:
                hooks.on_test_batch_end(step, self._logs(given))  # type: ignore[union-attr]
            if self.stop_evaluating:
                break
        if step < 0:
            raise ValueError(f"{prefix}x: expected at least one batch, got none: a generator gives its batches once")
        logs = self._logs(given)
        if hooks is not None:
            hooks.on_test_end(logs)
        return logs

    @suggesting
    @in_turn(within=True)
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
        return_dict: bool = False,
        *,
        mask: Any = None,
        lengths: Any = None,
    ) -> Any:
        """Return the loss over a data set; with metrics, a list with the loss first, or a dict.

        Parameters
        ----------
        x, y, sample_weight, batch_size, mask, lengths : as for `fit`.
        verbose : 0 silent; 1 and 2 show a line with the result; "auto" does on a terminal and in a notebook.
        steps : the most batches to take.
        callbacks : their ``on_test_…`` hooks are called.
        return_dict : return the numbers by name.
        """
        self._require_compiled()
        check_verbose(verbose)
        steps = steps_or_none("steps", steps)
        batch_size = steps_or_none("batch_size", batch_size)
        data = self._source(x, y, sample_weight, batch_size=batch_size, steps=steps, mask=mask, lengths=lengths)
        self._ready()
        if self.distribution is not None:
            self.distribution.begin(self, data, training=False)
        with self._own_measures():
            logs = self._evaluate(data, steps, self._hooks_for(data, steps, verbose, callbacks))
            return self._report(logs, return_dict)

    @suggesting
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
        *,
        mask: Any = None,
        lengths: Any = None,
    ) -> Any:
        """Return the outputs for every row of ``x``: an array or, as the model has several, a list or dict of them.

        Arrays are taken ``batch_size`` rows at a time, by default 32 or all in ``steps``; the result does not depend on
        it. Of a source of batches the inputs are used and the targets, if there are any, are not. Inputs may be lists
        of arrays of different length, or have ``mask`` or ``lengths``, as for `fit`; what such lists give for every
        step is a list of arrays too. At most ``steps`` batches are taken. Several threads may predict with one model
        at a time.
        """
        check_verbose(verbose)
        steps = steps_or_none("steps", steps)
        batch_size = steps_or_none("batch_size", batch_size)
        if isinstance(x, np.ndarray) and x.ndim and len(x) == 0:
            return self.predict_on_batch(x, mask=mask, lengths=lengths)
        about: dict[str, Any] = {"batch_size": batch_size, "steps": steps, "mask": mask, "lengths": lengths}
        data = self._source(x, needs_targets=False, **about)
        if self.distribution is not None:
            self.distribution.begin(self, data, training=False)
        hooks = self._hooks_for(data, steps, verbose, callbacks)
        if hooks is not None:
            self.stop_predicting = False
            hooks.on_predict_begin()
        parts = []
        for step, (inputs, _, _) in enumerate(data.steps_of(steps)):
            if hooks is not None:
                hooks.on_predict_batch_begin(step)
            inputs = self._given("x", inputs)
            ragged = _masks.is_exact(inputs)
            parts.append(self._outputs(inputs, ragged))
            if hooks is not None:
                hooks.on_predict_batch_end(step, {"outputs": joined(parts[-1:]) if ragged else parts[-1]})
                if self.stop_predicting:
                    break
        if not parts:
            raise ValueError("x: expected at least one batch, got none: a generator gives its batches once")
        if hooks is not None:
            hooks.on_predict_end()
        if len(parts) > 1 or ragged:
            return joined(parts)
        outputs: Any = own_outputs(parts[0], inputs if self.distribution is None else None)
        return outputs

    def _hooks_for(
        self, data: Source, steps: int | None, verbose: int | str, callbacks: Iterable[Callback] | Callback | None
    ) -> CallbackList | None:
        """Return the callbacks of `evaluate` or `predict`; None if nobody listens."""
        given = callback_list(callbacks)
        shows = is_watched() if verbose == "auto" else bool(verbose)
        if shows and self.is_first_process:
            given = [*given, ProgbarLogger(bar=verbose != 2 and is_watched())]
        if not given:
            return None
        limit = data.steps if steps is None else steps if data.steps is None else min(steps, data.steps)
        return CallbackList(given, self, {"steps": limit, "verbose": verbose})
