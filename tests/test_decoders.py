"""CTC decoders: the reference against all labelings, the core against the reference, language models, bad input."""

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore
from lstmcore import decoders, reference
from lstmcore.decoders import NGram


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def random_log_probabilities(seed, *shape, scale=2.0):
    return log_softmax(scale * np.random.default_rng(seed).standard_normal(shape))


def collapsed(path, blank):
    return tuple(c for c, _ in itertools.groupby(path) if c != blank)


def all_labelings(p, blank):
    """The probability of every labeling: the sum over all paths, each written out."""
    steps, classes = p.shape
    found = {}
    for path in itertools.product(range(classes), repeat=steps):
        labels = collapsed(path, blank)
        found[labels] = found.get(labels, 0.0) + math.exp(sum(p[t, c] for t, c in enumerate(path)))
    return found


# --- the reference against the definition ---


@pytest.mark.parametrize("blank", [0, 1, 2])
@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_a_wide_beam_finds_every_labeling(steps, blank):
    p = random_log_probabilities(steps, steps, 3)
    want = all_labelings(p, blank)
    ranked = sorted(want, key=want.get, reverse=True)
    for search in (reference.ctc_beam_search, core_beam):
        found = search(p, blank, beam_width=1000, top_paths=1000)
        assert [labels for labels, _ in found] == ranked
        np.testing.assert_allclose(
            [score for _, score in found], np.log([want[k] for k in ranked]), rtol=1e-10, atol=1e-12
        )


def test_a_language_model_weighs_every_labeling():
    p = random_log_probabilities(7, 4, 3)

    def lm(prefix, label):
        return math.log(0.1 + 0.2 * ((len(prefix) + sum(prefix) + label) % 4))

    want = {
        labels: math.log(q) + sum(0.7 * lm(labels[:k], c) + 0.3 for k, c in enumerate(labels))
        for labels, q in all_labelings(p, 0).items()
    }
    ranked = sorted(want, key=want.get, reverse=True)
    for search in (reference.ctc_beam_search, core_beam):
        found = search(p, beam_width=1000, top_paths=1000, lm=lm, alpha=0.7, beta=0.3)
        assert [labels for labels, _ in found] == ranked
        np.testing.assert_allclose([score for _, score in found], [want[k] for k in ranked], rtol=1e-10, atol=1e-12)


def test_greedy_is_the_best_path():
    p = random_log_probabilities(3, 4, 3)
    best = max(itertools.product(range(3), repeat=4), key=lambda path: sum(p[t, c] for t, c in enumerate(path)))
    labels, score = reference.ctc_greedy(p)
    assert tuple(labels) == collapsed(best, 0)
    assert score == pytest.approx(sum(p[t, c] for t, c in enumerate(best)), rel=1e-12)
    assert reference.ctc_greedy(np.log(np.eye(3)[[1, 1, 0, 1]] + 1e-9), merge_repeated=False)[0] == [1, 1, 1]


# --- the core against the reference ---


def core_beam(p, blank=0, **options):
    paths, scores = decoders.beam_search(p[None], blank=blank, kind="log_probabilities", **options)
    return [(tuple(labels), score) for labels, score in zip(paths[0], scores[0], strict=False)]


