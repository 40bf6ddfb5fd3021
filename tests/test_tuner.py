"""The search for hyper-parameters: Keras Tuner's interface, trials that survive whatever happens to them."""

import copy
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import lstmcore as keras
from lstmcore import layers
from lstmcore.callbacks import Callback, History
from lstmcore.tuner import (
    BayesianOptimization,
    FailedTrialError,
    Hyperband,
    HyperModel,
    HyperParameters,
    Objective,
    RandomSearch,
    Tuner,
)

optuna = pytest.importorskip("optuna")


class Model:
    """Stands for a model: its validation loss in each epoch is what a function says, its weight the epoch."""

    built, input_shape = True, (None, 3)

    def __init__(self, loss):
        self.loss, self.weight = loss, -1.0

    def fit(self, *args, epochs=1, callbacks=(), verbose=0):
        history = History()
        history.on_train_begin()
        self.stop_training = False
        for callback in callbacks:
            callback.set_model(self)
        for epoch in range(epochs):
            self.weight = float(epoch)
            logs = {"loss": 0.0, "val_loss": float(self.loss(epoch))}
            for callback in [history, *callbacks]:
                callback.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        return history

    def get_weights(self):
        return [np.array(self.weight)]

    def set_weights(self, weights):
        self.weight = float(weights[0])

    def save_weights(self, path):
        path.write_text(str(self.weight))

    def load_weights(self, path):
        self.weight = float(path.read_text())

    def count_params(self):
        return 1


def parabola(hp):
    x = hp.Float("x", -1, 1)
    return Model(lambda epoch: (x - 0.3) ** 2)


@pytest.fixture
def options(tmp_path):
    return {"objective": "val_loss", "directory": tmp_path, "project_name": "search"}


def search(build, options, kind=RandomSearch, **more):
    tuner = kind(build, **{**options, **more})
    tuner.search(verbose=0)
    return tuner


