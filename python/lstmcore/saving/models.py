"""Where pickles older than `lstmcore.serialization` look for what reads a model."""

from ..serialization.models import Savable, _from_bytes, clone_model, load_model, model_from_json, save_model

__all__ = ["Savable", "_from_bytes", "clone_model", "load_model", "model_from_json", "save_model"]