@given(
    seed=st.integers(0, 10**6),
    steps=st.integers(0, 25),
    classes=st.integers(1, 7),
    width=st.integers(1, 12),
    top=st.integers(1, 12),
    dtype=st.sampled_from(["float32", "float64"]),
    peaked=st.sampled_from([0.3, 2, 8]),
    cutoff=st.sampled_from([-math.inf, -3.0, -1.0]),
    with_lm=st.booleans(),
    beta=st.sampled_from([0.0, 0.5, -0.5]),
)
def test_core_is_the_reference(seed, steps, classes, width, top, dtype, peaked, cutoff, with_lm, beta):
    top = min(top, width)
    blank = seed % classes
    p = random_log_probabilities(seed, steps, classes, scale=peaked).astype(dtype)
    table = np.random.default_rng(seed).uniform(-3, 0, (classes + 1, classes))

    def lm(prefix, label):
        return table[prefix[-1] if prefix else -1, label]

    options = {"beam_width": width, "top_paths": top, "cutoff": cutoff, "beta": beta, "alpha": 0.6}
    options["lm"] = lm if with_lm else None
    want = reference.ctc_beam_search(p, blank, **options)
    found = core_beam(p, blank, **options)
    assert [labels for labels, _ in found] == [labels for labels, _ in want]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in want], rtol=1e-12, atol=1e-12)

    labels, score = reference.ctc_greedy(p, blank)
    got, scores = decoders.greedy(p[None], blank=blank, kind="log_probabilities")
    assert got == [labels]
    assert scores[0] == pytest.approx(score, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("width", [1, 3, 10])
def test_ties_go_to_lower_labels(width):
    p = np.full((4, 4), math.log(0.25))
    want = reference.ctc_beam_search(p, 0, width, width)
    assert core_beam(p, beam_width=width, top_paths=width) == want
    one = core_beam(p[:1], beam_width=4, top_paths=4)
    assert [labels for labels, _ in one] == [(), (1,), (2,), (3,)]
    assert decoders.greedy(p[None], kind="log_probabilities", blank=3)[0] == [[0]]


def test_result_does_not_depend_on_threads_or_company():
    x = np.random.default_rng(0).standard_normal((9, 30, 8))
    lengths = np.array([30, 0, 5, 17, 30, 1, 29, 12, 8])
    model = NGram.from_text(["abcabc", "bad cab"], 3)
    for options in ({}, {"lm": model, "labels": "_abcdefg"}):
        results = []
        for threads in (1, 2, 5):
            with lstmcore.threads(threads):
                results.append(decoders.beam_search(x, lengths, beam_width=9, top_paths=4, **options))
        for paths, scores in results[1:]:
            assert paths == results[0][0]
            np.testing.assert_array_equal(scores, results[0][1])
        for b, n in enumerate(lengths):
            paths, scores = decoders.beam_search(x[b : b + 1, :n], beam_width=9, top_paths=4, **options)
            assert paths[0] == results[0][0][b]
            np.testing.assert_array_equal(scores[0], results[0][1][b])


def test_kinds_and_layouts():
    x = np.random.default_rng(1).standard_normal((5, 6, 4))
    for decode in (decoders.greedy, decoders.beam_search):
        paths, scores = decode(x)
        for kind, values in [("log_probabilities", log_softmax(x)), ("probabilities", np.exp(log_softmax(x)))]:
            again, same = decode(values, kind=kind)
            assert again == paths
            np.testing.assert_allclose(same, scores, rtol=1e-12)
        for layout in (np.asfortranarray(x), x.astype(">f8"), np.repeat(x, 2, 1)[:, ::2]):
            assert decode(layout)[0] == paths
        lasts, same = decode(np.roll(x, -1, 2), blank=-1)  # the blank from the front to the end
        assert [np.array(p, int).ravel().tolist() for p in lasts] == [
            (np.array(p, int).ravel() - 1).tolist() for p in paths
        ]
        np.testing.assert_allclose(same, scores, rtol=1e-12)


def test_padding_is_not_looked_at():
    x = np.random.default_rng(2).standard_normal((2, 6, 4))
    short = x[:, :3].copy()
    x[:, 3:] = np.nan
    for decode in (decoders.greedy, decoders.beam_search):
        assert decode(x, [3, 3])[0] == decode(short)[0]


def test_rows_without_steps():
    x = np.zeros((2, 3, 4), "float32")
    assert decoders.greedy(x, [0, 0])[0] == [[], []]
    paths, scores = decoders.beam_search(x, [0, 0], top_paths=2)
    assert paths == [[[]], [[]]]
    np.testing.assert_array_equal(scores, [[0, -math.inf]] * 2)
    for shape in [(0, 3, 4), (2, 0, 4), (0, 0, 1)]:
        paths, scores = decoders.beam_search(np.zeros(shape))
        assert len(paths) == len(scores) == shape[0]
        assert decoders.ctc_decode(np.zeros(shape), np.zeros(shape[0], int))[0].shape == (1, *shape[:2])


# --- language models ---

LISTED = r"""
made by hand

\data\
ngram 1=5
ngram 2=3
ngram 3=1

\1-grams:
-1.0	<s>	-0.5
-0.7	</s>
-0.6	a	-0.2
-0.8	b	-0.3
-2.0	<unk>

\2-grams:
-0.1	<s> a	-0.05
-0.4	a b
-0.9	b </s>

\3-grams:
-0.2	<s> a b

\end\
"""


def test_arpa_scores_computed_by_hand(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text(LISTED)
    for model in (NGram.from_arpa(path), NGram.from_arpa(str(path)), NGram.from_arpa(LISTED.splitlines())):
        assert (model.order, model.tokens) == (3, ["</s>", "<s>", "<unk>", "a", "b"])

        def tens(tokens, model=model, **options):
            return [x / math.log(10) for x in model.scores(tokens, **options)]

        # p(a | <s>), p(b | <s> a), then </s> after "<s> a b": "a b" has no backoff listed, "b </s>" is listed
        assert tens("ab") == pytest.approx([-0.1, -0.2, -0.9])
        # p(b | <s>) backs off; p(a | b) backs off from b; </s> after a: bow(a)
        assert tens("ba") == pytest.approx([-0.5 - 0.8, -0.3 - 0.6, -0.2 - 0.7])
        # in the middle: p(a), p(b | a), p(b | a b) backs off to p(b | b), and with bow(b) to p(b)
        assert tens("abb", begin=False, end=False) == pytest.approx([-0.6, -0.4, -0.3 - 0.8])
        # unknown: bow(<s> a) bow(a) p(<unk>), and nothing is known after it
        assert tens("azb", end=False) == pytest.approx([-0.1, -0.05 - 0.2 - 2.0, -0.8])
        assert model.score("ab") == pytest.approx(-1.2 * math.log(10))
    no_unk = NGram({("a",): (-0.5, 0.0)}, unknown=-3)
    assert no_unk.score("ab") == pytest.approx(-3.5 * math.log(10))
    # p(b | a) is only there as the begin of a longer one.
    holes = NGram({("a",): (-0.5, -0.1), ("b",): (-0.4, 0.0), ("a", "b", "a"): (-0.3, 0.0)})
    assert [x / math.log(10) for x in holes.scores("aba")] == pytest.approx([-0.5, -0.5, -0.3])


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("smoothing", [0.1, 0.5, 0.9])
def test_counted_probabilities_add_up_to_one(order, smoothing):
    model = NGram.from_text(["abracadabra", "cab", "", "bad"], order, smoothing)
    following = [t for t in model.tokens if t != "<s>"]
    for history in ["", "a", "ab", "abr", "zz", "cab", "dd"]:
        for begin in (False, True):
            p = [math.exp(model.scores([*history, t], begin=begin, end=False)[-1]) for t in following]
            assert sum(p) == pytest.approx(1, abs=1e-12)


def test_counted_probabilities_by_hand():
    model = NGram.from_text(["ab", "aa"], order=2, smoothing=0.5)
    # single tokens: a 3, b 1, </s> 2 of 6; after <s>: a 2 of 2; after a: b 1, a 1, </s> 1 of 3
    assert model.score("a", begin=False, end=False) == pytest.approx(math.log(2.5 / 6))
    assert model.score("?", begin=False, end=False) == pytest.approx(math.log(1.5 / 6))
    assert model.scores("ab", end=False) == pytest.approx([math.log(1.5 / 2), math.log(0.5 / 3)])
    # after <s>, b was not seen: 0.5 / 2 are left for all but a, which have 1 - 2.5 / 6 together
    assert model.score("b", end=False) == pytest.approx(math.log(0.25 / (1 - 2.5 / 6) * 0.5 / 6))
    words = NGram.from_text(["one two", ["one", "three"]], 2, words=True)
    assert words.tokens == ["</s>", "<s>", "<unk>", "one", "three", "two"]


def test_a_language_model_changes_the_choice():
    # "ab" or "ac": the sound says c, by a little; the language says b.
    p = np.array([[0.1, 0.8, 0.05, 0.05], [0.1, 0.1, 0.38, 0.42]])[None]
    options = {"kind": "probabilities", "beam_width": 8}
    assert decoders.beam_search(p, **options)[0] == [[[1, 3]]]
    likes_b = NGram.from_text(["ab", "ab", "ac", "ab"], 2)
    for model in (
        {"lm": likes_b, "labels": "_abc"},
        {"lm": lambda prefix, label: math.log(0.9 if (prefix, label) in [((), 1), ((1,), 2)] else 0.05)},
    ):
        assert decoders.beam_search(p, **model, **options)[0] == [[[1, 2]]]
        assert decoders.beam_search(p, **model, alpha=0.0, **options)[0] == [[[1, 3]]]
    assert decoders.beam_search(p, beta=-10.0, **options)[0] == [[[]]]
    forbids = decoders.beam_search(p, lm=lambda prefix, label: -math.inf if label == 3 else 0.0, top_paths=8, **options)
    assert not any(3 in path for path in forbids[0][0])


@pytest.mark.parametrize("beta", [0.0, 1.5, -1.0])
def test_ngram_of_characters_is_the_callable(beta):
    model = NGram.from_text(["abacad", "dada"], 3)
    x = np.random.default_rng(3).standard_normal((4, 12, 5))
    labels = ["_", "a", "b", "c", "d"]
    options = {"beam_width": 6, "top_paths": 6, "alpha": 0.8, "beta": beta}

    def lm(prefix, label):
        return model.scores([labels[c] for c in (*prefix, label)], end=False)[-1]

    paths, scores = decoders.beam_search(x, lm=model, labels=labels, **options)
    others, without_end = decoders.beam_search(x, lm=lm, **options)
    for b in range(4):
        ends = [0.8 * model.scores([labels[c] for c in path])[-1] for path in others[b]]
        want = sorted(zip(without_end[b] + ends, others[b], strict=True), reverse=True)
        assert paths[b] == [path for _, path in want]
        np.testing.assert_allclose(scores[b], [score for score, _ in want], rtol=1e-12)


def test_words_are_scored_when_a_separator_ends_them():
    model = NGram.from_text(["go up", "go on", "up"], 2, words=True)
    labels = ["_", " ", "g", "o", "u", "p", "n"]
    options = {"lm": model, "labels": labels, "separator": 1, "alpha": 0.7, "beta": 0.4}
    rng = np.random.default_rng(4)
    for steps in (1, 3, 4):  # of 4, there are 1555 labelings
        p = log_softmax(2 * rng.standard_normal((steps, 7)))
        own = dict(core_beam(p, beam_width=3000, top_paths=3000))
        for path, score in core_beam(p, beam_width=3000, top_paths=3000, **options):
            words = "".join(labels[c] for c in path).split()
            want = own[path] + 0.7 * model.score(words) + 0.4 * len(words)
            assert score == pytest.approx(want, rel=1e-9, abs=1e-9)
    said = np.log(np.eye(7)[[2, 3, 1, 4, 6]] + 0.04)  # "go un", while "go up" is known
    said[4, 5] = np.log(0.9)
    path = decoders.beam_search(log_softmax(said)[None], **options)[0][0][0]
    assert "".join(labels[c] for c in path) == "go up"


def test_callable_is_asked_once_for_each_prefix_and_label():
    asked = []

    def lm(prefix, label):
        assert isinstance(prefix, tuple)
        assert type(label) is int
        assert label != 0
        asked.append((prefix, label))
        return -1.0

    x = np.random.default_rng(5).standard_normal((1, 20, 5))
    decoders.beam_search(x, lm=lm, beam_width=10)
    assert len(asked) == len(set(asked)) > 0
    asked.clear()
    decoders.beam_search(8 * np.eye(5)[[[1, 0, 2, 0, 3]]], lm=lm, beam_width=3, cutoff=-1.0)
    assert set(asked) <= {((1, 2, 3)[:k], c) for k in range(4) for c in (1, 2, 3)} | {
        (p, c) for p in [(2,), (3,), (1, 3), (2, 3)] for c in (1, 2, 3)
    }


class StopError(Exception):
    pass


def test_what_a_callable_raises_is_passed_on():
    def stop(prefix, label):
        raise StopError

    x = np.zeros((2, 3, 4))
    with pytest.raises(StopError):
        decoders.beam_search(x, lm=stop)
    for answer, error in [("a", TypeError), (None, TypeError), (0.5, ValueError), (math.nan, ValueError)]:
        with pytest.raises(error, match=r"lm: expected .* from a call with \(\) and 1, got"):
            decoders.beam_search(x, lm=lambda prefix, label, answer=answer: answer)
    inner = decoders.beam_search(x, lm=lambda prefix, label: float(decoders.greedy(x)[1][0]))  # calls the core itself
    assert inner[0] == decoders.beam_search(x, lm=lambda prefix, label: 3 * math.log(0.25))[0]


# --- Keras ---


def test_ctc_decode_returns_what_keras_does():
    # keras.ops.ctc_decode, Keras 3: minus the sum of the largest logits, and the repeats of a path.
    x = np.array([[[0.1, 0.4, 0.2], [0.3, 1.5, 0.2], [2.0, 0.1, 0.3], [0.1, 0.7, 0.2]], np.ones((4, 3))], "float32")
    decoded, scores = decoders.ctc_decode(x, [4, 2])
    assert (decoded.dtype, decoded.shape, scores.dtype, scores.shape) == (np.int32, (1, 2, 4), np.float32, (2, 1))
    assert decoded[0].tolist() == [[1, 1, -1, -1], [-1, -1, -1, -1]]
    np.testing.assert_allclose(scores[:, 0], [-(0.4 + 1.5 + 2.0 + 0.7), -2.0], rtol=1e-6)
    assert decoders.ctc_decode(x, [4, 2], merge_repeated=False)[0][0].tolist()[0] == [1, 1, 1, -1]
    assert decoders.ctc_decode(x, [4, 2], mask_index=None)[0][0].tolist() == [[1, 0, 1, -1], [0, -1, -1, -1]]
    decoded, scores = decoders.ctc_decode(x, [4, 2], "beam_search", beam_width=20, top_paths=3)
    assert (decoded.shape, scores.shape) == ((3, 2, 4), (2, 3))
    found = reference.ctc_beam_search(log_softmax(x[0].astype(float)), 0, 20, 3)
    assert [[c for c in path if c >= 0] for path in decoded[:, 0].tolist()] == [list(labels) for labels, _ in found]
    np.testing.assert_allclose(scores[0], [s for _, s in found], rtol=1e-6)


@pytest.mark.peer
@pytest.mark.parametrize("strategy", ["greedy", "beam_search"])
def test_ctc_decode_is_that_of_keras(strategy, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip("torch")
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(6)
    for classes, blank in [(4, 0), (5, 4), (3, 1)]:
        x = 3 * rng.standard_normal((4, 9, classes)).astype("float32")
        options = {"strategy": strategy, "beam_width": 12, "top_paths": 3, "mask_index": blank}
        # Keras takes the first step of a row without any.
        lengths = np.array([9, 4, 1, 7], "int32")
        want, scores = keras.ops.ctc_decode(x, lengths, **options)
        got, ours = decoders.ctc_decode(x, lengths, **options)
        kept = ours > -np.inf  # one step of three classes has no third labeling
        np.testing.assert_allclose(ours[kept], np.asarray(scores)[kept], rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(got[kept.T], np.asarray(want)[kept.T])


# --- bad input ---


@pytest.mark.parametrize("decode", [decoders.greedy, decoders.beam_search])
@pytest.mark.parametrize(
    ("inputs", "options", "error", "message"),
    [
        (np.zeros((2, 3)), {}, ValueError, r"inputs: expected shape \(batch, steps, classes\), got \(2, 3\)"),
        (np.zeros((2, 3, 0)), {}, ValueError, r"inputs: expected shape"),
        (np.zeros((2, 3, 4), int), {}, TypeError, "inputs: expected dtype float32 or float64, got int64"),
        (np.zeros((2, 3, 4), "float16"), {}, TypeError, "inputs: expected dtype float32 or float64, got float16"),
        (np.zeros((2, 3, 4)), {"lengths": [3]}, ValueError, r"lengths: expected shape \(batch=2,\), got \(1,\)"),
        (np.zeros((2, 3, 4)), {"lengths": [3, 4]}, ValueError, r"lengths: expected numbers from 0 to 3 .* got 4 at 1"),
        (
            np.zeros((2, 3, 4)),
            {"lengths": [-1, 3]},
            ValueError,
            r"lengths: expected numbers from 0 to 3 .* got -1 at 0",
        ),
        (np.zeros((2, 3, 4)), {"lengths": [1.0, 3]}, TypeError, "lengths: expected integers, got float64"),
        (np.zeros((2, 3, 4)), {"blank": 4}, ValueError, "blank: expected a class from -4 to 3, got 4"),
        (np.zeros((2, 3, 4)), {"blank": 1.0}, TypeError, "blank: expected an integer, got 1.0"),
        (np.zeros((2, 3, 4)), {"kind": "scores"}, ValueError, r"kind: expected one of 'log_probabilities', .*'scores'"),
        (np.full((2, 3, 4), np.nan), {}, ValueError, "inputs: expected logits, got nan at row 0, step 0"),
        (np.full((2, 3, 4), np.inf), {}, ValueError, "inputs: expected logits, got inf at row 0, step 0"),
        (np.full((2, 3, 4), -np.inf), {}, ValueError, "inputs: expected logits, got -inf for every class at row 0"),
        (
            np.ones((2, 3, 4)),
            {"kind": "log_probabilities"},
            ValueError,
            "at most 0, got 1.0 at row 0, step 0; for outp",
        ),
        (np.zeros((2, 3, 4)), {"kind": "log_probabilities"}, ValueError, "add up to 1, got a sum of 4.0 at row 0, st"),
        (np.zeros((2, 3, 4)), {"kind": "probabilities"}, ValueError, "that add up to 1, got a sum of 0.0 at row 0"),
        (-np.ones((2, 3, 4)), {"kind": "probabilities"}, ValueError, "from 0 to 1, got -1.0 at row 0, step 0"),
    ],
)
def test_bad_inputs_are_named(decode, inputs, options, error, message):
    with pytest.raises(error, match=message):
        decode(inputs, **options)


def test_the_first_bad_frame_is_named_with_any_threads():
    x = np.zeros((8, 40, 4))
    x[3, 7], x[6, 1] = np.nan, np.nan
    for threads in (1, 2):
        with lstmcore.threads(threads), pytest.raises(ValueError, match="got nan at row 3, step 7"):
            decoders.beam_search(x)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"beam_width": 0}, ValueError, "beam_width: expected a positive integer, got 0"),
        ({"beam_width": 10**12}, ValueError, "beam_width: expected at most"),
        ({"top_paths": 101}, ValueError, r"top_paths: expected at most 100 \(beam_width\), got 101"),
        ({"cutoff": 1.0}, ValueError, "cutoff: expected a number in .-inf, 0., got 1.0"),
        ({"cutoff": math.nan}, ValueError, "cutoff: expected a number in .-inf, 0., got nan"),
        ({"alpha": -1.0}, ValueError, "alpha: expected a number in .0, 1e6., got -1.0"),
        ({"beta": math.inf}, ValueError, "beta: expected a number in .-1e6, 1e6., got inf"),
        ({"lm": 3}, TypeError, "lm: expected a function, an NGram or None, got 3"),
        ({"labels": "abcd"}, ValueError, "labels: is for an NGram as lm, got lm=None"),
        ({"separator": 1}, ValueError, "separator: is for an NGram as lm, got lm=None"),
        ({"lm": NGram.from_text(["a"])}, ValueError, "labels: an NGram needs them: what each of the 4 classes spells"),
        ({"lm": NGram.from_text(["a"]), "labels": "abc"}, ValueError, "labels: expected 4, one for each class, got 3"),
        ({"lm": NGram.from_text(["a"]), "labels": 3}, TypeError, "labels: expected a sequence of strings, got 3"),
        ({"lm": NGram.from_text(["a"]), "labels": [1, 2, 3, 4]}, TypeError, "labels: expected strings, got 1"),
        ({"lm": NGram.from_text(["a"]), "labels": "abcd", "separator": 0}, ValueError, "separator: expected another"),
        ({"lm": NGram.from_text(["a"]), "labels": "abcd", "separator": 9}, ValueError, "separator: expected a class"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        decoders.beam_search(np.zeros((2, 3, 4)), **options)


def test_probabilities_given_as_logits_are_noticed():
    p = np.exp(random_log_probabilities(8, 2, 5, 4))
    with pytest.warns(UserWarning, match='for probabilities, kind is "probabilities"'):
        decoders.beam_search(p)
    with pytest.raises(ValueError, match="strategy: expected one of 'greedy', 'beam_search', got 'beam'"):
        decoders.ctc_decode(p, [5, 5], "beam")
    with pytest.raises(ValueError, match=r"sequence_lengths: expected shape \(batch=2,\)"):
        decoders.ctc_decode(p, [5])


GOOD = ["\\data\\", "ngram 1=1", "\\1-grams:", "-0.5 a", "\\end\\"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"source: expected a line \\data\\, got none"),
        (GOOD[:-1], r"source: expected a line \\end\\, got none"),
        ([*GOOD[:3], "0.5 a", "\\end\\"], "line 4: expected a log10 probability of at most 0.* got '0.5 a'"),
        ([*GOOD[:3], "nan a", "\\end\\"], "line 4: expected a log10 probability of at most 0"),
        ([*GOOD[:3], "-1 a inf", "\\end\\"], "line 4: expected a log10 probability .* a backoff from -1e6 to 1e6"),
        ([*GOOD[:3], "x a", "\\end\\"], "line 4: expected numbers around the tokens, got 'x a'"),
        ([*GOOD[:3], "-0.5", "\\end\\"], "line 4: expected a probability, 1 tokens and at most a backoff"),
        ([*GOOD[:4], "-0.5 a", "\\end\\"], "line 5: expected every n-gram once"),
        ([*GOOD[:3], "\\end\\"], r"source: expected 1 1-grams, as \\data\\ says, got 0"),
        (["\\data\\", "ngram 1=x"], "line 2: expected a count like ngram 1=20, got 'ngram 1=x'"),
        (["\\data\\", "ngram 1=1", "\\2-grams:"], r"line 3: expected a section of \[1\]"),
    ],
)
def test_files_that_are_not_arpas(lines, message):
    with pytest.raises(ValueError, match=message):
        NGram.from_arpa(lines)


def test_bad_models_are_named():
    with pytest.raises(TypeError, match="source: expected a path or lines of text, got 3"):
        NGram.from_arpa([3])
    with pytest.raises(TypeError, match="texts: expected a sequence of strings, got a string, 'abc'"):
        NGram.from_text("abc")
    with pytest.raises(ValueError, match="texts: expected at least one, got none"):
        NGram.from_text([])
    with pytest.raises(ValueError, match=r"texts: expected tokens other than .* got '<s>'"):
        NGram.from_text([["<s>"]])
    with pytest.raises(ValueError, match=r"smoothing: expected a number in .1e-300, 1., got 1.0"):
        NGram.from_text(["a"], smoothing=1.0)
    with pytest.raises(ValueError, match=r"entries: a: expected a number in .-inf, 0., got 1.0"):
        NGram({("a",): (1.0, 0.0)})
    with pytest.raises(ValueError, match="entries: a: backoff: expected a number in"):
        NGram({("a",): (-1.0, math.nan)})
    with pytest.raises(TypeError, match="entries: expected tuples of strings, got 'ab'"):
        NGram({"ab": (-1.0, 0.0)})
    with pytest.raises(ValueError, match="entries: expected text without lone surrogates, got"):
        NGram.from_text(["\ud800"])
    with pytest.raises(ValueError, match="tokens: expected text without lone surrogates, got"):
        NGram.from_text(["a"]).score("\ud800")
    with pytest.raises(ValueError, match="entries: expected n-grams, got none"):
        NGram({})


odd_numbers = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e30, -1e30, 1e-40, math.nan, math.inf, -math.inf, 0.25, -1e3])


