"""Batches in shards: the same bits on any number of processes, here threads, and the numbers of a plain `fit`."""

import contextlib
import pickle
import threading

import numpy as np
import pytest

from lstmcore import Input, Sequential, _random, layers, losses
from lstmcore.callbacks import Callback
from lstmcore.distributed import MPI, Communicator, Distribution, tree
from lstmcore.models import Model
from lstmcore.optimizers import Adam
from lstmcore.training.data import on_demand

pytestmark = pytest.mark.once


class Threads(Communicator):
    """Processes that are threads."""

    def __init__(self, rank, size, shared, barrier):
        self.rank, self.size, self._shared, self._barrier = rank, size, shared, barrier

    def exchange(self, parts):
        return [sent[self.rank] for sent in self.gather(list(parts))]

    def gather(self, value):
        self._shared[self.rank] = pickle.dumps(value)
        self._barrier.wait(20)
        values = [pickle.loads(sent) for sent in self._shared]
        with contextlib.suppress(threading.BrokenBarrierError):  # another has raised what it heard
            self._barrier.wait(20)
        return values


def on_processes(size, program, seed=lambda rank: 7):
    """Run ``program(communicator)`` on each; return what it returned or raised."""
    results, shared, barrier = [None] * size, [None] * size, threading.Barrier(size)

    def run(rank):
        try:
            with _random.drawing_from(seed(rank)):
                results[rank] = program(Threads(rank, size, shared, barrier))
        except Exception as error:
            results[rank] = error
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(45, 6, 3)).astype("f4"), RNG.normal(size=(45, 1)).astype("f4")
X[3:9, 4:] = 0


def masked_model(**options):
    model = Sequential(
        [
            layers.Masking(input_shape=(None, 3), name="mask"),
            layers.LSTM(5, dropout=0.2, recurrent_dropout=0.1, return_sequences=True, name="lstm"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.3, name="drop"),
            layers.GRU(4, kernel_regularizer="l2", name="gru"),
            layers.Dense(1, name="dense"),
        ],
        name="model",
    )
    optimizer = Adam(0.01, global_clipnorm=0.5, use_ema=True, gradient_accumulation_steps=2, weight_decay=0.01)
    model.compile(optimizer, "mse", metrics=["mae"], **options)
    return model


def fitted(communicator, shards=8, make=masked_model, batch_size=16, **options):
    model = make(distribute=Distribution(shards, communicator))
    history = model.fit(X, Y, batch_size=batch_size, epochs=2, verbose=0, validation_split=0.2, **options).history
    return history, model.get_weights(), model.predict(X, verbose=0), model.evaluate(X, Y, verbose=0)


