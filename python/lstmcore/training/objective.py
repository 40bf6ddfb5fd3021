"""What is asked of one output of a model, and what that makes of a batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import metrics as metrics_module
from .._arguments import read_only
from .._tree import map_leaves
from ..activations import Activation
from ..losses import Loss, combine_weights
from ..losses.targets import aligned
from ..metrics import Metric

Array = NDArray[Any]


class Seen(NamedTuple):
    """A batch of one output, as its objective sees it.

    Attributes
    ----------
    targets : as the loss reads them; metrics get these.
    true : as the loss computes with them, the mask taken into account.
    outputs : of the model, its last activation applied.
    weights : of the samples in the loss, from sample weights and mask; None if all count the same.
    logits : what goes into the last activation, if the loss takes it from there.
    sample_weight, mask : as they came.
    left : what of the mask weighs the samples in the loss.
    """

    targets: Any
    true: Any
    outputs: Array
    weights: Array | None
    logits: Array | None
    sample_weight: Array | None
    mask: Array | None
    left: Array | None = None


class Objective:
    """A loss to make small, and the metrics to report beside it, for one output of a model.

    >>> import numpy as np
    >>> from lstmcore.losses import MeanSquaredError
    >>> from lstmcore.training.objective import Objective
    >>> objective = Objective(MeanSquaredError(), ["mae"], [], (None, 1))
    >>> seen = objective.look(np.array([[1.0], [3.0]]), None, np.array([[0.0], [1.0]]), None)
    >>> objective.value_and_gradient(seen)
    (2.5, array([[1.],
           [2.]]))
    >>> objective.update(seen)
    >>> [metric.result() for metric in objective.metrics]
    [1.5]

    Parameters
    ----------
    loss : the loss; None for an output of which there are metrics alone.
    metrics, weighted_metrics : identifiers as `compile` takes them; sample weights go to the second only.
    output_shape : of the output, batch first; decides with the loss what "accuracy" means.
    head : the activation that the output ends with, or None. A loss that takes the gradient of that activation
        together with its own is given what goes into it.
    """

    def __init__(
        self,
        loss: Loss | None,
        metrics: Iterable[Any],
        weighted_metrics: Iterable[Any],
        output_shape: tuple[int | None, ...],
        head: Activation | None = None,
    ) -> None:
        def resolved(identifiers: Iterable[Any]) -> list[Metric]:
            return [metrics_module.resolve(identifier, loss, output_shape) for identifier in identifiers]

        self.loss, self.head = loss, head
        self.metrics = metrics_module.unique(resolved(metrics))
        self.weighted_metrics = resolved(weighted_metrics)

    @property
    def takes_logits(self) -> bool:
        """Whether `look` is to be given what goes into the last activation, and gradients are of that."""
        return self.head is not None and self.loss is not None and self.head.name == self.loss.fuses

    def refuse_head(self, head: Activation | None) -> None:
        """Refuse an output of tags, of which no other loss than its own has a gradient."""
        if head is not None and head.name == "crf" and self.loss is not None and self.loss.fuses != head.name:
            raise ValueError(
                f"loss: expected 'crf' for an output that ends with layers.CRF, got {self.loss.name!r}; compile with "
                "'crf'"
            )

    def look(
        self,
        result: Array,
        mask: Array | None,
        y: Array,
        sample_weight: Array | None,
        name: str = "y",
        where: str = "",
    ) -> Seen:
        """Return what there is to see of a batch.

        Parameters
        ----------
        result, mask : the outputs or, if `takes_logits`, what goes into the last activation; and their mask.
        y, sample_weight : targets, and weights of the samples or None.
        name, where : of the targets, and what goes behind that and behind "sample_weight", in errors.
        """
        loss, head = self.loss, self.head
        logits = result if self.takes_logits else None
        if logits is None and result.dtype.kind != "f":  # of integers, as a function may return them
            result = result.astype(np.float64)
        # What looks at outputs and targets, a loss or a metric, may be the user's: they are the layers' and the data's.
        outputs = read_only(result if logits is None or head is None else head(logits))
        if loss is None:
            targets = read_only(aligned(f"{name}{where}", y, outputs.shape))
            return Seen(targets, targets, outputs, None, None, sample_weight, mask)
        targets = map_leaves(read_only, loss.targets(y, outputs.shape, outputs.dtype, f"{name}{where}"))
        true, left = loss.with_mask(targets, mask)
        weights = None
        if left is not None or sample_weight is not None:
            weights = combine_weights(
                loss.samples(outputs.shape), sample_weight, left, loss.reduction, f"sample_weight{where}"
            )
        return Seen(targets, true, outputs, weights, logits, sample_weight, mask, left)

    def value_and_gradient(self, seen: Seen) -> tuple[float, Array]:
        """Return the loss, which there has to be, and its gradient by what `look` was given."""
        assert self.loss is not None
        return self.loss.value_and_gradient(seen.true, seen.outputs, seen.weights, seen.logits)

    def value(self, seen: Seen) -> float:
        """Return the loss."""
        assert self.loss is not None
        return self.loss.value(seen.true, seen.outputs, seen.weights, seen.logits)

    def rows(self, seen: Seen) -> int:
        """Return how many rows the batch counts for in the mean loss over several."""
        assert self.loss is not None
        return self.loss.rows(seen.true, seen.outputs)

    def divisor(self, seen: Seen) -> float:
        """Return what the loss is divided by; see `Loss.divisor`."""
        assert self.loss is not None
        return self.loss.divisor(seen.true, seen.outputs, seen.weights, seen.left)

    def update(self, seen: Seen) -> None:
        """Let the metrics take in a batch; steps where the mask is False are left out."""
        if not self.metrics and not self.weighted_metrics:
            return
        targets, outputs, sample_weight = seen.targets, seen.outputs, seen.sample_weight
        dtype = outputs.dtype if outputs.dtype.kind == "f" else np.dtype(np.float64)  # of weights: tags are integers
        counts = None if seen.mask is None else seen.mask.astype(dtype)
        for metric in self.metrics:  # views, for one of the user's may reshape what it gets
            metric.update_state(targets.view(), outputs.view(), counts)
        if self.weighted_metrics:
            if sample_weight is not None and counts is not None:
                weight = np.asarray(sample_weight, dtype)
                counts = counts * weight.reshape(weight.shape + (1,) * (counts.ndim - weight.ndim))
            elif sample_weight is not None:
                counts = read_only(sample_weight)
            for metric in self.weighted_metrics:
                metric.update_state(targets.view(), outputs.view(), counts)