def drawn(declare, count=300):
    """Values of one hyper-parameter, drawn at random."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [declare(HyperParameters().drawing(lambda space: space.draw(study.ask()))) for _ in range(count)]


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


# --- hyper-parameters ---


@pytest.mark.parametrize(
    ("declare", "values"),
    [
        (lambda hp: hp.Int("n", 1, 3), {1, 2, 3}),
        (lambda hp: hp.Int("n", 32, 100, step=32), {32, 64, 96}),
        (lambda hp: hp.Int("n", 2, 32, step=2, sampling="log"), {2, 4, 8, 16, 32}),
        (lambda hp: hp.Int("n", 2, 32, step=2, sampling="reverse_log"), {32, 30, 26, 18, 2}),
        (lambda hp: hp.Float("x", 0, 0.5, step=0.1), {0, 0.1, 0.2, 0.3, 0.4, 0.5}),
        (lambda hp: hp.Float("x", 0.001, 10, step=10, sampling="log"), {0.001, 0.01, 0.1, 1, 10}),
        (lambda hp: hp.Choice("c", ["a", "b"]), {"a", "b"}),
        (lambda hp: hp.Boolean("b"), {True, False}),
        (lambda hp: hp.Fixed("f", 3), {3}),
    ],
)
def test_every_value_of_a_range_is_drawn_and_no_other(declare, values):
    found = drawn(declare)
    assert set(found) == values
    assert {type(v) for v in found} <= {type(v) for v in values} | {float}


def test_sampling_decides_where_values_are_dense():
    for sampling, share in [("linear", 0.09 / 0.99), ("log", 0.5), ("reverse_log", 0)]:
        values = np.array(drawn(lambda hp, s=sampling: hp.Float("x", 0.01, 1, sampling=s), 1000))
        assert ((values >= 0.01) & (values <= 1)).all()
        # The share of values below 0.1, half of the logarithms; five standard deviations of 1000 draws.
        expected = share if sampling != "reverse_log" else 1 - np.log(0.91 / 0.01) / np.log(100)
        assert abs((values < 0.1).mean() - expected) < 5 * np.sqrt(0.25 / 1000)
    assert set(drawn(lambda hp: hp.Int("n", 1, 4, sampling="log"))) == {1, 2, 3, 4}


def test_outside_a_search_values_are_the_defaults():
    hp = HyperParameters()
    assert hp.Int("a", 2, 8) == 2
    assert hp.Float("b", 0.5, 1, default=0.75) == 0.75
    assert hp.Choice("c", [4, 5], default=5) == 5
    assert hp.Boolean("d") is False
    assert hp.Fixed("e", "x") == "x"
    assert hp.get("b") == hp["b"] == 0.75
    assert "b" in hp
    assert "z" not in hp
    with pytest.raises(KeyError, match="name: expected one of"):
        hp.get("z")
    hp.values["a"] = 7
    assert hp.Int("a", 2, 8) == 7


def test_scopes_name_and_condition():
    hp = HyperParameters()
    with hp.name_scope("first"):
        hp.Int("units", 1, 9)
    assert hp.values == {"first/units": 1}
    kind = hp.Choice("kind", ["lstm", "gru"])
    with hp.conditional_scope("kind", ["lstm"]):
        assert hp.Int("depth", 1, 3) == 1
    with hp.conditional_scope("kind", "gru"):
        assert hp.Int("width", 1, 3) is None
    assert hp.Int("height", 1, 3, parent_name="kind", parent_values=["gru"]) is None
    assert kind == "lstm"
    assert list(hp.values) == ["first/units", "kind", "depth"]
    assert "width" not in hp
    with pytest.raises(ValueError, match="name: 'width' is no part of this model"):
        hp.get("width")
    with (
        pytest.raises(ValueError, match="parent_name: expected one asked for before, got 'nothing'"),
        hp.conditional_scope("nothing", [1]),
    ):
        pass
    again = HyperParameters.from_config(hp.get_config())
    assert again.values == hp.values
    assert [s.key for s in again.space] == [s.key for s in hp.space]


@pytest.mark.parametrize(
    ("declare", "error", "message"),
    [
        (lambda hp: hp.Int("n", 3, 1), ValueError, "n: max_value: expected no less than min_value=3, got 1"),
        (lambda hp: hp.Int("n", 0.5, 1), TypeError, "n: min_value: expected an integer, got 0.5"),
        (lambda hp: hp.Int("n", 1, 2, step=0), ValueError, "n: step: expected more than 0, got 0"),
        (lambda hp: hp.Float("x", 0, 1, sampling="log"), ValueError, "x: min_value: expected more than 0"),
        (lambda hp: hp.Float("x", 1, 2, step=1, sampling="log"), ValueError, "x: step: expected more than 1"),
        (lambda hp: hp.Float("x", 0, 1, sampling="cubic"), ValueError, "x: sampling: expected one of"),
        (lambda hp: hp.Choice("c", []), ValueError, "c: values: expected one at least"),
        (lambda hp: hp.Choice("c", [1, "a"]), TypeError, "c: values: expected numbers, strings or bools of one type"),
        (lambda hp: hp.Choice("c", ["a"], default="b"), ValueError, "c: default: expected one of"),
        (lambda hp: hp.Fixed("f", [1]), TypeError, "f: value: expected a number"),
        (lambda hp: hp.Int("", 1, 2), TypeError, "name: expected a string, got ''"),
    ],
)
def test_declarations_say_what_is_wrong(declare, error, message):
    with pytest.raises(error, match=message):
        declare(HyperParameters())


# --- searching ---


def test_a_search_finds_the_best_of_its_trials(options):
    tuner = search(parabola, options, max_trials=20, seed=1)
    trials = tuner.oracle.trials.values()
    assert len(trials) == 20
    assert tuner.remaining_trials == 0
    for trial in trials:
        assert trial.score == pytest.approx((trial.hyperparameters["x"] - 0.3) ** 2)
    best = tuner.get_best_hyperparameters(3)
    assert [(hp["x"] - 0.3) ** 2 for hp in best] == sorted(t.score for t in trials)[:3]


def test_the_seed_decides_the_values(options, tmp_path):
    values = [
        [
            t.hyperparameters["x"]
            for t in search(
                parabola, options, max_trials=5, seed=seed, directory=tmp_path / str(k)
            ).oracle.trials.values()
        ]
        for k, seed in enumerate((3, 3, 4))
    ]
    assert values[0] == values[1] != values[2]
    assert len(set(values[0])) == 5


@pytest.mark.parametrize("kind", [RandomSearch, BayesianOptimization])
def test_a_search_that_goes_on_is_the_search_that_was_not_stopped(options, tmp_path, kind):
    whole = search(parabola, options, kind, max_trials=14, seed=3, directory=tmp_path / "whole")
    for trials in (6, 14):
        tuner = search(parabola, options, kind, max_trials=trials, seed=3)
    values = [[t.hyperparameters["x"] for t in one.oracle.trials.values()] for one in (whole, tuner)]
    assert values[0] == values[1]


def test_no_values_are_tried_twice(options):
    def build(hp):
        a, b = hp.Choice("a", [1, 2, 3]), hp.Boolean("b")
        return Model(lambda epoch: a + b)

    tuner = search(build, options, max_trials=50, seed=0)
    tried = Counter(tuple(t.hyperparameters.values.items()) for t in tuner.oracle.trials.values())
    assert set(tried.values()) == {1}
    assert len(tried) == 6
    assert tuner.get_best_hyperparameters()[0].values == {"a": 1, "b": False}


def test_overwriting_starts_anew_and_leaves_other_files_alone(options, tmp_path):
    search(parabola, options, max_trials=3)
    (tmp_path / "search" / "notes.txt").write_text("mine")
    tuner = RandomSearch(parabola, **options, max_trials=3, overwrite=True)
    assert tuner.oracle.trials == {}
    assert sorted(p.name for p in (tmp_path / "search").iterdir()) == ["journal.log", "notes.txt"]
    with pytest.raises(ValueError, match="objective: expected the direction of the search that 'search' holds"):
        RandomSearch(parabola, **{**options, "objective": Objective("val_loss", "max")})


def test_bayesian_optimization_beats_chance(options):
    def build(hp):
        x, y = hp.Float("x", -1, 1), hp.Float("y", -1, 1)
        return Model(lambda epoch: (x - 0.3) ** 2 + (y + 0.4) ** 2)

    scores = {}
    for kind in (RandomSearch, BayesianOptimization):
        storages = [optuna.storages.InMemoryStorage() for _ in range(3)]
        tuners = [search(build, options, kind, max_trials=30, seed=k, storage=s) for k, s in enumerate(storages)]
        scores[kind] = np.mean([t.oracle.get_best_trials()[0].score for t in tuners])
    assert scores[BayesianOptimization] < scores[RandomSearch] / 2


def test_declarations_made_beforehand_go_first(options, tmp_path):
    hp = HyperParameters()
    hp.Fixed("x", 0.5)
    tuner = search(parabola, options, max_trials=3, hyperparameters=hp)
    assert [t.hyperparameters.values for t in tuner.oracle.trials.values()] == [{"x": 0.5}]  # there is but one

    def build(hp):
        x, y = hp.Float("x", -1, 1), hp.Float("y", 0, 1)
        return Model(lambda epoch: x + y)

    hp = HyperParameters()
    hp.Float("x", 0.8, 0.9)
    options["directory"] = tmp_path / "more"
    tuner = search(build, options, max_trials=5, hyperparameters=hp, tune_new_entries=False)
    for trial in tuner.oracle.trials.values():
        assert 0.8 <= trial.hyperparameters["x"] <= 0.9
        assert trial.hyperparameters["y"] == 0
    options["directory"] = tmp_path / "most"
    with pytest.raises(RuntimeError, match="allow_new_entries: 'y' is not among the hyperparameters given"):
        search(build, options, max_trials=5, hyperparameters=hp, allow_new_entries=False)
    with pytest.raises(ValueError, match="tune_new_entries: expected hyperparameters to be given too"):
        RandomSearch(build, **options, tune_new_entries=False)


def test_what_is_trained_may_be_anything(options):
    class Function(BayesianOptimization):
        def run_trial(self, trial, offset):
            return (trial.hyperparameters.Float("x", 0, 1) - offset) ** 2

    tuner = Function(max_trials=15, seed=0, directory=options["directory"])
    tuner.search(0.25)
    assert abs(tuner.get_best_hyperparameters()[0]["x"] - 0.25) < 0.2

    class Trained(HyperModel):
        def build(self, hp):
            return parabola(hp)

        def fit(self, hp, model, *args, **kwargs):
            return {"val_accuracy": -hp["x"], "seen": args[0]}

    options["objective"] = Objective("val_accuracy", "max")
    tuner = RandomSearch(Trained(), **options, max_trials=4, seed=0)
    tuner.search(5, verbose=0)
    scores = [t.score for t in tuner.oracle.get_best_trials(4)]
    assert scores == sorted(scores, reverse=True)
    assert tuner.oracle.get_best_trials()[0].metrics["seen"] == 5


def test_a_subclass_hears_of_all_that_keras_tuner_tells(options):
    heard = []

    class Hears(RandomSearch):
        def on_search_begin(self):
            heard.append("search")

        def on_search_end(self):
            heard.append("end")

        def on_trial_begin(self, trial):
            heard.append(("trial", trial.trial_id, trial.score))

        def on_trial_end(self, trial):
            heard.append(("trial ends", trial.trial_id, trial.score))

        def on_epoch_begin(self, trial, model, epoch, logs=None):
            heard.append(("epoch", trial.trial_id, epoch))

        def on_epoch_end(self, trial, model, epoch, logs=None):
            heard.append(("epoch ends", trial.trial_id, sorted(logs)))

        def on_batch_begin(self, trial, model, batch, logs=None):
            heard.append(("batch", batch))

        def on_batch_end(self, trial, model, batch, logs=None):
            heard.append(("batch ends", sorted(logs)))

    def build(hp):
        hp.Float("x", 0, 1)
        model = keras.Sequential([layers.Dense(1, input_shape=(2,))])
        model.compile("sgd", "mse")
        return model

    tuner = Hears(build, **{**options, "objective": "loss"}, max_trials=1)
    tuner.search(np.ones((4, 2)), np.ones((4, 1)), batch_size=2, verbose=0)
    batches = [("batch", 0), ("batch ends", ["loss"]), ("batch", 1), ("batch ends", ["loss"])]
    score = tuner.oracle.get_best_trials()[0].score
    assert heard == [
        "search",
        ("trial", "0000", None),
        ("epoch", "0000", 0),
        *batches,
        ("epoch ends", "0000", ["loss"]),
        ("trial ends", "0000", score),
        "end",
    ]
    # What would never be called, or has no effect, is refused.
    with pytest.raises(TypeError, match="Saves: save_model: is not called by this tuner; the weights of a trial's"):
        type("Saves", (RandomSearch,), {"save_model": lambda self, trial_id, model, step=0: None})
    with pytest.raises(NotImplementedError, match=r"RandomSearch: tuner_id: is not offered; processes with one"):
        RandomSearch(build, **options, tuner_id="first")
    RandomSearch(build, **options, logger=None)
    with pytest.raises(TypeError, match="RandomSearch got an unexpected argument 'max_trails'"):
        RandomSearch(build, **options, max_trails=3)


# --- the best epoch ---


def test_the_score_and_the_weights_are_those_of_the_best_epoch(options):
    losses = iter([[5, 2, 3], [4, 4, 1]])

    def build(hp):
        hp.Int("n", 1, 1)
        column = next(losses, [9, 9, 9])
        return Model(lambda epoch: column[epoch])

    tuner = RandomSearch(build, **options, max_trials=1, executions_per_trial=2)
    tuner.search(epochs=3, verbose=0)
    (trial,) = tuner.oracle.get_best_trials()
    assert trial.score == (2 + 1) / 2  # the executions' best epochs, averaged
    assert trial.best_step == 1  # so are their numbers, 1 and 2
    assert tuner.get_best_models()[0].weight == 2.0  # the last epoch of the second execution
    assert tuner.oracle.get_trial(trial.trial_id).metrics == {"loss": 0.0, "val_loss": 1.5}


def test_each_execution_has_callbacks_of_its_own(options):
    class Counting(Callback):
        def __init__(self):
            super().__init__()
            self.epochs = 0

        def on_epoch_end(self, epoch, logs=None):
            self.epochs += 1
            self.model.stop_training = self.epochs == 2

    mine = Counting()
    tuner = RandomSearch(parabola, **options, max_trials=2, executions_per_trial=2)
    seen = []
    tuner.on_epoch_end = lambda trial, model, epoch, logs: seen.append(epoch)
    tuner.search(epochs=5, callbacks=[mine], verbose=0)
    assert seen == [0, 1] * 4
    assert mine.epochs == 0


# --- what goes wrong ---


def failing(times, error=ValueError):
    count = iter(range(times))

    def build(hp):
        x = hp.Float("x", 0, 1)
        if next(count, None) is not None:
            raise error("no such luck")
        return Model(lambda epoch: x)

    return build


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(options):
    tuner = search(failing(2), options, max_trials=4)
    states = [t.status for t in tuner.oracle.trials.values()]
    assert states == ["FAILED", "FAILED", "COMPLETED", "COMPLETED"]
    assert "no such luck" in tuner.oracle.get_trial("0000").message
    assert len(tuner.get_best_hyperparameters(10)) == 2


def test_too_many_failures_end_the_search(options):
    with pytest.raises(RuntimeError, match=r"max_consecutive_failed_trials: 2 trials failed(.|\n)*no such luck"):
        search(failing(9), options, max_trials=9, max_consecutive_failed_trials=2)


def test_a_trial_is_tried_again_with_the_same_values(options, capsys):
    tuner = search(failing(2), options, max_trials=1, max_retries_per_trial=2)
    (trial,) = tuner.oracle.trials.values()
    assert trial.score == trial.hyperparameters["x"]
    assert "Trial 0000 failed, 1 attempts left" in capsys.readouterr().out
    options["project_name"] = "other"
    tuner = search(failing(1, FailedTrialError), options, max_trials=1, max_retries_per_trial=2)
    assert [t.status for t in tuner.oracle.trials.values()] == ["FAILED"]


def test_an_objective_that_is_nan_is_a_failure(options):
    def build(hp):
        x = hp.Float("x", 0, 1)
        return Model(lambda epoch: np.nan if x < 0.5 else x)

    tuner = search(build, options, max_trials=8, seed=0, max_consecutive_failed_trials=8)
    for trial in tuner.oracle.trials.values():
        assert trial.status == ("FAILED" if trial.hyperparameters["x"] < 0.5 else "COMPLETED")
    assert tuner.get_best_hyperparameters()[0]["x"] >= 0.5


def test_a_model_that_is_too_large_is_a_failure(options):
    tuner = RandomSearch(parabola, **options, max_trials=1, max_model_size=0)
    tuner.search(verbose=0)
    assert "max_model_size: expected 0 parameters at most, got 1" in tuner.oracle.get_trial("0000").message


def test_an_interrupted_trial_is_carried_out_when_the_search_goes_on(options):
    values = []

    def build(hp):
        values.append(hp.Float("x", 0, 1))
        if len(values) == 2:
            raise KeyboardInterrupt
        x = values[-1]
        return Model(lambda epoch: x)

    with pytest.raises(KeyboardInterrupt):
        search(build, options, max_trials=3, seed=0)
    tuner = search(build, options, max_trials=3, seed=0)
    assert values[2] == values[1]
    assert len(values) == 4
    assert sorted(t.score for t in tuner.oracle.trials.values()) == sorted([values[0], *values[2:]])


PROGRAM = """
    import os, sys
    sys.path.insert(0, {tests!r})
    from test_tuner import Model
    from lstmcore.tuner import RandomSearch

    def build(hp):
        x = hp.Float("x", 0, 1)
        def loss(epoch):
            if {kill} and len(tuner.oracle.trials) == 2:
                os._exit(9)  # as a killed process ends
            return x
        return Model(loss)

    tuner = RandomSearch(build, "val_loss", max_trials={trials}, directory={directory!r}, project_name="search",
                         storage={storage!r})
    tuner.search(verbose=0)
