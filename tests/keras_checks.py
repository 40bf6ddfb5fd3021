"""What `test_keras_accelerated.py` checks, once for each backend of Keras, in a process of its own.

Prints a line of JSON for each check: its name, and the traceback if it failed. Expected values are Keras's own.
"""

import contextlib
import itertools
import json
import sys
import traceback

import keras
import numpy as np

import lstmcore.keras as ours

BACKEND = keras.backend.backend()
KINDS = ("LSTM", "GRU", "SimpleRNN")
# Rounding of some tens of terms, through some steps, relative to the largest value. Keras's own products of float64 are
# rounded to float32, but for those of its loops without masks on PyTorch; so are the constants of its hard_sigmoid.
ROUNDING = {"float32": 3e-5, "float64": 1e-11}
array = keras.ops.convert_to_numpy


def weights_of_loss(results):
    """Numbers that give each result a gradient of its own."""
    return [np.linspace(-1, 1, int(np.prod(r.shape)), dtype="float64").reshape(r.shape) for r in results]


def loss_of(results):
    parts = zip(results, weights_of_loss(results), strict=True)
    return sum(keras.ops.sum(keras.ops.sin(r * keras.ops.convert_to_tensor(w, dtype=r.dtype))) for r, w in parts)


def everything(layer, x, **arguments):
    """Outputs, states and, where the backend has them, gradients of inputs, initial states and weights."""
    return (with_torch if BACKEND == "torch" else with_jax if BACKEND == "jax" else results_of)(layer, x, **arguments)


def results_of(layer, x, initial_state=None, mask=None, training=False):
    x, *state = (keras.ops.convert_to_tensor(a, dtype=str(a.dtype)) for a in (x, *(initial_state or ())))
    state = None if initial_state is None else state
    arguments = {} if mask is None else {"mask": keras.ops.convert_to_tensor(mask)}
    results = layer(x, initial_state=state, training=training, **arguments)
    return list(map(array, keras.tree.flatten(results)))


def with_torch(layer, x, initial_state=None, mask=None, training=False):
    import torch

    leaves = [torch.from_numpy(a.copy()).requires_grad_() for a in (x, *(initial_state or ()))]
    arguments = {} if mask is None else {"mask": torch.from_numpy(mask)}
    state = None if initial_state is None else leaves[1:]
    layer.zero_grad()
    results = keras.tree.flatten(layer(leaves[0], initial_state=state, training=training, **arguments))
    loss_of(results).backward()
    gradients = [t.grad for t in (*leaves, *(w.value for w in layer.trainable_variables))]
    return [array(t.detach()) for t in (*results, *gradients)]


def with_jax(layer, x, initial_state=None, mask=None, training=False):
    import jax

    fixed = [v.value for v in layer.non_trainable_variables]

    def loss(trainable, x, state):
        arguments = {} if mask is None else {"mask": jax.numpy.asarray(mask)}
        results, _ = layer.stateless_call(
            trainable, fixed, x, initial_state=state, training=training, return_losses=False, **arguments
        )
        results = keras.tree.flatten(results)
        return loss_of(results), results

    trainable = [v.value for v in layer.trainable_variables]
    operands = jax.numpy.asarray(x), None if initial_state is None else list(map(jax.numpy.asarray, initial_state))
    both = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))
    (_, results), gradients = both(trainable, *operands)
    return [np.asarray(a) for a in (*results, *jax.tree.leaves(gradients))]


@contextlib.contextmanager
def same_random_numbers(layer):
    """Seeds as they were, so that the next call draws the same."""
    seeds = [v for v in layer.non_trainable_variables if "seed" in v.path]
    before = [array(v).copy() for v in seeds]
    yield
    for variable, value in zip(seeds, before, strict=True):
        variable.assign(value)


def assert_close(got, want, why="", tolerance=ROUNDING["float32"]):
    assert len(got) == len(want), why
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        assert g.shape == w.shape, (why, k, g.shape, w.shape)
        assert g.dtype == w.dtype, (why, k, g.dtype, w.dtype)
        error = np.abs(g - w).max(initial=0) / max(1, np.abs(w).max(initial=0))
        assert error <= tolerance, (why, k, error)


