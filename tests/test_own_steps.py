"""What a subclass defines of training is called, or refused where it is defined; never left out without a word."""

import numpy as np
import pytest

from lstmcore import Input, Model, Sequential, callbacks, layers, metrics

X = np.random.default_rng(0).standard_normal((12, 3)).astype("float32")
Y = X.sum(1, keepdims=True)


def make(kind=Sequential, **options):
    model = kind([layers.Dense(1, input_shape=(3,), kernel_initializer="ones", bias_initializer="ones")])
    model.compile("sgd", "mse", **options)
    return model


class Wrapped(Sequential):
    """Halves the inputs before every step, and counts."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.seen = []

    def train_step(self, data):
        self.seen.append(("train", len(data)))
        x, *rest = data
        return super().train_step((x / 2, *rest))

    def test_step(self, data):
        self.seen.append(("test", len(data)))
        x, *rest = data
        return super().test_step((x / 2, *rest))

    def predict_step(self, data):
        self.seen.append(("predict", len(data)))
        return super().predict_step((data[0] / 2,))


def test_steps_that_call_super_are_those_of_other_data():
    options = {"epochs": 3, "batch_size": 4, "shuffle": False, "verbose": 0}
    plain, wrapped = make(metrics=["mae"]), make(Wrapped, metrics=["mae"])
    want = plain.fit(X / 2, Y, validation_data=(X / 2, Y), **options).history
    got = wrapped.fit(X, Y, validation_data=(X, Y), **options).history
    assert got == want
    assert wrapped.seen == ([("train", 2)] * 3 + [("test", 2)] * 3) * 3
    np.testing.assert_array_equal(wrapped.predict(X, batch_size=5), plain.predict(X / 2))
    np.testing.assert_array_equal(wrapped.predict_on_batch(X), plain.predict(X / 2))
    assert wrapped.seen[-4:] == [("predict", 1)] * 4
    for call in ("evaluate", "test_on_batch", "train_on_batch"):
        assert getattr(wrapped, call)(X, Y) == getattr(plain, call)(X / 2, Y)
        assert getattr(wrapped, call)(X, Y, return_dict=True) == getattr(plain, call)(X / 2, Y, return_dict=True)


def test_steps_are_given_the_weights():
    weights, classes = np.arange(12.0), {0: 2.0, 1: 3.0}
    plain, wrapped = make(), make(Wrapped)
    want = plain.fit(X / 2, Y, sample_weight=weights, shuffle=False, verbose=0).history
    assert wrapped.fit(X, Y, sample_weight=weights, shuffle=False, verbose=0).history == want
    assert wrapped.evaluate(X, Y, sample_weight=weights) == plain.evaluate(X / 2, Y, sample_weight=weights)
    assert {count for _, count in wrapped.seen} == {3}
    labels = (Y > 0).astype(int)
    want = plain.fit(X / 2, labels, class_weight=classes, shuffle=False, verbose=0).history
    assert wrapped.fit(X, labels, class_weight=classes, shuffle=False, verbose=0).history == want


class Own(Sequential):
    """Takes its steps itself, without super, and reports by metrics of its own."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.tracker = metrics.Mean("distance")

    def train_step(self, data):
        x, y = data
        outputs = self.forward(np.asarray(x, "float32"), True)
        self.parameters.gradients.fill(0)
        self.backward(2 * (outputs - y) / outputs.size, need_d_inputs=False)
        self.optimizer.step(self.parameters)
        self.tracker.update_state(float(np.mean((outputs - y) ** 2)), len(x))
        return {"loss": self.tracker.result(), "rate": self.optimizer.learning_rate}

    def test_step(self, data):
        x, y = data
        self.tracker.update_state(float(np.mean((self.forward(np.asarray(x, "float32")) - y) ** 2)), len(x))
        return {"z": 1.0, "distance": self.tracker.result(), "a": 2.0}