def assert_same_bits(left, right):
    assert left[0] == right[0]
    assert left[3] == right[3]
    for a, b in zip((*left[1], left[2]), (*right[1], right[2]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", [3, 8])
def test_bits_do_not_depend_on_the_number_of_processes(size):
    # 36 rows to train on in batches of 16: the last has fewer rows than there are shards.
    (alone,) = on_processes(1, fitted)
    for result in on_processes(size, fitted):
        assert not isinstance(result, Exception), result
        assert_same_bits(result, alone)


def without_chance(**options):
    model = Sequential([layers.LSTM(4, input_shape=(None, 3), name="lstm"), layers.Dense(1, name="dense")], name="m")
    model.compile("sgd", "mse", metrics=["mae"], **options)
    return model


def numbers_of(make, y, weight, shards):
    with _random.drawing_from(3):
        model = make(**({} if shards is None else {"distribute": Distribution(shards)}))
        logs = [model.train_on_batch(X[:30], y[:30], weight, return_dict=True) for _ in range(3)]
        return logs, model.get_weights()


def with_loss(loss, last=None, mask=False, units=4):
    def make(**options):
        first = [layers.Masking(name="mask", input_shape=(None, 3))] if mask else []
        model = Sequential(
            [
                *first,
                layers.LSTM(4, return_sequences=True, input_shape=(None, 3), name="lstm", activity_regularizer=None),
                layers.Dense(units, last, name="dense"),
            ],
            name="m",
        )
        model.compile("sgd", loss, weighted_metrics=["mae"] if units == 1 else None, **options)
        return model

    return make


TAGS = RNG.integers(0, 4, (45, 6))
WEIGHT = RNG.uniform(0.5, 2, 30)
CASES = {
    "mean": (without_chance, Y, None),
    "sample weights": (without_chance, Y, WEIGHT),
    "steps and a mask": (with_loss("mse", mask=True, units=1), RNG.normal(size=(45, 6, 1)), None),
    "a mask and weights": (with_loss("mse", mask=True, units=1), RNG.normal(size=(45, 6, 1)), WEIGHT),
    "labels left out": (
        with_loss(losses.SparseCategoricalCrossentropy(ignore_class=2), "softmax", mask=True),
        TAGS,
        None,
    ),
    "sum": (with_loss(losses.MeanSquaredError(reduction="sum"), units=1), RNG.normal(size=(45, 6, 1)) / 9, None),
    "mean by weights": (
        with_loss(losses.MeanSquaredError(reduction="mean_with_sample_weight"), units=1),
        RNG.normal(size=(45, 6, 1)),
        WEIGHT,
    ),
    "ctc": (with_loss("ctc"), RNG.integers(1, 4, (45, 2)), None),
}


@pytest.mark.parametrize("case", CASES)
def test_shards_together_give_what_the_batch_does(case):
    make, y, weight = CASES[case]
    logs, weights = numbers_of(make, y, weight, None)
    cut_logs, cut_weights = numbers_of(make, y, weight, 7)
    for one, other in zip(cut_logs, logs, strict=True):
        assert one == pytest.approx(other, rel=2e-6)
    for one, other in zip(cut_weights, weights, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)  # sums in another order, in float32


def test_one_shard_is_a_plain_fit():
    with _random.drawing_from(7):
        plain = masked_model()
        plain.optimizer.gradient_accumulation_steps = None
        plain.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    with _random.drawing_from(7):
        cut = masked_model(distribute=Distribution(1))
        cut.optimizer.gradient_accumulation_steps = None
        cut.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    for one, other in zip(cut.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_shards_have_masks_of_their_own():
    stream, drawn = _random.Stream(5), []
    for number in (0, 0, 1, 2):
        stream.calls = 0
        with _random.shard(number):
            drawn.append(stream.next().random(4))
    plain = _random.Stream(5).next().random(4)
    np.testing.assert_array_equal(drawn[0], plain)
    np.testing.assert_array_equal(drawn[1], plain)
    assert len({tuple(numbers) for numbers in drawn}) == 3


@pytest.mark.parametrize("shards", [1, 2, 3, 5, 8, 13, 16])
def test_nodes_of_the_tree_are_sums_of_the_shards(shards):
    def text(node, known=lambda n: n[1] - n[0] == 1):
        return tree.total(node, known, lambda n: str(n[0]), lambda a, b: f"({a}+{b})")

    whole = text((0, shards))
    for size in range(1, shards + 1):
        at = tree.cut(shards, size)
        nodes = [n for a, b in zip(at, at[1:]) for n in tree.nodes_within(a, b, shards)]  # noqa: B905, RUF007
        assert [s for n in nodes for s in range(*n)] == list(range(shards))
        sums = {node: text(node) for node in nodes}
        assert tree.total((0, shards), sums.__contains__, sums.__getitem__, lambda a, b: f"({a}+{b})") == whole


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_process_reads_its_own_rows_only(shuffle, monkeypatch):
    read = []
    rows_of = on_demand.rows
    monkeypatch.setattr(on_demand, "rows", lambda a, which: read.append(rows_of(a, which)) or read[-1])

    def program(communicator):
        model = without_chance(distribute=Distribution(4, communicator))
        model.fit(X[:40], Y[:40], batch_size=20, shuffle=shuffle, verbose=0)
        return model.predict(X[:40], batch_size=20, verbose=0)

    on_processes(2, program)
    # Of x and y in `fit`, and x in `predict`, each row once by either.
    assert sum(len(part) for part in read) == 3 * 40
    assert all(len(part) <= 10 for part in read)


def test_several_inputs_and_batches_of_others():
    def make(**options):
        one, two = Input((6, 3)), Input((1,))
        joined = layers.Concatenate()([layers.LSTM(3)(one), two])
        model = Model([one, two], [layers.Dense(1, name="a")(joined), layers.Dense(1, name="b")(joined)])
        model.compile("sgd", "mse", **options)
        return model

    class Batches:
        def __len__(self):
            return 3

        def __getitem__(self, k):
            part = slice(k * 15, k * 15 + 15)
            return [X[part], Y[part]], [Y[part], -Y[part]], [WEIGHT[:15], WEIGHT[15:]]

    results = []
    for distribute in (None, Distribution(4)):
        with _random.drawing_from(2):
            model = make(distribute=distribute)
            model.fit(Batches(), epochs=2, verbose=0, shuffle=False)
            weights = [np.concatenate([w.reshape(-1) for w in model.get_weights()])]
            model.fit([X, Y], [Y, -Y], shuffle=False, verbose=0, sample_weight=None)
            results.append([*weights, *model.predict([X, Y], verbose=0)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)  # sums in another order, in float32


# --- sequences of different length ---

LENGTHS = RNG.integers(1, 7, 45)
ENDS = np.arange(6) < LENGTHS[:, None]
LISTS = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]
TARGETS = RNG.normal(size=(45, 6, 1))
OWN_TARGETS = [y[:n] for y, n in zip(TARGETS, LENGTHS, strict=True)]
ENDED = {  # x, y and what says where sequences end
    "lists": (LISTS, OWN_TARGETS, {}),
    "mask": (X, TARGETS, {"mask": ENDS}),
    "lengths": (X, TARGETS, {"lengths": LENGTHS}),
}


def tagger(distribute=None, own=False):
    class Own(Sequential):
        def train_step(self, data):
            return super().train_step(data)

        def predict_step(self, data):
            return super().predict_step(data)

    with _random.drawing_from(3):
        parts = [
            layers.GRU(4, return_sequences=True, input_shape=(None, 3), name="gru"),
            layers.Bidirectional(layers.LSTM(2, return_sequences=True, name="lstm"), name="both"),
            layers.Dense(1, name="dense"),
        ]
        model = (Own if own else Sequential)(parts, name="m")
        model.compile("sgd", "mse", metrics=["mae"], distribute=distribute)
    return model


class InBatches:
    """Batches of lists."""

    def __len__(self):
        return 3

    def __getitem__(self, k):
        part = slice(k * 15, k * 15 + 15)
        return LISTS[part], OWN_TARGETS[part]


def steps_of(ended, model, batches=False):
    x, y, ends = ENDED[ended]
    if batches:
        logs = [model.fit(InBatches(), shuffle=False, verbose=0).history]
    else:
        logs = [model.train_on_batch(x, y, return_dict=True, **ends)]
        own = {} if model.__class__.__name__ == "Own" else {"validation_split": 0.2}
        logs += [model.fit(x, y, batch_size=16, shuffle=False, verbose=0, **own, **ends).history]
    logs += [model.evaluate(x, y, verbose=0, return_dict=True, **ends)]
    logs += [model.test_on_batch(x, y, return_dict=True, **ends)]
    outputs = [model.predict(x, batch_size=16, verbose=0, **ends), model.predict_on_batch(x, **ends)]
    return logs, model.get_weights(), outputs


def flat(outputs):
    """Return the outputs for the steps that there are."""
    if isinstance(outputs, list):
        assert [len(part) for part in outputs] == LENGTHS.tolist()
        return np.concatenate(outputs)
    return outputs[ENDS]


@pytest.mark.parametrize(
    ("ended", "options"),
    [
        ("lists", {}),
        ("mask", {}),
        ("lengths", {}),
        ("lists", {"own": True}),
        ("mask", {"own": True}),
        ("lists", {"batches": True}),
    ],
)
def test_ends_of_sequences_go_with_their_shards(ended, options):
    own, batches = options.get("own", False), options.get("batches", False)
    plain = steps_of(ended, tagger(None, own), batches)
    results = on_processes(3, lambda c: steps_of(ended, tagger(Distribution(7, c), own), batches))
    (alone,) = on_processes(1, lambda c: steps_of(ended, tagger(Distribution(7, c), own), batches))
    errors = flat(plain[2][0]).astype("f8") - np.concatenate(OWN_TARGETS)
    assert plain[0][-1]["loss"] == pytest.approx(np.mean(errors**2), rel=1e-6)
    assert plain[0][-1]["mae"] == pytest.approx(np.mean(np.abs(errors)), rel=1e-6)
    for logs, weights, outputs in (*results, alone):
        for one, other in zip(logs, plain[0], strict=True):
            assert one.keys() == other.keys()
            for name in one:
                np.testing.assert_allclose(one[name], other[name], rtol=5e-6)
        for one, other in zip(weights, plain[1], strict=True):
            np.testing.assert_allclose(one, other, atol=2e-6)  # sums in another order, in float32
        for one, other in zip(outputs, plain[2], strict=True):
            assert type(one) is type(other)
            np.testing.assert_allclose(flat(one), flat(other), atol=2e-6)
    for logs, weights, outputs in results:
        assert logs == alone[0]
        for one, other in zip((*weights, *map(flat, outputs)), (*alone[1], *map(flat, alone[2])), strict=True):
            np.testing.assert_array_equal(one, other)


def test_sequences_in_random_order_and_class_weights():
    def program(communicator):
        recurrent = layers.LSTM(4, return_sequences=True, input_shape=(None, 3), name="lstm")
        model = Sequential([recurrent, layers.Dense(4, "softmax", name="dense")], name="m")
        distribute = communicator and Distribution(4, communicator)
        model.compile("sgd", "sparse_categorical_crossentropy", distribute=distribute)
        tags = [part[:n] for part, n in zip(TAGS, LENGTHS, strict=True)]
        options = {"batch_size": 16, "verbose": 0, "class_weight": {0: 2.0, 1: 0.5, 2: 1.0, 3: 1.0}}
        return model.fit(LISTS, tags, epochs=2, **options).history["loss"], model.get_weights()

    (plain,), (alone,) = on_processes(1, lambda _: program(None)), on_processes(1, program)
    assert alone[0] == pytest.approx(plain[0], rel=2e-6)
    for one, other in zip(alone[1], plain[1], strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)  # sums in another order, in float32
    for losses_of, weights in on_processes(3, program):
        assert losses_of == alone[0]
        for one, other in zip(weights, alone[1], strict=True):
            np.testing.assert_array_equal(one, other)


# --- what is refused, on every process ---


def messages(size, program, **options):
    results = on_processes(size, program, **options)
    assert all(isinstance(result, Exception) for result in results), results
    return [str(result) for result in results]


def test_differences_are_refused_on_all():
    found = messages(2, fitted, seed=lambda rank: rank)
    assert all("the same weights in all processes" in m and "set_random_seed" in m for m in found)

    def other_lengths(communicator):
        model = without_chance(distribute=Distribution(4, communicator))
        rows = 40 + communicator.rank
        model.fit(X[:rows], Y[:rows], verbose=0)

    assert all("length of data" in m for m in messages(2, other_lengths))

    def other_code(communicator):
        model = without_chance(distribute=Distribution(4, communicator))
        model.compile("sgd" if communicator.rank else "adam", "mse")
        model.fit(X, Y, verbose=0)

    assert all("configuration" in m for m in messages(2, other_code))


def test_an_error_on_one_is_one_on_all():
    def program(communicator):
        model = without_chance(distribute=Distribution(4, communicator))
        y = np.zeros((45, 2)) if communicator.rank == 1 else Y
        model.train_on_batch(X, y)

    first, second = messages(2, program)
    assert first == f"process 1 of 2: ValueError: {second}"
    assert "expected shape (11, 1)" in second


def test_a_loss_that_is_not_finite_is_so_for_all():
    x = X.copy()
    x[15] = np.nan  # in a shard of the second process

    def program(communicator):
        model = without_chance(distribute=Distribution(4, communicator))
        return model.train_on_batch(x[:16], Y[:16])[0]

    assert np.isnan(on_processes(2, program)).all()


@pytest.mark.parametrize(
    ("shards", "error", "said"),
    [(0, ValueError, "shards"), (2.5, TypeError, "shards"), (17, ValueError, "at most the batch_size, 16, got 17")],
)
def test_shards_are_checked(shards, error, said):
    with pytest.raises(error, match=said):
        fitted(None, shards)


def test_more_processes_than_shards_are_refused():
    assert all("at least one for each of the 3 processes" in m for m in messages(3, lambda c: Distribution(2, c)))


def test_stateful_layers_are_refused():
    def make(**options):
        model = Sequential([layers.LSTM(2, stateful=True, batch_input_shape=(15, 6, 3)), layers.Dense(1)])
        model.compile("sgd", "mse", **options)
        return model

    with pytest.raises(NotImplementedError, match="stateful"):
        fitted(None, 4, make, batch_size=9)


def test_outputs_that_count_other_steps_are_refused():
    x = Input((6, 3))
    steps = layers.LSTM(2, return_sequences=True)(layers.Masking()(x))
    model = Model(x, [layers.Dense(1)(steps), layers.Dense(1)(layers.LSTM(2)(x))])
    model.compile("sgd", "mse", distribute=Distribution(4))
    with pytest.raises(NotImplementedError, match="the same rows and steps"):
        model.train_on_batch(X, [RNG.normal(size=(45, 6, 1)), Y])
    model.compile("sgd", ["mse", None], distribute=Distribution(4))
    model.train_on_batch(X, [RNG.normal(size=(45, 6, 1)), None])


def test_penalties_beside_steps_that_do_not_count_are_refused():
    def step(distribute, **ends):
        with _random.drawing_from(3):
            model = Sequential(
                [
                    layers.LSTM(4, return_sequences=True, activity_regularizer="l2", input_shape=(None, 3)),
                    layers.Dense(1),
                ]
            )
            model.compile("sgd", "mse", distribute=distribute)
            return model.train_on_batch(X, TARGETS, **ends), np.concatenate([w.ravel() for w in model.get_weights()])

    for one, other in zip(step(Distribution(5)), step(None), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)  # sums in another order, in float32
    with pytest.raises(NotImplementedError, match="a mean over rows beside penalties"):
        step(Distribution(5), lengths=LENGTHS)


def test_compile_wants_a_distribution():
    with pytest.raises(TypeError, match=r"distribute: expected a distributed\.MPI, got 8"):
        without_chance(distribute=8)


def test_without_mpiexec_there_is_one_process():
    model = without_chance()
    model.distribute(shards=3)
    assert (model.distribution.communicator.size, model.distribution.shards) == (1, 3)
    assert isinstance(model.distribution, MPI)


def test_only_the_first_process_writes(tmp_path, capsys):
    from lstmcore.callbacks import CSVLogger, ModelCheckpoint

    def program(communicator):
        def own(name):
            return tmp_path / f"{communicator.rank}{name}"

        saved = ModelCheckpoint(own("saved.safetensors"), verbose=1)
        epochs = []

        class Seen(Callback):
            def on_epoch_end(self, epoch, logs=None):
                epochs.append(epoch)

        model = without_chance(distribute=Distribution(4, communicator))
        model.fit(X, Y, epochs=2, verbose=2, callbacks=[CSVLogger(own("log.csv")), saved, Seen()])
        model.save(own("model.safetensors"))
        return epochs

    assert on_processes(2, program) == [[0, 1], [0, 1]]
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["0", "0", "0"]
    printed = capsys.readouterr().out
    assert printed.count("Epoch 1/2") == 1
    assert printed.count("Epoch 2: saving") == 1