def assert_same(layer, x, why="", kept=False, tolerance=ROUNDING["float32"], **arguments):
    """What a layer gives is what Keras gives, and none or all of it went through Keras."""
    with same_random_numbers(layer):
        want = everything(layer, x, **arguments)
    with ours.accelerate() as acceleration:
        got = everything(layer, x, **arguments)
    assert_close(got, want, why, tolerance)
    assert bool(acceleration.accelerated) != kept, (why, acceleration)
    assert bool(acceleration.kept) == kept, (why, acceleration)
    return acceleration


def padding(random, batch, steps):
    """A mask with gaps, whose first row is padding alone and whose second has padding in front and behind."""
    mask = random.random((batch, steps)) > 0.4
    mask[0] = False
    mask[1:2] = (np.arange(steps) > 1) & (np.arange(steps) < steps - 1)
    return mask


def drawn(random):
    """A layer, its inputs and the other arguments of its call, and what was drawn in words."""

    def one_of(*choices):
        return choices[random.integers(len(choices))]

    kind, dtype = one_of(*KINDS), one_of("float32", "float32", "float64")
    if BACKEND == "jax":
        dtype = "float32"  # Keras's loop fails with float64, whose products it rounds
    units, inputs, batch, steps = (int(random.integers(1, most)) for most in (20, 7, 6, 10))
    flags = ("use_bias", "return_sequences", "return_state", "go_backwards", "zero_output_for_mask")
    options = {flag: bool(random.integers(2)) for flag in flags}
    options["activation"] = one_of("tanh", "tanh", "relu", "softsign", None)
    if kind != "SimpleRNN":
        options["recurrent_activation"] = one_of("sigmoid", "sigmoid", "hard_sigmoid")
    if kind == "GRU":
        options["reset_after"] = one_of(True, False)
    training = one_of(True, False)
    if training:
        options["dropout"], options["recurrent_dropout"] = one_of((0, 0), (0.3, 0), (0, 0.3), (0.3, 0.3))
    arguments = {"training": training}
    if one_of(True, False):
        arguments["mask"] = padding(random, batch, steps)
    else:
        options["unroll"] = one_of(True, False, False)
    if one_of(True, False):
        count = 2 if kind == "LSTM" else 1
        arguments["initial_state"] = [random.standard_normal((batch, units)).astype(dtype) for _ in range(count)]
    layer = getattr(keras.layers, kind)(units, dtype=dtype, seed=int(random.integers(1000)), **options)
    x = random.standard_normal((batch, steps, inputs)).astype(dtype)
    layer.build(x.shape)
    for weight in layer.trainable_variables:  # biases too; so small that without an activation states do not grow
        weight.assign(0.25 * random.standard_normal(weight.shape))
    return layer, x, arguments, f"{kind} {x.shape} {options} {sorted(arguments)}"


def check_the_numbers_are_those_of_keras():
    for seed in range(12 if BACKEND == "jax" else 80):  # JAX compiles each
        layer, x, arguments, words = drawn(np.random.default_rng(seed))
        exact = BACKEND == "torch" and not isinstance(layer, keras.layers.SimpleRNN) and x.dtype == "float64"
        exact = exact and "mask" not in arguments and not layer.recurrent_dropout and layer.cell.implementation == 2
        exact = exact and getattr(layer.cell, "reset_after", True) and "hard_sigmoid" not in words
        tolerance = ROUNDING["float64"] if exact else ROUNDING["float32"]
        assert_same(layer, x, f"{seed}: {words}", tolerance=tolerance, **arguments)