"""


def program(tmp_path, trials, kill=False, storage=None):
    source = PROGRAM.format(
        tests=str(Path(__file__).parent), kill=kill, trials=trials, directory=str(tmp_path), storage=storage
    )
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(source)])


def test_what_a_killed_process_left_is_carried_out_again(options, tmp_path):
    assert program(tmp_path, 4, kill=True).wait() == 9
    tuner = RandomSearch(parabola, **options, max_trials=4)
    trials = list(tuner.oracle.trials.values())
    assert [t.status for t in trials] == ["COMPLETED", "RUNNING"]
    tuner.search(verbose=0)
    done = list(tuner.oracle.trials.values())
    assert [t.status for t in done] == ["COMPLETED"] * 4
    assert trials[1].hyperparameters["x"] in [t.hyperparameters["x"] for t in done]


def test_workers_that_start_at_the_same_time_share_a_new_database(tmp_path):
    # Threads, each with a connection of its own, race at the database as processes do.
    workers, errors = 4, []

    def start(storage, barrier):
        barrier.wait()
        try:
            RandomSearch(lambda hp: None, "val_loss", 3, directory=tmp_path, storage=storage)
        except BaseException as error:
            errors.append(error)

    arguments = (f"sqlite:///{tmp_path / 'new.db'}", threading.Barrier(workers))
    threads = [threading.Thread(target=start, args=arguments) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_a_database_that_is_none_is_an_error_at_once(tmp_path):
    (tmp_path / "file").write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(Exception, match="not a database"):
        RandomSearch(lambda hp: None, "val_loss", 3, directory=tmp_path, storage=f"sqlite:///{tmp_path / 'file'}")


@pytest.mark.parametrize("database", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_processes_share_a_search(options, tmp_path, database):
    storage = f"sqlite:///{tmp_path / 'search.db'}" if database else None
    RandomSearch(parabola, **options, max_trials=8, storage=storage)  # the tables, made once
    workers = [program(tmp_path, 8, storage=storage) for _ in range(2)]
    assert [w.wait() for w in workers] == [0, 0]
    tuner = RandomSearch(parabola, **options, max_trials=8, storage=storage)
    assert [t.status for t in tuner.oracle.trials.values()] == ["COMPLETED"] * 8
    assert len({t.hyperparameters["x"] for t in tuner.oracle.trials.values()}) == 8
    assert tuner.get_best_models()[0].weight == 0.0
    assert (tmp_path / "search" / "journal.log").exists() != database


@pytest.mark.parametrize(
    ("build", "options", "error", "message"),
    [
        (None, {}, ValueError, r"hypermodel: expected a HyperModel or a function build\(hp\), got None"),
        (3, {}, TypeError, "hypermodel: expected a HyperModel or a function"),
        (parabola, {"max_trials": 0}, ValueError, "max_trials: expected a positive integer, got 0"),
        (parabola, {"executions_per_trial": 0}, ValueError, "executions_per_trial: expected a positive integer"),
        (parabola, {"objective": 3}, TypeError, "objective: expected a name or an Objective, got 3"),
        (parabola, {"objective": "val_luck"}, ValueError, r"give Objective\('val_luck', 'min'\) or 'max'"),
    ],
)
def test_arguments_are_checked(tmp_path, build, options, error, message):
    with pytest.raises(error, match=message):
        RandomSearch(build, **{"objective": "val_loss", "directory": tmp_path, **options})


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("loss", "min"),
        ("val_loss", "min"),
        ("val_mae", "min"),
        ("val_mean_squared_error", "min"),
        ("val_accuracy", "max"),
        ("acc", "max"),
        ("val_accuracy_1", "max"),
        ("val_ce", "min"),
        ("val_auc", "max"),
        ("val_precision", "max"),
        ("val_root_mean_squared_error", "min"),
    ],
)
def test_the_direction_of_known_objectives_is_known(tmp_path, name, direction):
    tuner = RandomSearch(parabola, name, directory=tmp_path, storage=optuna.storages.InMemoryStorage())
    assert tuner.oracle.objective == Objective(name, direction)


def test_an_objective_that_is_not_measured_is_an_error_at_once(options):
    options["objective"] = Objective("val_luck", "max")
    with pytest.raises(ValueError, match=r"objective: expected one of \['loss', 'val_loss'\], got 'val_luck'"):
        search(parabola, options, max_trials=3)
    with pytest.raises(ValueError, match="direction: expected 'min' or 'max', got 'up'"):
        Objective("loss", "up")


def test_metrics_that_are_arrays_are_no_objective_but_do_no_harm(options):
    def build(hp):
        model = keras.Sequential([layers.Dense(hp.Int("n", 2, 2), activation="softmax", input_shape=(2,))])
        model.compile("sgd", "categorical_crossentropy", metrics=[keras.metrics.F1Score(average=None)])
        return model

    data = {"x": np.ones((4, 2)), "y": np.eye(2)[[0, 1, 0, 1]], "verbose": 0}
    options["objective"] = "loss"
    tuner = RandomSearch(build, **options, max_trials=1)
    tuner.search(**data)
    assert set(tuner.oracle.get_best_trials()[0].metrics) == {"loss"}
    with pytest.raises(ValueError, match="objective: expected a number for every epoch, got 'f1_score' as an array"):
        Objective("f1_score", "max").best(build(keras.tuner.HyperParameters()).fit(**data), "run_trial")


def test_without_optuna_the_error_says_what_to_install(options, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r'pip install "lstmcore\[tuner\]"'):
        RandomSearch(parabola, **options)


# --- hyperband ---


def test_hyperband_stops_the_worse_and_trains_the_best_to_the_end(options):
    epochs = Counter()

    def build(hp):
        x = hp.Float("x", 0, 1)

        def loss(epoch):
            epochs[x] = epoch + 1
            return x + 1 / (epoch + 1)

        return Model(loss)

    tuner = search(build, options, Hyperband, max_epochs=9, factor=3, seed=0, storage=optuna.storages.InMemoryStorage())
    trials = list(tuner.oracle.trials.values())
    # Brackets of 9 trials from 1 epoch on, ceil(3 / 2 * 3) from 3 epochs on, and 3 that nothing stops.
    assert len(trials) == 9 + 5 + 3
    for trial in trials:
        assert epochs[trial.hyperparameters["x"]] in ((1, 3) if trial.pruned else (9,))
    assert any(t.pruned for t in trials)
    best = tuner.oracle.get_best_trials()[0]
    assert not best.pruned
    assert best.hyperparameters["x"] == min(t.hyperparameters["x"] for t in trials)
    assert sum(epochs.values()) < 9 * len(trials)
    assert tuner.get_best_models()[0].weight == 8.0


@pytest.mark.parametrize(
    ("epochs", "factor", "trials"), [(1, 3, 1), (10, 3, 4 + 6 + 12), (81, 3, 5 + 8 + 15 + 34 + 81)]
)
def test_hyperband_begins_as_many_trials_as_keras_tuner(options, epochs, factor, trials):
    # By its formula: ceil(ceil(1 + log(epochs, factor)) / (bracket + 1) * factor**bracket).
    assert Hyperband(parabola, **options, max_epochs=epochs, factor=factor).remaining_trials == trials
    options["project_name"] = "twice"
    twice = Hyperband(parabola, **options, max_epochs=epochs, factor=factor, hyperband_iterations=2)
    assert twice.remaining_trials == 2 * trials


def test_hyperband_checks_its_arguments(options):
    with pytest.raises(ValueError, match="factor: expected 2 at least, got 1"):
        Hyperband(parabola, **options, factor=1)
    with pytest.raises(NotImplementedError, match="use RandomSearch"):
        Tuner(parabola, **options)


# --- what is printed, and the real thing ---


def test_progress_and_summaries_are_printed(options, capsys):
    tuner = RandomSearch(parabola, **options, max_trials=2, seed=0)
    tuner.search_space_summary()
    printed = capsys.readouterr().out
    assert "Default search space size: 1\nx (Float)\n" in printed
    tuner.search(epochs=2)
    printed = capsys.readouterr().out
    assert "Search: Running Trial #1" in printed
    assert "Value             |Best Value So Far |Hyperparameter" in printed
    assert "Trial 2 Complete [00h 00m 00s]" in printed
    assert f"Best val_loss So Far: {tuner.oracle.get_best_trials()[0].score}" in printed
    tuner.results_summary(1)
    printed = capsys.readouterr().out
    assert printed.startswith("Results summary\nResults in ")
    assert "Showing 1 best trials\nObjective(name='val_loss', direction='min')\n\nTrial 000" in printed
    assert f"Hyperparameters:\nx: {tuner.get_best_hyperparameters()[0]['x']}\nScore: " in printed
    assert len(copy.deepcopy(tuner.get_best_hyperparameters()[0]).values) == 1


def test_real_models_come_back_with_the_weights_of_their_best_epoch(options):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 5, 1)).astype("float32")
    y = x.sum(1)

    def build(hp):
        model = keras.Sequential()
        depth = hp.Int("depth", 1, 2)
        for k in range(depth):
            model.add(layers.LSTM(hp.Int(f"units_{k}", 2, 6, step=2), return_sequences=k < depth - 1))
        model.add(layers.Dense(1))
        model.compile(optimizer=keras.optimizers.Adam(hp.Float("rate", 1e-3, 1, sampling="log")), loss="mse")
        return model

    tuner = RandomSearch(build, **options, max_trials=4, executions_per_trial=1, seed=0)
    tuner.search(x[:30], y[:30], epochs=4, validation_data=(x[30:], y[30:]), verbose=0)
    for trial, model in zip(tuner.oracle.get_best_trials(4), tuner.get_best_models(4), strict=True):
        # The same sums in the same order: the loss of one batch.
        assert model.evaluate(x[30:], y[30:], verbose=0) == pytest.approx(trial.score, rel=1e-6)
        assert len(model.layers) == trial.hyperparameters["depth"] + 1


def test_models_are_compiled_by_the_tuner_if_it_is_told_how(options):
    def build(hp):
        return keras.Sequential([layers.Dense(hp.Int("units", 1, 3), input_shape=(2,)), layers.Dense(1)])

    x = np.ones((8, 2), "float32")
    tuner = RandomSearch(
        build, **{**options, "objective": "mae"}, max_trials=2, optimizer="sgd", loss="mse", metrics=["mae"]
    )
    tuner.search(x, x[:, :1], verbose=0)
    assert set(tuner.oracle.get_best_trials()[0].metrics) == {"loss", "mae"}
