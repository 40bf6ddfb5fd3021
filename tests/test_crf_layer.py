"""layers.CRF and losses.CRF in models: training, masks, constraints, metrics, what they refuse."""

import itertools
import pickle

import numpy as np
import pytest
from layer_tools import by_differences

import lstmcore
from lstmcore import Input, Model, Sequential, functional, layers, losses, metrics, models, utils

TAGS = ["O", "B-X", "I-X"]
LENGTHS = np.array([5, 2, 0, 4])
MASK = np.arange(5) < LENGTHS[:, None]


def crf(seed=0, dtype="float64", **options):
    """A built layer of three tags with random weights."""
    layer = layers.CRF(options.pop("tags", 3), dtype=dtype, **options)
    layer.build((None, None, layer.tags))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.standard_normal(w.shape) for w in layer.get_weights()])
    return layer


def emissions(seed=1, dtype="float64"):
    return (2 * np.random.default_rng(seed).standard_normal((4, 5, 3))).astype(dtype)


def scores_of_paths(layer, x):
    """Every path of a row, and its score."""
    transitions, start, end = layer.get_weights()
    paths = list(itertools.product(range(3), repeat=len(x)))
    scores = [
        start[p[0]]
        + end[p[-1]]
        + sum(x[t, k] for t, k in enumerate(p))
        + sum(transitions[i, j] for i, j in itertools.pairwise(p))
        for p in paths
    ]
    return paths, np.array(scores)


def tagger(constraints=None, **options):
    model = Sequential(
        [
            layers.Embedding(12, 6, mask_zero=True, input_shape=(None,)),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
            layers.Dense(3),
            layers.CRF(TAGS, constraints),
        ]
    )
    model.compile("adam", "crf", **options)
    return model


def sentences(rows=24, steps=7):
    """Words, and tags that say BIO: a span begins at words 1 to 3 and goes on over 4 and 5."""
    rng = np.random.default_rng(5)
    words = rng.integers(1, 12, (rows, steps))
    words[np.arange(steps) >= rng.integers(1, steps + 1, rows)[:, None]] = 0
    labels = np.zeros(words.shape, int)
    for row, sentence in enumerate(words):
        for t, word in enumerate(sentence):
            inside = t > 0 and labels[row, t - 1] > 0 and word in (4, 5)
            labels[row, t] = 2 if inside else int(word in (1, 2, 3))
    return words, labels


# --- the layer ---


def test_tags_are_the_best_of_all_paths_and_0_in_padding():
    layer, x = crf(), emissions()
    tags = layer(x, mask=MASK)
    assert tags.dtype == np.int64
    for b, n in enumerate(LENGTHS):
        paths, scores = scores_of_paths(layer, x[b, :n]) if n else ([()], np.zeros(1))
        assert tuple(tags[b, :n]) == paths[scores.argmax()]
        assert (tags[b, n:] == 0).all()
    np.testing.assert_array_equal(layer(x, lengths=LENGTHS), tags)


def test_marginals_are_what_all_paths_say():
    layer, x = crf(), emissions()
    marginals = layer.marginals(x, lengths=LENGTHS)
    np.testing.assert_array_equal(layer.marginals(x, mask=MASK), marginals)
    for b, n in enumerate(LENGTHS):
        assert (marginals[b, n:] == 0).all()
        if n:
            paths, scores = scores_of_paths(layer, x[b, :n])
            p = np.exp(scores) / np.exp(scores).sum()
            for t, k in itertools.product(range(n), range(3)):
                want = sum(q for q, path in zip(p, paths, strict=True) if path[t] == k)
                np.testing.assert_allclose(marginals[b, t, k], want, atol=1e-12)


def test_marginals_know_the_mask_that_goes_with_the_inputs():
    embedding, layer = layers.Embedding(4, 3, mask_zero=True, dtype="float64"), crf()
    words = np.array([[1, 2, 0]])
    np.testing.assert_array_equal(
        layer.marginals(embedding(words)), layer.marginals(np.asarray(embedding(words)), lengths=[2])
    )
    assert (layer.marginals(embedding(words))[0, 2] == 0).all()