def check_float64_is_exact():
    random = np.random.default_rng(0)
    x, h = random.standard_normal((3, 6, 4)), random.standard_normal((3, 5))
    layer = keras.layers.SimpleRNN(5, dtype="float64")
    layer.build(x.shape)
    for weight in layer.trainable_variables:  # which the NumPy backend makes of float32
        weight.assign(random.standard_normal(weight.shape))
    kernel, recurrent, bias = (array(w) for w in layer.trainable_variables)
    with ours.accelerate():
        (got,) = results_of(layer, x, initial_state=[h])
    for step in range(6):
        h = np.tanh(x[:, step] @ kernel + h @ recurrent + bias)
    assert np.abs(got - h).max() < ROUNDING["float64"]


def check_padding_with_initial_states():
    # What a backend returns before the first valid step, with every way to return it.
    random = np.random.default_rng(0)
    x, mask = random.standard_normal((4, 6, 3)).astype("float32"), padding(random, 4, 6)
    for kind in KINDS:
        state = [random.standard_normal((4, 5)).astype("float32") for _ in range(1 + (kind == "LSTM"))]
        for sequences, zero in itertools.product((True, False), repeat=2):
            options = {"return_sequences": sequences, "zero_output_for_mask": zero, "go_backwards": sequences}
            layer = getattr(keras.layers, kind)(5, return_state=True, **options)
            layer.build(x.shape)
            assert_same(layer, x, f"{kind} {options}", mask=mask, initial_state=state)


def check_one_row_of_one_step():
    for kind in KINDS:
        layer = getattr(keras.layers, kind)(1, return_state=True)
        x = np.full((1, 1, 1), 0.5, "float32")
        layer.build(x.shape)
        assert_same(layer, x)
        assert_same(layer, x, mask=np.ones((1, 1), bool))


def check_both_directions():
    random = np.random.default_rng(0)
    x, mask = random.standard_normal((4, 6, 3)).astype("float32"), padding(random, 4, 6)
    for kind in KINDS:
        for options in ({"merge_mode": "sum"}, {"return_sequences": True}, {"return_state": True}):
            merge = {k: options[k] for k in ("merge_mode",) if k in options}
            inner = getattr(keras.layers, kind)(5, **{k: v for k, v in options.items() if k != "merge_mode"})
            layer = keras.layers.Bidirectional(inner, **merge)
            layer.build(x.shape)
            for arguments in ({}, {"mask": mask}):
                acceleration = assert_same(layer, x, f"{kind} {options}", **arguments)
                assert len(acceleration.accelerated) == 2


def check_layers_on_layers():
    random = np.random.default_rng(0)
    words = random.integers(0, 4, (5, 7))  # a third of them are padding
    words[0] = 0
    inputs = keras.Input((7,), dtype="int32")
    h = keras.layers.Embedding(9, 6, mask_zero=True)(inputs)
    h = keras.layers.Bidirectional(keras.layers.LSTM(5, return_sequences=True))(h)
    h = keras.layers.GRU(4, return_sequences=True)(h)
    h, *states = keras.layers.LSTM(6, return_state=True)(h)
    model = keras.Model(inputs, [h, *states])
    want = [array(t) for t in model(words)]
    with ours.accelerate() as acceleration:
        got = [array(t) for t in model(words)]
    assert_close(got, want)
    assert len(acceleration.accelerated) == 4
    assert not acceleration.kept
    named = keras.layers.LSTM(3, name="read")
    with ours.accelerate() as acceleration:
        named(np.ones((1, 2, 3), "float32"))
    assert repr(acceleration) == "accelerated read (LSTM): 1 call"


def sentiment(**options):
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.layers.Embedding(30, 8, mask_zero=True),
            keras.layers.Bidirectional(keras.layers.LSTM(6, return_sequences=True, dropout=0.2, seed=1)),
            keras.layers.GRU(5, seed=2),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", **options)
    random = np.random.default_rng(0)
    words = np.where(np.arange(12) < random.integers(1, 13, (40, 1)), random.integers(1, 30, (40, 12)), 0)
    return model, words, (words[:, :1] > 15).astype("float32")


