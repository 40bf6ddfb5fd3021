"""Problems for the recurrent cells, made from a seed: random arrays in every layout that NumPy can give."""

import copy
import dataclasses

import numpy as np

from lstmcore._options import GRUOptions, LSTMOptions, MinGRUOptions, MinLSTMOptions, RNNOptions, SLSTMOptions

LAYOUTS = ("contiguous", "time-major", "reversed", "broadcast", "every other feature", "unaligned", "read-only")
OPTIONS = {
    "lstm": LSTMOptions,
    "gru": GRUOptions,
    "rnn": RNNOptions,
    "min_gru": MinGRUOptions,
    "min_lstm": MinLSTMOptions,
    "slstm": SLSTMOptions,
}
# All that these three can be told to do otherwise.
MIN_AND_SLSTM = {
    "min_gru": MinGRUOptions(),
    "min_gru, log space": MinGRUOptions(log_space=True),
    "min_lstm": MinLSTMOptions(),
    "min_lstm, log space": MinLSTMOptions(log_space=True),
    "slstm": SLSTMOptions(),
    "slstm, heads": SLSTMOptions(heads=2),
    "slstm, exponential forget": SLSTMOptions(exponential_forget=True),
}


# What the papers say of the cells


def has_recurrent_kernel(options):
    return options.cell not in ("min_gru", "min_lstm")


def gates(options):
    """The number of gates that have weights."""
    if options.cell == "lstm":
        dropped = [not options.input_gate, options.coupled or not options.forget_gate, not options.output_gate]
        return 4 - sum(dropped)
    return {"rnn": 1, "gru": 3, "min_gru": 2, "min_lstm": 3, "slstm": 4}[options.cell]


def state_names(options):
    return {"lstm": ["h", "c"], "slstm": ["h", "c", "n", "m"]}.get(options.cell, ["h"])


