"""Training that was interrupted, as files."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .._arguments import path as checked_path
from . import container
from .container import Container, errors_name
from .models import require_model
from .names import named_variables
from .weights import assign_all, weights_of, with_prefix, without_prefix


def backup_training(model: Any, path: str | os.PathLike[str]) -> None:
    """Write everything that the training under way depends on: weights, optimizer, random state and progress."""
    require_model(model)
    plain, arrays = model.training_state()
    content = Container(
        weights_of(model.layers) | with_prefix("training/", arrays), {"kind": "training", "training": plain}
    )
    container.write(checked_path("path", path), content)


def restore_training(model: Any, path: str | os.PathLike[str]) -> None:
    """Set a model to what `backup_training` wrote: all of it or, on an error, nothing.

    That holds for the `fit` too that is to go on: if it cannot, the model is put back.

    Raises
    ------
    ValueError
        The file is not whole, or of another model.
    """
    require_model(model)
    where = checked_path("path", path)
    content = container.read(where)
    if content.data.get("kind") != "training":
        raise ValueError(f"{where}: expected a backup of a training, got a file of kind {content.data.get('kind')!r}")
    variables = named_variables(model.layers)
    weights = without_prefix("weights/", content.arrays)
    before_weights = {name: variable.numpy() for name, variable in variables.items()}
    plain, arrays = model.training_state()
    before = plain | {"progress": None}, {name: array.copy() for name, array in arrays.items()}

    def all_or_nothing(action: Callable[[], None]) -> None:
        try:
            with errors_name(where):
                action()
        except BaseException:
            assign_all(where, variables, before_weights)
            model.load_training_state(*before)
            raise

    def restore() -> None:
        assign_all(where, variables, weights)
        training = without_prefix("training/", content.arrays)
        model.load_training_state(content.data["training"], training, all_or_nothing)

    all_or_nothing(restore)
