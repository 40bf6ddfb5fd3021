"""The libraries measured, each as a class that makes a function of no arguments out of a cell.

``prepare`` returns that function; what it returns, when called, is what the library computed:
the outputs and, when training, the gradient of the inputs, as NumPy arrays would be made of them by
``result``, outside the measured time.
"""

# Each peer is imported only in its own process, once the threads are set.
from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from cells import Cell

Arrays = dict[str, np.ndarray]
Call = Callable[[], Any]


class LstmCore:
    """lstmcore; until it has a bidirectional layer, two directions are two calls."""

    name = "lstmcore"

    def __init__(self, threads: int) -> None:
        import lstmcore
        from lstmcore import functional

        self.version = lstmcore.__version__
        lstmcore.set_num_threads(threads)
        self.functional = functional

    def prepare(self, cell: Cell, arrays: Arrays) -> Call:
        """Weights are packed once to infer, and again in every step to train, as training changes them."""
        lstm, backward, pack = self.functional.lstm, self.functional.lstm_backward, self.functional.pack_lstm
        x, dy, h = arrays["x"], arrays["dy"], cell.units
        both = range(cell.directions)
        weights = [
            [[arrays[f"{n}.{layer}.{d}"] for n in ("kernel", "recurrent", "bias")] for d in both]
            for layer in range(cell.layers)
        ]
        state = [np.zeros((cell.batch, h), np.float32)] * 2

        def flip(a: np.ndarray, direction: int) -> np.ndarray:
            return a[:, ::-1] if direction else a

        def join(parts: list[np.ndarray]) -> np.ndarray:
            return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

        if not cell.train:
            packed = [[pack(w) for w in layer] for layer in weights]
            if cell.directions == 1 and cell.layers == 1:
                only = packed[0][0]
                return lambda: (lstm(x, only, state)[0],)

            def infer() -> tuple[np.ndarray]:
                y = x
                for layer in packed:
                    y = join([flip(lstm(flip(y, d), layer[d], state)[0], d) for d in both])
                return (y,)

            return infer

        def train() -> tuple[np.ndarray, np.ndarray]:
            y, caches = x, []
            for layer in weights:
                runs = [lstm(flip(y, d), pack(layer[d], training=True), state, training=True) for d in both]
                y = join([flip(runs[d][0], d) for d in both])
                caches.append([run[2] for run in runs])
            gradient = dy
            for layer_caches in reversed(caches):
                parts = [backward(layer_caches[d], flip(gradient[..., d * h : d * h + h], d))[0] for d in both]
                gradient = parts[0] if len(parts) == 1 else parts[0] + flip(parts[1], 1)
            return y, gradient

        return train

    def result(self, value: Any) -> list[np.ndarray]:
        """Return outputs and gradient as arrays."""
        return list(value)


class Torch:
    """PyTorch's nn.LSTM, eager; inference_mode to infer."""

    name = "torch"

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.torch, self.version = torch, torch.__version__

    def prepare(self, cell: Cell, arrays: Arrays) -> Call:
        """Keras's gate order is PyTorch's; the second bias is zero."""
        torch = self.torch
        module = torch.nn.LSTM(
            cell.inputs, cell.units, cell.layers, batch_first=True, bidirectional=cell.directions == 2
        )
        with torch.no_grad():
            for layer in range(cell.layers):
                for d in range(cell.directions):
                    end = f"_l{layer}" + ("_reverse" if d else "")
                    getattr(module, "weight_ih" + end).copy_(torch.tensor(arrays[f"kernel.{layer}.{d}"].T))
                    getattr(module, "weight_hh" + end).copy_(torch.tensor(arrays[f"recurrent.{layer}.{d}"].T))
                    getattr(module, "bias_ih" + end).copy_(torch.tensor(arrays[f"bias.{layer}.{d}"]))
                    getattr(module, "bias_hh" + end).zero_()
        x, dy = torch.tensor(arrays["x"], requires_grad=cell.train), torch.tensor(arrays["dy"])
        state = (torch.zeros(cell.layers * cell.directions, cell.batch, cell.units),) * 2
        wanted = [x, *module.parameters()]

        def infer() -> Any:
            with torch.inference_mode():
                return (module(x, state)[0],)

        def train() -> Any:
            y, _ = module(x, state)
            return y, torch.autograd.grad(y, wanted, dy)[0]

        return train if cell.train else infer

    def result(self, value: Any) -> list[np.ndarray]:
        """Return outputs and gradient as arrays."""
        return [v.detach().numpy() for v in value]


