"""What tests/test_mpi.py starts with mpiexec: a training, and what goes wrong in it if the first argument says so."""

import hashlib
import os
import signal
import sys

import numpy as np

import lstmcore
from lstmcore import Sequential, callbacks, layers
from lstmcore.distributed import MPI


class At(callbacks.Callback):
    """Does something on one process, after so many steps."""

    def __init__(self, rank, step, action):
        super().__init__()
        self.rank_of, self.step, self.action, self.seen = rank, step, action, 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == self.step and self.model.distribution.communicator.rank == self.rank_of:
            self.action()


def fail():
    raise ValueError("of my own")


def hang():
    signal.pause()


ACTIONS = {"raise": fail, "hang": hang, "kill": lambda: os.kill(os.getpid(), signal.SIGKILL)}


def main(what, folder):
    lstmcore.utils.set_random_seed(5)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5, 3)).astype("f4"), rng.normal(size=(40, 1)).astype("f4")
    model = Sequential(
        [
            layers.LSTM(6, dropout=0.2, input_shape=(None, 3), return_sequences=True),
            layers.BatchNormalization(),
            layers.GRU(4),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"], distribute=MPI(shards=8, timeout=2.0 if what == "hang" else 60.0))
    hooks = [callbacks.BackupAndRestore(folder, save_freq=1)] if folder else []
    name, _, step = what.partition(":")
    if name in ACTIONS:
        hooks.append(At(1, int(step or 3), ACTIONS[name]))
    history = model.fit(x, y, batch_size=16, epochs=3, verbose=2, validation_split=0.1, callbacks=hooks).history
    predicted = model.predict(x, verbose=0)
    bits = b"".join(array.tobytes() for array in (*model.get_weights(), predicted)) + repr(history).encode()
    wire, size = model.distribution.communicator, sum(w.nbytes for w in model.get_weights())
    told = wire.gather((hashlib.sha256(bits).hexdigest(), getattr(wire, "sent", 0) / (9 * size)))  # in 9 steps
    if wire.rank == 0:
        print(*(f"bits {digest} {share}\n" for digest, share in told))


main(*sys.argv[1:])
