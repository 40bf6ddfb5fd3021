"""Models with several outputs: what `compile`, `fit` and their kind are given for each, and what they report."""

import copy
import csv
import pickle

import numpy as np
import pytest
from layer_tools import numbers

import lstmcore
from lstmcore import Input, Model, layers, losses, metrics, optimizers
from lstmcore.callbacks import BackupAndRestore, CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from lstmcore.models import Functional, clone_model, load_model
from lstmcore.utils import PyDataset

ROWS = 24
X = numbers(ROWS, 5, 3, dtype="float32")
PRICE, SIGN = numbers(ROWS, 1, dtype="float32"), np.eye(2, dtype="float32")[np.arange(ROWS) % 2]
BOTH, NAMED = [PRICE, SIGN], {"price": PRICE, "sign": SIGN}
LOSSES = {"price": "mse", "sign": "categorical_crossentropy"}
HALF, RISING = np.full(ROWS, 0.5), np.linspace(0.1, 2, ROWS)


def make(said=list, cls=Model):
    """An LSTM with two heads, the outputs in a list, a dict or lists and dicts within."""
    lstmcore.utils.set_random_seed(1)
    x = Input((5, 3), name="x")
    state = layers.LSTM(4, name="state")(x)
    price, sign = layers.Dense(1, name="price")(state), layers.Dense(2, "softmax", name="sign")(state)
    return cls(x, {list: [price, sign], dict: {"price": price, "sign": sign}, "within": {"all": [price, [sign]]}}[said])


def compiled(said=list, loss=LOSSES, optimizer="adam", **options):
    model = make(said)
    model.compile(optimizer, loss, **options)
    return model


def fitted(model, y, **options):
    """What two epochs report."""
    return model.fit(X, y, epochs=2, batch_size=8, shuffle=False, verbose=0, **options).history


def test_losses_and_metrics_are_given_by_name_by_position_or_one_for_all():
    want = fitted(
        compiled(metrics={"price": ["mae"], "sign": "accuracy"}, loss_weights={"price": 1, "sign": 0.5}), BOTH
    )
    assert list(want) == ["loss", "price_loss", "sign_loss", "price_mae", "sign_accuracy"]
    parts = zip(want["price_loss"], want["sign_loss"], strict=True)
    np.testing.assert_allclose(want["loss"], [p + 0.5 * s for p, s in parts], rtol=1e-6)
    for options in (
        {"loss": list(LOSSES.values()), "metrics": ["mae", ["accuracy"]], "loss_weights": (1, 0.5)},
        {
            "loss": dict(reversed(LOSSES.items())),
            "metrics": {"sign": ["accuracy"], "price": "mae"},
            "loss_weights": {"sign": 0.5},
        },
        {
            "loss": [losses.MeanSquaredError(), losses.categorical_crossentropy],
            "metrics": [[["mae"]], [metrics.CategoricalAccuracy("accuracy")]],
            "loss_weights": [None, 0.5],
        },
        {
            "loss": [losses.serialize(losses.MeanSquaredError()), "categorical_crossentropy"],
            "metrics": [metrics.MeanAbsoluteError("mae"), "accuracy"],
            "loss_weights": [1.0, np.float32(0.5)],
        },
    ):
        assert fitted(compiled(**options), BOTH) == want
    for said in (list, dict, "within"):
        one = fitted(compiled(said, loss="mse"), BOTH)
        assert one == {
            k.replace("price", "all/price").replace("sign", "all/1/sign") if said == "within" else k: v
            for k, v in fitted(compiled(loss=["mse", losses.MeanSquaredError()]), BOTH).items()
        }


@pytest.mark.parametrize("said", [list, dict])
@pytest.mark.parametrize(
    "y", [BOTH, tuple(BOTH), NAMED, dict(reversed(NAMED.items()))], ids=["list", "tuple", "dict", "reversed"]
)
def test_targets_are_given_in_a_list_or_a_dict_whatever_the_outputs_are_in(said, y):
    weights = {"price": HALF, "sign": RISING}
    want = fitted(compiled(weighted_metrics=["mae", "accuracy"]), BOTH, sample_weight=[HALF, RISING])
    for sample_weight in (weights, dict(reversed(weights.items())), list(weights.values()), tuple(weights.values())):
        assert fitted(compiled(said, weighted_metrics=["mae", "accuracy"]), y, sample_weight=sample_weight) == want