def test_inputs_and_masks_are_left_alone_and_kept_by_no_one():
    results = []
    for spoils in (False, True):
        layer, x, mask = crf(), emissions(), MASK.copy()
        chains = layer(x, training=True, mask=mask, logits=True)
        np.testing.assert_array_equal(x, emissions())
        np.testing.assert_array_equal(mask, MASK)
        _, gradient = losses.CRF().value_and_gradient(np.zeros((4, 5), int), chains)
        if spoils:
            x[...], mask[...], chains[...] = 1e6, ~mask, 7
        results.append([layer.backward(gradient, logits=True), *(v.gradient.copy() for v in layer.variables)])
        x[...] = 3  # what came out is the caller's, too
        assert layer(emissions(), mask=MASK).flags.writeable
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_mask_whose_bytes_are_neither_0_nor_1():
    mask = (MASK.view("uint8") * 7).view(bool)
    layer, x = crf(), emissions()
    np.testing.assert_array_equal(layer(x, mask=mask), layer(x, mask=MASK))
    np.testing.assert_array_equal(layer(x, mask=mask, logits=True), layer(x, mask=MASK, logits=True))


# --- the loss ---


def test_the_loss_is_that_of_all_paths():
    layer, x = crf(), emissions()
    labels = np.random.default_rng(3).integers(0, 3, (4, 5))
    want = []
    for b, n in enumerate(LENGTHS):
        paths, scores = scores_of_paths(layer, x[b, :n]) if n else ([()], np.zeros(1))
        want.append(np.log(np.exp(scores).sum()) - scores[paths.index(tuple(labels[b, :n]))])
    chains = layer(x, mask=MASK, logits=True)
    labels[~MASK] = -100
    np.testing.assert_allclose(losses.CRF("none")(labels, chains), want, rtol=1e-12)
    np.testing.assert_allclose(losses.crf(labels, chains), want, rtol=1e-12)
    np.testing.assert_allclose(losses.CRF()(labels, chains), np.mean(want), rtol=1e-12)
    np.testing.assert_allclose(losses.CRF("sum")(labels, chains, [1, 0, 2, 3]), np.dot(want, [1, 0, 2, 3]), rtol=1e-12)
    np.testing.assert_allclose(losses.CRF()(labels.astype(float), chains), np.mean(want), rtol=1e-12)


@pytest.mark.parametrize("constraints", [None, "BIO"])
def test_gradients_of_a_model_by_differences(constraints):
    model = Sequential(
        [
            layers.Masking(9.0, input_shape=(5, 2), dtype="float64"),
            layers.Dense(3, dtype="float64"),
            layers.CRF(TAGS, constraints, transitions_regularizer="l2", dtype="float64"),
        ]
    )
    model.compile(lstmcore.optimizers.SGD(1.0), "crf")
    rng = np.random.default_rng(0)
    model.set_weights([rng.standard_normal(w.shape) for w in model.get_weights()])
    x = np.where(MASK[..., None], rng.standard_normal((4, 5, 2)), 9.0)
    labels, weights = np.where(MASK, [0, 1, 2, 2, 0], -1), np.array([1.0, 0.5, 2.0, 0.0])
    before = [w.copy() for w in model.get_weights()]
    model.train_on_batch(x, labels, sample_weight=weights)
    moved = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
    for k, step in enumerate(moved):
        at = before[k]

        def loss():
            model.set_weights(before)
            return model.test_on_batch(x, labels, sample_weight=weights)

        np.testing.assert_allclose(step, by_differences(loss, at), atol=1e-7)  # differences of losses of 10
    if constraints:
        assert moved[2][0, 2] == pytest.approx(
            2 * 0.01 * before[2][0, 2], rel=1e-9
        )  # of the penalty only: I-X never stands behind O


