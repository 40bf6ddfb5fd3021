"""LSTM problems for the tests, made from a seed: random arrays in every layout that NumPy can give."""

import numpy as np

LAYOUTS = ("contiguous", "time-major", "reversed", "broadcast", "every other feature", "unaligned", "read-only")


def lay_out(x, layout):
    """Return an array equal to x, or near it for "broadcast", laid out otherwise in memory."""
    if layout == "time-major":
        return np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    if layout == "reversed":
        return np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    if layout == "broadcast":
        return np.broadcast_to(x[:, :1], x.shape)
    if layout == "every other feature":
        wide = np.zeros((*x.shape[:2], 2 * x.shape[2]), x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "unaligned":
        memory = np.zeros(x.nbytes + 1, np.uint8)
        view = memory[1:].view(x.dtype).reshape(x.shape)
        view[...] = x
        return view
    if layout == "read-only":
        x = x.copy()
        x.flags.writeable = False
    return x


class Problem:
    """Inputs, weights, state and gradients from outside, of one dtype."""

    def __init__(
        self,
        batch,
        steps,
        inputs,
        units,
        dtype="float32",
        seed=0,
        bias=True,
        state=True,
        sequences=True,
        layout="contiguous",
    ):
        rng = np.random.default_rng(seed)

        def normal(*shape, scale=1.0):
            return (scale * rng.standard_normal(shape)).astype(dtype)

        self.sequences = sequences
        self.x = lay_out(normal(batch, steps, inputs), layout)
        self.weights = [
            normal(inputs, 4 * units, scale=inputs**-0.5),
            normal(units, 4 * units, scale=units**-0.5),
        ]
        if bias:
            self.weights.append(normal(4 * units, scale=0.5))
        self.state = [normal(batch, units), normal(batch, units)] if state else None
        self.dy = lay_out(normal(batch, steps, units), layout) if sequences else normal(batch, units)
        self.d_state = [normal(batch, units), normal(batch, units)]

    def run(self, module, dtype=None):
        """Return outputs, states and all gradients by name, from functional or reference, in dtype."""

        def cast(a):
            return a if a is None or dtype is None else [v.astype(dtype) for v in a]

        (x,), weights, state = cast([self.x]) or [self.x], cast(self.weights), cast(self.state)
        y, (h, c), cache = module.lstm(x, weights, state, return_sequences=self.sequences, training=True)
        (dy,), d_state = cast([self.dy]) or [self.dy], cast(self.d_state)
        dx, d_weights, d_initial = module.lstm_backward(cache, dy, d_state)
        result = {"outputs": y, "h": h, "c": c, "d_inputs": dx, "d_kernel": d_weights[0], "d_recurrent": d_weights[1]}
        if len(self.weights) == 3:
            result["d_bias"] = d_weights[2]
        if self.state is not None:
            result["d_h"], result["d_c"] = d_initial
        return result


def relative_errors(got, want):
    """Largest errors by name, relative to the largest of the expected values."""
    assert got.keys() == want.keys()
    errors = {}
    for name, expected in want.items():
        assert got[name].shape == expected.shape, name
        if expected.size:
            errors[name] = np.abs(got[name] - expected).max() / max(np.abs(expected).max(), 1e-30)
    return errors


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name, strict=True)
