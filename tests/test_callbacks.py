"""Callbacks: what each does in the hooks, with logs made by hand."""

import csv
import math
import os
import types

import numpy as np
import pytest

from lstmcore import Sequential, callbacks
from lstmcore.callbacks import (
    BackupAndRestore,
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgbarLogger,
    ReduceLROnPlateau,
    SwapEMAWeights,
    TerminateOnNaN,
)
from lstmcore.callbacks.callback import HOOKS
from lstmcore.layers import Dense
from lstmcore.metrics import F1Score
from lstmcore.optimizers import SGD
from lstmcore.variables import Vectors


class Model:
    """As much of a model as the callbacks see: its weights tell how many epochs it has been trained."""

    def __init__(self, metrics=()):
        self.optimizer = types.SimpleNamespace(learning_rate=0.1)
        self.reported_metrics = {n: types.SimpleNamespace(direction=d) for n, d in metrics}
        self.stop_training = False
        self.weights = 0
        self.saved = []

    def get_weights(self):
        return [np.array(self.weights)]

    def set_weights(self, weights):
        self.weights = int(weights[0])

    def save(self, path, overwrite):
        self.saved.append(("model", path))

    def save_weights(self, path, overwrite):
        self.saved.append(("weights", path))


def run(callback, values, model=None, monitor="val_loss", first=0, begin=True):
    """Take a callback through epochs with these values; return the number of epochs it lets pass, and the model."""
    model = model or Model()
    hooks = CallbackList([callback], model, {"epochs": first + len(values), "steps": 1, "verbose": 0})
    if begin:
        hooks.on_train_begin()
    epoch = first
    for epoch, value in enumerate(values, first):
        hooks.on_epoch_begin(epoch)
        model.weights += 1
        hooks.on_epoch_end(epoch, {} if value is None else {monitor: value})
        if model.stop_training:
            break
    hooks.on_train_end()
    return epoch + 1 - first, model


# --- the list ---


def test_only_the_hooks_that_are_overridden_are_called():
    class Count(Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, logs))

    seen = []
    hooks = CallbackList([Count(), Callback()], Model(), {})
    assert [hook for hook in HOOKS if hooks.listens(hook)] == ["on_epoch_end"]
    hooks.on_train_batch_end(0, {"loss": 1.0})
    hooks.on_epoch_end(3)
    assert seen == [(3, {})]


def test_logs_are_shared_by_all_callbacks():
    history = History()
    rate = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(learning_rate=0.5))
    hooks = CallbackList([history, rate], Model(), {})
    hooks.on_epoch_end(0, {"loss": 2.0})
    assert history.history == {"loss": [2.0], "learning_rate": [0.5]}
    assert "1 epochs: loss=2, learning_rate=0.5" in repr(history)


def test_every_hook_reaches_its_function():
    seen = []
    functions = {hook: (lambda *args, hook=hook: seen.append((hook, len(args)))) for hook in HOOKS}
    hooks = CallbackList([LambdaCallback(**functions)], Model(), {})
    for hook in HOOKS:
        numbered = "epoch" in hook or "batch" in hook
        getattr(hooks, hook)(*([0] if numbered else []))
    assert [name for name, _ in seen] == list(HOOKS)
    assert all(count == (2 if "epoch" in name or "batch" in name else 1) for name, count in seen)
    with pytest.raises(TypeError, match="unexpected argument 'on_step'"):
        LambdaCallback(on_step=print)


def test_older_names_of_the_batch_hooks():
    class Old(Callback):
        def on_batch_begin(self, batch, logs=None):
            seen.append(("begin", batch))

        def on_batch_end(self, batch, logs=None):
            seen.append(("end", batch))

    seen = []
    hooks = CallbackList([Old()], Model(), {})
    hooks.on_train_batch_begin(4)
    hooks.on_train_batch_end(4, {})
    assert seen == [("begin", 4), ("end", 4)]


