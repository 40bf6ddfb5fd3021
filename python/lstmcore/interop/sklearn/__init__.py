"""What scikit-learn fits: models of sequences, and what is done to sequences before. The only place that knows it."""

try:
    from sklearn.utils.validation import validate_data as _of_the_oldest_that_will_do  # noqa: F401
except ImportError:
    raise ImportError('lstmcore.sklearn needs scikit-learn 1.6 or later: pip install "lstmcore[sklearn]"') from None

from .built import SequenceClassifier, SequenceRegressor
from .recurrent import GRUClassifier, GRURegressor, LSTMClassifier, LSTMRegressor
from .scaler import SequenceScaler
from .windows import WindowTransformer

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
