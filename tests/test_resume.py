"""Training taken up from a state goes on bit for bit, wherever in an epoch the state was taken."""

import json

import numpy as np
import pytest

import lstmcore
from lstmcore import Input, Model, Sequential, layers, optimizers, utils
from lstmcore.callbacks import Callback, EarlyStopping, ReduceLROnPlateau
from lstmcore.optimizers.schedules import ExponentialDecay
from lstmcore.training.measures import Measures
from lstmcore.training.objective import Objective

X = np.random.default_rng(0).standard_normal((22, 5, 2)).astype("float32")
Y = (X.sum((1, 2))[:, None] > 0).astype("float32")


def make(optimizer=None):
    lstmcore.utils.set_random_seed(3)
    model = Sequential(
        [
            layers.LSTM(4, dropout=0.2, recurrent_dropout=0.1, return_sequences=True, input_shape=(None, 2)),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.MinGRU(4, zoneout=0.1, dropout=0.1, return_sequences=True),
            layers.SLSTM(4, 2, recurrent_dropout=0.1, return_sequences=True),
            layers.LSTM(3),
            layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(optimizer or "adam", "binary_crossentropy", metrics=["accuracy", lstmcore.metrics.AUC()])
    return model


def through_json(plain, arrays):
    """What a file would hold."""
    return json.loads(json.dumps(plain)), {name: array.copy() for name, array in arrays.items()}


class Take(Callback):
    """Takes weights and state at every hook, by its name and the numbers of epoch and step."""

    rank = 2  # after all others

    def __init__(self):
        super().__init__()
        self.epoch, self.taken = 0, {}

    def take(self, hook, step):
        self.taken[hook, self.epoch, step] = self.model.get_weights(), through_json(*self.model.training_state())

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.take("epoch begin", 0)

    def on_train_batch_begin(self, batch, logs=None):
        self.take("batch begin", batch)

    def on_train_batch_end(self, batch, logs=None):
        self.take("batch end", batch)

    def on_test_begin(self, logs=None):
        self.take("test begin", 0)

    def on_epoch_end(self, epoch, logs=None):
        self.take("epoch end", 0)


class Restore(Callback):
    rank = 2  # after all others

    def __init__(self, taken):
        super().__init__()
        self.weights, self.state = taken

    def on_train_begin(self, logs=None):
        self.model.set_weights(self.weights)
        self.model.load_training_state(*self.state)


def assert_goes_on(fit, make=make, hooks=None):
    """Hold trainings resumed from every hook against one that was not interrupted."""
    take, whole = Take(), make()
    history = fit(whole, [take])
    # Before the first step the layers have not drawn their random seeds yet, so there is nothing to go on with.
    before = {("epoch begin", 0, 0), ("batch begin", 0, 0)}
    moments = [m for m in take.taken if (hooks is None or m[0] in hooks) and m not in before]
    assert moments
    for moment in moments:
        lstmcore.utils.set_random_seed(99)  # nothing is to depend on this
        model = make()
        lstmcore.utils.set_random_seed(98)
        resumed = fit(model, [Restore(take.taken[moment])])
        assert resumed.history == history.history, moment
        assert resumed.epoch == history.epoch, moment
        for got, want in zip(model.get_weights(), whole.get_weights(), strict=True):
            np.testing.assert_array_equal(got, want, err_msg=str(moment))
        np.testing.assert_array_equal(model.optimizer.iterations, whole.optimizer.iterations)


def test_from_every_hook_of_a_training_on_arrays():
    assert_goes_on(
        lambda model, callbacks: model.fit(
            X, Y, batch_size=5, epochs=3, validation_split=0.2, callbacks=callbacks, verbose=0
        )
    )


def with_two_outputs(by_name=False, names=("sum", "sign")):
    lstmcore.utils.set_random_seed(3)
    x = Input((None, 2))
    state = layers.LSTM(4, dropout=0.2)(x)
    total = layers.Dense(1, name=names[0])(layers.Dropout(0.2)(state))
    sign = layers.Dense(1, "sigmoid", name=names[1])(state)
    model = Model(x, {"sum": total, "sign": sign} if by_name else [total, sign])
    rates = [["mae"], ["accuracy", lstmcore.metrics.AUC()]]
    model.compile("adam", ["mse", "binary_crossentropy"], loss_weights=[0.5, 2], metrics=rates)
    return model


def fit_both(model, callbacks):
    weights = [np.linspace(0.5, 2, len(X)), None]
    options = {"batch_size": 5, "epochs": 2, "validation_split": 0.2, "callbacks": callbacks, "verbose": 0}
    return model.fit(X, [X.sum((1, 2)), Y], sample_weight=weights, **options)


@pytest.mark.parametrize("by_name", [False, True])
def test_from_every_hook_of_a_training_of_several_outputs(by_name):
    assert_goes_on(fit_both, lambda: with_two_outputs(by_name))


def test_outputs_with_automatic_names_go_on_under_other_names():
    take, whole = Take(), with_two_outputs(names=(None, None))
    fit_both(whole, [take])
    resumed = with_two_outputs(names=(None, None))
    assert resumed.output_names != whole.output_names
    fit_both(resumed, [Restore(take.taken["batch end", 1, 1])])
    for got, want in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(got, want)
    scores = [model.evaluate(X, [X.sum((1, 2)), Y], verbose=0) for model in (whole, resumed)]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optimizers.SGD(ExponentialDecay(0.1, 3, 0.5), momentum=0.9),
        lambda: optimizers.AdamW(gradient_accumulation_steps=3),
        lambda: optimizers.RMSprop(use_ema=True, ema_overwrite_frequency=4),
        lambda: optimizers.Nadam(global_clipnorm=0.5),
    ],
    ids=["schedule", "accumulation", "average", "clipped"],
)
def test_with_other_optimizers(optimizer):
    assert_goes_on(
        lambda model, callbacks: model.fit(X, Y, batch_size=5, epochs=2, callbacks=callbacks, verbose=0),
        lambda: make(optimizer()),
        hooks=("batch end",),
    )