def test_steps_of_ones_own_are_what_is_reported():
    options = {"epochs": 3, "batch_size": 5, "shuffle": False, "verbose": 0}
    plain, own, seen = make(), make(Own), []
    want = plain.fit(X, Y, validation_data=(X, Y), **options).history
    note = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(sorted(logs)))
    got = own.fit(X, Y, validation_data=(X, Y), callbacks=[note], **options).history
    np.testing.assert_allclose(got["loss"], want["loss"], rtol=1e-5)  # the tracker begins anew in every epoch
    np.testing.assert_allclose(got["val_distance"], want["val_loss"], rtol=1e-5)
    assert got["rate"] == [0.01] * 3
    assert seen == [["loss", "rate"]] * 9
    np.testing.assert_allclose(own.parameters.values, plain.parameters.values, rtol=1e-5)
    value = plain.evaluate(X, Y)
    # As in Keras: the names of metrics, then the others by the alphabet.
    assert own.evaluate(X, Y) == [pytest.approx(value, rel=1e-5), 2.0, 1.0]
    assert own.evaluate(X, Y, return_dict=True)["distance"] == pytest.approx(value, rel=1e-5)
    assert [metric.name for metric in own.metrics] == ["loss", "distance"]
    own.compile("sgd", "mse", metrics=[own.tracker])
    assert [metric.name for metric in own.metrics] == ["loss", "distance"]


class Attribute(Sequential):
    """Keeps a metric as an attribute."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.rows = metrics.Mean("rows")


class Counted(Attribute):
    """Updates it before the step that is inherited."""

    def train_step(self, data):
        self.rows.update_state(float(len(data[0])))
        return super().train_step(data)


class InLists(Sequential):
    """Keeps one in a list in a dict."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        kept = {"all": [metrics.Mean("rows"), "another"]}
        kept["itself"] = kept
        self.kept = kept


class Listed(Sequential):
    """Has a metric that is no attribute among its ``metrics``."""

    @property
    def metrics(self):
        return [*super().metrics, *self.__dict__.setdefault("others", [metrics.Mean("rows")])]


@pytest.mark.parametrize(("kind", "rows"), [(Attribute, 0.0), (Counted, 6.0), (InLists, 0.0), (Listed, 0.0)])
def test_metrics_that_are_attributes_are_reported(kind, rows):
    """As by Keras, whose ``train_step`` returns the results of all ``metrics``, and which resets all at every epoch."""
    model = make(kind, metrics=["mae"])
    model.fit(X, Y, verbose=0)
    model._own_metrics()[0].update_state(50.0)
    history = model.fit(X, Y, validation_data=(X, Y), epochs=2, batch_size=6, verbose=0).history
    assert list(history) == ["loss", "mae", "rows", "val_loss", "val_mae", "val_rows"]
    assert history["rows"] == [rows] * 2
    assert history["val_rows"] == [0.0] * 2
    assert model.metrics_names == ["loss", "mae", "rows"]
    assert model.evaluate(X, Y, verbose=0)[2:] == [0.0]
    assert model.train_on_batch(X[:6], Y[:6])[2:] == [rows]
    assert list(model.test_on_batch(X, Y, return_dict=True)) == ["loss", "mae", "rows"]


