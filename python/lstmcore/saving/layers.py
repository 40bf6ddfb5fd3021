"""Where pickles older than `lstmcore.serialization` look for what reads a layer."""

from ..serialization.layers import _from_bytes

__all__ = ["_from_bytes"]
