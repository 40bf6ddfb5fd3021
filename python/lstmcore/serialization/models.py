"""Models as files, as JSON, and as copies."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from .. import _core
from .._arguments import flag, function, one_of, shown
from .._arguments import path as checked_path
from .._placeholders import bounded_by_memory, placeholders
from .._tree import leaves
from ..graph.symbol import Symbol
from . import atomic, container
from .container import Container, errors_name
from .endings import check_ending, is_of_keras, keras_files, keras_kind
from .names import LayerLike, named_variables
from .objects import Configurable, deserialize, serialize
from .registry import collected_objects, custom_object_scope
from .weights import assign_all, quantize_as, quantized_of, shape_from_json, weights_of, with_prefix, without_prefix

M = TypeVar("M", bound="Savable")
Path_ = str | os.PathLike[str]

_PRODUCER = f"lstmcore {_core.__version__}"


class Savable(Configurable):
    """What a model has that can be saved; `models.Sequential` is one."""

    of_graph: ClassVar[Any]  # the class of models of inputs and outputs

    # Provided by the model.
    built: bool
    input_shape: Any

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shape of the inputs that the weights were made for, as plain data; None if there are none."""
        return {"input_shape": self.input_shape} if self.built else None

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Make the weights for inputs as `get_build_config` told."""
        model: Any = self
        model.build(shape_from_json(config["input_shape"]))

    def save(
        self,
        filepath: Path_,
        overwrite: bool = True,
        zipped: bool | None = None,
        include_optimizer: bool = True,
        save_format: str | None = None,
    ) -> None:
        """Save the model and the state of its training to one file.

        In it are the weights, the configuration of the layers and of `compile`, the optimizer's state
        and the random state: ``models.load_model(path).fit(..., initial_epoch=k)`` continues bit for
        bit after the end of an epoch. The file is written whole or not at all.

        Parameters
        ----------
        filepath : the file, named ".safetensors" or nothing at all. One named ".keras" is Keras's, which Keras reads
            too, and so is one named ".h5" or ".hdf5", which has no optimizer's and no random state (the extra
            ``keras``).
        overwrite : whether a file that exists may be replaced.
        include_optimizer : whether the configuration of `compile` and the state of training go with it.
        zipped, save_format : accepted for Keras's sake, without effect.

        Raises
        ------
        FileExistsError
            The file exists and ``overwrite`` is False.
        OSError
            It cannot be written; an old one is whole.
        ValueError
            The name is that of another format, or of Keras's, and the model has what Keras has not.
        TypeError
            Something of the model's is no plain data and has no name, such as a lambda.
        ImportError
            The name is of Keras's, and h5py is missing.
        """
        if not getattr(self, "is_first_process", True):  # one of several that train the model
            return
        kind = _check_target(filepath, overwrite)
        with_training = flag("include_optimizer", include_optimizer)
        if kind is None:
            container.write(filepath, _of_model(self, with_training))
            return
        if kind == ".weights.h5":
            raise ValueError(f"filepath: expected a name that ends in .keras for a model, got {os.fspath(filepath)!r}")
        compiled = _training_of(self).data["compile"] if with_training else None
        if kind == ".h5":
            content = keras_files().h5_of(self, compiled)
        else:
            training = container.pack(_training_of(self)) if with_training else None
            content = keras_files().archive_of(self, training, compiled)
        atomic.write(filepath, content)

    def save_weights(self, filepath: Path_, overwrite: bool = True) -> None:
        """Save the weights alone; `load_weights` reads them, and those of `save`.

        A file named ".weights.h5" is Keras's of today, one named ".h5" that of all its versions, another a safetensors
        file.
        """
        if not getattr(self, "is_first_process", True):
            return
        kind = _check_target(filepath, overwrite, weights=True)
        _require_built(self)
        if kind is None:
            container.write(filepath, Container(weights_of(_layers(self)), {"kind": "weights", "producer": _PRODUCER}))
        elif kind == ".weights.h5":
            atomic.write(filepath, keras_files().weights_of(self))
        else:
            atomic.write(filepath, keras_files().h5_of(self, None, whole=False))

    def load_weights(self, filepath: Path_, skip_mismatch: bool = False) -> None:
        """Set the weights from a file of `save_weights` or `save`, or one of Keras's: all or, on an error, none.

        They are found by the classes and the order of the layers, not by the layers' names; of an .h5 file of Keras's,
        by the names if the file has just these.

        Parameters
        ----------
        filepath : the file.
        skip_mismatch : leave weights as they are, with a warning, that the file has not or has in
            another shape.

        Raises
        ------
        ValueError
            The file is not whole, or of another model; the message says where.
        OSError
            It cannot be read.
        """
        _require_built(self)
        where = checked_path("filepath", filepath)
        skip = flag("skip_mismatch", skip_mismatch)
        content = container.content_of(where)
        if is_of_keras(content):
            keras_files().require_h5py()
            with errors_name(where):
                keras_files().load_weights(self, content, where, skip)
            return
        weights = without_prefix("weights/", container.unpack(content, where).arrays)
        assign_all(where, named_variables(_layers(self)), weights, skip)

    def export(
        self,
        filepath: Path_,
        format: str = "onnx",
        verbose: Any = None,
        input_signature: None = None,
        *,
        states: bool = False,
        lengths: bool = False,
    ) -> None:
        """Write the model, as it predicts, to an ONNX file (opset 17), which ONNX Runtime and others run.

        >>> import os, tempfile
        >>> from lstmcore import Sequential, layers
        >>> model = Sequential([layers.LSTM(8, input_shape=(None, 3)), layers.Dense(1)])
        >>> model.export(os.path.join(tempfile.mkdtemp(), "model.onnx"))

        Its inputs have the names of the model's, its outputs those of the layers that make them. Batch and steps are
        of any size where the model's are. Masks that layers make (`Embedding`, `Masking`) are made in the file too.

        Parameters
        ----------
        filepath : the file, named ".onnx".
        format : "onnx".
        verbose : accepted for Keras's sake; has no effect.
        input_signature : None: the inputs are those that the model has.
        states : whether the states of the recurrent layers, ``<layer>_h`` and ``<layer>_c``, are inputs, and those
            after the last step, ``<layer>_h_next`` and so on, outputs: for sequences that are run piece by piece.
        lengths : whether there is an input ``lengths`` (batch,) of integers, how many steps of every row count.

        Raises
        ------
        NotImplementedError
            There are layers or options that ONNX's operators do not say; the message lists them all.
        ImportError
            The package onnx is missing: ``pip install 'lstmcore[onnx]'``.
        """
        from ..interop.onnx.exporting.export import export

        one_of("format", format, ("onnx",))
        if input_signature is not None:
            raise NotImplementedError(
                "input_signature: expected None, the inputs that the model has; others are not offered"
            )
        _require_built(self)
        export(self, filepath, states, lengths)

    def to_json(self, **options: Any) -> str:
        """Return the configuration of the layers, without weights, as JSON; ``options`` are those of `json.dumps`."""
        return json.dumps(_architecture(self), **options)

    def for_inference(self: M) -> M:
        """Return a copy without what `compile` was given and the state of training: to pickle, send or keep.

        >>> import pickle
        >>> import numpy as np
        >>> from lstmcore import Sequential, layers
        >>> model = Sequential([layers.LSTM(8, input_shape=(12, 1)), layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> model.fit(np.ones((4, 12, 1)), np.ones(4), verbose=0).epoch
        [0]
        >>> len(pickle.dumps(model.for_inference())) < len(pickle.dumps(model))
        True
        """
        with collected_objects() as objects:
            content = container.pack(_of_model(self, False))
        copy: M = _from_bytes(content, objects)
        return copy

    def __reduce__(self) -> Any:
        """Pickle and copy what `save` saves; see `for_inference`."""
        with collected_objects() as objects:
            content = container.pack(_of_model(self, True))
        return _from_bytes, (content, objects)


def save_model(
    model: Savable, filepath: Path_, overwrite: bool = True, zipped: bool | None = None, **options: Any
) -> None:
    """The same as ``model.save(filepath, overwrite)``."""
    require_model(model)
    model.save(filepath, overwrite, zipped, **options)


def load_model(
    filepath: Path_, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Return the model of a file: as `Savable.save` or Keras has saved it, ready to go on training; or of an ONNX file.

    No code is run but that of lstmcore and of what ``custom_objects`` names. Files of Keras (.keras, and .h5 of all its
    versions) need h5py, the extra ``keras``; of those that Keras has written, the optimizer begins anew.

    Parameters
    ----------
    filepath : the file. One named ".onnx" becomes a graph of layers, not compiled, whose inputs and outputs have the
        batch first.
    custom_objects : classes and functions of yours that are part of the model, by name; those
        registered with `utils.register_keras_serializable` need not be here. The function of a Lambda in a file of
        Keras's goes by its own name or the layer's.
    compile : whether to compile it as it was, with the optimizer's state.
    safe_mode : accepted for Keras's sake: every file is read safely.

    Raises
    ------
    ValueError
        The file is not whole, is something else, or does not fit together; the message names it.
    OSError
        It cannot be read.
    NotImplementedError
        The ONNX file has operators that are not offered; the message lists all.
    """
    where = checked_path("filepath", filepath)
    if os.path.splitext(where)[1].lower() == ".onnx":
        from ..interop.onnx.importing.graph import symbols

        with bounded_by_memory():
            return Savable.of_graph(*symbols(where, Savable.of_graph))
    compiled, content = flag("compile", compile), container.content_of(where)
    if is_of_keras(content):
        return _from_keras(content, where, custom_objects, compiled)
    return _to_model(container.unpack(content, where), where, custom_objects, compiled)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return a new model with the layers that `Savable.to_json`, or Keras's, has described.

    >>> from lstmcore import Sequential, layers, models
    >>> model = Sequential([layers.LSTM(8, input_shape=(12, 1)), layers.Dense(1)])
    >>> models.model_from_json(model.to_json()).count_params()
    329

    Raises
    ------
    ValueError
        It is no such description, or one of more weights than this machine has memory for.
    """
    objects = {} if custom_objects is None else custom_objects
    with errors_name("json_string"), bounded_by_memory(), custom_object_scope(objects):
        description = json.loads(json_string)
        if isinstance(description, dict) and keras_files().is_description(description):
            return keras_files().model_of_json(description)
        return _from_architecture(description)


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    call_function: None = None,
    recursive: bool = False,
) -> Any:
    """Return a model with new layers, made with the same arguments, and new weights; it is not compiled.

    Parameters
    ----------
    model : the model.
    clone_function : makes the new layer from the old, of all but `Input`; by default from its configuration.
    input_tensors : symbols for the inputs of the new model, one after the other or in lists and dicts; by default new
        ones.
    call_function : Keras's; not offered.
    recursive : accepted for Keras's sake, without effect.
    """
    require_model(model)
    if call_function is not None:
        raise NotImplementedError("clone_model: call_function is not offered; call the new layers as you like")
    if clone_function is not None:
        function("clone_function", clone_function)
    if clone_function is None and input_tensors is None:
        return _copied(_architecture, _from_architecture, model)
    inputs = None if input_tensors is None else list(leaves(input_tensors))
    for part in inputs or ():
        if not isinstance(part, Symbol):
            raise TypeError(f"clone_model: input_tensors: expected symbols, as Input gives them, got {shown(part)}")
    return model.mapped(clone_function or (lambda layer: _copied(serialize, deserialize, layer)), inputs)


def _copied(describe: Callable[[Any], Any], make: Callable[[Any], Any], value: Any) -> Any:
    """Return what is made of the description of a model or layer, which may have classes of the user's in it."""
    with collected_objects() as objects:
        description = describe(value)
    with custom_object_scope(objects):
        return make(description)


# --- what the file holds ---


def _of_model(model: Any, with_training: bool) -> Container:
    arrays = weights_of(_layers(model)) if model.built else {}
    data: dict[str, Any] = {"kind": "model", "producer": _PRODUCER, "model": _architecture(model)}
    data |= quantized_of(_layers(model))
    if with_training:
        training = _training_of(model)
        data |= {name: value for name, value in training.data.items() if name not in data}
        arrays |= training.arrays
    return Container(arrays, data)


def _training_of(model: Any) -> Container:
    """Return what `compile` was told and how far training has come."""
    plain, states = model.training_state()
    # How far a `fit` under way has come is for that `fit` alone to go on with.
    states = {name: array for name, array in states.items() if not name.startswith("progress/")}
    data = {"kind": "training", "compile": model.compile_config(), "training": plain | {"progress": None}}
    if data["compile"] is not None and (moved := _moved(model)) is not None:
        data["moved"] = moved
    return Container(with_prefix("training/", states), data)


def _to_model(content: Container, where: str, objects: Mapping[str, Any] | None, compile: bool) -> Any:
    data = content.data
    if data.get("kind") != "model" or "model" not in data:
        raise ValueError(f"{where}: expected a model, got a file of kind {data.get('kind')!r}")
    weights = without_prefix("weights/", content.arrays)
    with errors_name(where), custom_object_scope({} if objects is None else objects):
        with placeholders(sum(array.size for array in weights.values())):
            model = _from_architecture(data["model"])
        quantize_as(where, _layers(model), data)
        if model.built or weights:
            assign_all(where, named_variables(_layers(model)), weights)
        _take_up_training(model, content, compile)
    return model


def _take_up_training(model: Any, content: Container, compile: bool) -> None:
    """Compile a model and take up its training as `_training_of` told."""
    data = content.data
    if compile and data.get("compile") is not None:
        model.compile_from_config(data["compile"])
        if data.get("moved") is not None:
            model.moved_variables = [named_variables(_layers(model))[name] for name in data["moved"]]
    if data.get("training") is not None:
        model.load_training_state(data["training"], without_prefix("training/", content.arrays))


def _from_keras(content: bytes, where: str, objects: Mapping[str, Any] | None, compile: bool) -> Any:
    reader = keras_files()
    reader.require_h5py()
    with errors_name(where), custom_object_scope({} if objects is None else objects):
        loaded = reader.model_from(content, where)
        if loaded.training is not None:
            _take_up_training(loaded.model, container.unpack(loaded.training, where), compile)
        elif compile:
            reader.compile_as_told(loaded.model, loaded.compiled)
    return loaded.model


def _moved(model: Any) -> list[str] | None:
    """Return the names of the weights that `fit` moves, where ``trainable`` has been changed since `compile`."""
    moved = {id(v) for v in model.moved_variables}
    if not model.built or moved == {id(v) for v in model.trainable_variables}:
        return None
    return [name for name, variable in named_variables(_layers(model)).items() if id(variable) in moved]


def _from_bytes(content: bytes, objects: Mapping[str, Any]) -> Any:
    return _to_model(container.unpack(content, "pickled model"), "pickled model", objects, True)


def _architecture(model: Any) -> dict[str, Any]:
    description: dict[str, Any] = serialize(model)
    return description | {"build_config": model.get_build_config()}


def _from_architecture(description: Any) -> Any:
    made = deserialize(description)
    if not isinstance(made, Savable):
        raise ValueError(f"expected a model, got {type(made).__name__}")
    model: Any = made
    config = description.get("build_config")
    if config is not None and not model.built:
        model.build_from_config(config)
    return model


def _layers(model: Any) -> list[LayerLike]:
    layers: list[LayerLike] = model.layers
    return layers


def require_model(model: Any) -> None:
    """Refuse what is no model."""
    if not issubclass(type(model), Savable):
        raise TypeError(f"model: expected a model, got {shown(model)}")


def _require_built(model: Any) -> None:
    if not model.built:
        raise ValueError(f"{model.name}: has no weights yet; call it on data or give its first layer an input_shape")


def _check_target(filepath: Path_, overwrite: bool, weights: bool = False) -> str | None:
    """Refuse a file that cannot be meant; return which of Keras's it is to be, or None."""
    where = checked_path("filepath", filepath)
    check_ending("filepath", where, weights)
    if not flag("overwrite", overwrite) and os.path.exists(where):
        raise FileExistsError(f"{where}: exists; overwrite=True replaces it")
    return keras_kind(where)
