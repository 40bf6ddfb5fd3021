"""Edit distances against a plain table, error rates, and the metric of decoded outputs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore
from lstmcore import metrics


def by_table(a, b):
    """(edits, insertions and deletions) of the best alignment, from the definition."""
    best = {(0, 0): (0, 0)}
    for i in range(len(a) + 1):
        for j in range(len(b) + 1):
            ways = []
            if i and j:
                e, g = best[i - 1, j - 1]
                ways.append((e + (a[i - 1] != b[j - 1]), g))
            if i:
                ways.append((best[i - 1, j][0] + 1, best[i - 1, j][1] + 1))
            if j:
                ways.append((best[i, j - 1][0] + 1, best[i, j - 1][1] + 1))
            if ways:
                best[i, j] = min(ways)
    return best[len(a), len(b)]


words = st.text("abc ", max_size=12)


@given(words, words)
def test_edits_are_those_of_a_plain_table(a, b):
    found = metrics.edit_distance(a, b)
    edits, gaps = by_table(a, b)
    assert found.distance == edits == found.substitutions + found.insertions + found.deletions
    assert found.insertions + found.deletions == gaps
    assert found.insertions - found.deletions == len(b) - len(a)
    assert metrics.edit_distance(list(map(ord, a)), np.array(list(map(ord, b)), int)) == found
    assert metrics.edit_distance(b, a).distance == edits


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [
        ("kitten", "sitting", (3, 2, 1, 0)),
        ("", "abc", (3, 0, 3, 0)),
        ("abc", "", (3, 0, 0, 3)),
        ("", "", (0, 0, 0, 0)),
        ("ab", "bc", (2, 2, 0, 0)),  # as few as taking out a and adding c
        ("straße", "strasse", (2, 1, 1, 0)),
        (["one", "two"], ["two"], (1, 0, 0, 1)),
        ([10**30, -1], [10**30, 5], (1, 1, 0, 0)),
    ],
)
def test_known_distances(a, b, edits):
    assert metrics.edit_distance(a, b) == edits


def test_rates_are_over_all_together():
    assert metrics.character_error_rate("abcd", "abd") == 1 / 4
    assert metrics.character_error_rate(["abcd", "ab"], ["abd", "ba"]) == 3 / 6
    assert metrics.character_error_rate([[1, 2], np.array([3])], [[1, 2], [4]]) == 1 / 3
    assert metrics.word_error_rate("a b  c", "a x c d") == 2 / 3
    assert metrics.word_error_rate(["a b", "c"], [["a", "b"], "c"]) == 0
    assert metrics.character_error_rate("a", "abc") == 2
    assert metrics.character_error_rate([""], [""]) == 0
    assert metrics.character_error_rate([], []) == 0
    assert metrics.character_error_rate("", "a") == math.inf


def test_counts_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    texts = [["".join(rng.choice(list("abcd"), rng.integers(0, 300))) for _ in range(40)] for _ in range(2)]
    rates = []
    for threads in (1, 2):
        with lstmcore.threads(threads):
            rates.append(metrics.character_error_rate(*texts))
    assert rates[0] == rates[1] == sum(by_table(*p)[0] for p in zip(*texts, strict=True)) / sum(map(len, texts[0]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: metrics.edit_distance(3, "a"), TypeError, "a: expected a string or a sequence, got 3"),
        (lambda: metrics.edit_distance("a", None), TypeError, "b: expected a string or a sequence, got None"),
        (lambda: metrics.edit_distance("a", np.ones((2, 2))), TypeError, "b: expected a string or a sequence"),
        (lambda: metrics.edit_distance("a", b"a"), TypeError, "b: expected a string or a sequence, got b'a'"),
        (lambda: metrics.edit_distance([[1]], [[2]]), TypeError, "a: expected tokens that can be keys of a dict, got"),
        (lambda: metrics.character_error_rate(["a"], ["a", "b"]), ValueError, "hypotheses: expected 1, .* got 2"),
        (lambda: metrics.character_error_rate(3, "a"), TypeError, "references: expected strings or sequences, got 3"),
        (lambda: metrics.word_error_rate("a", [3]), TypeError, "hypotheses: expected a string or a sequence, got 3"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- the metric ---


def outputs_of(paths, classes=5):
    return np.eye(classes)[paths]


def test_metric_decodes_and_counts():
    paths = [[0, 1, 1, 0, 1, 2], [3, 3, 0, 0, 0, 0]]  # 1 1 2 and 3
    y = [[1, 1, 2], [4, 3, 0]]
    assert metrics.CharacterErrorRate()(y, outputs_of(paths)) == 1 / 5
    assert metrics.CharacterErrorRate()(y, outputs_of(paths), [1, 0]) == 0
    assert metrics.CharacterErrorRate()(y, outputs_of(paths), [1, 3]) == 3 / (3 + 2 * 3)
    metric = metrics.get("cer")
    metric.update_state(y[:1], outputs_of(paths[:1]).astype("float32"))
    state = metric.state()
    metric.update_state(y[1:], outputs_of(paths[1:]))
    assert metric.result() == 1 / 5
    other = metrics.CharacterErrorRate()
    other.load_state(state)
    other.update_state(y[1:], outputs_of(paths[1:]))
    assert other.result() == 1 / 5
    assert metrics.CharacterErrorRate().result() == 0
    assert metric.direction == "down"
    again = metrics.deserialize(metrics.serialize(metrics.CharacterErrorRate(-1, -100)))
    assert (again.blank, again.padding) == (-1, -100)
    assert again([[0, 1, -100]], outputs_of([[0, 4, 1]])) == 0
    assert isinstance(metrics.get(metrics.character_error_rate), metrics.CharacterErrorRate)


def test_frames_of_no_weight_are_left_out():
    paths = [[1, 2, 3, 3], [1, 2, 3, 4], [1, 1, 1, 1]]
    mask = np.array([[1, 1, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0]], bool)
    y = [[1, 2, 0], [1, 4, 0], [1, 2, 3]]  # the last row has no frames, and does not count
    assert metrics.CharacterErrorRate()(y, outputs_of(paths), mask) == 0
    assert metrics.CharacterErrorRate()(y, outputs_of(paths), mask * 0.5) == 0
    p = outputs_of(paths)
    p[~mask] = np.nan
    assert metrics.CharacterErrorRate()(y, p, mask) == 0
    metric = metrics.CharacterErrorRate()
    metric.update_state(y, outputs_of(paths), mask * np.array([[2.0], [3], [1]]))
    assert metric.state() == {"edits": 0.0, "length": 2 * 2.0 + 3 * 2}


@pytest.mark.parametrize(
    ("y", "p", "weight", "message"),
    [
        ([[1]], np.ones((1, 4)), None, r"y_pred: expected shape \(batch, steps, classes\), got \(1, 4\)"),
        ([1], np.ones((1, 4, 3)), None, r"y_true: expected shape \(batch=1, labels\), got \(1,\)"),
        ([[3]], np.ones((1, 4, 3)), None, "y_true: expected labels from 0 to 2 other than the blank, 0, got 3"),
        ([[1.5]], np.ones((1, 4, 3)), None, "y_true: expected whole numbers"),
        ([[np.nan]], np.ones((1, 4, 3)), None, "y_true: expected whole numbers"),
        ([[1]], np.ones((1, 4, 3)), np.ones((1, 3)), r"sample_weight: expected shape .*got \(1, 3\)"),
    ],
)
def test_what_the_metric_refuses(y, p, weight, message):
    with pytest.raises(ValueError, match=message):
        metrics.CharacterErrorRate()(y, p, weight)


def test_blank_beyond_the_classes():
    with pytest.raises(ValueError, match="blank: expected a class from -3 to 2, got 3"):
        metrics.CharacterErrorRate(3)([[1]], np.ones((1, 4, 3)))
    with pytest.raises(TypeError, match="CharacterErrorRate: blank: expected an integer, got '0'"):
        metrics.CharacterErrorRate("0")
    with pytest.raises(ValueError, match="other than the blank, 0, got 0"):
        metrics.CharacterErrorRate(0, padding=-1)([[0]], np.ones((1, 4, 3)))
