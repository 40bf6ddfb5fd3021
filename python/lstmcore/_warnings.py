"""Warnings that point at the line of the program that is to be looked at, not into the library."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings

_OURS = (os.path.dirname(os.path.abspath(__file__)) + os.sep, contextlib.__file__)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn from the innermost line outside of this package, or of the outermost one if there is none."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
