"""What is raised where a file says what our layers do not."""

from __future__ import annotations


class UnsupportedError(NotImplementedError):
    """Something of a node that our layers do not say."""