def test_outputs_in_lists_and_dicts_within_take_the_same_or_a_flat_list_or_names():
    model = make("within")
    assert model.output_names == ["all/price", "all/1/sign"]
    shapes = {"all": [(None, 1), [(None, 2)]]}
    assert model.output_shape == shapes
    outputs = model.predict(X, verbose=0)
    assert outputs["all"][1][0].shape == (ROWS, 2)
    want = fitted(compiled(metrics=["mae", "accuracy"]), BOTH, sample_weight=[HALF, RISING])
    want = {name.replace("price", "all/price").replace("sign", "all/1/sign"): values for name, values in want.items()}
    for part in (
        lambda a, b: {"all": [a, [b]]},
        lambda a, b: [a, b],
        lambda a, b: {"all/1/sign": b, "all/price": a},
    ):
        model = compiled("within", loss=part("mse", "categorical_crossentropy"), metrics=part("mae", ["accuracy"]))
        assert fitted(model, part(PRICE, SIGN), sample_weight=part(HALF, RISING)) == want
    d = {"all": [numbers(ROWS, 1, dtype="float32"), [numbers(ROWS, 2, dtype="float32")]]}
    gradients = []
    for given in (d, [d["all"][0], d["all"][1][0]]):
        model.parameters.vectors.gradients.fill(0)
        model(X, training=True)
        model.backward(given)
        gradients.append(model.parameters.gradients.copy())
    np.testing.assert_array_equal(*gradients)


def test_gradients_of_outputs_in_a_dict_are_taken_by_name():
    model = make(dict)
    d = {"sign": numbers(ROWS, 2, dtype="float32"), "price": numbers(ROWS, 1, dtype="float32")}
    gradients = []
    for given in (d, dict(reversed(d.items())), [d["price"], d["sign"]]):
        model.parameters.vectors.gradients.fill(0)
        model(X, training=True)
        model.backward(given)
        gradients.append(model.parameters.gradients.copy())
    np.testing.assert_array_equal(gradients[0], gradients[1])
    np.testing.assert_array_equal(gradients[0], gradients[2])
    for wrong, got in (([d["sign"]], "1"), (d["sign"], "ndarray"), ({"price": None, "a": None}, "2")):
        model(X, training=True)
        with pytest.raises(
            ValueError, match=rf"{model.name}: d_outputs: expected 2 arrays, as there are outputs, got {got}"
        ):
            model.backward(wrong)


def test_a_dict_of_one_output_is_one_output_with_a_name():
    x = Input((5, 3))
    results = []
    for out, y in (
        (lambda h: h, PRICE),
        (lambda h: {"price": h}, {"price": PRICE}),
        (lambda h: {"price": h}, PRICE),
        (lambda h: {"price": h}, [PRICE]),
        (lambda h: [h], [PRICE]),
    ):
        lstmcore.utils.set_random_seed(1)
        model = Model(x, out(layers.Dense(1)(layers.LSTM(4)(x))))
        model.compile("adam", "mse", metrics=["mae", "mse"])
        results.append(fitted(model, y))
    assert list(results[0]) == ["loss", "mae", "mse"]
    assert all(result == results[0] for result in results)


def test_a_dict_for_one_input_or_output_has_its_name():
    x = Input((5, 3), name="past")
    model = Model(x, layers.Dense(1, name="price")(layers.LSTM(4)(x)))
    for asked in ({"loss": {"prices": "mse"}}, {"loss": "mse", "metrics": {"prices": "mae"}}):
        with pytest.raises(ValueError, match=r"(loss|metrics): expected the name 'price' in a dict, got 'prices'"):
            model.compile("adam", **asked)
    model.compile("adam", {"price": "mse"}, metrics={"price": "mae"})
    inputs, targets = (
        r"x: expected the name 'past' in a dict, got 'x'",
        r"y: expected the name 'price' in a dict, got 'y'",
    )
    for run in (model.fit, model.train_on_batch, model.evaluate, model.test_on_batch):
        run({"past": X}, {"price": PRICE})
        with pytest.raises(ValueError, match=inputs):
            run({"x": X}, PRICE)
        with pytest.raises(ValueError, match=targets):
            run(X, {"y": PRICE})
        if run in (model.fit, model.evaluate):
            with pytest.raises(ValueError, match=inputs):
                run(iter([({"x": X}, PRICE)]))
            with pytest.raises(ValueError, match=targets):
                run(iter([(X, {"y": PRICE})]))
    with pytest.raises(ValueError, match="got a dict of 2: past, more"):
        model.predict({"past": X, "more": X})
    for predict in (model.predict, model.predict_on_batch):
        np.testing.assert_array_equal(predict({"past": X}), predict(X))
        with pytest.raises(ValueError, match=inputs):
            predict({"x": X})


