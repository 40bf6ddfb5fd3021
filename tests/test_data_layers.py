"""Layers that bring data into another range compute what Keras's do, and go into its files and back."""

import os

import numpy as np
import pytest
from layer_tools import numbers

import lstmcore
from lstmcore import layers

X = numbers(4, 5, 3, dtype="float32") * 3 + 2
F64 = {"dtype": "float64"}


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


ADAPTED = [{}, {"axis": None}, {"axis": 1}, {"axis": (1, 2)}, {"axis": [-1]}, {"invert": True}]
GIVEN = [
    {"axis": None, "mean": 2.0, "variance": 0.5},
    {"mean": [1.0, 2.0, 3.0], "variance": [0.5, 0.0, 4.0]},
    {"mean": 3.0, "variance": 2.0, "invert": True},
    {"axis": (1, 2), "mean": [1.0, 2.0, 3.0], "variance": [0.5, 2.0, 4.0]},
]
SCALES = [{"scale": 1 / 255}, {"scale": 2, "offset": -1.0}, {"scale": [1.0, 2.0, 3.0], "offset": [0.0, 1.0, -1.0]}]


def cases(adapted=ADAPTED):
    return [("Normalization", o) for o in [*adapted, *GIVEN]] + [("Rescaling", o) for o in SCALES]


def close(outputs, expected):
    np.testing.assert_allclose(outputs, np.asarray(expected), rtol=2e-5, atol=2e-5)


@pytest.mark.peer
@pytest.mark.parametrize("options", ADAPTED)
def test_adapt_finds_what_keras_finds(keras, options):
    batches = [X[:1], X[1:4]]
    for data in (X, batches, ((x, None) for x in batches)):
        theirs, ours = keras.layers.Normalization(**options), layers.Normalization(**options)
        theirs.adapt(X)
        ours.adapt(data)
        close(ours(X), theirs(X).cpu())
        assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]


@pytest.mark.peer
@pytest.mark.parametrize(("name", "options"), cases(adapted=()))
def test_outputs_are_those_of_keras(keras, name, options):
    close(getattr(layers, name)(**options)(X), getattr(keras.layers, name)(**options)(X).cpu())
    integers = np.arange(12).reshape(2, 2, 3)
    if options.get("axis") != (1, 2):
        close(getattr(layers, name)(**options)(integers), getattr(keras.layers, name)(**options)(integers).cpu())


@pytest.mark.peer
@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize(("name", "options"), cases())
def test_files_of_keras_and_back(keras, tmp_path, name, options, ending):
    pytest.importorskip("h5py")
    layer = getattr(keras.layers, name)(**options)
    if options in ADAPTED:
        layer.adapt(X)
    theirs = keras.Sequential([keras.layers.Input((5, 3)), layer, keras.layers.LSTM(4)])
    expected = theirs.predict(X, verbose=0)
    theirs.save(tmp_path / f"theirs{ending}")
    model = lstmcore.models.load_model(str(tmp_path / f"theirs{ending}"))
    close(model.predict(X, verbose=0), expected)
    model.save(str(tmp_path / f"ours{ending}"))
    close(keras.models.load_model(tmp_path / f"ours{ending}").predict(X, verbose=0), expected)


@pytest.mark.parametrize(("name", "options"), cases())
def test_gradients_configs_and_masks(name, options):
    layer = getattr(layers, name)(**options, **F64)
    if options in ADAPTED:
        layer.adapt(X)
    again = getattr(layers, name).from_config(layer.get_config())
    again.ensure_built((None, 5, 3))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(X), layer(X))
    assert layer.trainable_variables == []
    x, step = X.astype("float64"), numbers(*X.shape, seed=1)
    layer(x, training=True)
    np.testing.assert_allclose(layer.backward(step), layer(x + step) - layer(x), rtol=1e-7)  # it is a straight line
    model = lstmcore.Sequential([lstmcore.Input((5, 3)), layers.Masking(**F64), layer, layers.LSTM(4, **F64)])
    padded = X.copy()
    padded[:, 3:] = 0
    assert model.predict(padded, verbose=0).shape == (4, 4)


def test_mean_and_variance_of_many_batches_are_those_of_all():
    batches = [numbers(n, 3, seed=n) * 1e3 + 1e6 for n in (1, 7, 2, 30)]
    layer = layers.Normalization(**F64)
    layer.adapt(batches)
    whole = np.concatenate(batches)
    np.testing.assert_allclose(layer.mean[0], whole.mean(0), rtol=1e-12)
    np.testing.assert_allclose(layer.variance[0], whole.var(0), rtol=1e-9)
    layer.adapt(batches[0])  # what was found out before is forgotten
    np.testing.assert_allclose(layer.mean[0], batches[0][0])


def test_what_was_found_out_outlasts_what_is_refused():
    layer = layers.Normalization(**F64)
    layer.adapt(X)
    before = layer.get_weights()
    with pytest.raises(ValueError, match="finite"):
        layer.adapt([X + 1, X * np.nan])
    for kept, value in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(kept, value)


def adapt(data, **options):
    return lambda: layers.Normalization(**options).adapt(data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Normalization(mean=1.0), "variance: expected numbers as for mean, got None"),
        (lambda: layers.Normalization(variance=1.0), "mean: expected numbers as for variance, got None"),
        (lambda: layers.Normalization(mean=[1.0, 2.0], variance=1.0), r"mean: expected the shape of variance, \(\)"),
        (lambda: layers.Normalization(axis=None, mean=[1.0], variance=[1.0]), "at most 0 axes"),
        (lambda: layers.Normalization(mean=1.0, variance=-1.0), "variance: expected finite numbers from 0 on"),
        (lambda: layers.Normalization(mean=np.nan, variance=1.0), "mean: expected finite numbers, got nan"),
        (lambda: layers.Normalization(mean=[0.0], variance=[np.inf]), r"variance: expected finite numbers .* \[inf\]"),
        (lambda: layers.Normalization().mean, "has no mean and variance yet; call adapt"),
        (lambda: layers.Normalization(mean="a", variance=1.0), "mean: expected"),
        (lambda: layers.Normalization(invert=1), "invert: expected True or False"),
        (lambda: layers.Normalization(axis="a"), "axis: expected"),
        (lambda: layers.Normalization(axis=5)(X), "axis: expected axes of inputs"),
        (lambda: layers.Normalization(mean=[1.0, 2.0], variance=[1.0, 2.0])(X), r"fits \(3,\)"),
        (adapt(X, mean=1.0, variance=1.0), "mean and variance are given already"),
        (adapt([]), "data: expected at least one batch"),
        (adapt(3), "data: expected an array or an iterable of batches, got int"),
        (adapt("abc"), "data: expected an array or an iterable of batches, got str"),
        (adapt([[1.0, 2.0]]), r"batches of at least two axes, got one of shape \(2,\); .*, give an array"),
        (adapt(np.array([[1.0, np.nan], [np.inf, 2.0]])), r"data: expected finite numbers, got nan at \(0, 1\)"),
        (adapt([X, np.full_like(X, np.inf)]), r"data: expected finite numbers, got inf at \(0, 0, 0\)"),
        (adapt(np.array([[1e20], [-1e20]])), "data: expected numbers whose mean and variance float32 holds"),
        (adapt([X, X[:, :, :2]]), r"data: expected sizes \(3,\) of axes"),
        (lambda: layers.Rescaling("a"), "scale: expected"),
        (lambda: layers.Rescaling([1.0, 2.0])(X), r"scale: expected a shape that fits inputs \(4, 5, 3\), got \(2,\)"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
