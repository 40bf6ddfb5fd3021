"""Held against Keras itself: from the same weights, with the same batches, the losses of 100 steps are the same.

Run where Keras 3 and PyTorch are installed; skipped elsewhere.
"""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch")
keras = pytest.importorskip("keras")
if not keras.__version__.startswith("3."):
    pytest.skip("Keras 3 is what we are held against", allow_module_level=True)

import lstmcore  # noqa: E402
from lstmcore import layers as ours  # noqa: E402

pytestmark = [pytest.mark.peer, pytest.mark.slow]
theirs = keras.layers

STEPS, FEATURES, CLASSES, WORDS = 8, 3, 4, 12
BATCHES = 10  # of 16 rows; a hundred steps are ten epochs of them
RNG = np.random.default_rng(0)
SERIES = RNG.standard_normal((16 * BATCHES, STEPS, FEATURES)).astype("float32")
TOKENS = RNG.integers(1, WORDS, (16 * BATCHES, STEPS))
TOKENS[np.arange(STEPS) >= RNG.integers(2, STEPS + 1, len(TOKENS))[:, None]] = 0  # right padding
TOTAL = SERIES.sum((1, 2))[:, None] / 5
POSITIVE = (TOTAL > 0).astype("float32")
LABELS = RNG.integers(0, CLASSES, (16 * BATCHES, 1))
ONE_HOT = np.eye(CLASSES, dtype="float32")[LABELS[:, 0]]
EACH_STEP = SERIES.cumsum(1)[..., :1] / 3
STEP_LABELS = RNG.integers(0, CLASSES, (16 * BATCHES, STEPS))
WEIGHTS = RNG.uniform(0.2, 2, (16 * BATCHES, STEPS)).astype("float32")

# name: layers from a module of layers, loss, x, y, the rest
CASES = {
    "lstm": (lambda m: [m.LSTM(8), m.Dense(1)], "mse", SERIES, TOTAL, {}),
    "stacked lstm": (
        lambda m: [m.LSTM(8, return_sequences=True), m.LSTM(6), m.Dense(1)],
        "mae",
        SERIES,
        TOTAL,
        {"metrics": ["mse", "mape"]},
    ),
    "gru": (lambda m: [m.GRU(8), m.Dense(1)], "huber", SERIES, TOTAL, {}),
    "gru, reset before": (lambda m: [m.GRU(8, reset_after=False), m.Dense(1)], "log_cosh", SERIES, TOTAL, {}),
    "simple rnn": (lambda m: [m.SimpleRNN(8), m.Dense(1)], "mse", SERIES, TOTAL, {"optimizer": "sgd"}),
    "bidirectional": (
        lambda m: [m.Bidirectional(m.LSTM(5)), m.Dense(1, activation="sigmoid")],
        "binary_crossentropy",
        SERIES,
        POSITIVE,
        {"metrics": ["accuracy"], "optimizer": "rmsprop"},
    ),
    "embedding and mask": (
        lambda m: [m.Embedding(WORDS, 4, mask_zero=True), m.LSTM(6), m.Dense(CLASSES, activation="softmax")],
        "sparse_categorical_crossentropy",
        TOKENS,
        LABELS,
        {"metrics": ["accuracy"]},
    ),
    "masks reach loss and metrics": (
        lambda m: [
            m.Embedding(WORDS, 4, mask_zero=True),
            m.GRU(6, return_sequences=True),
            m.TimeDistributed(m.Dense(CLASSES, activation="softmax")),
        ],
        "sparse_categorical_crossentropy",
        TOKENS,
        STEP_LABELS,
        {"metrics": ["accuracy"]},
    ),
    "convolution": (
        lambda m: [m.Conv1D(6, 3, padding="same", activation="relu"), m.MaxPooling1D(2), m.LSTM(6), m.Dense(1)],
        "mse",
        SERIES,
        TOTAL,
        {},
    ),
    "normalisation": (
        lambda m: [
            m.BatchNormalization(),
            m.LSTM(6, return_sequences=True),
            m.LayerNormalization(),
            m.GlobalAveragePooling1D(),
            m.Dense(CLASSES, activation="softmax"),
        ],
        "categorical_crossentropy",
        SERIES,
        ONE_HOT,
        {"metrics": ["accuracy"], "optimizer": "nadam"},
    ),
    "groups and renormalisation": (
        lambda m: [
            m.Conv1D(12, 3, padding="causal", groups=3, use_bias=False),
            m.BatchNormalization(renorm=True, renorm_clipping={"rmax": 1.2, "dmax": 0.2}, renorm_momentum=0.9),
            m.GRU(6, return_sequences=True),
            m.RMSNormalization(),
            m.GlobalAveragePooling1D(),
            m.LayerNormalization(rms_scaling=True),
            m.Dense(CLASSES, activation="softmax"),
        ],
        "mse",
        SERIES,
        ONE_HOT,
        {},
    ),
    "every step, weighted": (
        lambda m: [m.LSTM(6, return_sequences=True), m.Dense(1)],
        "mse",
        SERIES,
        EACH_STEP,
        {"sample_weight": WEIGHTS, "weighted_metrics": ["mae"], "metrics": ["mae"]},
    ),
    "class weights and regularizers": (
        lambda m: [
            m.LSTM(6, kernel_regularizer="l2", recurrent_regularizer="l1"),
            m.Dense(6, activation="tanh", activity_regularizer="l2"),
            m.Dense(CLASSES, activation="softmax", bias_regularizer="l2"),
        ],
        "sparse_categorical_crossentropy",
        SERIES,
        LABELS,
        {"class_weight": {0: 2.0, 1: 0.5, 3: 3.0}, "optimizer": "adamw"},
    ),
}