@given(
    st.integers(0, 3),
    st.integers(0, 6),
    st.integers(1, 5),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from(["logits", "log_probabilities", "probabilities"]),
    st.integers(1, 8),
    st.sampled_from([-1e6, -1.0, 0.0, 3.0, 1e6]),
    st.sampled_from([0.0, 1.0, 1e6]),
    st.data(),
)
def test_any_input_gives_an_error_or_a_finite_result(batch, steps, classes, dtype, kind, width, beta, alpha, data):
    size = batch * steps * classes
    values = data.draw(st.lists(odd_numbers, min_size=size, max_size=size))
    x = np.array(values, dtype).reshape(batch, steps, classes)
    if data.draw(st.booleans()):  # something to decode among them
        x[:, ::2] = log_softmax(np.zeros(classes)) if kind == "log_probabilities" else 1 / classes
    lengths = data.draw(st.lists(st.integers(0, steps), min_size=batch, max_size=batch))
    lengths = np.array(lengths, int)
    model = data.draw(st.sampled_from([None, NGram({("b",): (-math.inf, 0.0)}), lambda prefix, label: -1e300]))
    options = {"lm": model, "labels": "_abcd"[:classes] if isinstance(model, NGram) else None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            paths, scores = decoders.greedy(x, lengths, kind=kind)
            assert np.isfinite(scores).all() or (np.abs(values) >= 1e30).any()
            paths, scores = decoders.beam_search(
                x, lengths, kind=kind, beam_width=width, top_paths=width, beta=beta, alpha=alpha, **options
            )
        except ValueError as error:
            assert str(error).startswith("inputs: expected")  # noqa: PT017
            return
    for b in range(batch):
        assert np.isfinite(scores[b, : len(paths[b])]).all()
        assert (scores[b, len(paths[b]) :] == -np.inf).all()
        assert all(len(path) <= lengths[b] and 0 not in path for path in paths[b])
