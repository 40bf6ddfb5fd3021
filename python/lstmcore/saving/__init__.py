"""Models in files, under Keras's names: one safetensors file each, written whole or not at all."""

from .. import _not_offered
from ..serialization import custom_object_scope, register
from ..serialization.backups import backup_training, restore_training
from ..serialization.models import Savable, clone_model, load_model, model_from_json, save_model

CustomObjectScope = custom_object_scope
register_keras_serializable = register

__all__ = [
    "CustomObjectScope",
    "Savable",
    "backup_training",
    "clone_model",
    "custom_object_scope",
    "load_model",
    "model_from_json",
    "register_keras_serializable",
    "restore_training",
    "save_model",
]

_not_offered.answer_for(__name__)