def test_two_outputs_of_one_layer_have_names_of_their_own():
    x = Input((5, 3))
    shared = layers.Dense(1, name="a")
    lstm = layers.LSTM(2, return_state=True, name="b")
    y, h, c = lstm(x)
    outputs = [shared(layers.LSTM(2)(x)), shared(y), h, c, layers.Dense(1, name="a_2")(h)]
    model = Model(x, outputs)
    assert model.output_names == ["a", "a_1", "b", "b_1", "a_2"]
    assert Model(x, [outputs[4], *outputs[:2], outputs[1]]).output_names == ["a_2", "a", "a_1", "a_3"]
    model.compile("sgd", ["mse", "mse", None, None, "mae"], metrics={"a_1": "mae"})
    y = [PRICE, PRICE, None, None, PRICE]
    assert list(model.train_on_batch(X, y, return_dict=True)) == ["loss", "a_loss", "a_1_loss", "a_2_loss", "a_1_mae"]


def test_names_of_what_is_reported_are_told_apart():
    x = Input((5, 3))
    state = layers.LSTM(2)(x)
    model = Model(x, {"a": layers.Dense(1)(state), "a_b": layers.Dense(1)(state)})
    model.compile(
        "sgd",
        "mse",
        metrics={
            "a": [metrics.MeanAbsoluteError("b_mae"), metrics.MeanSquaredError("loss")],
            "a_b": "mae",
        },
    )
    logs = model.test_on_batch(X, [PRICE, PRICE], return_dict=True)
    assert list(logs) == ["loss", "a_loss", "a_b_loss", "a_b_mae", "a_loss_1", "a_b_mae_1"]
    assert logs["a_loss"] == pytest.approx(logs["a_loss_1"])
    assert logs["a_b_mae"] != logs["a_b_mae_1"]


def test_outputs_without_a_loss_need_no_targets():
    want = None
    for loss, y in (
        (["mse", None], [PRICE, None]),
        ({"price": "mse", "sign": None}, NAMED),
        ({"price": "mse"}, {"price": PRICE}),
        ({"price": "mse"}, BOTH),
    ):
        model = compiled(loss=loss, metrics={"price": "mae"})
        history = fitted(model, y, validation_data=(X, y))
        assert list(history) == ["loss", "price_mae", "val_loss", "val_price_mae"]
        want = want or history
        assert history == want
        assert model.metrics_names == ["loss", "price_mae"]