def test_a_higher_rank_is_called_later():
    class Last(Callback):
        rank = 1

        def on_epoch_end(self, epoch, logs=None):
            seen.append("last")

    seen = []
    CallbackList([Last(), LambdaCallback(on_epoch_end=lambda *_: seen.append("first"))], Model(), {}).on_epoch_end(0)
    assert seen == ["first", "last"]


def test_what_is_no_callback_is_refused():
    with pytest.raises(TypeError, match="callbacks: expected Callback objects"):
        CallbackList([print], Model(), {})


# --- EarlyStopping: after Keras 3's early_stopping.py ---


@pytest.mark.parametrize(
    ("options", "values", "epochs"),
    [
        ({}, [3, 2, 1, 1], 4),  # equal is no improvement; patience 0 stops at the first such epoch
        ({"patience": 2}, [3, 4, 2, 5, 5, 5], 5),
        ({"patience": 1}, [3, math.nan, 2], 2),
        ({"min_delta": 0.5}, [3, 2.4, 2.0], 3),  # 0.4 is too little
        ({"min_delta": -0.5}, [3, 2.4, 2.0], 3),  # its size counts
        ({"mode": "max"}, [1, 2, 1], 3),
        ({"monitor": "val_accuracy"}, [0.1, 0.2, 0.2], 3),
        ({"baseline": 1.5, "patience": 2}, [3, 2, 1.9, 1.8], 4),  # improves, but the count goes on
        ({"baseline": 1.5, "patience": 2}, [3, 2, 2, 1], 3),
        ({"baseline": 2.5, "patience": 2}, [3, 2, 2, 1, 1, 1, 1], 6),
        ({"start_from_epoch": 3}, [1, 2, 3, 4, 5], 5),
        ({"patience": 0}, [math.nan, math.nan], 2),  # the first epoch never stops
    ],
)
def test_early_stopping_counts(options, values, epochs):
    monitor = options.get("monitor", "val_loss")
    assert run(EarlyStopping(**options), values, monitor=monitor)[0] == epochs


@pytest.mark.parametrize(
    ("values", "patience", "best"), [([3, 1, 2, 2], 2, 2), ([3, 2, 1], 9, 3), ([math.nan, math.nan, 4], 9, 3)]
)
def test_best_weights_come_back_whether_or_not_it_stopped(values, patience, best, capsys):
    stop = EarlyStopping(patience=patience, restore_best_weights=True, verbose=1)
    epochs, model = run(stop, values)
    assert model.weights == best == stop.best_epoch + 1
    out = capsys.readouterr().out
    assert f"end of the best epoch: {best}." in out
    assert ("early stopping" in out) == model.stop_training
    assert stop.stopped_epoch == (epochs - 1 if model.stop_training else 0)


def test_early_stopping_begins_afresh_in_every_fit():
    stop = EarlyStopping(patience=1, restore_best_weights=True)
    assert run(stop, [1, 2, 3])[0] == 2
    epochs, model = run(stop, [9, 8, 7])
    assert epochs == 3
    assert model.weights == 3


def test_a_state_carries_counters_and_weights_over():
    for cut in range(1, 6):
        values = [3, 2, 2.5, 2.4, 1, 2, 2, 2, 2]
        whole = run(EarlyStopping(patience=3, restore_best_weights=True), values)
        first, model = EarlyStopping(patience=3, restore_best_weights=True), Model()
        for epoch, value in enumerate(values[:cut]):
            first.set_model(model)
            model.weights += 1
            first.on_epoch_end(epoch, {"val_loss": value})
        second = EarlyStopping(patience=3, restore_best_weights=True)
        second.on_train_begin()
        second.set_state(first.get_state())
        rest = run(second, values[cut:], model, first=cut, begin=False)
        assert cut + rest[0] == whole[0]
        assert rest[1].weights == whole[1].weights


# --- what is monitored ---


def test_a_wrong_name_warns_with_those_there_are():
    with pytest.warns(UserWarning, match=r"monitor: there is no 'val_loss' in the logs; available are: loss"):
        epochs, _ = run(EarlyStopping(), [3, 4, 5], monitor="loss")
    assert epochs == 3
    with pytest.warns(UserWarning, match="available are: val_acc, learning_rate"):
        run(ReduceLROnPlateau(), [3], monitor="val_acc")


