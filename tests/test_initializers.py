"""Initializers: the limits and variances that their names promise."""

import math

import numpy as np
import pytest

import lstmcore
from lstmcore import initializers, layers, serialization
from lstmcore.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    Initializer,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)

# The variance of a standard normal within ±2, 1 - 4 phi(2) / (2 Phi(2) - 1).
CUT = 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))

# The variance with shape (300, 200), and with (3, 100, 200), whose fans are 300 and 600.
SCALED = [
    (GlorotUniform, 2 / 500, 2 / 900, "uniform"),
    (GlorotNormal, 2 / 500, 2 / 900, "truncated"),
    (HeUniform, 2 / 300, 2 / 300, "uniform"),
    (HeNormal, 2 / 300, 2 / 300, "truncated"),
    (LecunUniform, 1 / 300, 1 / 300, "uniform"),
    (LecunNormal, 1 / 300, 1 / 300, "truncated"),
]


def check(values, variance, distribution, mean=0.0):
    """60,000 numbers: their mean and variance are within five standard errors, their limits close."""
    n = values.size
    assert abs(values.mean() - mean) < 5 * math.sqrt(variance / n)
    assert values.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / n))
    if distribution == "normal":
        assert np.abs(values - mean).max() > 3 * math.sqrt(variance)
        return
    limit = math.sqrt(3 * variance) if distribution == "uniform" else 2 * math.sqrt(variance / CUT)
    assert 0.99 * limit < np.abs(values - mean).max() <= limit * (1 + 1e-12)


@pytest.mark.parametrize(("kind", "flat", "stacked", "distribution"), SCALED, ids=lambda x: getattr(x, "__name__", ""))
def test_variances_follow_the_fans(kind, flat, stacked, distribution):
    check(kind(seed=1)((300, 200), "float64"), flat, distribution)
    check(kind(seed=1)((3, 100, 200), "float64"), stacked, distribution)
    scale = 2 if kind in (HeUniform, HeNormal) else 1
    check(kind(seed=1, input_axes=[1], output_axes=[1])((300, 200), "float64"), scale / 200, distribution)


def test_a_vector_counts_as_its_own_fans():
    assert np.abs(LecunUniform(seed=1)((27,), "float64")).max() <= math.sqrt(3 / 27)
    assert GlorotUniform(seed=1)((), "float64").shape == ()


def test_variance_scaling_takes_every_mode_and_distribution():
    for mode, fan in [("fan_in", 300), ("fan_out", 200), ("fan_avg", 250)]:
        for distribution, kind in [
            ("uniform", "uniform"),
            ("truncated_normal", "truncated"),
            ("normal", "truncated"),
            ("untruncated_normal", "normal"),
        ]:
            values = VarianceScaling(3.0, mode, distribution, seed=2)((300, 200), "float64")
            check(values, 3 / fan, kind)


def test_random_numbers_have_the_moments_asked_for():
    check(RandomNormal(1.0, 0.5, seed=1)((60000,), "float64"), 0.25, "normal", 1.0)
    check(RandomNormal(seed=1)((60000,), "float64"), 0.05**2, "normal")
    check(RandomUniform(1.0, 3.0, seed=1)((60000,), "float64"), 4 / 12, "uniform", 2.0)
    check(RandomUniform(seed=1)((60000,), "float64"), 0.1**2 / 12, "uniform")
    check(TruncatedNormal(1.0, 0.5, seed=1)((60000,), "float64"), 0.25 * CUT, "truncated", 1.0)
    check(TruncatedNormal(seed=1)((60000,), "float64"), 0.05**2 * CUT, "truncated")


def test_constants_are_constant():
    assert (initializers.get("zeros")((2, 3)) == 0).all()
    assert (initializers.get("ones")((2, 3)) == 1).all()
    assert (Constant(2.5)((2, 3)) == 2.5).all()
    assert (Constant([1, 2, 3])((2, 3)) == [[1, 2, 3], [1, 2, 3]]).all()
    assert (Identity(2.0)((2, 3)) == [[2, 0, 0], [0, 2, 0]]).all()
    array = np.arange(6.0).reshape(2, 3)
    assert (initializers.get(array)((2, 3)) == array).all()