class Watched(layers.Layer):
    """Keeps metrics, one in a list in a dict; is run on arrays as it is written, or as autograd does."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.seen = metrics.Mean("seen")
        self.others = {"all": [metrics.MeanSquaredError("far")]}

    def watch(self, inputs):
        self.seen.update_state(inputs)
        self.others["all"][0].update_state(y_true=inputs, y_pred=inputs * 2)


class Derived(Watched):
    def call(self, inputs):
        self.watch(inputs)
        return inputs * 1


class Written(Watched):
    def forward(self, inputs, training=False):
        self.watch(inputs)
        return inputs

    def backward(self, d_outputs, need_d_inputs=True):
        return d_outputs


class Around(layers.Layer):
    """A layer with layers within, whose call is drawn."""

    def __init__(self, inner, **options):
        super().__init__(**options)
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs)


class ByHand(Model):
    """A model with passes of its own."""

    def __init__(self, inner, last):
        super().__init__()
        self.inner, self.last = inner, last

    def forward(self, inputs, training=False):
        return self.last(self.inner(inputs, training=training), training=training)

    def backward(self, d_outputs, need_d_inputs=True):
        return self.inner.backward(self.last.backward(d_outputs), need_d_inputs)


def model_within(inner):
    x = Input((3,))
    return Model(x, inner(x))


WATCHED = {
    "chain": lambda inner, last: Sequential([inner, last]),
    "layer within": lambda inner, last: Sequential([Around(inner), last]),
    "model within": lambda inner, last: Sequential([model_within(inner), last]),
    "wrapped": lambda inner, last: Sequential([layers.Residual([inner]), layers.Rescaling(0.5), last]),
    "by hand": ByHand,
}


@pytest.mark.parametrize("kind", [Derived, Written])
@pytest.mark.parametrize("way", WATCHED)
def test_metrics_that_layers_keep_are_reported(kind, way):
    """As by Keras; they see the inputs of the model, whose mean and mean square are known."""
    if kind is Derived:
        pytest.importorskip("autograd")
    model = WATCHED[way](kind(), layers.Dense(1))
    model.compile("sgd", "mse", metrics=["mae"])
    of_all = {"seen": pytest.approx(X.mean(), abs=1e-6), "far": pytest.approx(np.square(X).mean(), rel=1e-5)}
    history = model.fit(X, Y, validation_data=(X[:3], Y[:3]), epochs=2, batch_size=4, verbose=0).history
    assert list(history) == [f"{val}{name}" for val in ("", "val_") for name in ("loss", "mae", "seen", "far")]
    for name, want in of_all.items():
        assert history[name] == [want] * 2
    assert history["val_seen"] == [pytest.approx(X[:3].mean(), abs=1e-6)] * 2
    scores = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert {name: scores[name] for name in of_all} == of_all
    assert model.metrics_names == list(scores) == list(model.reported_metrics)
    assert list(model.train_on_batch(X, Y, return_dict=True)) == list(scores)
    model.predict(X, verbose=0)
    assert model.test_on_batch(X, Y)[2:] == list(of_all.values())


def test_metrics_of_layers_of_one_name_are_told_apart_and_looked_for_when_they_come():
    pytest.importorskip("autograd")
    first, second = Derived(input_shape=(3,)), Derived()
    model = Sequential([first, layers.Rescaling(2.0), second, layers.Dense(1)])
    model.compile("sgd", "mse")
    logs = model.test_on_batch(X, Y, return_dict=True)
    assert list(logs) == ["loss", "seen", "far", "seen_1", "far_1"]
    assert logs["seen_1"] == pytest.approx(2 * logs["seen"], rel=1e-5)
    first.late = metrics.Mean("loss")  # stands behind that of the model
    second.late = metrics.Mean("late")
    assert list(model.train_on_batch(X, Y, return_dict=True)) == [*logs, "late"]
    spare = metrics.Mean("spare")
    model.test_on_batch(X, Y)
    first.late = spare
    assert list(model.fit(X, Y, verbose=0).history) == ["loss", "seen", "far", "spare", "seen_1", "far_1", "late"]


def test_metrics_of_models_within_are_their_own():
    """Their layers' are reported, as in Keras."""
    inner = Attribute([layers.Dense(2, input_shape=(3,)), Written()])
    model = Sequential([inner, layers.Dense(1)])
    model.compile("sgd", "mse")
    assert list(model.train_on_batch(X, Y, return_dict=True)) == ["loss", "seen", "far"]


def test_what_is_run_to_learn_shapes_is_not_measured():
    pytest.importorskip("autograd")
    layer = Derived()
    layer.seen.update_state(3.0)
    layer(Input((3,)))
    assert layer.compute_output_shape((None, 3)) == (None, 3)
    hand = ByHand(layer, layers.Dense(1))
    hand.build((None, 3))
    hand.compute_output_shape((None, 3))
    assert layer.seen.result() == 3.0
    assert layer.seen.state() == {"total": 3.0, "count": 1.0}


def test_metrics_of_ones_own_survive_an_evaluation_and_an_interruption(tmp_path):
    class Look(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.evaluate(X[:3], Y[:3])

    options = {"epochs": 2, "batch_size": 4, "verbose": 0, "shuffle": False}
    want = make(Own).fit(X, Y, **options).history
    assert make(Own).fit(X, Y, callbacks=[Look()], **options).history == want
    backup = callbacks.BackupAndRestore(tmp_path, save_freq=2)
    fail = callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: 1 / (batch - 2))
    with pytest.raises(ZeroDivisionError):
        make(Own).fit(X, Y, callbacks=[backup, fail], **options)
    assert make(Own).fit(X, Y, callbacks=[backup], **options).history == want