def test_bits_do_not_depend_on_threads():
    words, labels = sentences()
    found = []
    for threads in (1, 2):
        with lstmcore.threads(threads):
            utils.set_random_seed(0)
            model = tagger()
            model.fit(words, labels, epochs=2, verbose=0)
            found.append([*model.get_weights(), model.predict(words)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


# --- models ---


@pytest.mark.parametrize("constraints", [None, "BIO"])
def test_a_tagger_learns_and_its_metrics_see_the_tags(constraints):
    utils.set_random_seed(0)
    words, labels = sentences()
    labels[words == 0] = -100
    model = tagger(constraints, metrics=["accuracy", metrics.TagF1Score(TAGS, scheme="BIO")])
    model.optimizer.learning_rate = 0.03
    history = model.fit(words, labels, epochs=60, verbose=0, validation_data=(words, labels)).history
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    assert history["val_accuracy"][-1] > 0.99
    assert history["val_tag_f1_score"][-1] > 0.97


def test_what_evaluate_says_is_of_what_predict_returns():
    words, labels = sentences()
    model = tagger(metrics=["acc"], weighted_metrics=[metrics.TagRecall(3, average=None)])
    model.fit(words, labels, epochs=3, verbose=0)
    weights = np.linspace(0.1, 2, len(words))
    loss, accuracy, recall = model.evaluate(words, labels, batch_size=10, sample_weight=weights, verbose=0)
    tags, counts = model.predict(words, batch_size=7), words != 0
    np.testing.assert_allclose(accuracy, (tags == labels)[counts].mean())
    w = np.where(counts, weights[:, None], 0)
    np.testing.assert_allclose(
        recall, [(w * (tags == labels) * (labels == k)).sum() / max(1e-9, (w * (labels == k)).sum()) for k in range(3)]
    )
    each = np.array([model.test_on_batch(words[b : b + 1], labels[b : b + 1])[0] for b in range(len(words))])
    np.testing.assert_allclose(loss, (weights * each).mean(), rtol=1e-5)


def test_a_row_of_weight_0_is_as_if_it_were_not_there():
    words, labels = sentences(6)
    kept = []
    for rows, weights in ((slice(0, 4), np.ones(4)), (slice(None), np.array([1, 1, 1, 1, 0, 0]))):
        utils.set_random_seed(0)
        model = tagger()
        model.compile(lstmcore.optimizers.SGD(0.1), losses.CRF("sum"))
        assert np.isfinite(model.train_on_batch(words[rows], labels[rows], sample_weight=weights))
        kept.append(model.get_weights())
    for a, b in zip(*kept, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)  # products of more rows add up in another order


def test_a_row_of_weight_0_may_have_any_labels():
    layer = crf(tags=TAGS, constraints="BIO")
    chains = layer(emissions(), logits=True)
    value, gradient = losses.CRF("sum").value_and_gradient(np.full((4, 5), 2), chains, np.zeros(4))
    assert value == 0
    assert (gradient == 0).all()


def test_padding_makes_no_difference():
    words, labels = sentences(6)
    model, wider = tagger(), np.zeros((6, 11), int)
    wider[:, :7] = words
    padded = np.full((6, 11), -7)
    padded[:, :7] = labels
    np.testing.assert_allclose(
        model.evaluate(words, labels, verbose=0), model.evaluate(wider, padded, verbose=0), rtol=1e-6
    )
    np.testing.assert_array_equal(model.predict(words), model.predict(wider)[:, :7])
    assert (model.predict(wider)[:, 7:] == 0).all()


def test_saved_loaded_and_trained_on(tmp_path):
    words, labels = sentences()
    model = tagger("BIO", metrics=["accuracy"])
    model.fit(words, labels, epochs=2, verbose=0)
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors")
    copy = pickle.loads(pickle.dumps(model.layers[-1]))
    np.testing.assert_array_equal(copy.allowed.transitions, model.layers[-1].allowed.transitions)
    np.testing.assert_array_equal(loaded.predict(words), model.predict(words))
    assert loaded.evaluate(words, labels, verbose=0) == model.evaluate(words, labels, verbose=0)
    for one in (model, loaded):
        one.train_on_batch(words, labels)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_whose_last_layer_is_one_that_ends_with_it():
    words, labels = sentences()
    within = Sequential([layers.Dense(3), layers.CRF(TAGS)])
    model = Sequential([layers.Embedding(12, 6, mask_zero=True, input_shape=(None,)), within])
    model.compile("adam", "crf", metrics=["accuracy"])
    history = model.fit(words, labels, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert model.predict(words).shape == words.shape


def test_graphs_and_models_within_models():
    words, labels = sentences()
    utils.set_random_seed(0)
    chain = tagger()
    given = Input((None,))
    graph = Model(given, chain(given))
    graph.compile("adam", losses.CRF(), metrics=["accuracy"])
    chain.compile("adam", "crf", metrics=["accuracy"])
    np.testing.assert_array_equal(graph.predict(words), chain.predict(words))
    assert graph.output_shape == chain.output_shape == (None, None)
    assert graph.evaluate(words, labels, verbose=0) == chain.evaluate(words, labels, verbose=0)
    loss = graph.evaluate(words, labels, verbose=0)[0]
    graph.fit(words, labels, epochs=3, verbose=0)
    assert graph.evaluate(words, labels, verbose=0)[0] < loss


def test_the_emissions_of_a_graph_have_marginals():
    words, _ = sentences()
    given = Input((None,))
    scores = layers.Dense(3)(layers.Embedding(12, 4, mask_zero=True)(given))
    layer = layers.CRF(3)
    model = Model(given, layer(scores))
    marginals = layer.marginals(Model(given, scores).predict(words), mask=words != 0)
    np.testing.assert_allclose(marginals.sum(-1), words != 0, atol=1e-5)
    assert model.predict(words).shape == words.shape


def test_nothing_in_nothing_out():
    layer = crf()
    assert layer(np.zeros((0, 5, 3))).shape == (0, 5)
    assert layer(np.zeros((2, 0, 3))).shape == (2, 0)
    chains = layer(np.zeros((0, 5, 3)), logits=True)
    assert losses.CRF("none")(np.zeros((0, 5), int), chains).shape == (0,)
    assert layer.last_activation(chains).shape == (0, 5)
    assert layer.marginals(np.zeros((0, 5, 3))).shape == (0, 5, 3)


# --- constraints ---


def test_a_scheme_a_matrix_and_three_arrays_are_the_same():
    allowed = utils.tag_constraints(TAGS)
    x = emissions()
    found = [
        crf(tags=TAGS, constraints="BIO"),
        crf(constraints=allowed),
        crf(constraints=[a.tolist() for a in allowed]),
    ]
    for layer in found:
        np.testing.assert_array_equal(layer(x), found[0](x))
        np.testing.assert_array_equal(layer.marginals(x), found[0].marginals(x))
    matrix = crf(constraints=allowed.transitions)
    assert matrix.allowed.start.all()
    np.testing.assert_array_equal(matrix.allowed.transitions, allowed.transitions)
    np.testing.assert_array_equal(crf(constraints=allowed.transitions.tolist())(x), matrix(x))


@pytest.mark.parametrize("scheme", ["BIO", "BILOU", "BIOES"])
def test_what_is_forbidden_is_never_returned(scheme):
    tags = ["O", *(f"{letter}-{kind}" for kind in ("X", "Y") for letter in scheme.replace("O", ""))]
    x = 5 * np.random.default_rng(0).standard_normal((50, 9, len(tags)))
    layer = crf(tags=tags, constraints=scheme)
    found = layer(x)
    for row in found:
        names = [tags[k] for k in row]
        for before, name in itertools.pairwise(["O", *names]):
            letter, _, kind = name.partition("-")
            if letter in "ILE":
                assert before[0] in "BI"
                assert before[2:] == kind
            elif scheme != "BIO":
                assert before[0] not in "BI"
        assert scheme == "BIO" or names[-1][0] not in "BI"
    spans = utils.tag_spans(found, tags, scheme)
    assert spans == utils.tag_spans(found, tags, scheme, strict=True)
    forbidden = ~layer.allowed.start
    assert (layer.marginals(x)[:, 0, forbidden] == 0).all()


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        ([2, 0, 0], "tag 2 first"),
        ([0, 2, 0], "tag 2 behind 0 at step 1"),
        ([0, 0, 2], "tag 2 behind 0 at step 2"),
    ],
)
def test_labels_that_are_forbidden_are_refused(labels, what):
    model = Sequential([layers.CRF(TAGS, "BIO", input_shape=(3, 3))])
    model.compile("sgd", "crf")
    y = np.array([[0, 1, 2], labels])
    with pytest.raises(
        ValueError, match=rf"y: row 1 of the batch has {what}, which the constraints of the layer forbid"
    ):
        model.train_on_batch(np.zeros((2, 3, 3)), y)
    assert np.isfinite(model.train_on_batch(np.zeros((2, 3, 3)), y, sample_weight=[1, 0]))


def test_where_no_path_is_left_tags_are_minus_1():
    nowhere = np.zeros((2, 2), bool)
    layer = layers.CRF(2, nowhere)
    np.testing.assert_array_equal(layer(np.zeros((2, 3, 2)), lengths=[1, 2]), [[0, 0, 0], [-1, -1, 0]])


# --- what is refused ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "CRF: tags: expected a positive integer, got 0"),
        ((["O", "O"],), "CRF: tags: expected different names"),
        ((3, "BIO"), "CRF: constraints: expected tags with names for 'BIO', got 3"),
        ((["O", "X-A"], "BIO"), r"CRF: tags: expected O, B-…, I-… for BIO, got 'X-A'"),
        ((["O", "B-A"], "IOB"), "CRF: scheme: expected one of BIO, BILOU, BIOES, got 'IOB'"),
        ((3, np.ones((3, 3))), "CRF: constraints: expected bool, True for what is allowed, got float64"),
        ((3, np.ones((2, 3), bool)), r"CRF: constraints: expected shape \(3, 3\), got \(2, 3\)"),
        (
            (2, (np.ones((2, 2), bool), np.ones(2, bool), np.ones(3, bool))),
            r"CRF: constraints: expected shape \(2,\), got",
        ),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        layers.CRF(*arguments)


def test_a_penalty_on_integers_is_refused():
    with pytest.raises(ValueError, match="CRF: activity_regularizer: expected none, for the outputs are integers"):
        layers.CRF(3, activity_regularizer="l2")


def test_inputs_that_are_no_emissions():
    with pytest.raises(
        ValueError, match=r"crf\S*: inputs: expected a score for each of 3 tags, got shape .*; put a Dense\(3\)"
    ):
        layers.CRF(3)(np.zeros((2, 4, 5)))
    with pytest.raises(ValueError, match=r"crf\S*: inputs: expected shape \(batch, steps, features\), got \(2, 3\)"):
        layers.CRF(3)(np.zeros((2, 3)))


def test_padding_before_steps_is_refused():
    with pytest.raises(ValueError, match=r"crf\S*: mask: expected padding behind the steps only, .* in row 1"):
        crf()(emissions(), mask=np.array([[1, 1, 1, 1, 0], [0, 1, 1, 1, 1], [1] * 5, [1] * 5], bool))


def test_tags_are_integers_in_a_graph_too():
    outputs = layers.CRF(3)(Input((4, 3)))
    assert outputs.dtype == np.int64
    with pytest.raises(TypeError, match="float32"):
        outputs * 2.5


def test_other_losses_and_other_models():
    x, y = np.zeros((2, 4, 3)), np.zeros((2, 4), int)
    i = Input((4, 3))
    model = Model(i, layers.Identity()(layers.CRF(3)(i)))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="its outputs are integers, which have no gradient; let it be the last layer"):
        model.train_on_batch(x, y)
    model = Sequential([layers.Dense(3, input_shape=(4, 3))])
    model.compile("sgd", "crf")
    with pytest.raises(
        ValueError,
        match=r"ends with a layers\.CRF, which is called once",
    ):
        model.train_on_batch(x, y)
    model = Sequential([layers.CRF(3, input_shape=(4, 3))])
    with pytest.raises(
        ValueError, match=r"metrics: 'crossentropy' is of probabilities, where layers\.CRF returns tags"
    ):
        model.compile("sgd", "crf", metrics=["crossentropy"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0, 1, 2, 3]] * 2, r"labels: expected numbers from 0 to 2 \(tags\), got 3 at \(0, 3\)"),
        ([[0, -1, 2, 2]] * 2, r"labels: expected numbers from 0 to 2 \(tags\), got -1 at \(0, 1\)"),
        ([[0, 1, 2]] * 2, r"y: expected shape \(batch=2, steps=4\), got \(2, 3\)"),
        ([[0, 1, 2, 1.5]] * 2, r"labels: expected numbers from 0 to 2 \(tags\), got -1 at \(0, 3\)"),
        ([[True] * 4] * 2, r"y: expected whole numbers \(tags\), got bool"),
    ],
)
def test_labels_that_are_none(labels, message):
    model = Sequential([layers.CRF(3, input_shape=(4, 3))])
    model.compile("sgd", "crf")
    with pytest.raises((ValueError, TypeError), match=message):
        model.train_on_batch(np.zeros((2, 4, 3)), np.array(labels))


