"""What the tests of Keras's files share: models for Keras and for us from one description, and their outputs."""

import numpy as np

# One step of float32 in sums of some dozen products, through several layers.
NEAR = {"rtol": 2e-5, "atol": 2e-6}


def outputs_of(model, inputs):
    result = model.predict(inputs, verbose=0)
    if isinstance(result, dict):
        return [result[name] for name in sorted(result)]
    return list(result) if isinstance(result, (list, tuple)) else [result]


def agree(first, second, inputs, tolerance=NEAR):
    pairs = zip(outputs_of(first, inputs), outputs_of(second, inputs), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, **tolerance)


def with_random_weights(model, seed=0):
    rng = np.random.default_rng(seed)
    # Positive, for some are variances.
    model.set_weights([rng.uniform(0.05, 0.6, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def made(package, described):
    """Return the layer of (class, arguments), from Keras's layers or ours; arguments may be such layers."""
    cls, arguments = described
    within = {}
    for key, value in arguments.items():
        if isinstance(value, tuple) and isinstance(value[0], str):
            within[key] = made(package, value)
        elif isinstance(value, list) and isinstance(value[0], tuple):
            within[key] = [made(package, one) for one in value]
    return getattr(package, cls)(**arguments | within)


def some(shape=(4, 6, 3), seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")
