"""The parts of SciPy that sound needs, loaded when they are."""

from __future__ import annotations

import importlib
from typing import Any


def scipy(part: str) -> Any:
    """Return a part of SciPy, as "signal", or raise ImportError with what to install."""
    try:
        return importlib.import_module(f"scipy.{part}")
    except ImportError:
        raise ImportError('lstmcore.audio needs SciPy: pip install "lstmcore[audio]"') from None
