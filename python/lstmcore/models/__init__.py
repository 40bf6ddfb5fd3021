"""Models, under Keras's names."""

from .. import _not_offered
from ..serialization.models import clone_model, load_model, model_from_json, save_model
from .functional import Functional
from .model import Model
from .sequential import Sequential

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]

_not_offered.answer_for(__name__)
