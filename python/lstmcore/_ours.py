"""Whose a class or a function is."""

from __future__ import annotations

from typing import Any


def is_ours(value: Any) -> bool:
    """Whether a class or a function is the library's, not the user's."""
    return bool(value.__module__.startswith("lstmcore."))
