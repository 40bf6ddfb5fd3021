"""Right-hand sides of products that read what the policy of their layer says."""

from __future__ import annotations

from typing import Any

from .. import _core
from .layer import Array


def right_side(layer: Any, matrix: Array) -> Any:
    """Return a matrix as the core's products with it take it; that of a kernel is kept by `_quantized.operands`."""
    return _core.PackedMatrix(matrix, "bfloat16") if layer._mixed else matrix