def check_training_has_the_same_losses():
    if BACKEND == "numpy":
        return  # which does not train
    model, words, labels = sentiment()
    want = model.fit(words, labels, epochs=4, batch_size=8, shuffle=False, verbose=0).history["loss"]
    predicted = model.predict(words, verbose=0)
    with ours.accelerate() as acceleration:
        model, words, labels = sentiment()
        got = model.fit(words, labels, epochs=4, batch_size=8, shuffle=False, verbose=0).history["loss"]
        assert not acceleration.kept
        assert len(acceleration.accelerated) == 3
        assert np.abs(model.predict(words, verbose=0) - predicted).max() < 1e-4
    assert want[-1] < want[0]
    assert np.abs(np.subtract(got, want)).max() < 1e-4, (got, want)


def check_predictions():
    model, words, _ = sentiment()
    want = model.predict(words, verbose=0)
    with ours.accelerate():
        model, words, _ = sentiment()
        assert np.abs(model.predict(words, verbose=0) - want).max() < 1e-6


def check_states_are_carried():
    batches = np.random.default_rng(0).standard_normal((3, 2, 4, 3)).astype("float32")
    for kind in KINDS:
        layer = getattr(keras.layers, kind)(5, stateful=True, return_sequences=True)
        layer.build(batches[0].shape)
        want = [array(layer(x)).copy() for x in batches]
        states = [array(s).copy() for s in layer.states]
        layer.reset_state()
        with ours.accelerate() as acceleration:
            got = [array(layer(x)).copy() for x in batches]
        assert_close(got, want, kind)
        assert_close([array(s) for s in layer.states], states, kind)
        assert list(acceleration.accelerated.values()) == [3]


class OtherCell(keras.layers.LSTMCell):
    def call(self, inputs, states, training=False):
        return super().call(2 * inputs, states, training=training)


class OtherLSTM(keras.layers.LSTM):
    """Computes what its base does, on inputs that it changes."""

    def call(self, sequences, **arguments):
        return super().call(2 * sequences, **arguments)


def check_the_rest_goes_through_keras():
    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
    mask = np.array([[1, 1, 0, 1], [1, 0, 0, 0]], bool)
    layers = keras.layers
    other = layers.LSTM(5)
    other.cell = OtherCell(5)
    cases = [
        (layers.LSTM(5, activation="gelu"), {}, "activation: no kernel has gelu"),
        (layers.GRU(5, recurrent_activation="mish"), {}, "recurrent_activation: no kernel has mish"),
        (layers.SimpleRNN(5, activation=lambda v: v), {}, "activation: no kernel has <lambda>"),
        (other, {}, "a cell of class OtherCell"),
    ]
    if BACKEND != "jax":  # which refuses one row of states for all
        states = [np.ones((1, 5), "float32")]
        cases.append((layers.GRU(5), {"initial_state": states}, "initial states of shape (1, 5)"))
    if BACKEND != "torch":  # whose loop fails with a mask, unrolled and backwards, as without it
        cases.append((layers.LSTM(5, unroll=True), {"mask": mask}, "unroll with a mask"))
    for layer, arguments, why in cases:
        layer.build(x.shape)
        acceleration = assert_same(layer, x, why, kept=True, **arguments)
        ((name, reason),) = acceleration.kept
        assert reason.startswith(why), reason
        assert name == f"{layer.name} ({type(layer).__name__})"
        assert repr(acceleration).startswith(f"kept {name}: "), acceleration
    layer = OtherLSTM(5)
    layer.build(x.shape)
    assert_same(layer, x)  # a subclass of the layer runs its own code around our loop


def check_what_does_not_fit_is_keras_error():
    x = np.ones((2, 4, 3), "float32")
    calls = [
        (keras.layers.LSTM(5, activation="threshold"), x, None),  # which has arguments that a layer does not give
        (keras.layers.LSTM(5), x, [np.ones((2, 4), "float32")] * 2),
        (keras.layers.SimpleRNN(5), x[..., :2], None),
    ]
    for layer, given, states in calls:
        layer.build(x.shape)
        texts = []
        for _ in range(2):
            try:
                layer(given, initial_state=states)
            except Exception as error:
                texts.append(f"{type(error)}{error}")
            ours.accelerate()
        ours.undo()
        assert len(texts) == 2, texts
        assert texts[0] == texts[1], texts