def onnx_model(cell: Cell, arrays: Arrays) -> bytes:
    """The cell as ONNX LSTM operators; gates there go i, o, f, c."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    h, both = cell.units, range(cell.directions)
    order = np.concatenate([np.arange(h) + g * h for g in (0, 3, 1, 2)])
    nodes, initializers, current = [], [], "x"
    for layer in range(cell.layers):

        def stacked(name: str, function: Any, layer: int = layer) -> str:
            value = np.stack([function(arrays[f"{name}.{layer}.{d}"]) for d in both])
            initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), f"{name}{layer}"))
            return f"{name}{layer}"

        nodes.append(helper.make_node("Transpose", [current], [f"t{layer}"], perm=[1, 0, 2]))
        nodes.append(
            helper.make_node(
                "LSTM",
                [
                    f"t{layer}",
                    stacked("kernel", lambda w: w.T[order]),
                    stacked("recurrent", lambda w: w.T[order]),
                    stacked("bias", lambda b: np.concatenate([b[order], np.zeros(4 * h, np.float32)])),
                ],
                [f"y{layer}"],
                hidden_size=h,
                direction="bidirectional" if cell.directions == 2 else "forward",
            )
        )
        # (steps, directions, batch, units) -> (batch, steps, directions * units)
        nodes.append(helper.make_node("Transpose", [f"y{layer}"], [f"u{layer}"], perm=[2, 0, 1, 3]))
        initializers.append(
            numpy_helper.from_array(np.array([cell.batch, cell.steps, cell.directions * h]), f"shape{layer}")
        )
        current = f"r{layer}"
        nodes.append(helper.make_node("Reshape", [f"u{layer}", f"shape{layer}"], [current]))
    graph = helper.make_graph(
        nodes,
        "lstm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, arrays["x"].shape)],
        [helper.make_tensor_value_info(current, TensorProto.FLOAT, arrays["dy"].shape)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class OnnxRuntime:
    """ONNX Runtime on the LSTM operator; does not train."""

    name = "onnxruntime"

    def __init__(self, threads: int) -> None:
        import onnx  # noqa: F401 - needed to make the model: absent, this peer is too
        import onnxruntime

        self.ort, self.version, self.threads = onnxruntime, onnxruntime.__version__, threads

    def prepare(self, cell: Cell, arrays: Arrays) -> Call | None:
        """A session with its own default spinning."""
        if cell.train:
            return None
        options = self.ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        session = self.ort.InferenceSession(onnx_model(cell, arrays), options, providers=["CPUExecutionProvider"])
        feeds = {"x": arrays["x"]}
        return lambda: session.run(None, feeds)

    def result(self, value: Any) -> list[np.ndarray]:
        """Return the outputs."""
        return list(value)


class OpenVino:
    """OpenVINO on the same ONNX model, latency hint, float32; does not train."""

    name = "openvino"

    def __init__(self, threads: int) -> None:
        import onnx  # noqa: F401
        import openvino

        self.ov, self.version, self.threads = openvino, openvino.__version__.split("-")[0], threads

    def prepare(self, cell: Cell, arrays: Arrays) -> Call | None:
        """Compile for latency and reuse one request."""
        if cell.train:
            return None
        core = self.ov.Core()
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": self.threads,
        }
        compiled = core.compile_model(core.read_model(onnx_model(cell, arrays)), "CPU", config)
        request, x = compiled.create_infer_request(), arrays["x"]
        return lambda: request.infer([x], share_inputs=True, share_outputs=True)

    def result(self, value: Any) -> list[np.ndarray]:
        """Return the outputs."""
        return [np.array(value[0])]


class TensorFlow:
    """Keras's LSTM on TensorFlow in a tf.function."""

    name = "tensorflow"

    def __init__(self, threads: int) -> None:
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import keras
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self.tf, self.keras, self.version = tf, keras, tf.__version__

    def prepare(self, cell: Cell, arrays: Arrays) -> Call:
        """The same weights as ours, in the same layout."""
        tf, keras = self.tf, self.keras
        layers = []
        for _ in range(cell.layers):
            one = keras.layers.LSTM(cell.units, return_sequences=True)
            layers.append(keras.layers.Bidirectional(one) if cell.directions == 2 else one)
        model = keras.Sequential([keras.Input((cell.steps, cell.inputs), batch_size=cell.batch), *layers])
        model.set_weights(
            [
                arrays[f"{name}.{layer}.{d}"]
                for layer in range(cell.layers)
                for d in range(cell.directions)
                for name in ("kernel", "recurrent", "bias")
            ]
        )
        x, dy = tf.constant(arrays["x"]), tf.constant(arrays["dy"])

        @tf.function
        def infer() -> Any:
            return (model(x),)

        @tf.function
        def train() -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = model(x, training=True)
            return y, *tape.gradient(y, [x, *model.trainable_variables], output_gradients=dy)

        return train if cell.train else infer

    def result(self, value: Any) -> list[np.ndarray]:
        """Return outputs and gradient as arrays."""
        return [v.numpy() for v in value[:2]]


