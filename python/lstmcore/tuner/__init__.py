"""Search for hyper-parameters, under Keras Tuner's names; Optuna does the searching.

::

    import lstmcore as keras
    from lstmcore import layers
    from lstmcore.tuner import RandomSearch

    def build_model(hp):
        model = keras.Sequential([
            layers.LSTM(hp.Int("units", 32, 256, step=32), input_shape=(12, 1)),
            layers.Dense(1),
        ])
        model.compile(keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")), "mse")
        return model

    tuner = RandomSearch(build_model, objective="val_loss", max_trials=10, directory="results")
    tuner.search(x, y, epochs=20, validation_split=0.2)
    model = tuner.get_best_models()[0]

Searching needs the extra: ``pip install "lstmcore[tuner]"``. A search that was stopped goes on where
it was when the same program is started again; ``storage=`` names a data base that several processes,
or machines, work on at once.
"""

from .. import _not_offered
from .bayesian_optimization import BayesianOptimization
from .hyperband import Hyperband
from .hypermodel import HyperModel
from .hyperparameters import HyperParameters
from .objective import Objective
from .random_search import RandomSearch
from .trial import FailedTrialError, Trial
from .tuner import Tuner

__all__ = [
    "BayesianOptimization",
    "FailedTrialError",
    "HyperModel",
    "HyperParameters",
    "Hyperband",
    "Objective",
    "RandomSearch",
    "Trial",
    "Tuner",
]

_not_offered.answer_for(__name__)