@pytest.mark.parametrize(
    "make", [EarlyStopping, ReduceLROnPlateau, lambda **options: ModelCheckpoint("x", save_best_only=True, **options)]
)
def test_a_name_that_there_cannot_be_raises(make):
    with pytest.raises(ValueError, match=r"there is no 'val_acc' in the logs; available are: loss.*give mode="):
        run(make(monitor="val_acc"), [3], Model([("accuracy", "up")]), monitor="loss")
    # Where it may come later it is a warning: a metric of the model, the loss, or where the way is given.
    with pytest.warns(UserWarning, match="there is no 'val_accuracy'"):
        run(make(monitor="val_accuracy"), [3], Model([("accuracy", "up")]), monitor="loss")
    with pytest.warns(UserWarning, match="there is no 'val_loss'"):
        run(make(), [3], monitor="loss")
    with pytest.warns(UserWarning, match="there is no 'anything'"):
        run(make(monitor="anything", mode="max"), [3], monitor="loss")


def test_the_metric_decides_what_is_better():
    # Against what the names would say.
    model = Model([("error_free", "up"), ("accident", "down")])
    assert run(EarlyStopping(monitor="val_error_free"), [1, 2, 3], model, "val_error_free")[0] == 3
    assert run(EarlyStopping(monitor="accident"), [1, 2, 3], model, "accident")[0] == 2


def test_without_a_direction_there_is_an_error():
    with pytest.raises(ValueError, match="EarlyStopping: mode: cannot tell whether 'val_reward' is to rise or to fall"):
        run(EarlyStopping(monitor="val_reward"), [1], monitor="val_reward")
    with pytest.warns(UserWarning, match="mode: expected 'auto', 'min' or 'max', got 'up'"):
        assert EarlyStopping(mode="up").mode == "auto"


# --- learning rates ---


@pytest.mark.parametrize(
    ("options", "values", "rates"),
    [
        # `rates`: in the logs of each epoch, that is before the callback acts.
        ({"patience": 1, "factor": 0.5}, [3, 2, 2, 2, 1, 1], [0.1, 0.1, 0.1, 0.05, 0.025, 0.025]),
        ({"patience": 2, "factor": 0.5}, [3, 3, 3, 3], [0.1, 0.1, 0.1, 0.05]),
        ({"patience": 1, "factor": 0.5, "cooldown": 2}, [3, 3, 3, 3, 3, 3], [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]),
        ({"patience": 1, "factor": 0.5, "min_lr": 0.04}, [3, 3, 3, 3, 3], [0.1, 0.1, 0.05, 0.04, 0.04]),
        ({"patience": 1, "factor": 0.5}, [3, 2.99995, 2], [0.1, 0.1, 0.05]),  # less than min_delta, 1e-4
        ({"patience": 1, "factor": 0.5, "mode": "max"}, [3, 2, 4], [0.1, 0.1, 0.05]),
    ],
)
def test_the_learning_rate_falls_on_a_plateau(options, values, rates):
    history, model = History(), Model()
    hooks = CallbackList([history, ReduceLROnPlateau(**options)], model, {})
    hooks.on_train_begin()
    for epoch, value in enumerate(values):
        hooks.on_epoch_end(epoch, {"val_loss": value})
    assert history.history["learning_rate"] == rates


def test_a_plateau_says_what_it_does(capsys):
    run(ReduceLROnPlateau(patience=1, factor=0.5, verbose=1), [3, 3])
    assert "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.05." in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"factor: expected a number in \[0, 1\), got 1\.5"):
        ReduceLROnPlateau(factor=1.5)


def test_schedules_of_one_and_two_arguments(capsys):
    for schedule in (lambda epoch, lr: lr / 2, lambda epoch: 0.1 / 2 ** (epoch + 1)):
        model, history = Model(), History()
        hooks = CallbackList([LearningRateScheduler(schedule, verbose=1), history], model, {})
        for epoch in range(3):
            hooks.on_epoch_begin(epoch)
            hooks.on_epoch_end(epoch, {})
        assert history.history["learning_rate"] == [0.05, 0.025, 0.0125]
    assert "Epoch 1: LearningRateScheduler setting learning rate to 0.05." in capsys.readouterr().out