def test_with_callbacks_that_remember():
    def fit(model, callbacks):
        others = [EarlyStopping(monitor="loss", patience=2, min_delta=0.05), ReduceLROnPlateau("loss", patience=0)]
        return model.fit(X, Y, batch_size=8, epochs=6, callbacks=[*others, *callbacks], verbose=0)

    assert_goes_on(fit, hooks=("batch end", "epoch end"))


def test_with_epochs_that_are_parts_of_a_pass():
    with pytest.warns(UserWarning, match="ran out of data"):
        assert_goes_on(
            lambda model, callbacks: model.fit(
                X, Y, batch_size=5, epochs=4, steps_per_epoch=2, callbacks=callbacks, verbose=0
            ),
            hooks=("batch end", "epoch end"),
        )


def generate():
    for k in range(30):
        rng = np.random.default_rng(k)
        x = rng.standard_normal((4, 5, 2)).astype("float32")
        yield x, (x.sum((1, 2)) > 0).astype("float32")


class Batches(utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return X[index * 4 : index * 4 + 4], Y[index * 4 : index * 4 + 4]


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (generate, {"steps_per_epoch": 4}),
        (Batches, {}),
        (lambda: Batches, {"validation_data": 1}),
        (lambda: utils.timeseries_dataset_from_array(X[:, 0], Y, 3, batch_size=4, shuffle=True), {}),
        (lambda: utils.timeseries_dataset_from_array(X[:, 0], Y, 3, batch_size=4, shuffle=True, seed=5), {}),
    ],
    ids=["generator", "data set", "validation generator", "windows", "seeded windows"],
)
def test_with_data_that_come_in_batches(data, options):
    def fit(model, callbacks):
        source, extra = data(), dict(options)
        if "validation_data" in extra:
            source, extra = Batches(), {"validation_data": generate(), "validation_steps": 3}
        return model.fit(source, epochs=3, callbacks=callbacks, verbose=0, **extra)

    assert_goes_on(fit, hooks=("batch end", "epoch end"))


