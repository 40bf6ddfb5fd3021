"""Estimators and transformers of sequences for scikit-learn: pip install "lstmcore[sklearn]"."""

from .interop.sklearn import (
    GRUClassifier,
    GRURegressor,
    LSTMClassifier,
    LSTMRegressor,
    SequenceClassifier,
    SequenceRegressor,
    SequenceScaler,
    WindowTransformer,
)

__all__ = [
    "GRUClassifier",
    "GRURegressor",
    "LSTMClassifier",
    "LSTMRegressor",
    "SequenceClassifier",
    "SequenceRegressor",
    "SequenceScaler",
    "WindowTransformer",
]