def test_schedules_that_fail_say_so():
    def broken(epoch, lr):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        run(LearningRateScheduler(broken), [1])
    with pytest.raises(ValueError, match="schedule: expected it to return a number, got None"):
        run(LearningRateScheduler(lambda epoch, lr: None), [1])


# --- TerminateOnNaN ---


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_stops(loss, capsys):
    model = Model()
    hooks = CallbackList([TerminateOnNaN()], model, {})
    hooks.on_train_batch_end(0, {"loss": 1e30})
    assert not model.stop_training
    hooks.on_train_batch_end(7, {"loss": loss})
    assert model.stop_training
    assert capsys.readouterr().out == "Batch 7: Invalid loss, terminating training\n"
    with pytest.raises(RuntimeError, match="at batch 8"):
        CallbackList([TerminateOnNaN(raise_error=True)], model, {}).on_train_batch_end(8, {"loss": loss})


# --- ModelCheckpoint ---


def test_a_checkpoint_is_named_after_epoch_and_logs(tmp_path):
    _, model = run(ModelCheckpoint(tmp_path / "new" / "{epoch:02d}-{val_loss:.2f}.safetensors"), [1.234, 2])
    assert [path for _, path in model.saved] == [
        str(tmp_path / "new" / "01-1.23.safetensors"),
        str(tmp_path / "new" / "02-2.00.safetensors"),
    ]
    assert (tmp_path / "new").is_dir()
    with pytest.raises(KeyError, match="'val_acc', which is not in the logs; available are: epoch, val_loss"):
        run(ModelCheckpoint("{val_acc}.safetensors"), [1])


@pytest.mark.parametrize(
    ("options", "values", "saves"),
    [
        ({}, [1, 2, 3], 3),
        ({"save_best_only": True}, [3, 2, 2, 4, 1], 3),
        ({"save_best_only": True, "mode": "max"}, [3, 2, 2, 4, 1], 2),
        ({"save_best_only": True, "initial_value_threshold": 2.5}, [3, 2, 4], 1),
    ],
)
def test_a_checkpoint_of_the_best(options, values, saves):
    _, model = run(ModelCheckpoint("best.safetensors", save_weights_only=True, **options), values)
    assert model.saved == [("weights", "best.safetensors")] * saves


def test_a_checkpoint_keeps_the_best_over_fits_and_states(capsys):
    best = ModelCheckpoint("b.safetensors", save_best_only=True, verbose=1)
    run(best, [2])
    assert run(best, [3])[1].saved == []
    again = ModelCheckpoint("b.safetensors", save_best_only=True)
    again.set_state(best.get_state())
    assert run(again, [3])[1].saved == []
    out = capsys.readouterr().out
    assert "Epoch 1: val_loss improved from None to 2.00000, saving model to b.safetensors" in out
    assert "Epoch 1: val_loss did not improve from 2.00000" in out


def test_a_checkpoint_every_so_many_batches():
    model = Model()
    hooks = CallbackList([ModelCheckpoint("{epoch}-{batch}.safetensors", save_freq=3)], model, {})
    for epoch in range(2):
        hooks.on_epoch_begin(epoch)
        for batch in range(4):
            hooks.on_train_batch_end(batch, {"loss": 1.0})
        hooks.on_epoch_end(epoch, {"loss": 1.0})
    assert [path for _, path in model.saved] == ["1-3.safetensors", "2-2.safetensors"]  # counted over the epoch's end
    assert not CallbackList([ModelCheckpoint("x")], model, {}).listens("on_train_batch_end")
    for wrong in ("batch", 0, 1.5, True):
        with pytest.raises(ValueError, match="ModelCheckpoint: save_freq: expected 'epoch' or a number of batches"):
            ModelCheckpoint("x", save_freq=wrong)