def test_what_a_step_returns_is_checked():
    model = make()
    model.train_step = lambda data: None  # of the object, not the class
    with pytest.raises(
        ValueError, match=r"train_step: expected it to return a dict .* super\(\).train_step.* got None"
    ):
        model.fit(X, Y, verbose=0)
    model.predict_step = lambda data: [1.0]
    with pytest.raises(ValueError, match="predict_step: expected it to return an array"):
        model.predict(X)
    with pytest.raises(ValueError, match=r"data: expected \(x, y\) or \(x, y, sample_weight\), got ndarray"):
        make().train_step(X)


class Tape:
    """Stands for another library."""

    GradientTape = torch = value_and_grad = None


def test_steps_with_automatic_gradients_are_refused_when_defined():
    def tape(self, data):
        with Tape.GradientTape() as tape:
            loss = tape(data)
        self.optimizer.apply_gradients(zip(tape.gradient(loss), self.trainable_variables, strict=True))

    def torch(self, data):
        self.zero_grad()
        self.loss(data).backward()

    def jax(self, data):
        def within():
            return Tape.value_and_grad(self.loss)

        return within()

    for step, name in ((tape, "GradientTape, apply_gradients"), (torch, "zero_grad"), (jax, "value_and_grad")):
        for base in (Model, Sequential):
            with pytest.raises(
                TypeError, match=rf"Mine.train_step: uses {name}, but gradients .* super\(\).train_step"
            ):
                type("Mine", (base,), {"train_step": step})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("compute_loss", r"define a losses\.Loss"),
        ("compute_metrics", r"give compile a metrics\.Metric"),
        ("make_train_function", "define train_step instead"),
        ("make_test_function", "define test_step instead"),
        ("make_predict_function", "define predict_step instead"),
    ],
)
def test_what_would_never_be_called_is_refused_when_defined(name, text):
    with pytest.raises(TypeError, match=rf"Mine.{name}: would never be called; {text}"):
        type("Mine", (Model,), {name: lambda self: None})


@pytest.mark.parametrize("base", [layers.Dense, layers.LSTM, Sequential])
def test_a_call_that_would_never_be_called_is_refused_when_defined(base):
    def call(self, inputs):
        return inputs

    text = r"define forward\(inputs, training=False\) instead of call"
    if base is Sequential:
        text = "defines call, which a chain would not call; derive it from Model"
    with pytest.raises(TypeError, match=rf"Mine: {text}"):
        type("Mine", (base,), {"call": call})

    if base is Sequential:
        return  # has no forward of one's own

    class Calls(base):
        def forward(self, inputs, training=False):
            return self.call(inputs)

    mine = type("Mine", (Calls,), {"call": call})  # its forward calls it
    assert mine.call is call


def test_steps_make_the_weights_of_a_new_model():
    for step, data in (("train_step", (X, Y)), ("test_step", (X, Y)), ("predict_step", (X,))):
        model = Sequential([layers.Dense(1, kernel_initializer="ones", bias_initializer="ones")])
        model.compile("sgd", "mse")
        found = getattr(model, step)(data)
        expected = X.sum(1, keepdims=True) + 1
        if step == "predict_step":
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        else:
            np.testing.assert_allclose(found["loss"], np.mean((expected - Y) ** 2), rtol=1e-6)


def test_evaluation_and_prediction_can_be_stopped():
    class Stop(callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            self.model.stop_evaluating = batch == 1

        def on_predict_batch_end(self, batch, logs=None):
            self.model.stop_predicting = batch == 1

    model = make()
    for _ in range(2):  # it is for that call only
        assert model.evaluate(X, Y, batch_size=4, callbacks=[Stop()]) == pytest.approx(model.evaluate(X[:8], Y[:8]))
        assert model.predict(X, batch_size=4, callbacks=[Stop()]).shape == (8, 1)
    model.stop_evaluating = model.stop_predicting = True
    assert len(model.predict(X, batch_size=4)) == 12
    history = model.fit(X, Y, batch_size=12, validation_data=(X, Y), validation_batch_size=4, verbose=0)
    assert history.history["val_loss"] == [pytest.approx(model.evaluate(X, Y))]
    history = model.fit(X[:1], Y[:1], verbose=0, validation_data=(X, Y), validation_batch_size=4, callbacks=[Stop()])
    assert history.history["val_loss"] == [pytest.approx(model.evaluate(X[:8], Y[:8]))]
