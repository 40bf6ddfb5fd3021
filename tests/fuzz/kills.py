"""SIGKILL at any moment: training that is started again ends with the bits of one that never was killed."""

import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PROGRAM = """
import os, sys
import numpy as np
from lstmcore import Sequential, callbacks, layers, losses, optimizers, utils

folder, seed, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
utils.set_random_seed(first)  # of no matter once a backup is restored
rng = np.random.default_rng(seed)
kind = [layers.LSTM, layers.GRU, layers.SimpleRNN, layers.SLSTM, layers.MinGRU][rng.integers(5)]
rate = float(rng.choice([0.0, 0.2]))
of_h = {"zoneout" if kind is layers.MinGRU else "recurrent_dropout": rate}
recurrent = kind(int(rng.integers(2, 9)), dropout=rate, input_shape=(5, 3), **of_h)
wrapped = layers.Bidirectional(kind(4, dropout=rate), input_shape=(5, 3))
model = Sequential([[recurrent, wrapped][rng.integers(2)], layers.Dropout(0.1), layers.Dense(1)])
model.build((None, 5, 3))
name = str(rng.choice(["sgd", "adam", "rmsprop", "nadam", "lion"]))
model.compile(name, "mse", metrics=["mae"])
x = rng.standard_normal((40, 5, 3)).astype("float32")
y = x.sum((1, 2))[:, None]
freq = [1, 2, 3, 7, "epoch"][rng.integers(5)]


def save(logs):  # before the backup is removed, and whole
    np.save(folder + "/part.npy", np.concatenate([w.ravel() for w in model.get_weights()]))
    os.replace(folder + "/part.npy", folder + "/end.npy")


model.fit(x, y, batch_size=int(rng.integers(3, 9)), epochs=6, validation_split=0.2, verbose=0,
          callbacks=[callbacks.LambdaCallback(on_train_end=save),
                     callbacks.BackupAndRestore(folder + "/backup", save_freq=freq),
                     callbacks.LambdaCallback(on_train_batch_end=lambda *_: print("batch", flush=True))])
"""


def run(folder, seed, first, kill_after=None):
    """Run the program, or kill it so many seconds after its first batch; return whether training ended."""
    command = [sys.executable, "-c", PROGRAM, folder, str(seed), str(first)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if kill_after is not None:
        process.stdout.readline()
        time.sleep(kill_after)
        process.kill()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0 or kill_after is not None, errors.decode()
    return Path(folder, "end.npy").exists()


def case(rng):
    seed = int(rng.integers(2**31))
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as killed:
        run(whole, seed, 7)
        first = 7
        for _ in range(int(rng.integers(1, 4))):
            if run(killed, seed, first, kill_after=float(rng.uniform(0, 0.05))):
                break
            # Killed before the first backup, or after the last was removed, it begins again as it had begun.
            first = int(rng.integers(2**31)) if _begun(killed) else 7
        else:
            run(killed, seed, first)
        want, got = (np.load(f"{folder}/end.npy") for folder in (whole, killed))
        assert hashlib.sha256(want.tobytes()).digest() == hashlib.sha256(got.tobytes()).digest()


def _begun(folder):
    return any(Path(folder, "backup").glob("*.safetensors"))