def test_weights_of_classes_and_of_steps_are_refused():
    words, labels = sentences()
    model = tagger()
    with pytest.raises(
        ValueError, match="class_weight: expected a label for each sample, or one-hot targets, got 0 to 2"
    ):
        model.fit(words, labels, class_weight={1: 2.0}, verbose=0)
    with pytest.raises(ValueError, match="sample_weight: expected the shape of the losses"):
        model.fit(words, labels, sample_weight=np.ones(labels.shape), verbose=0)


def test_functional_and_layer_agree():
    layer, x = crf(), emissions()
    transitions, start, end = layer.get_weights()
    labels = np.zeros((4, 5), int)
    np.testing.assert_array_equal(
        losses.CRF("none")(labels, layer(x, lengths=LENGTHS, logits=True)),
        functional.crf_loss(x, labels, transitions, start, end, LENGTHS),
    )


@pytest.mark.parametrize("loss", ["mse", "sparse_categorical_crossentropy", losses.Huber()])
def test_another_loss_than_its_own_is_refused(loss):
    i = Input((None, 3))
    model = Model(i, layers.CRF(3, name="tags")(i))
    with pytest.raises(ValueError, match=r"loss: expected 'crf' for an output .* layers\.CRF, got '.*'; comp"):
        model.compile("sgd", loss)
    both = Model(i, {"tags": model.output, "emissions": layers.Dense(1)(i)})
    with pytest.raises(ValueError, match="loss: expected 'crf'"):
        both.compile("sgd", {"tags": loss, "emissions": "mse"})
    both.compile("sgd", {"tags": "crf", "emissions": "mse"})
    both.compile("sgd", {"emissions": "mse"}, metrics={"tags": [metrics.Accuracy()]})
