"""The package onnx, imported when it is needed."""

from __future__ import annotations

from typing import Any


def imported(what: str) -> Any:
    """Return the package; ``what`` needs it, for the error if it is missing."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError(f"{what} needs onnx: pip install 'lstmcore[onnx]'") from error
    return onnx