def test_weights_of_losses_scale_the_sum_but_not_what_is_reported_of_each():
    model = compiled(loss_weights=[0, 2.0], optimizer="sgd")
    head = model.get_layer("price").get_weights()
    logs = model.train_on_batch(X, BOTH, return_dict=True)
    assert logs["loss"] == pytest.approx(2 * logs["sign_loss"], rel=1e-6)
    predicted = make().predict(X, verbose=0)[0]
    assert logs["price_loss"] == pytest.approx(((predicted - PRICE) ** 2).mean(), rel=1e-5)
    for a, b in zip(head, model.get_layer("price").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_sample_weight_is_that_of_all_outputs_and_none_that_of_one():
    def weighted(sample_weight):
        return compiled(weighted_metrics=["mae", "accuracy"]).train_on_batch(X, BOTH, sample_weight)

    assert weighted(RISING) == weighted([RISING, RISING]) == weighted(RISING.tolist())
    assert weighted([RISING, None]) == weighted({"price": RISING}) == weighted([RISING, np.ones(ROWS)])
    assert weighted(RISING) != weighted([RISING, None]) != weighted(None)


# --- where data come from ---


class Batches(PyDataset):
    def __init__(self, pack):
        super().__init__()
        self.pack = pack

    def __len__(self):
        return 3

    def __getitem__(self, k):
        part = slice(8 * k, 8 * k + 8)
        return self.pack(X[part], PRICE[part], SIGN[part], RISING[part])


@pytest.mark.parametrize("said", [list, dict, "within"])
def test_arrays_generators_and_data_sets_give_the_same(said):
    def reported(x, y=None, sample_weight=None, steps=None):
        model = compiled(said, list(LOSSES.values()), metrics=["mae", "accuracy"])
        history = model.fit(
            x,
            y,
            epochs=2,
            batch_size=None if y is None else 8,
            sample_weight=sample_weight,
            shuffle=False,
            steps_per_epoch=steps,
            verbose=0,
        ).history
        return history, model.get_weights()

    names = make(said).output_names
    want, weights = reported(X, BOTH, {names[1]: RISING})
    for pack in (
        lambda x, p, s, w: (x, [p, s], [None, w]),
        lambda x, p, s, w: [x, (p, s), {names[1]: w}],
        lambda x, p, s, w: (x, {names[1]: s, names[0]: p}, [np.ones(8), w]),
    ):
        data = Batches(pack)
        for source, steps in ((data, None), (iter([data[k % 3] for k in range(6)]), 3)):
            got, others = reported(source, steps=steps)
            assert got == want
            for a, b in zip(weights, others, strict=True):
                np.testing.assert_array_equal(a, b)


def test_validation_is_that_of_evaluate():
    model = compiled(dict, metrics={"sign": ["accuracy", "mse"]}, optimizer=optimizers.SGD(0.0))
    history = model.fit(
        X,
        NAMED,
        validation_data=(X[:7], {k: v[:7] for k, v in NAMED.items()}, {"sign": RISING[:7]}),
        verbose=0,
        shuffle=False,
    ).history
    weight = {"sign": RISING[:7]}
    scores = model.evaluate(X[:7], [PRICE[:7], SIGN[:7]], sample_weight=weight, verbose=0, return_dict=True)
    assert {f"val_{name}": [value] for name, value in scores.items()} == {
        n: v for n, v in history.items() if n[:3] == "val"
    }
    as_list = model.evaluate(X[:7], [PRICE[:7], SIGN[:7]], sample_weight=weight, verbose=0)
    assert as_list == list(scores.values())
    assert list(scores) == model.metrics_names
    assert model.test_on_batch(X[:7], [PRICE[:7], SIGN[:7]], weight) == pytest.approx(as_list, rel=1e-6)
    split = model.fit(X, BOTH, validation_split=0.25, verbose=0, shuffle="batch").history
    rest = model.evaluate(X[18:], [PRICE[18:], SIGN[18:]], verbose=0, return_dict=True)
    assert {n[4:]: v[0] for n, v in split.items() if n[:4] == "val_"} == rest


def test_rows_stay_together_when_they_are_shuffled():
    x = np.repeat(np.arange(ROWS, dtype="float32")[:, None], 2, 1)
    first = Input((2,))
    seen = []

    class Look(Functional):
        def train_step(self, data):
            x, y, weight = data
            seen.append((x[:, 0], y["a"][:, 0], y["b"][:, 0], weight["a"], weight["b"]))
            return super().train_step(data)

    model = Look(first, {"a": layers.Dense(1)(first), "b": layers.Dense(1)(first)})
    model.compile("sgd", "mse")
    y = [x[:, :1] * 2, x[:, :1] * 3]
    model.fit(x, y, sample_weight=[x[:, 0] * 4, x[:, 0] * 5], batch_size=5, verbose=0)
    rows, *others = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    assert sorted(rows) == list(range(ROWS))
    assert list(rows) != list(range(ROWS))
    for k, other in enumerate(others):
        np.testing.assert_array_equal(other, rows * (k + 2))


@pytest.mark.parametrize("said", [list, dict])
def test_steps_of_ones_own_get_targets_as_the_outputs_are(said):
    class Own(Functional):
        def train_step(self, data):
            x, y = data
            assert isinstance(y, said)
            outputs, price = self(x, training=True), y["price"] if said is dict else y[0]
            d = 2 * ((outputs["price"] if said is dict else outputs[0]) - price) / len(x)
            self.backward({"price": d, "sign": None} if said is dict else [d, None])
            self.optimizer.step(self.parameters)
            return {"loss": float((d**2).mean()), "price_d": 1.0}

        def test_step(self, data):
            return {**super().test_step(data), "more": 2.0}

        def predict_step(self, data):
            outputs = super().predict_step(data)
            return {k: v * 2 for k, v in outputs.items()} if said is dict else [v * 2 for v in outputs]

    own, plain = make(said, Own), compiled(said, ["mse", None], optimizer="sgd")
    own.compile("sgd", LOSSES)
    history = own.fit(X, BOTH, batch_size=8, shuffle=False, verbose=0, validation_data=(X, NAMED)).history
    assert list(history) == ["loss", "price_d", "val_loss", "val_price_loss", "val_sign_loss", "val_more"]
    plain.fit(X, BOTH, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(own.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    doubled, once = own.predict(X, verbose=0), make(said)
    once.set_weights(own.get_weights())
    single = once.predict(X, verbose=0)
    for k in ("price", "sign") if said is dict else (0, 1):
        np.testing.assert_array_equal(doubled[k], single[k] * 2)


class Called(Model):
    """The same model, whose outputs show by the first data."""

    def __init__(self, said=list, **options):
        super().__init__(**options)
        lstmcore.utils.set_random_seed(1)
        self.by_name = said is dict
        self.state = layers.LSTM(4)
        self.price, self.sign = layers.Dense(1, name="price"), layers.Dense(2, "softmax", name="sign")

    def call(self, inputs):
        state = self.state(inputs)
        outputs = {"price": self.price(state), "sign": self.sign(state)}
        return outputs if self.by_name else list(outputs.values())


@pytest.mark.parametrize("said", [list, dict])
@pytest.mark.parametrize("loss", [LOSSES, list(LOSSES.values())], ids=["dict", "list"])
@pytest.mark.parametrize("y", [BOTH, NAMED], ids=["list", "dict"])
def test_a_model_whose_outputs_show_by_the_first_data_is_trained_as_one_of_a_graph(said, loss, y):
    options = {"metrics": [["mae"], ["accuracy"]], "loss_weights": {"sign": 0.5}}
    model, graph = Called(said), compiled(said, **options)
    model.compile("adam", loss, **options)
    assert model.metrics_names == ["loss", "mae", "accuracy"]  # as far as is known
    model(X[:1])
    model.set_weights(graph.get_weights())
    weights = {"sign": RISING}
    assert fitted(model, y, sample_weight=weights) == fitted(graph, y, sample_weight=weights)
    assert model.metrics_names == graph.metrics_names


def test_what_does_not_fit_outputs_that_show_by_the_first_data_is_told_then():
    for options, message in (({"loss": ["mse"] * 3}, "loss: expected 2"), ({"loss_weights": [1]}, "loss_weights: exp")):
        model = Called()
        model.compile(**{"optimizer": "sgd", "loss": "mse", **options})
        for call in (model.train_on_batch, model.test_on_batch, model.evaluate, model.fit):
            with pytest.raises(ValueError, match=message):
                call(X, BOTH)
    model = Called()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="y: expected a list for the 2 outputs, price, sign, or a dict; got one array"):
        model.fit(X, PRICE)


# --- callbacks, files ---


def test_callbacks_monitor_what_is_reported_of_an_output(tmp_path):
    model = compiled(metrics={"sign": "accuracy"}, optimizer=optimizers.SGD(0.0))  # so that nothing gets better
    log = tmp_path / "log.csv"
    path = str(tmp_path / "{epoch}-{val_price_loss:.3f}.safetensors")
    hooks = [
        EarlyStopping("val_sign_loss", patience=3),
        ReduceLROnPlateau("val_price_loss", patience=1, min_lr=0.0),
        ModelCheckpoint(path, monitor="val_sign_accuracy", save_best_only=True),
        CSVLogger(log),
    ]
    history = model.fit(X, BOTH, epochs=9, validation_data=(X, BOTH), callbacks=hooks, verbose=0).history
    assert len(history["loss"]) == 4
    assert "learning_rate" in history
    (saved,) = tmp_path.glob("1-*.safetensors")
    assert saved.name == f"1-{history['val_price_loss'][0]:.3f}.safetensors"
    with open(log, newline="") as file:
        rows = list(csv.DictReader(file))
    names = {"loss", "price_loss", "sign_loss", "sign_accuracy"}
    assert set(rows[0]) == {"epoch", "learning_rate", *names, *(f"val_{name}" for name in names)}
    assert [float(row["val_price_loss"]) for row in rows] == pytest.approx(history["val_price_loss"])


@pytest.mark.parametrize(
    ("monitor", "rising"),
    [
        ("val_acceleration_loss", False),  # no accuracy
        ("val_acceleration_miss", False),
        ("val_acceleration_hit", True),
        ("val_loss_hit", True),  # of an output that is called "loss"
        ("loss_loss", False),
    ],
)
def test_whether_a_number_is_to_rise_is_told_by_the_metric_of_the_output(monitor, rising):
    x = Input((5, 3))
    state = layers.LSTM(2)(x)
    model = Model(x, {"acceleration": layers.Dense(1)(state), "loss": layers.Dense(2, "softmax")(state)})
    hits = {"loss": [metrics.CategoricalAccuracy("hit")]}
    rates = [metrics.MeanAbsoluteError("miss"), metrics.BinaryAccuracy("hit")]
    model.compile(optimizers.SGD(0.0), ["mse", "mse"], metrics={"acceleration": rates, **hits})
    stop = EarlyStopping(monitor, min_delta=0.1, patience=5)
    model.fit(X, BOTH, validation_data=(X, BOTH), callbacks=[stop], verbose=0)
    assert stop.improves(2.0, 1.0) == rising
    assert stop.improves(1.0, 2.0) != rising
    with pytest.raises(ValueError, match="there is no 'val_hit' in the logs"):
        model.fit(X, BOTH, validation_data=(X, BOTH), callbacks=[EarlyStopping("val_hit")], verbose=0)


def rich(said=list):
    """With state in layers, metrics and the optimizer."""
    lstmcore.utils.set_random_seed(1)
    x = Input((5, 3), name="x")
    state = layers.Dropout(0.2)(layers.LSTM(4, recurrent_dropout=0.1)(x))
    outputs = {
        "price": layers.Dense(1, activity_regularizer="l2")(layers.BatchNormalization()(state)),
        "sign": layers.Dense(2, "softmax", kernel_regularizer="l2")(state),
    }
    model = Model(x, outputs if said is dict else list(outputs.values()))
    names = model.output_names
    model.compile(
        optimizers.Adam(0.01, use_ema=True, gradient_accumulation_steps=2),
        dict(zip(names, (losses.Huber(0.5), "categorical_crossentropy"), strict=True)),
        loss_weights={names[1]: 0.3},
        metrics={names[0]: ["mae", metrics.RootMeanSquaredError()], names[1]: ["accuracy", metrics.AUC(name="auc")]},
        weighted_metrics=[None, ["accuracy"]],
    )
    return model


@pytest.mark.parametrize("said", [list, dict])
def test_a_model_from_a_file_a_pickle_or_a_copy_goes_on_with_the_same_bits(said, tmp_path):
    model = rich(said)
    weights = [None, RISING]
    model.fit(X, BOTH, epochs=2, batch_size=5, sample_weight=weights, verbose=0)
    model.save(tmp_path / "model.safetensors")
    twins = [load_model(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    results = []
    for one in (model, *twins):
        history = one.fit(X, BOTH, epochs=2, batch_size=5, sample_weight=weights, verbose=0).history
        scores = one.evaluate(X, BOTH, sample_weight=weights, verbose=0, return_dict=True)
        results.append((history, scores, [w.tobytes() for w in one.get_weights()]))
    assert len(results[0][1]) == 8
    assert all(result == results[0] for result in results)


def test_training_that_was_interrupted_goes_on_from_its_backup_with_the_same_bits(tmp_path):
    class Break(lstmcore.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.seen = getattr(self, "seen", 0) + 1
            if self.seen == 7:
                raise KeyboardInterrupt

    def fit(model, *hooks):
        return model.fit(X, BOTH, epochs=3, batch_size=5, validation_split=0.2, callbacks=[*hooks], verbose=0).history

    whole = rich(dict)
    want = fit(whole)
    with pytest.raises(KeyboardInterrupt):
        fit(rich(dict), BackupAndRestore(tmp_path, save_freq=2), Break())
    lstmcore.utils.set_random_seed(99)
    resumed = rich(dict)
    assert fit(resumed, BackupAndRestore(tmp_path, save_freq=2)) == want
    for a, b in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_clones_have_the_outputs_of_their_model():
    for said in (list, dict, "within"):
        model = make(said)
        for twin in (
            clone_model(model),
            clone_model(model, clone_function=lambda layer: type(layer).from_config(layer.get_config())),
        ):
            assert twin.output_names == model.output_names
            assert twin.output_shape == model.output_shape
            assert not {id(layer) for layer in twin.layers} & {id(layer) for layer in model.layers}
            twin.set_weights(model.get_weights())
            twin.compile("sgd", "mse")
            assert len(fitted(twin, BOTH)) == 3


# --- bad input ---

WRONG = {
    "losses, too few": ({"loss": ["mse"]}, "loss: expected 2, one for each output, price, sign; got 1"),
    "losses, of another name": (
        {"loss": {"price": "mse", "size": "mse"}},
        "loss: expected names of outputs, price, sign; got size",
    ),
    "a loss that is none": (
        {"loss": ["mse", "squares"]},
        r"loss: expected one of .*got 'squares', for the output sign",
    ),
    "a loss that is a number": (
        {"loss": {"price": 3, "sign": None}},
        "loss: expected a name, a Loss or a function, got 3, for the output price",
    ),
    "weights, too many": (
        {"loss_weights": [1, 2, 3]},
        "loss_weights: expected 2, one for each output, price, sign; got 3",
    ),
    "one weight": (
        {"loss_weights": 2.0},
        "loss_weights: expected a list for the 2 outputs, price, sign, or a dict; got 2.0",
    ),
    "weights in an array": (
        {"loss_weights": np.ones(2)},
        "loss_weights: expected a list for the 2 outputs, price, sign, or a dict; got one array",
    ),
    "a weight that is none": ({"loss_weights": {"sign": "a"}}, r"loss_weights\['sign'\]: expected a number"),
    "a weight that is NaN": (
        {"loss_weights": [1, np.nan]},
        r"loss_weights\['sign'\]: expected a number in \(-inf, inf\), got nan",
    ),
    "one metric": ({"metrics": ["mae"]}, "metrics: expected 2, one for each output, price, sign; got 1"),
    "a metric by itself": (
        {"metrics": "mae"},
        "metrics: expected a list for the 2 outputs, price, sign, or a dict; got 'mae'",
    ),
    "a metric that is none": (
        {"weighted_metrics": [None, "meter"]},
        "expected one of .*got 'meter', for the output sign",
    ),
    "metrics of another name": (
        {"metrics": {"size": "mae"}},
        "metrics: expected names of outputs, price, sign; got size",
    ),
    "metrics without a loss": (
        {"loss": ["mse", None], "metrics": [None, "acc"]},
        "metrics: 'acc' depends on the loss, and there is none; say 'categorical_accuracy' or .*for the output sign",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_compile_cannot_take_is_told_with_the_output(case):
    options, message = WRONG[case]
    model = compiled(loss_weights=[0.1, 0.2])
    before = model.loss, model.optimizer, model.metrics_names
    with pytest.raises((TypeError, ValueError), match=message):
        model.compile(**{"optimizer": "sgd", "loss": "mse", **options})
    assert (model.loss, model.optimizer, model.metrics_names) == before
    model.train_on_batch(X, BOTH)


def test_a_metric_object_is_of_one_output():
    shared = metrics.MeanAbsoluteError()
    with pytest.raises(ValueError, match="metrics: expected an object of its own for each output, got one again"):
        compiled(metrics=[shared, shared])


BAD_DATA = {
    "one array": (PRICE, {}, "y: expected a list for the 2 outputs, price, sign, or a dict; got one array"),
    "a number": (3, {}, "y: expected a list for the 2 outputs, price, sign, or a dict; got 3"),
    "too many": ([PRICE, SIGN, SIGN], {}, "y: expected 2, one for each output, price, sign; got 3"),
    "another name": ({"price": PRICE, "size": SIGN}, {}, "y: expected names of outputs, price, sign; got size"),
    "one missing": ({"price": PRICE}, {}, r"y\['sign'\]: expected an array, for that output has a loss; got none"),
    "None": ([PRICE, None], {}, r"y\['sign'\]: expected an array, for that output has a loss; got none"),
    "rows": ([PRICE, SIGN[:5]], {}, rf"y\['sign'\]: expected {ROWS} rows as in x, got shape \(5, 2\)"),
    "shape": (
        [PRICE, PRICE],
        {},
        rf"y\['sign'\]: expected shape \({ROWS}, 2\), that of the outputs, got \({ROWS}, 1\)",
    ),
    "a number for one": ([PRICE, 3.0], {}, r"y\['sign'\]: expected a batch, got a number"),
    "text": ([PRICE, np.array(["a"] * ROWS)], {}, r"y\['sign'\]: expected numbers"),
    "weights, too many": (
        BOTH,
        {"sample_weight": [HALF] * 3},
        "sample_weight: expected 2, one for each output, price, sign; got 3",
    ),
    "weights, another name": (
        BOTH,
        {"sample_weight": {"size": HALF}},
        "sample_weight: expected names of outputs, price, sign; got size",
    ),
    "weights, rows": (
        BOTH,
        {"sample_weight": {"sign": HALF[:3]}},
        rf"sample_weight\['sign'\]: expected {ROWS} rows as in x, got shape \(3,\)",
    ),
    "weights, rows of one": (
        BOTH,
        {"sample_weight": HALF[:3]},
        rf"sample_weight: expected {ROWS} rows as in x, got shape \(3,\)",
    ),
    "weights, shape": (
        BOTH,
        {"sample_weight": [HALF, np.ones((ROWS, 5))]},
        r"sample_weight\['sign'\]: expected the shape of the losses",
    ),
    "weights, text": (BOTH, {"sample_weight": ["a", HALF]}, r"sample_weight\['price'\]: expected"),
    "class weights": (
        BOTH,
        {"class_weight": {0: 1.0}},
        "class_weight: expected None for a model with several outputs; give a sample_weight for each",
    ),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_what_does_not_fit_is_told_with_the_output(case):
    y, options, message = BAD_DATA[case]
    model = compiled()
    before = model.get_weights()
    calls = [lambda: model.fit(X, y, verbose=0, **options), lambda: model.train_on_batch(X, y, **options)]
    if "class_weight" not in options:
        calls += [lambda: model.evaluate(X, y, verbose=0, **options), lambda: model.test_on_batch(X, y, **options)]
        weight = [options["sample_weight"]] if options else []
        parts = "validation_data: " + message
        with pytest.raises((TypeError, ValueError), match=parts if "weights, shape" not in case else message):
            model.fit(X, BOTH, validation_data=(X, y, *weight), verbose=0)
        before = model.get_weights() if case in ("shape", "weights, shape") else before  # seen when an epoch is over
        with pytest.raises((TypeError, ValueError), match=message):
            model.fit(iter([(X, y, *weight)]), verbose=0)
    for call in calls:
        with pytest.raises((TypeError, ValueError), match=message):
            call()
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_that_is_not_compiled_is_not_trained_and_one_compiled_twice_by_the_last():
    model = make()
    for call in (lambda: model.fit(X, BOTH), lambda: model.train_on_batch(X, BOTH), lambda: model.evaluate(X, BOTH)):
        with pytest.raises(ValueError, match=r"call compile\(optimizer, loss\) before"):
            call()
    model.compile("adam", "mse", metrics=["mae", "mae"])
    model.fit(X, BOTH, verbose=0)
    model.compile("adam", LOSSES, loss_weights=[0, 1], metrics=[None, "accuracy"])
    assert model.metrics_names == ["loss", "price_loss", "sign_loss", "sign_accuracy"]
    logs = model.train_on_batch(X, BOTH, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["sign_loss"])
    assert model.optimizer.iterations == 1


@pytest.mark.parametrize("said", [list, dict])
def test_an_output_without_a_loss_can_have_metrics(said):
    """They are those of its targets, as in Keras; it takes no part in the training."""
    options = {"metrics": {"sign": ["mae", "categorical_accuracy"]}, "weighted_metrics": {"sign": "mse"}}
    model = compiled(said, {"price": "mse"}, **options)
    alone = compiled(said, {"price": "mse"})
    y = BOTH if said is list else NAMED
    weights = [None, HALF] if said is list else {"sign": HALF}
    history = fitted(model, y)
    assert list(history) == ["loss", "sign_mae", "sign_categorical_accuracy", "sign_mse"]
    assert history["loss"] == fitted(alone, {"price": PRICE})["loss"]
    for a, b in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    price, sign = model.predict(X, verbose=0) if said is list else model.predict(X, verbose=0).values()
    found = model.evaluate(X, y, batch_size=7, sample_weight=weights, verbose=0, return_dict=True)
    want = {
        "loss": np.mean((price - PRICE) ** 2),
        "sign_mae": np.mean(np.abs(sign - SIGN)),
        "sign_categorical_accuracy": np.mean(sign.argmax(1) == SIGN.argmax(1)),
        "sign_mse": np.mean((sign - SIGN) ** 2),
    }
    assert found == {name: pytest.approx(value, rel=1e-5) for name, value in want.items()}
    for given, message in (({"price": PRICE}, "sign"), ([PRICE, None], "sign")):
        with pytest.raises(ValueError, match=message):
            model.evaluate(X, given, verbose=0)
    again = pickle.loads(pickle.dumps(model))
    assert again.evaluate(X, y, verbose=0, return_dict=True).keys() == found.keys()


def test_metrics_of_outputs_within_others_have_the_names_of_their_losses():
    x, y = Input((3,)), np.ones((4, 1), "float32")
    a, b, c = (layers.Dense(1, name=name)(x) for name in "abc")
    model = Model(x, {"y": a, "z": [b, c]})
    model.compile("sgd", "mse", metrics={"y": ["mae"], "z": [["mse"], ["mae"]]})
    logs = model.train_on_batch(np.ones((4, 3)), {"y": y, "z": [y, y]}, return_dict=True)
    assert list(logs) == ["loss", "y_loss", "z/b_loss", "z/c_loss", "y_mae", "z/b_mse", "z/c_mae"]


def test_tuples_of_a_graph_are_lists_and_a_list_of_one_is_that_one():
    x = Input((5, 3))
    outputs, h, c = layers.LSTM(2, return_state=True)(x)
    model = Model((x,), (outputs, [h, c]))
    assert model.input.key == x.key
    assert isinstance(model.output, list)
    predicted = model.predict(X, verbose=0)
    assert isinstance(predicted, list)
    np.testing.assert_array_equal(predicted[0], predicted[1][0])
    assert Model([x], [outputs]).output.key == outputs.key