def weight_shapes(options, inputs, units, outputs):
    """The shapes of all weights by name, in their order; outputs is the width of h."""
    columns = gates(options) * units
    shapes = {
        "kernel": (inputs, columns),
        "recurrent_kernel": (outputs // getattr(options, "heads", 1), columns),
        "bias": (2, columns) if getattr(options, "reset_after", False) else (columns,),
        "peephole": (3, units),
        "projection": (units, outputs),
        "gain": (2, columns),
        "cell_norm": (2, units),
    }
    layer_norm = getattr(options, "layer_norm", False)
    there = {
        "recurrent_kernel": has_recurrent_kernel(options),
        "peephole": getattr(options, "peepholes", False),
        "projection": getattr(options, "projection", False),
        "gain": layer_norm,
        "cell_norm": layer_norm and options.cell == "lstm",
    }
    return {name: shape for name, shape in shapes.items() if there.get(name, True)}


def whole_heads(options, units):
    """The next number of units that the heads divide."""
    heads = getattr(options, "heads", 1)
    return -(-units // heads) * heads


def possible_state(options, arrays):
    """Of random arrays, a state that the cell may come to: the sLSTM's n counts what it remembers, 1 or more."""
    if options.cell != "slstm":
        return arrays
    h, c, n, m = arrays
    return [h, c, 1 + np.abs(n), m]


def possible_zoneout(options, zoneout):
    """The same, of h alone for the sLSTM, whose c, n and m belong together."""
    return dataclasses.replace(zoneout, c=0.0) if options.cell == "slstm" else zoneout


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
    """Inputs, weights, state and gradients from outside, of one dtype, and how the cell is called with them.

    Parameters
    ----------
    batch, steps, inputs, units, outputs : sizes; units are rounded up to whole heads; outputs is the width of a
        projected h, about half of the units unless given.
    cell, options : a name of OPTIONS, or the options of one, which say which.
    scale : of weights and initial state; a small one keeps the numbers small where the activations don't.
    dropout, recurrent_dropout : "shared" or "per gate" for a random mask.
    lengths, mask : as the cell takes them, or "random".
    zero_output_for_mask, go_backwards : as the cell takes them.
    zoneout : of both h and c where the cell can.
    """

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
        *,
        cell="lstm",
        options=None,
        outputs=None,
        scale=1.0,
        dropout=None,
        recurrent_dropout=None,
        lengths=None,
        mask=None,
        zero_output_for_mask=False,
        go_backwards=False,
        zoneout=None,
    ):
        # What options add is drawn from streams of their own: the rest of a problem stays what it is without them.
        rng, extra, padding = (np.random.default_rng([seed, k]) for k in range(3))

        def normal(*shape, scale=1.0, rng=rng):
            return (scale * rng.standard_normal(shape)).astype(dtype)

        self.sequences = sequences
        self.options = options or OPTIONS[cell]()
        self.cell = self.options.cell
        units = whole_heads(self.options, units)
        projected = getattr(self.options, "projection", False)
        outputs = (outputs or (units + 1) // 2) if projected else units
        shapes = weight_shapes(self.options, inputs, units, outputs)

        self.x = lay_out(normal(batch, steps, inputs), layout)
        weights = {
            name: normal(*shapes[name], scale=scale * shapes[name][0] ** -0.5)
            for name in ("kernel", "recurrent_kernel")
            if name in shapes
        }
        if bias:
            weights["bias"] = normal(*shapes["bias"], scale=0.5 * scale)
        columns = gates(self.options) * units
        further = {
            "peephole": normal(3, units, scale=0.5 * scale, rng=extra),
            "projection": normal(units, outputs, scale=units**-0.5, rng=extra),
            "gain": (scale * (1 + 0.3 * extra.standard_normal((2, columns)))).astype(dtype),
            "cell_norm": (np.array([[1.0], [0.0]]) + 0.3 * extra.standard_normal((2, units))).astype(dtype),
        }
        weights |= {name: array for name, array in further.items() if name in shapes}
        self.weight_names, self.weights = list(weights), list(weights.values())

        self.state_names = state_names(self.options)
        widths = [outputs, *[units] * (len(self.state_names) - 1)]
        self.state = None
        if state:
            self.state = possible_state(self.options, [normal(batch, width, scale=scale) for width in widths])
        self.dy = lay_out(normal(batch, steps, outputs), layout) if sequences else normal(batch, outputs)
        self.d_state = [normal(batch, width) for width in widths]

        def dropout_mask(kind, width):
            copies = {"shared": (), "per gate": (gates(self.options),)}[kind]
            return ((extra.random((*copies, batch, width)) < 0.7) / 0.7).astype(dtype)

        if isinstance(lengths, str):
            lengths = padding.integers(0, steps + 1, batch)
        if isinstance(mask, str):
            mask = padding.random((batch, steps)) < 1.2 * padding.random((batch, 1))  # some rows full, some empty
        self.lengths, self.mask = lengths, mask
        self.dropout_mask = dropout and dropout_mask(dropout, inputs)
        self.recurrent_dropout_mask = recurrent_dropout and dropout_mask(recurrent_dropout, outputs)
        zoneout = zoneout and possible_zoneout(self.options, zoneout)
        self.call = {"zero_output_for_mask": zero_output_for_mask, "go_backwards": go_backwards, "zoneout": zoneout}

    def rows(self, rows):
        """The problem of some of the rows alone. (Zoneout depends on where a row stands.)"""
        part = copy.copy(self)
        part.x, part.dy = self.x[rows], self.dy[rows]
        part.state = self.state and [v[rows] for v in self.state]
        part.d_state = [v[rows] for v in self.d_state]
        for name in ("lengths", "mask"):
            if getattr(self, name) is not None:
                setattr(part, name, np.asarray(getattr(self, name))[rows])
        for name in ("dropout_mask", "recurrent_dropout_mask"):
            if getattr(self, name) is not None:
                setattr(part, name, getattr(self, name)[..., rows, :])
        return part

    def of_cell(self, states):
        """The arrays of a state as the cell's functions take them: all of them, or h itself if it is alone."""
        return states if states is None or len(self.state_names) > 1 else states[0]

    def forward(self, module, dtype=None, weights=None, **more):
        """What the cell's function of functional or reference returns: outputs, state and whatever follows."""
        keywords = {
            "return_sequences": self.sequences,
            "lengths": self.lengths,
            "mask": self.mask,
            "dropout_mask": _cast(self.dropout_mask, dtype),
            **self.call,
        }
        if has_recurrent_kernel(self.options):
            keywords["recurrent_dropout_mask"] = _cast(self.recurrent_dropout_mask, dtype)
        if weights is None:
            weights, keywords["options"] = _cast(self.weights, dtype), self.options
        state = self.of_cell(_cast(self.state, dtype))
        return getattr(module, self.cell)(_cast(self.x, dtype), weights, state, **(keywords | more))

    def backward(self, module, cache, dtype=None, **more):
        """What the cell's backward function returns."""
        d_state = self.of_cell(_cast(self.d_state, dtype))
        return getattr(module, f"{self.cell}_backward")(cache, _cast(self.dy, dtype), d_state, **more)

    def infer(self, module, dtype=None, **more):
        """Return outputs and states by name, without training."""
        y, state = self.forward(module, dtype, **more)
        return self._named({"outputs": y}, "", state)

    def gradients(self, d_inputs, d_weights, d_initial):
        """What the backward function returns, by name."""
        result = {} if d_inputs is None else {"d_inputs": d_inputs}
        result |= {f"d_{name}": d for name, d in zip(self.weight_names, d_weights, strict=True)}
        assert (d_initial is None) == (self.state is None)
        return result if d_initial is None else self._named(result, "d_", d_initial)

    def run(self, module, dtype=None):
        """Return outputs, states and all gradients by name, from functional or reference, in dtype."""
        y, state, cache = self.forward(module, dtype, training=True)
        return self._named({"outputs": y}, "", state) | self.gradients(*self.backward(module, cache, dtype))

    def _named(self, result, prefix, state):
        arrays = state if len(self.state_names) > 1 else (state,)
        return result | {prefix + name: array for name, array in zip(self.state_names, arrays, strict=True)}


def _cast(arrays, dtype):
    if arrays is None or dtype is None:
        return arrays
    return arrays.astype(dtype) if isinstance(arrays, np.ndarray) else [a.astype(dtype) for a in arrays]


def relative_errors(got, want, floor=0.0):
    """Largest errors by name, relative to the largest expected value, or to `floor` times that of all arrays."""
    assert got.keys() == want.keys()
    largest = {name: np.abs(expected).max(initial=0) for name, expected in want.items()}
    least = max(1e-30, floor * max(largest.values()))
    errors = {}
    for name, expected in want.items():
        assert got[name].shape == expected.shape, name
        if expected.size:
            errors[name] = np.abs(got[name] - expected).max() / max(largest[name], least)
    return errors


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name, strict=True)
