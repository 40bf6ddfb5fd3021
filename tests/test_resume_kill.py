"""Training that is killed and started again ends as if it never had been; files are whole at any time."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pytest

import lstmcore
from lstmcore import Sequential, callbacks, models
from lstmcore.layers import LSTM, Dense

PROGRAM = textwrap.dedent(
    """
    import json, sys, time
    import numpy as np
    from lstmcore import Sequential, callbacks, layers, optimizers, utils

    folder, save_freq, slow, seed = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    utils.set_random_seed(seed)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 6, 3)).astype("float32")
    y = (x.sum((1, 2), keepdims=True)[:, 0] / 5 + rng.normal(size=(50, 1))).astype("float32")
    model = Sequential([
        layers.LSTM(8, dropout=0.2, recurrent_dropout=0.3, return_sequences=True, input_shape=(6, 3)),
        layers.Bidirectional(layers.GRU(4, dropout=0.1)),
        layers.Dense(1),
    ])
    model.compile(optimizers.Adam(0.1), "mse", metrics=["mae"])

    def tell(batch, logs):
        print("batch", flush=True)
        time.sleep(slow)

    history = model.fit(
        x, y, batch_size=6, epochs=9, validation_split=0.2, verbose=0,
        callbacks=[
            # First, to show that it still sees what the others have done.
            callbacks.BackupAndRestore(folder + "/backup", save_freq if save_freq == "epoch" else int(save_freq)),
            callbacks.LambdaCallback(on_train_batch_end=tell),
            callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.99),
            callbacks.ReduceLROnPlateau(patience=1, factor=0.7, min_delta=0.02, cooldown=1),
            callbacks.EarlyStopping(patience=4, restore_best_weights=True, min_delta=0.02),
            callbacks.CSVLogger(folder + "/log.csv"),
        ],
    )
    plain, arrays = model.training_state()
    weights = {f"weight {k}": w for k, w in enumerate(model.get_weights())}
    np.savez(folder + "/end.npz", **{k.replace("/", " "): v for k, v in arrays.items()}, **weights)
    json.dump([plain, history.epoch, history.history], open(folder + "/end.json", "w"))
    """
)


def run(folder, save_freq, kill_after=None):
    """Run the program; kill it soon after so many batches."""
    folder.mkdir(exist_ok=True)
    # What is drawn before the backup is restored, initial weights and seeds of masks, must not matter.
    seed = random.randrange(2**32) if (folder / "backup").exists() else 5
    slow = "0" if kill_after is None else "0.01"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, folder, save_freq, slow, str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if kill_after is not None:
        for _ in range(kill_after):
            process.stdout.readline()
        time.sleep(random.uniform(0, 0.012))  # anywhere in a step, or in the saving of one
        process.send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (0 if kill_after is None else -signal.SIGKILL), errors.decode()


def end(folder):
    with np.load(folder / "end.npz") as arrays:
        found = {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}
    return found, json.loads((folder / "end.json").read_text()), (folder / "log.csv").read_text()


@pytest.mark.parametrize("save_freq", ["3", "epoch"])
def test_killed_training_ends_as_if_it_never_had_been(save_freq, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(whole, save_freq)
    for _ in range(3):
        run(killed, save_freq, kill_after=random.randrange(8, 15))  # an epoch has 7 batches
        assert (killed / "backup" / "training.safetensors").exists()
    run(killed, save_freq)
    expected, found = end(whole), end(killed)
    _, epochs, history = expected[1]
    assert epochs != list(range(9))  # it has been stopped
    assert history["learning_rate"][-1] < 0.8 * history["learning_rate"][0]  # has been on a plateau
    assert found[1] == expected[1]
    assert found[2] == expected[2]
    assert found[0] == expected[0]
    assert not (killed / "backup").exists()


def test_a_file_saved_again_and_again_is_always_whole(tmp_path):
    path = tmp_path / "m.safetensors"
    program = """
        import itertools, sys
        import numpy as np
        from lstmcore import Sequential, layers
        model = Sequential([layers.LSTM(64, input_shape=(5, 3)), layers.Dense(1)])
        for k in itertools.count():
            model.set_weights([np.full(w.shape, k) for w in model.get_weights()])
            model.save(sys.argv[1])
            print(k, flush=True)
    """
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), path], stdout=subprocess.PIPE)
        saved = int(process.stdout.readline())
        for _ in range(random.randrange(12)):
            saved = int(process.stdout.readline())
        time.sleep(random.uniform(0, 0.01))
        process.kill()
        out, _ = process.communicate(timeout=60)
        values = models.load_model(path).parameters.values
        assert (values == values[0]).all()
        assert values[0] >= max([saved, *map(int, out.split())])  # what was reported as saved, or newer
    for name in set(os.listdir(tmp_path)) - {path.name}:
        os.utime(tmp_path / name, (1, 1))
    models.load_model(path).save(path)
    assert os.listdir(tmp_path) == [path.name]


# --- backups within one process ---

X = np.random.default_rng(1).normal(size=(20, 4, 2)).astype("float32")
Y = np.random.default_rng(2).normal(size=(20, 1)).astype("float32")


def make(units=3):
    model = Sequential([LSTM(units, input_shape=(4, 2), dropout=0.1), Dense(1)])
    model.compile("adam", "mse")
    return model


class StopHereError(Exception):
    pass


def interrupt_at(epoch):
    def raise_there(number, logs):
        if number == epoch:
            raise StopHereError

    return callbacks.LambdaCallback(on_epoch_begin=raise_there)


def test_an_exception_leaves_a_backup_to_go_on_from(tmp_path):
    # The example of Keras's documentation, but that the history is whole.
    backup = callbacks.BackupAndRestore(tmp_path / "backup")
    model = make()
    with pytest.raises(StopHereError):
        model.fit(X, Y, epochs=10, callbacks=[backup, interrupt_at(4)], verbose=0)
    steps = model.optimizer.iterations
    history = model.fit(X, Y, epochs=10, callbacks=[backup, interrupt_at(99)], verbose=0)
    assert history.epoch == list(range(10))
    assert model.optimizer.iterations == steps // 4 * 10
    assert not (tmp_path / "backup").exists()


def test_a_backup_of_another_model_changes_nothing(tmp_path):
    backup = callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    make().fit(X, Y, callbacks=[backup], verbose=0)
    for other in (make(units=4), make()):
        if other.count_params() == make().count_params():
            other.compile("sgd", "mse")  # has no state like Adam's
        weights = other.get_weights()
        with pytest.raises(ValueError, match=r"training\.safetensors: "):
            other.fit(X, Y, callbacks=[callbacks.BackupAndRestore(tmp_path)], verbose=0)
        assert all(np.array_equal(a, b) for a, b in zip(other.get_weights(), weights, strict=True))
        assert other.optimizer.iterations == 0
    make().save(tmp_path / "training.safetensors")
    with pytest.raises(ValueError, match="expected a backup of a training, got a file of kind 'model'"):
        make().fit(X, Y, callbacks=[callbacks.BackupAndRestore(tmp_path)], verbose=0)


def batches(count=100):
    while count:
        count -= 1
        yield X[:5], Y[:5]


class Forgetful(callbacks.Callback):
    """Its state cannot be taken up again."""

    def get_state(self):
        return {"a": 1}

    def set_state(self, state):
        raise LookupError("nothing of that name")


def everything(model):
    plain, arrays = model.training_state()
    return plain, {name: array.copy() for name, array in arrays.items()}, model.get_weights()


@pytest.mark.parametrize(
    ("metrics", "data", "more", "text"),
    [
        (["mae"], (X, Y), [], r"metrics: expected the state of loss, mae, got that of loss, mse"),  # of one shape
        ([], (X, Y), [], r"metrics: expected the state of loss, got that of loss, mse"),
        (["mse", "mae"], (X, Y), [], r"metrics: expected the state of loss, mse, mae, got"),
        (["mse"], (batches(),), [], r"x: expected arrays, as in the training that was interrupted, got a generator"),
        (["mse"], ([(X[:5], Y[:5])],), [], r"y: expected targets"),  # before anything is restored
        (["mse"], (X, Y), [Forgetful()], r"LookupError: nothing of that name"),
    ],
)
def test_a_backup_that_a_fit_cannot_go_on_from_changes_nothing(metrics, data, more, text, tmp_path):
    def compiled(metrics):
        model = make()
        model.compile("adam", "mse", metrics=metrics)
        return model

    backup = callbacks.BackupAndRestore(tmp_path, save_freq=3)
    fail = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batch < 3 or [][1])
    with pytest.raises(IndexError):
        compiled(["mse"]).fit(X, Y, batch_size=5, callbacks=[backup, fail, *more], verbose=0)
    model = compiled(metrics)
    model.fit(X, Y, epochs=2, verbose=0)
    before = everything(model)
    file = (tmp_path / "training.safetensors").read_bytes()
    with pytest.raises(ValueError, match=text):
        options = {"batch_size": 5} if len(data) > 1 else {"steps_per_epoch": 4}
        model.fit(*data, **options, callbacks=[backup, *more], verbose=0)
    after = everything(model)
    assert before[0] == after[0]
    for kind in (1, 2):
        pairs = (
            zip(before[kind], after[kind], strict=True)
            if kind == 2
            else [(before[1][name], after[1][name]) for name in before[1].keys() | after[1].keys()]
        )
        assert all(np.array_equal(a, b) for a, b in pairs)
    assert (tmp_path / "training.safetensors").read_bytes() == file


def test_other_data_may_follow_behind_an_epoch(tmp_path):
    backup = callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(StopHereError):
        make().fit(X, Y, epochs=4, callbacks=[backup, interrupt_at(2)], verbose=0)
    history = make().fit(batches(), epochs=4, steps_per_epoch=2, callbacks=[backup], verbose=0)
    assert history.epoch == [0, 1, 2, 3]


@pytest.mark.parametrize("harm", ["damaged", "missing", None])
def test_the_backup_before_the_last_serves_where_the_last_cannot_be_read(harm, tmp_path):
    backup = callbacks.BackupAndRestore(tmp_path / "b", double_checkpoint=True)
    lstmcore.utils.set_random_seed(5)
    whole = make().fit(X, Y, epochs=5, verbose=0)
    lstmcore.utils.set_random_seed(5)
    with pytest.raises(StopHereError):
        make().fit(X, Y, epochs=5, callbacks=[backup, interrupt_at(3)], verbose=0)
    assert sorted(os.listdir(tmp_path / "b")) == ["training.previous.safetensors", "training.safetensors"]
    if harm == "damaged":
        backup.path.write_bytes(backup.path.read_bytes()[:-7])
    elif harm == "missing":  # killed between the two
        backup.path.unlink()
    seen = []
    note = callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = make().fit(X, Y, epochs=5, callbacks=[backup, note], verbose=0)
    assert [str(w.message).split(";")[-1] for w in caught] == (
        [f" goes on from {backup.previous_path}"] if harm == "damaged" else []
    )
    assert seen == ([3, 4] if harm is None else [2, 3, 4])
    assert history.history == whole.history
    assert not (tmp_path / "b").exists()


def test_without_another_backup_the_error_is_that_of_the_last(tmp_path):
    backup = callbacks.BackupAndRestore(tmp_path, double_checkpoint=True)
    for path in (backup.path, backup.previous_path):
        path.write_bytes(b"nothing")
    with (
        pytest.warns(UserWarning, match="goes on from"),
        pytest.raises(ValueError, match=r"previous\.safetensors: not a"),
    ):
        make().fit(X, Y, callbacks=[backup], verbose=0)


def test_nothing_is_left_of_a_backup(tmp_path):
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / f".training.safetensors.{'0a' * 8}.tmp").write_bytes(b"half")  # of a process that was killed
    make().fit(X, Y, callbacks=[callbacks.BackupAndRestore(folder)], verbose=0)
    assert not folder.exists()
    folder.mkdir()
    (folder / "mine").write_bytes(b"")
    make().fit(X, Y, callbacks=[callbacks.BackupAndRestore(folder)], verbose=0)
    assert os.listdir(folder) == ["mine"]


def test_a_backup_is_kept_if_asked(tmp_path):
    keep = callbacks.BackupAndRestore(tmp_path / "b", delete_checkpoint=False, save_before_preemption=True)
    model = make()
    model.fit(X, Y, epochs=3, callbacks=[keep], verbose=0)
    weights = model.get_weights()
    history = model.fit(X, Y, epochs=3, callbacks=[keep], verbose=0)  # has been done already
    assert history.epoch == [0, 1, 2]
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights, strict=True))


def test_arguments_of_a_backup():
    with pytest.raises(ValueError, match="BackupAndRestore: backup_dir: expected the name of a folder"):
        callbacks.BackupAndRestore("")
    with pytest.raises(ValueError, match="BackupAndRestore: save_freq: expected 'epoch' or a number of batches"):
        callbacks.BackupAndRestore("b", save_freq="batch")