def test_without_the_monitored_value_every_epoch_is_saved():
    with pytest.warns(UserWarning, match="there is no 'val_loss' in the logs; available are: loss"):
        _, model = run(ModelCheckpoint("x", save_best_only=True), [1, 2], monitor="loss")
    assert len(model.saved) == 2
    with pytest.warns(UserWarning, match="monitor: expected a number"):
        _, model = run(ModelCheckpoint("x", save_best_only=True), [np.ones(2)])
    assert len(model.saved) == 1


# --- CSVLogger ---


def rows(path, separator=","):
    with open(path, newline="") as file:
        return list(csv.reader(file, delimiter=separator))


def test_a_row_for_each_epoch(tmp_path):
    path = tmp_path / "log.csv"
    logger = CSVLogger(path, separator=";")
    hooks = CallbackList([logger], Model(), {})
    hooks.on_train_begin()
    for epoch, logs in enumerate([{"loss": 1.5, "acc": np.array([1, 2])}, {"loss": 0.5}]):
        hooks.on_epoch_begin(epoch)
        hooks.on_epoch_end(epoch, logs)
    hooks.on_train_end()
    assert rows(path, ";") == [["epoch", "acc", "loss"], ["0", '"[1, 2]"', "1.5"], ["1", "NA", "0.5"]]


@pytest.mark.parametrize("append", [True, False])
def test_a_log_is_appended_to_or_begun_again(tmp_path, append):
    path = tmp_path / "log.csv"
    run(CSVLogger(path, append=append), [1.0, 2.0])
    run(CSVLogger(path, append=append), [3.0], first=2)
    kept = [["0", "1.0"], ["1", "2.0"]] if append else []
    assert rows(path) == [["epoch", "val_loss"], *kept, ["2", "3.0"]]