@pytest.mark.parametrize("shape", [(5, 20), (20, 5), (4, 4), (2, 3, 4)])
def test_orthogonal_rows_or_columns(shape):
    q = Orthogonal(gain=2.0, seed=1)(shape, "float64").reshape(-1, shape[-1])
    product = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-14)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (7, 7), (30, 130), (130, 31), (150, 150), (64, 256)])
def test_orthogonal_is_the_q_of_lapack(shape):
    rows, columns = shape
    normal = np.random.default_rng(3).standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(normal)
    q *= np.sign(np.diag(r))
    got = Orthogonal(seed=3)(shape, "float64")
    # Both are within rounding of the same matrix, which is as sensitive as the numbers are ill-conditioned.
    np.testing.assert_allclose(got, q if rows >= columns else q.T, atol=1e-15 * np.linalg.cond(normal))
    product = got.T @ got if rows >= columns else got @ got.T
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-14)  # however ill-conditioned


def test_rows_that_are_nearly_dependent_become_orthonormal():
    rng = np.random.default_rng(0)
    nearly = rng.standard_normal((1, 60)) + 1e-6 * rng.standard_normal((40, 60))
    for _ in range(2):
        initializers._orthonormalise(nearly)
    np.testing.assert_allclose(nearly @ nearly.T, np.eye(40), atol=1e-14)


def test_orthogonal_bits_do_not_depend_on_threads(set_threads):
    made = []
    for threads in (1, 2):
        set_threads(threads)
        made.append(Orthogonal(seed=1)((150, 600)).tobytes())
    assert made[0] == made[1]


def test_an_initializer_keeps_its_own_copy_of_an_array():
    array = np.ones((2, 3))
    made = Constant(array), initializers.get(array)
    array[...] = 5
    assert all((constant((2, 3)) == 1).all() for constant in made)


def test_a_seed_repeats_and_the_global_seed_decides_the_rest():
    for kind in [*(k for k, *_ in SCALED), VarianceScaling, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal]:
        assert (kind(seed=5)((4, 4)) == kind(seed=5)((4, 4))).all()
        lstmcore.utils.set_random_seed(1)
        first, second = kind()((4, 4)), kind()((4, 4))
        assert (first != second).any()
        lstmcore.utils.set_random_seed(1)
        assert (kind()((4, 4)) == first).all()


def test_names_are_kerass():
    for name, kind in [
        ("glorot_uniform", GlorotUniform),
        ("GlorotUniform", GlorotUniform),
        ("he_normal", HeNormal),
        ("LecunNormal", LecunNormal),
        ("uniform", RandomUniform),
        ("normal", RandomNormal),
        ("zero", initializers.Zeros),
        ("Ones", initializers.Ones),
        ("OrthogonalInitializer", Orthogonal),
        ("identity", Identity),
        ("truncated_normal", TruncatedNormal),
    ]:
        assert type(initializers.get(name)) is kind
    got = initializers.get({"class_name": "RandomNormal", "config": {"stddev": 0.5, "seed": 3}})
    assert (type(got), got.stddev, got.seed) == (RandomNormal, 0.5, 3)
    keras = {
        "module": "keras.initializers",
        "class_name": "Constant",
        "config": {"value": 2.0},
        "registered_name": None,
    }
    assert initializers.get(keras).value == 2
    assert initializers.he_uniform is HeUniform
    assert initializers.get(np.zeros) is np.zeros
    assert isinstance(initializers.get(HeNormal), HeNormal)
    dense = lstmcore.layers.Dense(2, kernel_initializer={"class_name": "Constant", "config": {"value": 0.5}})
    np.testing.assert_array_equal(dense(np.ones((1, 3), "float32")), [[1.5, 1.5]])


@pytest.mark.parametrize("name", list(initializers._KNOWN))
def test_an_initializer_comes_back_from_its_description(name):
    first = initializers.get(name)
    if isinstance(first, VarianceScaling):
        first = type(first)(seed=7)
    again = initializers.get(serialization.serialize(first))
    assert type(again) is type(first)
    assert again.seed == first.seed


