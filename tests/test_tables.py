"""Tables and arrays of objects are taken where every element is a number, and else the first that is none is named."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from lstmcore import Sequential, activations, losses, metrics, utils
from lstmcore._arguments import as_array, float_array, integer_array, real_array
from lstmcore.layers import LSTM, Dense, Embedding

# Rows of floats, integers and booleans, as a table of such columns gives them, and what they mean.
MIXED = np.array([[0.5, 3, True], [-1.25, 0, False], [2.0, -7, True], [0.25, 1, False]], object)
PLAIN = np.array([[0.5, 3, 1], [-1.25, 0, 0], [2.0, -7, 1], [0.25, 1, 0]])


def model(width=3, units=1):
    lstm = Sequential([Dense(4, input_shape=(width,), kernel_initializer="ones"), Dense(units)])
    lstm.compile("sgd", "mse", weighted_metrics=["mae"])
    return lstm


@pytest.mark.parametrize(
    ("values", "kind", "want"),
    [
        ([True, np.bool_(False)], "bool", [1, 0]),
        ([True, 2, np.int8(-3)], "int64", [1, 2, -3]),
        ([1, 0.5, np.float32(0.25)], "float64", [1, 0.5, 0.25]),
        ([Decimal("0.1"), Fraction(1, 4)], "float64", [0.1, 0.25]),
        ([2**64, 1], "float64", [2.0**64, 1]),
        ([float("nan"), float("inf")], "float64", [np.nan, np.inf]),
        ([], "float64", []),
    ],
)
def test_objects_become_what_all_of_them_are(values, kind, want):
    got = real_array("x", np.array(values, object))
    assert got.dtype == kind
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (np.array([[1, 2], [3, "four"]], object), r"object: 'four' at \[1, 1\]"),
        (np.array([1.0, None], object), r"object: None at \[1\]"),
        (np.array([1.0, 2j], object), r"object: 2j at \[1\]"),
        (np.array([1, np.timedelta64(1, "s")], object), r"object: .*timedelta64\(1,'s'\) at \[1\]"),
        (np.array([[1, 2], [3]], object), r"object: \[1, 2\]\)? at \[0\]"),
        (np.array([1.0, "x" * 100], object), r"object: 'x{56}\.\.\. at \[1\]"),
        (["1.5", "2"], r"<U3: .*'1.5'\)? at \[0\]"),
        ([b"1"], r"\|S1: .*b'1'\)? at \[0\]"),
        (np.array(["2020-01-01"], "datetime64[D]"), r"datetime64\[D\]: .* at \[0\]"),
        (np.array([1j]), r"complex128: .*1j\)? at \[0\]"),
        (None, "object: None"),
        (np.zeros(2, [("a", float)]), r"\[\('a', '<f8'\)\]: .* at \[0\]"),
        (np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False]), r"float64: a missing value at \[1\]"),
    ],
)
def test_the_first_element_that_is_no_number_is_named(value, what):
    for convert, expected in (
        (real_array, "numbers"),
        (lambda name, v: float_array(name, v, np.dtype("float32")), "(float32|numbers)"),
        (integer_array, "(integers|numbers)"),
    ):
        with pytest.raises(
            TypeError, match=rf'x: expected {expected}, got {what} is no real number; .*(astype\("float32"\)|np\.stack)'
        ):
            convert("x", value)


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (["Rome", "Oslo"], "give each a number, as pandas.get_dummies or pandas.factorize do, then"),
        (["1.5", "2"], ""),
        ([[1, 2], [3]], "make one array of the rows, with np.stack or, .* utils.pad_sequences, then"),
        ([np.ones((3, 2)), np.ones((2, 2))], "make one array of the rows"),
        (
            np.ma.masked_array([1.0, 2.0], [False, True]),
            r"fill it, .* \.fillna\(0\) and NumPy with \.filled\(0\), then",
        ),
    ],
)
def test_the_remedy_is_one_for_what_it_is(value, remedy):
    array = value if isinstance(value, np.ndarray) else np.empty(len(value), object)
    if array is not value:
        array[:] = value
    with pytest.raises(TypeError, match=rf"is no real number; {remedy}.*convert it, as with") as caught:
        real_array("x", array)
    assert "\n" not in str(caught.value)
    if not remedy:
        assert "is no real number; convert it" in str(caught.value)


def test_what_no_float_can_hold_is_an_error():
    for value in (10**400, Fraction(10**400), Decimal("sNaN")):
        with pytest.raises(TypeError, match="x: expected numbers, got one that no float can hold"):
            real_array("x", np.array([1, value], object))


def test_lists_of_different_lengths_are_named():
    for value in ([[1], [1, 2]], [[1, 2], 3], [np.ones(2), np.ones(3)]):
        for convert in (as_array, real_array, integer_array):
            with pytest.raises(
                ValueError, match=r"^x: expected an array, got lists of different lengths.*pad_sequences"
            ):
                convert("x", value)


def test_a_masked_array_without_missing_values_is_an_array():
    for mask in (False, [False, False]):
        np.testing.assert_array_equal(real_array("x", np.ma.masked_array([1.0, 2.0], mask)), [1, 2])


def test_training_evaluation_and_prediction_take_objects_for_what_they_are():
    y, weight = np.array([1, 0.5, True, 0], object), np.array([1, 2, 0.5, 1], object)
    a, b = model(), model()
    b.set_weights(a.get_weights())
    fits = [
        m.fit(x, t, sample_weight=w, epochs=2, batch_size=3, shuffle=False, verbose=0).history
        for m, x, t, w in ((a, MIXED, y, weight), (b, PLAIN, y.astype(float), weight.astype(float)))
    ]
    assert fits[0] == fits[1]
    np.testing.assert_array_equal(a.predict(MIXED, verbose=0), b.predict(PLAIN, verbose=0))
    assert a.evaluate(MIXED, y, sample_weight=weight, verbose=0) == b.evaluate(
        PLAIN, y.astype(float), sample_weight=weight.astype(float), verbose=0
    )
    assert a.train_on_batch(MIXED, y, weight) == b.train_on_batch(PLAIN, y.astype(float), weight.astype(float))
    batches = ((MIXED, y, weight), (PLAIN, y.astype(float), weight.astype(float)))
    fits = [m.fit(iter([batch] * 2), verbose=0).history for m, batch in zip((a, b), batches, strict=True)]
    assert fits[0] == fits[1]
    np.testing.assert_array_equal(a(MIXED), b(PLAIN))


def test_layers_losses_and_metrics_take_objects_for_what_they_are():
    x, labels = MIXED[None], np.array([[1, 0]], object)
    lstm, words = LSTM(2), Embedding(3, 2)
    np.testing.assert_array_equal(
        lstm(x, initial_state=[MIXED[:1, :2]] * 2), lstm(PLAIN[None], initial_state=[PLAIN[:1, :2]] * 2)
    )
    np.testing.assert_array_equal(words(labels), words(labels.astype(int)))
    p = np.array([[0.25, 0.75], [0.5, 0.5]])
    objects = p.astype(object)
    assert losses.MeanSquaredError()(MIXED, PLAIN + 1) == losses.MeanSquaredError()(PLAIN, MIXED + 1) == 1
    # -ln 0.75 and -ln 0.5
    loss = losses.SparseCategoricalCrossentropy()(np.array([1, 0], object), objects)
    np.testing.assert_allclose(loss, -(np.log(0.75) + np.log(0.5)) / 2, rtol=1e-6)
    assert metrics.SparseCategoricalAccuracy()(np.array([1, 1], object), objects, np.array([1, 3], object)) == 0.25
    assert metrics.Precision()(np.array([1, 0], object), np.array([0.7, 0.8], object)) == 0.5
    assert metrics.Mean()(np.array([1, 2.5, True], object)) == 1.5
    np.testing.assert_array_equal(utils.to_categorical(np.array([1, 0], object)), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(activations.relu(np.array([-1, 2], object)), [0, 2])
    dense = Dense(1, input_shape=(3,))
    dense.build((None, 3))
    dense.set_weights([np.array([[1], [0.5], [True]], object), np.array([0], object)])
    np.testing.assert_array_equal(dense.get_weights()[0], [[1], [0.5], [1]])


@pytest.mark.peer
class TestPandas:
    """Held against the columns one by one."""

    @pytest.fixture
    def pd(self):
        return pytest.importorskip("pandas")

    def test_dummies(self, pd):
        frame = pd.DataFrame({"price": [1.5, 2.0, 0.5], "city": ["Rome", "Oslo", "Rome"]})
        table = pd.get_dummies(frame)
        assert np.asarray(table).dtype == object
        want = np.array([[1.5, 0, 1], [2.0, 1, 0], [0.5, 0, 1]], "float32")
        a = model()
        np.testing.assert_array_equal(a.predict(table, verbose=0), a.predict(want, verbose=0))
        a.fit(table, frame["price"], verbose=0)
        with pytest.raises(
            TypeError, match="x: expected numbers, got object: 'Rome' in column 'city', row 0 is no real"
        ):
            model(2).fit(frame, frame["price"], verbose=0)

    @pytest.mark.parametrize("kind", ["Float64", "Int64", "boolean"])
    def test_nullable_types(self, pd, kind):
        values = [True, False, True] if kind == "boolean" else [1, 0, 4]
        table = pd.DataFrame({"a": [0.5, 1.5, 2.5], "b": pd.array(values, kind)})
        want = np.stack([[0.5, 1.5, 2.5], np.array(values, float)], 1)
        np.testing.assert_array_equal(real_array("x", table), want)
        for column in (table["b"], table["b"].array):
            np.testing.assert_array_equal(real_array("x", column), want[:, 1])
        gap = pd.DataFrame({"a": [np.nan, 1.5, 2.5], "b": pd.array([values[0], None, values[2]], kind)})
        with pytest.raises(TypeError, match=r"x: .* missing value in column 'b', row 1 is no real number"):
            real_array("x", gap)
        with pytest.raises(TypeError, match=r"x: .* missing value at \[1\] is no real number"):
            real_array("x", gap["b"])
        np.testing.assert_array_equal(real_array("x", gap["a"]), [np.nan, 1.5, 2.5])  # as in an array

    def test_several_inputs_in_a_list_may_be_tables(self, pd):
        from lstmcore.training.data import source

        table = pd.DataFrame({"a": [0.5, 1.5], "b": [True, False]})
        ((x, _, _),) = source([table, table], needs_targets=False, several=True).steps_of(1)
        assert [part.tolist() for part in x] == [[[0.5, 1.0], [1.5, 0.0]]] * 2

    def test_columns_of_other_types_are_named(self, pd):
        table = pd.DataFrame({"a": [1.0], "when": pd.to_datetime(["2020-01-01"])})
        with pytest.raises(TypeError, match=r"x: .* in column 'when', row 0 is no real number"):
            real_array("x", table)
        with pytest.raises(TypeError, match=r"x: expected numbers, got datetime64.* in column 'when'"):
            real_array("x", table[["when"]])


DATA = {"a": [0.5, -1.25], "b": [3, 0], "c": [True, False]}


class Told:
    """Nothing but the protocol of another library's table."""

    def __init__(self, table, protocol):
        setattr(type(self), protocol, lambda self, *given, **named: getattr(table, protocol)(*given, **named))


