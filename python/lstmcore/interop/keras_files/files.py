"""Files of Keras as wholes: models and weights from bytes, and bytes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..._placeholders import bounded_by_memory, placeholders
from ...serialization.weights import assign_all
from ...variables import Variable
from . import archive, compiling, hdf5, legacy, models_in, models_out
from .hdf5 import Array, Contents
from .places import names_of, places

# Older Keras 3, and tf.keras before it, had this name for what is now "layers".
_OLD_ROOT = "_layer_checkpoint_dependencies"
_VERSION = "3.0.0"  # the oldest Keras for which what is written is meant


class Loaded(NamedTuple):
    """A model, what its file says of `compile`, and our own record of its training; each of these two may be None."""

    model: Any
    compiled: Any
    training: bytes | None


def model_from(content: bytes, where: str) -> Loaded:
    """Return the model of a .keras or .h5 file, all of whose weights are the file's.

    Raises
    ------
    ValueError
        The file is not whole, is something else, or does not fit together.
    """
    if content.startswith(hdf5.MAGIC):
        return _from_h5(content, where)
    parts = archive.unpacked(content)
    description, contents = _json(parts[archive.CONFIG], archive.CONFIG), hdf5.read(parts[archive.WEIGHTS])
    version = _json(parts.get(archive.METADATA, b"{}"), archive.METADATA).get("keras_version")
    model = _bounded(description, version, contents)
    _assign(model, contents, where)
    return Loaded(model, description.get("compile_config"), parts.get(archive.OURS))


def _from_h5(content: bytes, where: str) -> Loaded:
    contents = hdf5.read(content)
    about = contents.attributes[""]
    if "model_config" not in about:
        raise ValueError("expected a model, got a file of weights alone; make the model, and load_weights reads it")
    description = _json(about["model_config"], "model_config")
    model = _bounded(description, about.get("keras_version"), contents)
    _assign(model, contents, where)
    compiled = _json(about["training_config"], "training_config") if "training_config" in about else None
    return Loaded(model, compiled, None)


def _json(text: str | bytes, part: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{part}: not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{part}: expected a dict, got {str(data)[:100]}")
    return data


def _bounded(description: Mapping[str, Any], version: Any, contents: Contents) -> Any:
    """Return the model of a description, with no more weights than the file has."""
    with placeholders(sum(array.size for array in contents.arrays.values())):
        return models_in.model_of(description, None if version is None else str(version))


def weights_from(content: bytes) -> Contents:
    """Return what is in a file of weights, or in a model's."""
    if not content.startswith(hdf5.MAGIC):
        content = archive.unpacked(content)[archive.WEIGHTS]
    return hdf5.read(content)


def load_weights(model: Any, content: bytes, where: str, skip_mismatch: bool = False) -> None:
    """Set the weights of a model from a file: all of them or, on an error, none."""
    _assign(model, weights_from(content), where, skip_mismatch)


def _assign(model: Any, contents: Contents, where: str, skip_mismatch: bool = False) -> None:
    variables: Mapping[str, Variable]
    if "layers" in contents.attributes or _OLD_ROOT in contents.attributes:
        arrays, variables = _of_paths(contents), places(model.layers, _names(contents))
    elif not model.variables and not contents.arrays:
        return
    else:
        arrays, variables = legacy.weights(contents, model.layers)
    # Only what counts is of integers: here layers have one dtype.
    counts = {k: v.astype("f4") for k, v in arrays.items() if v.dtype.kind in "iu" and not v.ndim}
    assign_all(where, variables, {**arrays, **counts}, skip_mismatch)


def _of_paths(contents: Contents) -> dict[str, Array]:
    """Return the arrays that are weights of layers: states of random generators are there too."""
    root = "layers" if "layers" in contents.attributes else _OLD_ROOT
    return {
        path.replace(_OLD_ROOT, "layers"): array
        for path, array in contents.arrays.items()
        if path.startswith(f"{root}/") and not any("seed_generator" in part for part in path.split("/"))
    }


def _names(contents: Contents) -> dict[str, str]:
    """Return the names of layers by their paths, as far as the file has them: older Keras writes none."""
    return {
        path.removesuffix("/vars"): about["name"]
        for path, about in contents.attributes.items()
        if path.endswith("/vars") and isinstance(about.get("name"), str)
    }


# --- written ---


def archive_of(model: Any, training: bytes | None, compiled: Mapping[str, Any] | None) -> bytes:
    """Return the bytes of a .keras file."""
    description = models_out.of_model(model) | {"build_config": model.get_build_config()}
    if compiled is not None:
        description["compile_config"] = compiling.of_compile(compiled)
    parts = {
        archive.METADATA: json.dumps({"keras_version": _VERSION}).encode(),
        archive.CONFIG: json.dumps(description).encode(),
        archive.WEIGHTS: weights_of(model),
    }
    return archive.packed(parts if training is None else parts | {archive.OURS: training})


def weights_of(model: Any) -> bytes:
    """Return the bytes of a .weights.h5 file."""
    arrays = {path: variable.value for path, variable in places(model.layers, {}).items()}
    names = {f"{path}/vars": {"name": name} for path, name in names_of(model.layers).items()}
    return hdf5.written(arrays, {"": {}, "layers": {}, "vars": {}} | names)


def h5_of(model: Any, compiled: Mapping[str, Any] | None, whole: bool = True) -> bytes:
    """Return the bytes of a .h5 file as Keras has written them from the beginning: a model, or weights alone."""
    root = "model_weights" if whole else ""
    arrays, attributes = legacy.arrays_of(model.layers, root)
    about: dict[str, Any] = {"keras_version": _VERSION, "backend": "numpy"}
    attributes[root] = attributes[root] | about
    if whole:
        attributes[""] = about | {"model_config": json.dumps(models_out.of_model(model))}
        if compiled is not None:
            attributes[""]["training_config"] = json.dumps(compiling.of_training(compiled))
    return hdf5.written(arrays, attributes)


def model_of_json(description: Mapping[str, Any]) -> Any:
    """Return the model of a description, with weights of its own."""
    with bounded_by_memory():
        return models_in.model_of(description)


def compile_as_told(model: Any, compiled: Any) -> None:
    """Compile a model as a file of Keras's says."""
    compiling.compile_as_told(model, compiled)
