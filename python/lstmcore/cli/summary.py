"""``summary FILE``: the layers of the model in a file."""

from __future__ import annotations

import argparse
import os
from typing import Any


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    words = "print the layers of the model in a file: .safetensors, .keras, .h5 or .onnx"
    parser = subcommands.add_parser("summary", help=words, description=words)
    parser.add_argument("file")
    parser.add_argument("--expand-nested", action="store_true", help="also the layers of models within it")
    add_import(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the summary."""
    load(arguments.file, compiled=False).summary(expand_nested=arguments.expand_nested)
    return 0


def add_import(parser: argparse.ArgumentParser) -> None:
    """Add the option that lets a file name classes of the user's."""
    parser.add_argument(
        "--import",
        dest="imported",
        metavar="MODULE",
        action="append",
        default=[],
        help="a module of yours to import first, which registers the classes and functions that the model has of you "
        "(utils.register_keras_serializable)",
    )


def load(file: str, compiled: bool) -> Any:
    """Return the model of a file; what holds no model is refused in the words of the command line."""
    from .. import models

    ending = os.path.splitext(file)[1].lower()
    if ending in (".pt", ".pth", ".bin", ".ckpt"):
        raise ValueError(
            f"{file}: a file of PyTorch's has weights and not the layers that they are of; in a program, "
            "lstmcore.from_state_dict gives them to a model's layers, and lstmcore.from_torch converts a module"
        )
    if ending == ".json":
        raise ValueError(f"{file}: JSON describes layers without their weights; models.model_from_json makes new ones")
    return models.load_model(file, compile=compiled)