@pytest.mark.once
@pytest.mark.parametrize("kind", ["polars", "pyarrow", "batch", "nullable", "stream", "interchange"])
def test_tables_of_other_libraries_are_arrays(kind):
    wanted, network = PLAIN[:2], model()
    table = made(kind, DATA)
    np.testing.assert_array_equal(real_array("x", table), wanted)
    np.testing.assert_array_equal(network.predict(table, verbose=0), network.predict(wanted, verbose=0))
    assert np.isfinite(network.fit(table, wanted[:, :1], verbose=0).history["loss"]).all()
    with pytest.raises(TypeError, match=r"x: expected numbers, got .* in column 'b', row 1 is no real number"):
        real_array("x", made(kind, {"a": [1.0, 2.0], "b": [3, None]}))
    with pytest.raises(TypeError, match=r"x: expected numbers, got .*'one' in column 'b', row 0 is no real number"):
        real_array("x", made(kind, {"a": [1.0, 2.0], "b": ["one", "two"]}))


def made(kind, data):
    if kind == "polars":
        return pytest.importorskip("polars").DataFrame(data)
    if kind == "nullable":
        return pytest.importorskip("pandas").DataFrame(data).convert_dtypes()
    arrow = pytest.importorskip("pyarrow")
    if kind == "batch":
        return arrow.RecordBatch.from_pydict(data)
    protocol = {"stream": "__arrow_c_stream__", "interchange": "__dataframe__"}.get(kind)
    table = arrow.table(data)
    return table if protocol is None else type("Told", (Told,), {})(table, protocol)


@pytest.mark.once
def test_columns_of_other_libraries_are_arrays():
    polars, arrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    for column in (polars.Series([True, False]), arrow.array([True, False]), arrow.chunked_array([[True], [False]])):
        assert real_array("y", column).tolist() == [True, False]
    for column in (polars.Series([1, None]), arrow.array([1, None]), arrow.chunked_array([[1], [None]])):
        with pytest.raises(TypeError, match=r"y: expected numbers, .* a missing value at \[1\] is no real number"):
            real_array("y", column)
    with pytest.raises(TypeError, match=r"x: expected a table with its numbers, got a LazyFrame; use its collect\(\)"):
        real_array("x", polars.DataFrame(DATA).lazy())