def test_classes_of_ones_own_are_found_by_name():
    @lstmcore.serialization.register("test", "Twos")
    class Twos(Initializer):
        def sample(self, shape, rng):
            return np.full(shape, 2.0)

    assert (initializers.get("test>Twos")((2,)) == 2).all()
    with serialization.custom_object_scope({"Twos": Twos}):
        assert (initializers.get("Twos")((2,)) == 2).all()
    assert (initializers.get(serialization.serialize(Twos()))((2,)) == 2).all()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: initializers.get("glorot"),
            ValueError,
            "initializer: expected one of glorot_uniform, .*, got 'glorot'",
        ),
        (lambda: initializers.get({"class_name": "L2", "config": {}}), ValueError, "initializer: .*, got 'L2'"),
        (
            lambda: initializers.get({"module": "lstmcore.regularizers", "class_name": "L2", "config": {}}),
            ValueError,
            "initializer: expected an object of the kind Initializer, got L2",
        ),
        (lambda: VarianceScaling(0.0), ValueError, r"VarianceScaling: scale: expected a number in \(0, inf\), got 0.0"),
        (lambda: VarianceScaling(mode="fan"), ValueError, "mode: expected 'fan_in', 'fan_out' or 'fan_avg', got 'fan'"),
        (lambda: VarianceScaling(distribution="flat"), ValueError, "distribution: expected 'uniform', .*, got 'flat'"),
        (lambda: RandomNormal(stddev=-1), ValueError, "RandomNormal: stddev: .*, got -1"),
        (lambda: RandomUniform(1.0, 0.0), ValueError, r"RandomUniform: maxval: .*\[1.0, inf\), got 0.0"),
        (
            lambda: HeNormal(seed="one"),
            ValueError,
            "HeNormal: seed: expected an integer of at least 0 or None, got 'one'",
        ),
        (lambda: HeNormal(seed=-1), ValueError, "HeNormal: seed: .*, got -1"),
        (lambda: Identity()((3,)), ValueError, r"Identity: shape: expected that of a matrix, got \(3,\)"),
        (lambda: Orthogonal()((3,)), ValueError, r"Orthogonal: shape: expected at least two axes, got \(3,\)"),
        (
            lambda: Constant([1, 2])((3,)),
            ValueError,
            r"Constant: value: expected an array for shape \(3,\), got \(2,\)",
        ),
        (lambda: Initializer()((3,)), NotImplementedError, "define sample"),
    ],
)
def test_wrong_arguments_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: initializers.Constant("a"), "Constant: value: expected a number .* got <U1: 'a'"),
        (lambda: initializers.VarianceScaling(input_axes=1.5), "VarianceScaling: input_axes: .* got 1.5"),
        (lambda: initializers.GlorotUniform(output_axes="a"), "GlorotUniform: output_axes: .* got 'a'"),
    ],
)
def test_values_and_axes_are_numbers(make, text):
    with pytest.raises(TypeError, match=text):
        make()


def test_the_names_that_keras_exports_beside_the_short_ones():
    assert initializers.OrthogonalInitializer is initializers.Orthogonal
    assert initializers.IdentityInitializer is initializers.Identity


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (lambda **o: layers.Dense(2, **o), ["kernel", "bias"]),
        (lambda **o: layers.Conv1D(2, 2, **o), ["kernel", "bias"]),
        (lambda **o: layers.Embedding(2, 2, **o), ["embeddings"]),
        (lambda **o: layers.PReLU(**o), ["alpha"]),
        (lambda **o: layers.LSTM(2, **o), ["kernel", "recurrent", "bias"]),
        (lambda **o: layers.MinGRU(2, **o), ["kernel", "bias"]),
        (lambda **o: layers.SLSTM(2, **o), ["kernel", "recurrent", "bias"]),
        (lambda **o: layers.GRUCell(2, **o), ["kernel", "recurrent", "bias"]),
        (lambda **o: layers.LayerNormalization(**o), ["gamma", "beta"]),
        (lambda **o: layers.BatchNormalization(**o), ["gamma", "beta", "moving_mean", "moving_variance"]),
    ],
)
def test_a_layer_refuses_what_is_no_initializer_when_it_is_made(make, arguments):
    for argument in arguments:
        for wrong in ("no_such", 3, ["zeros"]):
            with pytest.raises(ValueError, match="initializer"):
                make(**{f"{argument}_initializer": wrong})
        make(**{f"{argument}_initializer": None})  # the layer's own choice, as in Keras


def test_no_initializer_is_the_choice_of_the_layer():
    assert initializers.get(None) is None
    layer = layers.LSTM(2, bias_initializer=None, kernel_initializer=None)
    layer.build((None, 3, 4))
    np.testing.assert_array_equal(layer.get_weights()[2], [0, 0, 1, 1, 0, 0, 0, 0])
    assert layer.get_weights()[0].any()