def test_a_state_outside_of_fit_holds_what_the_next_fit_depends_on():
    whole, model = make(), make()
    whole.fit(X, Y, batch_size=5, epochs=2, verbose=0)
    model.set_weights(whole.get_weights())
    model.load_training_state(*through_json(*whole.training_state()))
    first, second = (m.fit(X, Y, batch_size=5, epochs=2, verbose=0).history for m in (whole, model))
    assert first == second
    for got, want in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_state_taken_in_an_epoch_does_not_shorten_another_fit():
    take = Take()
    make().fit(X, Y, batch_size=5, callbacks=[take], verbose=0)
    model = make()
    model.load_training_state(*take.taken["batch end", 0, 2][1])  # as loading a file does
    steps = []

    class Count(Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps.append(batch)

    model.fit(X, Y, batch_size=5, callbacks=[Count()], verbose=0)
    assert steps == [0, 1, 2, 3, 4]


def test_an_error_in_a_callback_leaves_a_model_that_goes_on():
    class Fail(Callback):
        ended = False

        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise ZeroDivisionError("mine")

        def on_train_end(self, logs=None):
            self.ended = True

    fail, model = Fail(), make()
    with pytest.raises(ZeroDivisionError, match="mine"):
        model.fit(X, Y, batch_size=5, shuffle=False, callbacks=[fail], verbose=0)
    assert not fail.ended
    same = make()
    same._shuffle  # noqa: B018 - draws its seed first, as fit does
    for k in range(3):
        same.train_on_batch(X[5 * k : 5 * k + 5], Y[5 * k : 5 * k + 5])
    for got, want in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(got, want)
    assert model.training_state()[0]["progress"] is None
    assert len(model.fit(X, Y, epochs=2, verbose=0).epoch) == 2


def test_evaluating_in_a_callback_does_not_change_what_fit_reports():
    class Look(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.evaluate(X[:7], Y[:7], verbose=0)
            self.model.test_on_batch(X[:7], Y[:7])
            self.model.predict(X[:7])

    histories = [make().fit(X, Y, batch_size=5, epochs=2, callbacks=c, verbose=0).history for c in ([Look()], [])]
    assert histories[0] == histories[1]


def test_states_that_do_not_fit_are_refused():
    model, other = make(), Sequential([layers.Dense(1, input_shape=(2,))])
    other.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    plain, arrays = model.training_state()
    with pytest.raises(ValueError, match=r"state"):
        other.load_training_state(plain, arrays)
    with pytest.raises(ValueError, match="is missing"):
        make().load_training_state(plain, {})


def same(model, before):
    plain, arrays = before
    now_plain, now = model.training_state()
    return now_plain == plain and now.keys() == arrays.keys() and all(np.array_equal(now[k], arrays[k]) for k in now)


def test_a_state_that_is_refused_changes_nothing():
    model = make()
    model.fit(X, Y, epochs=2, verbose=0)
    good = through_json(*model.training_state())
    other = make()
    other.train_on_batch(X, Y)
    before = through_json(*other.training_state())
    random = [name for name in good[1] if name.endswith("random")]
    assert len(random) > 1
    harms = [
        lambda plain, arrays: arrays.update({random[-1]: np.zeros(3)}),  # of the last layer
        lambda plain, arrays: arrays.update({"optimizer/momentum": np.zeros(3)}),
        lambda plain, arrays: plain["optimizer"].pop("velocity"),
        lambda plain, arrays: plain.update(shuffle=["a", 1]),
        lambda plain, arrays: plain.pop("shuffle"),
    ]
    for harm in harms:
        plain, arrays = json.loads(json.dumps(good[0])), dict(good[1])
        harm(plain, arrays)
        with pytest.raises((ValueError, KeyError)):
            other.load_training_state(plain, arrays)
        assert same(other, before)
    other.load_training_state(*good)
    assert same(other, good)


def test_layers_and_metrics_take_up_all_of_a_state_or_nothing():
    layer, other = (
        layers.Bidirectional(layers.LSTM(2, stateful=True, dropout=0.5), input_shape=(None, 2)) for _ in range(2)
    )
    for made, times in ((layer, 1), (other, 3)):
        for _ in range(times):
            made(X[:4], training=True)
    before, state = layer.state(), other.state()
    name = [k for k in state if "state" in k][-1]  # of the second direction
    with pytest.raises(ValueError, match="state"):
        layer.load_state(state | {name: np.zeros((1, 2, 3))})
    after = layer.state()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[k], after[k]) for k in before)

    objective = Objective(lstmcore.losses.MeanSquaredError(), ["mae", "auc"], [], (None, 1))
    measures = Measures([objective])
    objective.update(objective.look(np.full((4, 1), 0.25), None, np.ones((4, 1)), None))
    kept, logs = measures.state(), measures.logs()
    objective.update(objective.look(np.ones((4, 1)), None, np.zeros((4, 1)), None))
    measures.update(1.5, 0.0, [1.5], [4])
    later = measures.logs()
    with pytest.raises(ValueError, match="auc: state"):
        measures.load_state(kept | {"auc": {}})
    assert measures.logs() == later
    with pytest.raises(ValueError, match="metrics: expected the state of loss, mae, auc, got that of loss, mse, auc"):
        measures.load_state({"loss": kept["loss"], "mse": kept["mae"], "auc": kept["auc"]})
    measures.load_state(kept)
    assert measures.logs() == logs