def check_other_dtypes_go_through_keras():
    if BACKEND == "numpy":
        return  # whose half precision is not NumPy's
    layer = keras.layers.LSTM(5, dtype="mixed_bfloat16")
    x = np.ones((2, 4, 3), "float32")
    want = keras.ops.cast(layer(x), "float32")
    with ours.accelerate() as acceleration:
        got = keras.ops.cast(layer(x), "float32")
    assert (array(got) == array(want)).all()
    ((_, why),) = acceleration.kept
    assert why == "dtype policy mixed_bfloat16: the kernels have float32 and float64"


def check_it_is_undone():
    kinds = [getattr(keras.layers, kind) for kind in KINDS]
    before = [(kind.inner_loop, set(vars(kind))) for kind in kinds]

    def undone():
        return [(kind.inner_loop, set(vars(kind))) for kind in kinds] == before

    layer, x = keras.layers.LSTM(3), np.ones((1, 2, 3), "float32")
    outer = ours.accelerate()
    with ours.accelerate() as inner:
        layer(x)
    assert not undone()
    layer(x)
    assert sum(outer.accelerated.values()) == 2
    assert sum(inner.accelerated.values()) == 1
    outer.undo()
    outer.undo()
    assert undone()
    layer(x)
    assert sum(outer.accelerated.values()) == 2
    ours.accelerate()
    ours.accelerate()
    ours.undo()
    assert undone()
    with contextlib.suppress(ZeroDivisionError), ours.accelerate():
        raise ZeroDivisionError
    assert undone()


def check_another_backend_is_refused():
    of_keras, keras.backend.backend = keras.backend.backend, lambda: "tensorflow"
    try:
        ours.accelerate()
    except RuntimeError as error:
        assert "expected Keras's backend torch, jax or numpy, got tensorflow" in str(error)  # noqa: PT017
    else:
        raise AssertionError("it was not refused")
    finally:
        keras.backend.backend = of_keras


def check_compilers_of_pytorch():
    if BACKEND != "torch":
        return
    import torch

    layer, x = keras.layers.GRU(5), torch.linspace(-1, 1, 24).reshape(2, 4, 3)
    want = layer(x)
    with ours.accelerate() as acceleration:
        got = torch.compile(layer, backend="eager")(x)
        assert list(acceleration.accelerated.values()) == [1]
        exported = torch.export.export(layer, (x,), strict=False).module()(x)
        assert list(acceleration.accelerated.values()) == [1]
    assert_close([array(got.detach()), array(exported.detach())], [array(want.detach())] * 2)


def check_gradients_of_several_vectors_at_once():
    if BACKEND != "torch":
        return
    import torch

    layer, x = keras.layers.LSTM(4, return_sequences=True), torch.linspace(-1, 1, 12).reshape(2, 2, 3)
    layer(x)
    jacobian = torch.autograd.functional.jacobian
    want = jacobian(layer, x)
    with ours.accelerate() as acceleration:
        got = jacobian(layer, x, vectorize=True)
    assert acceleration.accelerated
    assert_close([array(got)], [array(want)])


def check_gradients_of_gradients_are_refused():
    if BACKEND != "torch":
        return
    import torch

    x = torch.ones(1, 2, 3, requires_grad=True)
    with ours.accelerate():
        (gradient,) = torch.autograd.grad(keras.layers.LSTM(4)(x).sum(), x, create_graph=True)
    try:
        gradient.sum().backward()
    except RuntimeError as error:
        assert "gradients of gradients are not offered" in str(error)  # noqa: PT017
    else:
        raise AssertionError("it was not refused")


if __name__ == "__main__":
    for name, check in list(globals().items()):
        if name.startswith("check_"):
            trouble = ""
            try:
                check()
            except Exception:
                trouble = traceback.format_exc()
            print(json.dumps([name, trouble]), flush=True)
    sys.exit(0)
