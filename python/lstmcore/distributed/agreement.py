"""What has to be the same in all processes before a training begins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _core, _random
from ..serialization.weights import weights_of
from .communicator import Communicator


def refuse(model: Any, data: Any, shards: int) -> None:
    """Refuse what cannot be trained in shards."""
    stateful = [part.name for part in model.keepers if getattr(part, "stateful", False)]
    if stateful:
        raise NotImplementedError(
            f"{model.name}: {stateful[0]}: stateful: expected False in a model that is distributed, got True: a shard "
            "has other rows than the one before it"
        )
    if model._own_metrics():
        raise NotImplementedError(
            f"{model.name}: expected the metrics of a model that is distributed in compile, got attributes"
        )
    size = getattr(data, "batch_size", None)
    if size is not None and size < shards:
        raise ValueError(f"shards: expected at most the batch_size, {size}, got {shards}")


def agree(communicator: Communicator, model: Any, data: Sequence[Any], shards: int) -> None:
    """Refuse processes that differ in what the training comes from."""
    if communicator.size == 1:
        return
    mine = _told(model, data, shards)
    all_of = communicator.gather(mine)
    for name, value in all_of[0].items():
        values = [told[name] for told in all_of]
        if any(other != value for other in values):
            hint = "; call lstmcore.utils.set_random_seed before the model is made" if name in _SEEDED else ""
            raise ValueError(f"{model.name}: distribute: expected the same {name} in all processes, got {values}{hint}")


_SEEDED = ("weights", "state of training", "random numbers")


def _told(model: Any, data: Sequence[Any], shards: int) -> dict[str, Any]:
    plain, arrays = model.training_state()
    progress = plain.get("progress")
    if progress is not None:  # what callbacks remember may be another thing where they do not write
        plain = plain | {"progress": {name: part for name, part in progress.items() if name != "callbacks"}}
        arrays = {name: part for name, part in arrays.items() if not name.startswith("progress/callbacks")}
    generator = _random.generator().bit_generator.state
    try:
        configuration = json.dumps([model.get_config(), model.compile_config()], default=repr, sort_keys=True)
    except TypeError:  # of the user's own, with functions
        configuration = ""
    return {
        "version": _core.__version__,
        "shards": shards,
        "length of data": [(one.steps, getattr(one, "rows", None)) for one in data if one is not None],
        "batch_size": [getattr(one, "batch_size", None) for one in data],
        "configuration": _digest(configuration.encode()),
        "weights": _digest(*(part for item in weights_of(model.layers).items() for part in _bytes(*item))),
        "state of training": _digest(
            repr(plain).encode(), *(part for item in arrays.items() for part in _bytes(*item))
        ),
        "random numbers": _digest(repr(generator).encode()),
    }


def _bytes(name: str, array: Any) -> tuple[bytes, bytes]:
    return name.encode(), np.ascontiguousarray(array).tobytes()


def _digest(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:16]