@pytest.mark.parametrize("frozen", [(0,), (0, 1, 3), (4,), (0, 1, 3, 4)])
@pytest.mark.parametrize("thaw", [False, True])
def test_a_model_whose_layers_were_frozen_after_compile_goes_on_as_it_did(frozen, thaw, tmp_path):
    # A change of `trainable` takes effect at `compile`: until then the weights of before are moved, in a copy as well.
    model = make("sgd" if thaw else "adam")
    if thaw:
        for k in frozen:
            model.layers[k].trainable = False
        model.compile("adam", "binary_crossentropy")
    model.fit(X, Y, epochs=1, verbose=0)
    for k in frozen:
        model.layers[k].trainable = thaw
    model.save(tmp_path / "model.safetensors")
    loaded = lstmcore.models.load_model(tmp_path / "model.safetensors")
    assert [layer.trainable for layer in loaded.layers] == [layer.trainable for layer in model.layers]
    before = model.layers[frozen[0]].get_weights()
    for each in (model, loaded):
        each.fit(X, Y, epochs=3, initial_epoch=1, verbose=0)
    after = model.layers[frozen[0]].get_weights()
    assert [np.array_equal(a, b) for a, b in zip(before, after, strict=True)] == [thaw] * len(before)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    loaded.compile("adam", "binary_crossentropy")
    assert [v.path for v in loaded.moved_variables] == [v.path for v in loaded.trainable_variables]


class _Disturbed(layers.Layer):
    """Makes layers with random numbers within its ``call``, for sequences of each length anew."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner, self.noise = layers.Dense(3), layers.GaussianNoise(0.1)

    def call(self, inputs):
        steps = inputs.shape[1] or 1  # so that sizes matter
        noisy = Sequential([self.noise])(layers.Dropout(0.3, seed=5)(self.inner(inputs)))
        return layers.Dropout(0.4)(noisy) * (1.0 + steps)


class _Model(Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = _Disturbed(name="first"), layers.Dense(1)

    def call(self, inputs):
        return self.last(layers.GlobalAveragePooling1D()(layers.Dropout(0.2)(self.first(inputs))))


def _of_call():
    lstmcore.utils.set_random_seed(3)
    model = _Model()
    model.build((None, 5, 2))
    model.compile("adam", "mse")
    return model


def _of_graph():
    lstmcore.utils.set_random_seed(3)
    inputs = Input((None, 2))
    inner = _Disturbed(name="inner")(inputs)
    model = Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(inner)))
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("make", [_of_call, _of_graph])
@pytest.mark.parametrize("begins_with", [5, 4, 3])
def test_layers_that_a_call_makes_go_on_with_their_random_numbers(make, begins_with):
    def steps(model, lengths):
        return [model.train_on_batch(X[:8, :steps], Y[:8]) for steps in lengths]

    model, lengths = make(), [5, 5, 4, 3, 5, 4]
    steps(model, lengths)
    weights, state = model.get_weights(), through_json(*model.training_state())
    assert sum("made/" in name for name in state[1]) == (3 if make is _of_call else 2)
    again = [begins_with, 5, 4, 3, 4]
    want = steps(model, again), model.get_weights()
    other = make()
    steps(other, [3])  # which makes another drawing first
    for taken in (make(), other):
        taken.set_weights(weights)
        taken.load_training_state(*state)
        assert steps(taken, again) == want[0]
        for a, b in zip(taken.get_weights(), want[1], strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_dropout_that_a_call_makes_draws_anew_for_other_lengths():
    layer = _Disturbed()
    first, second = (layer(np.ones((64, n, 2), "float32"), training=True) for n in (4, 3))
    assert np.mean((first[:, :3] == 0) == (second == 0)) < 0.75  # 0.512 for masks that do not depend on each other


def test_a_state_of_layers_that_a_call_makes_is_taken_whole_or_not():
    model = _of_call()
    model.train_on_batch(X[:4], Y[:4])
    before = model.state()
    names = [name for name in before if "made/" in name]
    for value in (np.zeros(3), np.array([-1, 2]), "seven"):
        with pytest.raises(ValueError, match="made/Dropout/0: expected two integers from 0 on"):
            model.load_state({**before, names[0]: value})
    for name, value in model.state().items():
        np.testing.assert_array_equal(value, before[name])