def pair(case):
    """The model of Keras and ours, with the weights of Keras's."""
    make, loss, x, _, options = CASES[case]
    keras.utils.set_random_seed(1)
    compiled = {"optimizer": "adam", **options}
    compiled = {k: v for k, v in compiled.items() if k in ("optimizer", "metrics", "weighted_metrics")}
    reference, model = keras.Sequential(make(theirs)), lstmcore.Sequential(make(ours))
    for m in (reference, model):
        m.build((None, *x.shape[1:]))
        m.compile(loss=loss, **compiled)
    model.set_weights([np.asarray(w) for w in reference.get_weights()])
    return reference, model


@pytest.mark.parametrize("case", CASES)
def test_losses_of_a_hundred_steps(case):
    reference, model = pair(case)
    _, _, x, y, options = CASES[case]
    weights = options.get("sample_weight")
    class_weight = options.get("class_weight")
    for step in range(100):
        part = slice(16 * (step % BATCHES), 16 * (step % BATCHES) + 16)
        given = {"sample_weight": None if weights is None else weights[part], "class_weight": class_weight}
        want = reference.train_on_batch(x[part], y[part], return_dict=True, **given)
        got = model.train_on_batch(x[part], y[part], return_dict=True, **given)
        assert sorted(got) == sorted(want)
        for name, value in want.items():
            # Rounding differs and is carried from step to step; what counts jumps where an output is at the edge.
            options = {"abs": 0.07} if name == "accuracy" else {"rel": 1e-4 if name == "loss" else 3e-4}
            assert got[name] == pytest.approx(float(value), **options), (name, step)
    np.testing.assert_allclose(model.predict(x), reference.predict(x, verbose=0), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case", ["stacked lstm", "embedding and mask", "every step, weighted", "normalisation"])
def test_history_and_evaluation(case):
    reference, model = pair(case)
    _, _, x, y, options = CASES[case]
    given = {"sample_weight": options["sample_weight"]} if "sample_weight" in options else {}
    runs = [
        m.fit(
            x, y, batch_size=24, epochs=3, shuffle=False, validation_split=0.3, validation_freq=2, verbose=0, **given
        ).history
        for m in (reference, model)
    ]
    assert sorted(runs[0]) == sorted(runs[1])
    for name in runs[0]:
        np.testing.assert_allclose(runs[1][name], runs[0][name], rtol=1e-3, atol=1e-5, err_msg=name)
    evaluated = [m.evaluate(x, y, batch_size=24, return_dict=True, verbose=0, **given) for m in (reference, model)]
    assert sorted(evaluated[0]) == sorted(evaluated[1])
    for name in evaluated[0]:
        assert evaluated[1][name] == pytest.approx(evaluated[0][name], rel=1e-3, abs=1e-5)


def test_what_summary_counts(capsys):
    reference, model = pair("normalisation")
    for m in (reference, model):
        m.fit(SERIES[:16], ONE_HOT[:16], verbose=0)
    counts = []
    for m in (reference, model):
        lines = []
        m.summary(print_fn=lambda text, *_, lines=lines, **__: lines.extend(text.splitlines()))
        counts.append([line.split("(")[0].split() for line in lines if "params:" in line])
    assert counts[0] == counts[1]
