"""What the tests of the layers share: random numbers, layers with random weights, gradients by differences."""

import numpy as np

import lstmcore
from lstmcore.layers import Cell
from lstmcore.variables import Parameters, Variable


class Elman(Cell):
    """`SimpleRNN`'s cell, in NumPy."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.w = self.add_weight("kernel", (input_shape[-1], self.units), "glorot_uniform")
        self.r = self.add_weight("recurrent_kernel", (self.units, self.units), "orthogonal")
        self.b = self.add_weight("bias", (self.units,), "zeros")

    def forward(self, inputs, states):
        h = np.tanh(inputs @ self.w.value + states[0] @ self.r.value + self.b.value)
        return h, [h], (inputs, states[0], h)

    def backward(self, saved, d_output, d_states):
        x, h_prev, h = saved
        d = (d_output + d_states[0]) * (1 - h * h)
        self.w.gradient += x.T @ d
        self.r.gradient += h_prev.T @ d
        self.b.gradient += d.sum(0)
        return d @ self.w.value.T, [d @ self.r.value.T]


def numbers(*shape, seed=0, dtype="float64"):
    """Normal random numbers, others for every shape and seed."""
    return np.random.default_rng([*shape, seed]).standard_normal(shape).astype(dtype)


def with_weights(layer, features, seed=0, scale=0.5):
    """The layer, built for so many features and with random numbers in all its weights, zeros and ones included."""
    layer.ensure_built((None, None, features))
    layer.set_weights([scale * numbers(*w.shape, seed=seed + k) for k, w in enumerate(layer.get_weights())])
    return layer


def set_values(weights, values, index=...):
    """Set the values of `Parameters` or a `Variable`, or one of them."""
    if isinstance(weights, Variable):
        changed = weights.numpy()
        changed[index] = values
        weights.assign(changed)
    else:
        with weights.vectors.writing() as vector:
            vector[index] = values


def by_differences(loss, where, step=1e-6):
    """The gradient of ``loss()`` with respect to an array, `Variable` or `Parameters` that it reads, by central
    differences; they are put back.
    """
    array = where.value if isinstance(where, Variable) else where.values if isinstance(where, Parameters) else where

    def put(index, value):
        if array is where:
            array[index] = value
        else:
            set_values(where, value, index)

    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        value = array[index]
        put(index, value + step)
        above = loss()
        put(index, value - step)
        gradient[index] = (above - loss()) / (2 * step)
        put(index, value)
    return gradient


def assert_gradients_by_differences(layer, inputs, initial_state=None, **options):
    """Hold the gradients of a layer, of float64, against differences of its own forward pass.

    The loss is a random weighting of all that the layer returns: outputs, and states with ``return_state``.
    """

    def run(training=False):
        result = layer(
            inputs, training=training, **({} if initial_state is None else {"initial_state": initial_state}), **options
        )
        return list(result) if isinstance(result, (tuple, list)) else [result]

    def loss():
        return sum((w * part).sum() for w, part in zip(weights, run(), strict=True))

    weights = [numbers(*part.shape, seed=50 + k) for k, part in enumerate(run())]
    for variable in layer.variables:
        variable.gradient.fill(0)
    run(training=True)
    states = weights[1:] if getattr(layer, "return_state", False) else []
    d_outputs = weights if len(weights) > 1 and not states else weights[0]
    d_inputs = layer.backward(d_outputs, d_state=states) if states else layer.backward(d_outputs)
    pairs = [("inputs", inputs, d_inputs)]
    pairs += [(v.path, v, v.gradient) for v in layer.variables]
    if initial_state is not None:
        pairs += [("initial_state", s, d) for s, d in zip(initial_state, layer.d_initial_state, strict=True)]
    for name, array, got in pairs:
        # Central differences leave an error of about step^2 = 1e-12, and rounding about 1e-16 / step = 1e-10, both
        # times the size of the loss and its derivatives, which is some tens.
        np.testing.assert_allclose(got, by_differences(loss, array), rtol=1e-6, atol=1e-8, err_msg=name)


def with_threads(compute):
    """Return what is computed with one thread and with two."""
    before, found = lstmcore.get_num_threads(), []
    try:
        for threads in (1, 2):
            lstmcore.set_num_threads(threads)
            found.append(compute())
    finally:
        lstmcore.set_num_threads(before)
    return found
