"""What `bench` runs in a process for each library, so that none meets the threads of another.

``python -m lstmcore.cli.workers torch 2 0.5`` prints as JSON its version and the seconds of each shape.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Call = Callable[[], Any]


class Shape(NamedTuple):
    """A layer and its work; ``train`` is the pass there and back, with the gradients of weights and inputs."""

    name: str
    cell: str
    batch: int
    steps: int
    inputs: int
    units: int
    train: bool

    @property
    def operations(self) -> float:
        """Multiplications and additions of the products, three times as many to train."""
        gates = {"lstm": 4, "gru": 3}[self.cell]
        products = 2.0 * self.batch * self.steps * gates * self.units * (self.inputs + self.units)
        return products * (3 if self.train else 1)


SHAPES = [
    Shape("one step", "lstm", 1, 1, 64, 128, False),
    Shape("forecast", "lstm", 32, 48, 8, 64, False),
    Shape("forecast, training", "lstm", 32, 48, 8, 64, True),
    Shape("text", "lstm", 32, 100, 128, 256, False),
    Shape("text, training", "lstm", 32, 100, 128, 256, True),
    Shape("text, GRU", "gru", 32, 100, 128, 256, False),
]


def lstmcore(shape: Shape, x: Any) -> Call | None:
    """Our function on packed weights; packed anew to train, as training changes them."""
    from .. import functional

    rng = np.random.default_rng(0)
    width = {"lstm": 4, "gru": 3}[shape.cell] * shape.units
    shapes = [(shape.inputs, width), (shape.units, width), (2, width) if shape.cell == "gru" else (width,)]
    weights = [rng.uniform(-0.1, 0.1, s).astype(np.float32) for s in shapes]
    run, pack = getattr(functional, shape.cell), getattr(functional, f"pack_{shape.cell}")
    backward = getattr(functional, f"{shape.cell}_backward")
    packed, dy = pack(weights), np.ones((shape.batch, shape.steps, shape.units), np.float32)
    if shape.train:
        return lambda: backward(run(x, pack(weights, training=True), training=True)[2], dy)
    return lambda: run(x, packed)


def torch(shape: Shape, x: Any) -> Call | None:
    """nn.LSTM or nn.GRU, eager."""
    import torch

    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[shape.cell](shape.inputs, shape.units, batch_first=True)
    inputs = torch.tensor(x, requires_grad=shape.train)

    def infer() -> Any:
        with torch.inference_mode():
            return module(inputs)

    def train() -> Any:
        y = module(inputs)[0]
        return torch.autograd.grad(y, [inputs, *module.parameters()], torch.ones_like(y))

    return train if shape.train else infer


def onnxruntime(shape: Shape, x: Any) -> Call | None:
    """A session of the model that we export."""
    import tempfile

    import onnxruntime

    from .. import Input, Sequential, layers

    if shape.train:
        return None
    layer = {"lstm": layers.LSTM, "gru": layers.GRU}[shape.cell](shape.units, return_sequences=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    with tempfile.TemporaryDirectory() as directory:
        file = os.path.join(directory, "layer.onnx")
        Sequential([Input((shape.steps, shape.inputs)), layer]).export(file)
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: x})


def keras(shape: Shape, x: Any) -> Call | None:
    """Keras's layer, called, with the backend that KERAS_BACKEND says, or the first that is installed."""
    backends = [name for name in ("tensorflow", "torch", "jax") if importlib.util.find_spec(name)]
    os.environ.setdefault("KERAS_BACKEND", (*backends, "numpy")[0])
    import keras

    if shape.train:
        return None
    kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[shape.cell]
    layer = kind(shape.units, return_sequences=True)
    layer.build(x.shape)
    return lambda: keras.ops.convert_to_numpy(layer(x))


LIBRARIES: dict[str, Callable[[Shape, Any], Call | None]] = {
    "lstmcore": lstmcore,
    "torch": torch,
    "onnxruntime": onnxruntime,
    "keras": keras,
}


def measure(library: str, seconds: float) -> dict[str, float]:
    """Return the seconds of the quickest call, by the name of the shape: others on the machine only ever add."""
    result = {}
    for shape in SHAPES:
        x = np.random.default_rng(1).standard_normal((shape.batch, shape.steps, shape.inputs)).astype(np.float32)
        call = LIBRARIES[library](shape, x)
        if call is None:
            continue
        call()  # what is done once
        times: list[float] = []
        end = time.perf_counter() + seconds
        while len(times) < 3 or time.perf_counter() < end:
            before = time.perf_counter()
            call()
            times.append(time.perf_counter() - before)
        result[shape.name] = min(times)
    return result


if __name__ == "__main__":
    from importlib.metadata import version

    from .._config import __version__

    name, seconds = sys.argv[1], float(sys.argv[2])
    of_ours = __version__ if name == "lstmcore" else version(name)
    print(json.dumps({"version": of_ours, "seconds": measure(name, seconds)}))
