"""``convert IN OUT``: the model of a file in another format."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

from .summary import add_import, load

_WORDS = "write the model of a file (.safetensors, .keras, .h5 or .onnx) in the format that the name of another says"
_FORMATS = """\
formats to write:
  .safetensors     lstmcore's: model, training and random state
  .keras           Keras 3's, which Keras loads; .h5 and .hdf5 its older one; these need h5py
  .weights.h5      Keras's weights alone
  .onnx            for ONNX Runtime and others; needs onnx
  .pt, .pth        PyTorch's state dict of lstmcore.to_torch(model); needs torch
  .json            the layers without weights
"""


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = subcommands.add_parser(
        "convert",
        help=_WORDS,
        description=_WORDS,
        epilog=_FORMATS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="IN")
    parser.add_argument("target", metavar="OUT")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")
    parser.add_argument(
        "--no-training", action="store_true", help="leave out what compile was given and the optimizer's state"
    )
    add_import(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say what was written."""
    source, target = arguments.source, arguments.target
    writer, keeps_training = _writer(target)
    if os.path.exists(target) and not arguments.overwrite:
        raise FileExistsError(f"{target} exists; --overwrite replaces it")
    trained = keeps_training and not arguments.no_training
    writer(load(source, compiled=trained), target, trained)
    print(f"{source} -> {target} ({os.path.getsize(target):,} bytes)")
    return 0


Writer = Callable[[Any, str, bool], None]


def _writer(target: str) -> tuple[Writer, bool]:
    """Return what writes the format that a name promises, and whether that has a place for training."""
    name = target.lower()
    for endings, writer, keeps_training in _WRITERS:
        if name.endswith(endings):
            return writer, keeps_training
    known = ", ".join(ending for endings, *_ in _WRITERS for ending in endings)
    raise ValueError(f"OUT: expected a name that ends in one of {known}, got {target!r}")


def _saved(model: Any, target: str, trained: bool) -> None:
    model.save(target, include_optimizer=trained)


def _weights(model: Any, target: str, _: bool) -> None:
    model.save_weights(target)


def _exported(model: Any, target: str, _: bool) -> None:
    model.export(target)


def _described(model: Any, target: str, _: bool) -> None:
    from ..serialization import atomic

    atomic.write(target, model.to_json(indent=2).encode())


def _state_dict(model: Any, target: str, _: bool) -> None:
    import io

    from .. import to_torch
    from ..interop.torch_models.package import torch
    from ..serialization import atomic

    content = io.BytesIO()
    torch.save(to_torch(model).state_dict(), content)
    atomic.write(target, content.getvalue())


# The longer ending first. Each with whether the format keeps what a model is trained with.
_WRITERS: tuple[tuple[tuple[str, ...], Writer, bool], ...] = (
    ((".weights.h5",), _weights, False),
    ((".safetensors", ".keras", ".h5", ".hdf5"), _saved, True),
    ((".onnx",), _exported, False),
    ((".pt", ".pth"), _state_dict, False),
    ((".json",), _described, False),
)
