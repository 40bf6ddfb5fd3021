"""What tests of graphs share."""

import numpy as np
import pytest

from lstmcore import Model, layers


def several(value):
    """The arrays of a model with one input or output, or with several."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


class Own(Model):
    """A model with a forward pass of its own, which nothing draws."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def forward(self, inputs, training=False):
        return self.dense(inputs)


def assert_gradients_are_differences(model, x, seed):
    """Gradients of inputs and weights, along a random direction of each, against central differences.

    The weights are random ones; inputs that are no floating-point numbers stay as they are.
    """
    rng = np.random.default_rng(seed)
    for v in model.variables:
        v.assign(0.7 * rng.normal(size=v.shape))
    outputs = several(model(x, training=True))
    d = [rng.normal(size=y.shape) for y in outputs]
    model.parameters.vectors.gradients.fill(0)
    d_inputs = several(model.backward(d if len(d) > 1 else d[0]))

    def loss(arrays):
        y = model(arrays if isinstance(x, list) else arrays[0])
        return sum((part * g).sum() for part, g in zip(several(y), d, strict=True))

    def difference(change, step=1e-5):
        return (change(step) - change(-step)) / (2 * step)

    arrays = several(x)
    for k, gradient in enumerate(d_inputs):
        if arrays[k].dtype.kind != "f":
            continue
        to = rng.normal(size=arrays[k].shape)
        want = difference(lambda s, k=k, to=to: loss([v + s * to if j == k else v for j, v in enumerate(arrays)]))
        assert (0 if gradient is None else (gradient * to).sum()) == pytest.approx(want, rel=1e-5, abs=1e-6)
    for v in model.variables:
        before, to = v.numpy(), rng.normal(size=v.shape)

        def moved(s, v=v, before=before, to=to):
            v.assign(before + s * to)
            return loss(arrays)

        assert (v.gradient * to).sum() == pytest.approx(difference(moved), rel=1e-5, abs=1e-6), v.path
        v.assign(before)
