"""Models in files: one safetensors file each, written whole or not at all, read without running any code."""

from .._serialization import custom_object_scope, register
from .models import Savable, backup_training, clone_model, load_model, model_from_json, restore_training, save_model

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