class Jax:
    """JAX: lax.scan over the equations, compiled."""

    name = "jax"

    def __init__(self, threads: int) -> None:
        if threads == 1:
            flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
            os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"
        import jax

        jax.config.update("jax_platforms", "cpu")
        self.jax, self.version = jax, jax.__version__

    def prepare(self, cell: Cell, arrays: Arrays) -> Call:
        """The input projection of all steps is one product before the scan."""
        jax, jnp = self.jax, self.jax.numpy
        h, both = cell.units, range(cell.directions)
        weights = {k: jnp.asarray(v) for k, v in arrays.items() if k not in ("x", "dy")}
        x, dy = jnp.asarray(arrays["x"]), jnp.asarray(arrays["dy"])

        def direction(y: Any, w: Any, layer: int, d: int) -> Any:
            kernel, recurrent, bias = (w[f"{n}.{layer}.{d}"] for n in ("kernel", "recurrent", "bias"))
            projected = jnp.swapaxes(y @ kernel + bias, 0, 1)

            def step(carry: Any, p: Any) -> Any:
                i, f, g, o = jnp.split(p + carry[0] @ recurrent, 4, axis=1)
                c = jax.nn.sigmoid(f) * carry[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
                out = jax.nn.sigmoid(o) * jnp.tanh(c)
                return (out, c), out

            zero = jnp.zeros((cell.batch, h), jnp.float32)
            return jnp.swapaxes(jax.lax.scan(step, (zero, zero), projected, reverse=bool(d))[1], 0, 1)

        def network(x: Any, w: Any) -> Any:
            for layer in range(cell.layers):
                x = jnp.concatenate([direction(x, w, layer, d) for d in both], axis=2)
            return x

        @jax.jit
        def infer(x: Any, w: Any) -> Any:
            return (network(x, w),)

        @jax.jit
        def train(x: Any, w: Any, dy: Any) -> Any:
            y, pull = jax.vjp(network, x, w)
            return y, *pull(dy)

        if cell.train:
            return lambda: jax.block_until_ready(train(x, weights, dy))
        return lambda: jax.block_until_ready(infer(x, weights))

    def result(self, value: Any) -> list[np.ndarray]:
        """Return outputs and gradient as arrays."""
        return [np.asarray(v) for v in value[:2]]


PEERS = {peer.name: peer for peer in (LstmCore, Torch, OnnxRuntime, OpenVino, TensorFlow, Jax)}