def test_a_log_goes_on_after_a_backup_that_does_not_count_its_rows(tmp_path):
    path = tmp_path / "log.csv"
    run(CSVLogger(path), [1.0, 2.0])
    logger = CSVLogger(path)
    hooks = CallbackList([logger], Model(), {})
    hooks.on_train_begin()
    logger.set_state({"keys": ["val_loss"], "size": 20})
    hooks.on_epoch_begin(2)
    hooks.on_epoch_end(2, {"val_loss": 3.0})
    hooks.on_train_end()
    assert rows(path) == [["epoch", "val_loss"], ["0", "1.0"], ["1", "2.0"], ["2", "3.0"]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_key_that_comes_later_gets_a_column(tmp_path, separator):
    path, every = tmp_path / "log.csv", [{"loss": 4.0}, {"loss": 3.0, "val_loss": 9.0}, {"val_loss": 8.0, "a,b;c": 1.0}]
    logger = CSVLogger(path, separator=separator)
    hooks = CallbackList([logger], Model(), {})
    hooks.on_train_begin()
    for epoch, logs in enumerate(every):
        hooks.on_epoch_begin(epoch)
        hooks.on_epoch_end(epoch, logs)
    hooks.on_train_end()
    assert rows(path, separator) == [
        ["epoch", "loss", "val_loss", "a,b;c"],
        ["0", "4.0", "NA", "NA"],
        ["1", "3.0", "9.0", "NA"],
        ["2", "NA", "8.0", "1.0"],
    ]


@pytest.mark.parametrize("interrupted", [False, True])
def test_every_epoch_with_validation_is_logged_with_it(tmp_path, interrupted):
    path, x = tmp_path / "log.csv", np.ones((4, 2))

    def fit(*more):
        model = Sequential([Dense(1, input_shape=(2,), kernel_initializer="ones")])
        model.compile("sgd", "mse", metrics=["mae"])
        hooks = [CSVLogger(path), BackupAndRestore(tmp_path / "backup"), *more]
        return model.fit(
            x, x[:, 0], epochs=4, verbose=0, validation_data=(x, x[:, 0]), validation_freq=2, callbacks=hooks
        )

    if interrupted:  # behind the first backup, and behind the row that made the columns
        counted = []
        with pytest.raises(ZeroDivisionError):
            fit(LambdaCallback(on_epoch_end=lambda epoch, logs: counted.append(1 / (epoch - 1))))
    history = fit().history
    found = rows(path)
    assert found[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [row[0] for row in found[1:]] == ["0", "1", "2", "3"]
    for name, k in (("val_loss", 3), ("val_mae", 4)):
        assert [row[k] for row in found[1:]] == ["NA", str(history[name][0]), "NA", str(history[name][1])]
    assert [row[1] for row in found[1:]] == list(map(str, history["loss"]))


def test_a_log_appended_to_keeps_its_columns(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,val_loss,loss\n0,5.0,7.0")  # somebody has cut off the last line's end
    run(CSVLogger(path, append=True), [3.0], monitor="loss", first=1)
    run(CSVLogger(path, append=True), [2.0], monitor="acc", first=2)
    assert rows(path) == [
        ["epoch", "val_loss", "loss", "acc"],
        ["0", "5.0", "7.0", "NA"],
        ["1", "NA", "3.0", "NA"],
        ["2", "NA", "NA", "2.0"],
    ]
    with pytest.raises(
        ValueError, match=r"begins with the column 'epoch', its columns separated by ';'.* got 'epoch,val"
    ):
        run(CSVLogger(path, append=True, separator=";"), [1.0])


def test_a_log_that_is_no_file_says_what_it_leaves_out(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        logger = CSVLogger(path)
        logger.on_epoch_end(0, {"loss": 1.0})
        with pytest.warns(UserWarning, match="CSVLogger: val_loss: not written"):
            logger.on_epoch_end(1, {"loss": 2.0, "val_loss": 3.0})
        logger.on_train_end()
        assert os.read(end, 100) == b"epoch,loss\r\n0,1.0\r\n1,2.0\r\n"
    finally:
        os.close(end)


@pytest.mark.parametrize("separator", ["", "ab", None, "\n"])
def test_separators_are_one_character(separator):
    with pytest.raises((ValueError, TypeError), match=r"CSVLogger: separator: expected (one character|a string)"):
        CSVLogger("log.csv", separator=separator)


def test_a_resumed_log_loses_what_came_after_the_backup(tmp_path):
    path = tmp_path / "log.csv"
    logger, model = CSVLogger(path), Model()
    hooks = CallbackList([logger], model, {})
    hooks.on_train_begin()
    for epoch in range(3):
        hooks.on_epoch_begin(epoch)
        hooks.on_epoch_end(epoch, {"val_loss": float(epoch)})
        if epoch == 1:
            state = logger.get_state()
    # Killed here; the backup is that of the end of epoch 1.
    again = CSVLogger(path)
    again.on_train_begin()
    again.set_state(state)
    run(again, [20.0], first=2, begin=False)
    assert rows(path) == [["epoch", "val_loss"], ["0", "0.0"], ["1", "1.0"], ["2", "20.0"]]
    path.unlink()
    again.on_train_begin()
    again.set_state(state)
    run(again, [20.0], first=2, begin=False)
    assert rows(path) == [["epoch", "val_loss"], ["2", "20.0"]]


def test_a_state_can_be_saved_again_at_once(tmp_path):
    # As when training is interrupted twice within an epoch.
    (tmp_path / "log.csv").write_text("epoch,loss\n0,1.0\n")
    for make, state in (
        (lambda: CSVLogger(tmp_path / "log.csv"), {"rows": 2}),
        (EarlyStopping, {"wait": 2, "stopped_epoch": 0, "best_epoch": 1, "best": 0.5, "best_weights": None}),
        (ReduceLROnPlateau, {"wait": 2, "cooldown_counter": 1, "best": 0.5}),
        (lambda: ModelCheckpoint("x", save_freq=3), {"best": 0.5, "epoch": 1, "seen": 2}),
        (lambda: BackupAndRestore("x", save_freq=3), {"seen": 2}),
        (SwapEMAWeights, {"swapped": True}),
        (History, {"epoch": [0], "history": {"loss": [1.0]}, "epochs": {"loss": [0]}}),
    ):
        callback = make()
        callback.set_state(state)
        assert callback.get_state() == state


def test_a_log_without_epochs_is_empty(tmp_path):
    run(CSVLogger(tmp_path / "log.csv"), [])
    assert (tmp_path / "log.csv").read_text() == ""


# --- the others ---


def test_evaluation_with_averaged_weights():
    vectors, average = Vectors(np.array([1.0, 2.0]), np.zeros(2)), np.array([3.0, 4.0])
    values, versions = vectors.values, {vectors.version}
    model = Model()
    model.optimizer = types.SimpleNamespace(use_ema=True, average=average)
    model.parameters = types.SimpleNamespace(values=values, vectors=vectors)
    hooks = CallbackList([SwapEMAWeights()], model, {"epochs": 1})
    for begin, end in ((hooks.on_test_begin, hooks.on_test_end), (hooks.on_predict_begin, hooks.on_predict_end)):
        begin()
        versions.add(vectors.version)
        assert values.tolist() == [3, 4]
        assert average.tolist() == [1, 2]
        end()
        assert values.tolist() == [1, 2]
        versions.add(vectors.version)
    assert len(versions) == 5
    hooks = CallbackList([SwapEMAWeights(swap_on_epoch=True)], model, {"epochs": 2})
    hooks.on_epoch_end(0)
    assert values.tolist() == [3, 4]
    hooks.on_epoch_begin(1)
    assert values.tolist() == [1, 2]
    hooks.on_epoch_end(1)
    assert values.tolist() == average.tolist() == [3, 4]  # so that the end of `fit` changes nothing
    model.optimizer.use_ema = False
    with pytest.raises(ValueError, match="expected an optimizer with use_ema=True"):
        CallbackList([SwapEMAWeights()], model, {}).on_test_begin()


def test_validation_with_averaged_weights_of_a_model():
    x, y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
    model = Sequential([Dense(1, input_shape=(2,))])
    model.compile(SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    seen = []
    look = LambdaCallback(on_train_batch_end=lambda *_: seen.append(model.parameters.values.copy()))
    history = model.fit(
        x, y, batch_size=8, epochs=3, validation_data=(x, y), callbacks=[SwapEMAWeights(), look], verbose=0
    )
    average = (seen[0] / 2 + seen[1] / 2) / 2 + seen[2] / 2
    assert history.history["val_loss"][-1] == pytest.approx(float((average.sum() - 1) ** 2), rel=1e-5)
    assert model.parameters.values == pytest.approx(average, rel=1e-6)  # the end of `fit`


def test_monitoring_a_metric_of_a_model():
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    y = (x.sum(1) > 0).astype("float32")
    model = Sequential([Dense(1, activation="sigmoid", input_shape=(3,))])
    model.compile(SGD(0.5), "binary_crossentropy", metrics=["accuracy"])
    stop = EarlyStopping("val_accuracy", patience=3, restore_best_weights=True)
    values = model.fit(x, y, epochs=30, validation_split=0.5, callbacks=[stop], verbose=0).history["val_accuracy"]
    assert len(values) == values.index(max(values)) + 4
    assert model.evaluate(x[20:], y[20:], verbose=0)[1] == max(values)


@pytest.mark.parametrize("name", ["TensorBoard", "RemoteMonitor", "OrbaxCheckpoint"])
def test_what_is_not_offered_names_what_to_use(name):
    with pytest.raises(NotImplementedError, match=f"{name} is not offered; use"):
        getattr(callbacks, name)("anything", at="all")


def test_lines_of_evaluate_and_predict(capsys):
    logger = ProgbarLogger(bar=False)
    hooks = CallbackList([logger], Model(), {"steps": 2, "verbose": 1})
    assert not hooks.listens("on_test_batch_end")
    hooks.on_test_begin()
    hooks.on_test_end({"loss": 0.5, "mae": -1e-5})
    hooks.on_predict_begin()
    hooks.on_predict_end()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2/2 - 0s - ")
    assert lines[0].endswith("ms/step - loss: 0.5000 - mae: -1.0000e-05")
    assert lines[1].startswith("2/2 - 0s - ")
    assert lines[1].endswith("ms/step")


def test_batches_of_unknown_number_are_counted(capsys):
    hooks = CallbackList([ProgbarLogger(bar=False)], Model(), {"steps": None, "epochs": 1})
    hooks.on_train_begin()
    hooks.on_epoch_begin(0)
    for batch in range(5):
        hooks.on_train_batch_end(batch, {"loss": 1.0})
    hooks.on_test_begin()
    hooks.on_test_end({"loss": 3.0})  # validation: silent
    hooks.on_epoch_end(0, {"loss": 1.0})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/1"
    assert lines[1].startswith("5/5 - 0s")
    assert len(lines) == 2


def test_metrics_that_are_arrays_are_shown_recorded_and_saved(tmp_path, capsys):
    model = Sequential([Dense(3, activation="softmax", input_shape=(2,))])
    model.compile("sgd", "categorical_crossentropy", metrics=[F1Score(average=None)])
    x, y = np.ones((6, 2)), np.eye(3)[[0, 1, 2, 0, 1, 2]]
    logger = CSVLogger(tmp_path / "log.csv")
    stop = EarlyStopping(monitor="f1_score", mode="max")
    with pytest.warns(UserWarning, match="EarlyStopping: monitor: expected a number as 'f1_score', got array"):
        history = model.fit(x, y, epochs=2, verbose=2, callbacks=[logger, stop])
    score = history.history["f1_score"][-1]
    assert score.shape == (3,)
    assert f"f1_score: {score.mean():.4f}" in capsys.readouterr().out  # as Keras shows it
    assert f"f1_score={score.mean():.4g}" in repr(history)
    model.evaluate(x, y, verbose=2)
    assert f"f1_score: {score.mean():.4f}" in capsys.readouterr().out
    assert rows(tmp_path / "log.csv")[0] == ["epoch", "f1_score", "loss"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: EarlyStopping(monitor=3), "EarlyStopping: monitor: expected a name, got 3"),
        (lambda: EarlyStopping(patience="3"), "EarlyStopping: patience: expected a number .*, got '3'"),
        (lambda: EarlyStopping(min_delta="a"), "EarlyStopping: min_delta: expected a number .*, got 'a'"),
        (lambda: EarlyStopping(baseline="a"), "EarlyStopping: baseline: expected a number .*, got 'a'"),
        (lambda: EarlyStopping(start_from_epoch=[1]), r"EarlyStopping: start_from_epoch: .*, got \[1\]"),
        (lambda: ReduceLROnPlateau(factor="a"), "ReduceLROnPlateau: factor: expected a number .*, got 'a'"),
        (lambda: ReduceLROnPlateau(patience=None), "ReduceLROnPlateau: patience: expected a number .*, got None"),
        (lambda: ReduceLROnPlateau(cooldown="a"), "ReduceLROnPlateau: cooldown: expected a number .*, got 'a'"),
        (lambda: ReduceLROnPlateau(min_lr="a"), "ReduceLROnPlateau: min_lr: expected a number .*, got 'a'"),
        (lambda: LearningRateScheduler(0.1), "LearningRateScheduler: schedule: expected a function, got 0.1"),
        (lambda: LambdaCallback(on_epoch_end=3), "LambdaCallback: on_epoch_end: expected a function, got 3"),
        (lambda: ModelCheckpoint(None), "ModelCheckpoint: filepath: expected a path, got None"),
        (lambda: CSVLogger(1), "CSVLogger: filename: expected a path, got 1"),
        (lambda: BackupAndRestore(None), "BackupAndRestore: backup_dir: expected a path, got None"),
    ],
)
def test_arguments_of_a_wrong_type_are_named_at_once(make, text):
    with pytest.raises(TypeError, match=text):
        make()


def test_infinite_patience_is_patience():
    assert EarlyStopping(patience=math.inf, baseline=-math.inf).patience == math.inf
