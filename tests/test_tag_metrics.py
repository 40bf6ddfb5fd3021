"""Metrics of tags and spans: counted by hand, against CoNLL's rules written as they are published, over batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore import metrics, utils
from lstmcore.metrics import TagF1Score, TagPrecision, TagRecall
from lstmcore.utils import tag_constraints, tag_spans

BIO = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
BILOU = ["O", *(f"{letter}-{kind}" for kind in ("PER", "LOC") for letter in "BILU")]
OUT, B_PER, I_PER, B_LOC, I_LOC = range(5)
ALL = (TagPrecision, TagRecall, TagF1Score)


def results(truth, found, *arguments, **options):
    return [kind(*arguments, **options)(truth, found) for kind in ALL]


# --- by hand ---

# Of the truth: PER 0-1, LOC 3, PER 5. Found: PER 0-1, LOC 3-4, LOC 5.
TRUTH = [[B_PER, I_PER, OUT, B_LOC, OUT, B_PER, OUT]]
FOUND = [[B_PER, I_PER, OUT, B_LOC, I_LOC, B_LOC, OUT]]


def test_tags_by_hand():
    # Found are five tags that are not O, there are four, and right are three.
    assert results(TRUTH, FOUND, BIO) == pytest.approx([3 / 5, 3 / 4, 2 * 3 / 9])
    # Without a tag outside, all seven count: five are right.
    assert results(TRUTH, FOUND, 5) == pytest.approx([5 / 7, 5 / 7, 5 / 7])
    precision, recall, f1 = results(TRUTH, FOUND, BIO, average=None)
    np.testing.assert_allclose(precision, [0, 1, 1, 1 / 2, 0])
    np.testing.assert_allclose(recall, [0, 1 / 2, 1, 1, 0])
    np.testing.assert_allclose(f1, [0, 2 / 3, 1, 2 / 3, 0])
    # The mean over the four that occur; and by how often they are there: 2, 1, 1, 0.
    assert results(TRUTH, FOUND, BIO, average="macro") == pytest.approx([2.5 / 4, 2.5 / 4, (4 / 3 + 1) / 4])
    assert results(TRUTH, FOUND, BIO, average="weighted") == pytest.approx([3.5 / 4, 3 / 4, (4 / 3 + 1 + 2 / 3) / 4])


def test_spans_by_hand():
    # One of three found is right, of three that are there.
    assert results(TRUTH, FOUND, BIO, "BIO") == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    precision, recall, f1 = results(TRUTH, FOUND, BIO, "BIO", average=None)
    assert TagF1Score(BIO, "BIO").classes == ["PER", "LOC"]
    np.testing.assert_allclose(precision, [1, 0])
    np.testing.assert_allclose(recall, [1 / 2, 0])
    np.testing.assert_allclose(f1, [2 / 3, 0])
    assert results(TRUTH, FOUND, BIO, "BIO", average="macro") == pytest.approx([1 / 2, 1 / 4, 1 / 3])
    assert results(TRUTH, FOUND, BIO, "BIO", average="weighted") == pytest.approx([2 / 3, 1 / 3, 4 / 9])


def test_spans_of_seqevals_readme():
    # https://github.com/chakki-works/seqeval: f1_score 0.50, of MISC 0.00 and PER 1.00.
    names = ["O", "B-MISC", "I-MISC", "B-PER", "I-PER"]
    number = {name: k for k, name in enumerate(names)}
    truth = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O", "O", "O", "O", "O"]]
    found = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O", "O", "O", "O", "O"]]
    y, p = ([[number[name] for name in row] for row in rows] for rows in (truth, found))
    assert TagF1Score(names, scheme="BIO")(y, p) == 0.5
    np.testing.assert_array_equal(TagF1Score(names, scheme="BIO", average=None)(y, p), [0, 1])


def test_what_a_stray_inside_begins():
    # As CoNLL's evaluation has it, I-PER begins a span behind O and behind another type; strictly, it is none.
    labels = [[I_PER, OUT, B_LOC, I_PER, I_LOC]]
    assert tag_spans(labels, BIO) == [[("PER", 0, 1), ("LOC", 2, 3), ("PER", 3, 4), ("LOC", 4, 5)]]
    assert tag_spans(labels, BIO, strict=True) == [[("LOC", 2, 3)]]
    assert results(labels, labels, BIO, "BIO", strict=True) == [1, 1, 1]
    truth = [[B_PER, OUT, B_LOC, OUT, OUT]]
    assert TagPrecision(BIO, "BIO")(truth, labels) == 2 / 4
    assert TagPrecision(BIO, "BIO", strict=True)(truth, labels) == 1


def test_strict_bilou():
    number = {name: k for k, name in enumerate(BILOU)}

    def spans(text, strict):
        return [tuple(s) for s in tag_spans([[number[n] for n in text.split()]], BILOU, "BILOU", strict=strict)[0]]

    assert spans("B-PER I-PER L-PER U-LOC", True) == [("PER", 0, 3), ("LOC", 3, 4)]
    assert spans("B-PER I-PER O L-PER", True) == []
    assert spans("B-PER I-PER O L-PER", False) == [("PER", 0, 2), ("PER", 3, 4)]
    assert spans("B-PER B-PER L-PER L-PER", True) == [("PER", 1, 3)]
    assert spans("U-PER I-PER B-LOC L-PER", True) == [("PER", 0, 1)]


# --- against the rules as CoNLL's script has them ---


def chunks(names):
    """Spans by the functions startOfChunk and endOfChunk of conlleval.pl (2004), with E for L and S for U."""
    letters = {"L": "E", "U": "S"}
    split = [(letters.get(n[0], n[0]), n[2:]) for n in names] + [("O", "")]
    found, before, kind_before, begin = [], "O", "", 0
    for t, (tag, kind) in enumerate(split):
        ends = before in "ES" or (before in "BI" and tag in "BSO") or (before != "O" and kind_before != kind)
        starts = tag in "BS" or (before in "ESO" and tag in "EI") or (tag != "O" and kind_before != kind)
        if before != "O" and ends:
            found.append((kind_before, begin, t))
        if starts:
            begin = t
        before, kind_before = tag, kind
    return found


@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 8), max_size=12))
def test_spans_are_those_of_conlls_evaluation(bio, bilou):
    for labels, names, scheme in ((bio, BIO, "BIO"), (bilou, BILOU, "BILOU")):
        array = np.array([labels], int).reshape(1, len(labels))
        assert tag_spans(array, names, scheme)[0] == chunks([names[k] for k in labels])


@given(st.integers(0, 2**32), st.sampled_from([(BIO, "BIO"), (BILOU, "BILOU")]), st.booleans())
def test_scores_are_those_of_sets_of_spans_over_batches(seed, names_and_scheme, strict):
    names, scheme = names_and_scheme
    rng = np.random.default_rng(seed)
    truth, found = rng.integers(0, len(names), (2, 9, 6))
    mask = np.arange(6) < rng.integers(0, 7, 9)[:, None]
    sets = [
        {(b, *s) for b, row in enumerate(tag_spans(labels, names, scheme, mask=mask, strict=strict)) for s in row}
        for labels in (truth, found)
    ]
    right, there, got = len(sets[0] & sets[1]), len(sets[0]), len(sets[1])
    want = [right / max(1, got), right / max(1, there), 2 * right / max(1, got + there)]
    for kind, value in zip(ALL, want, strict=True):
        metric = kind(names, scheme, strict=strict)
        for part in (slice(0, 4), slice(4, 5), slice(5, 9)):
            metric.update_state(truth[part], found[part], mask[part])
        assert metric.result() == pytest.approx(value)
        again = kind(names, scheme, strict=strict)
        again.load_state(metric.state())
        assert again.result() == metric.result()
        metric.reset_state()
        assert metric.result() == 0


# --- what counts ---


def test_padding_and_ignored_targets_are_left_out():
    truth, found = np.array([[1, 2, 0, -100, -100]]), np.array([[1, 0, 0, 1, 2]])
    for scheme in (None, "BIO"):
        want = results(truth[:, :3], found[:, :3], BIO, scheme)
        assert results(truth, found, BIO, scheme, ignore_class=-100) == want
        weights = np.array([[1, 1, 1, 0, 0]])
        assert [kind(BIO, scheme)(truth, found, weights) for kind in ALL] == want
        # Not only of the truth: what is found where there is padding is not counted, and ends at it.
        assert [kind(BIO, scheme)(truth, np.array([[1, 0, 0, 7, -5]]), weights) for kind in ALL] == want


def test_weights_of_rows():
    truth, found = [[B_PER, OUT], [B_LOC, OUT]], [[B_PER, OUT], [OUT, OUT]]
    for scheme in (None, "BIO"):
        assert TagRecall(BIO, scheme)(truth, found, [1, 3]) == 1 / 4
        assert TagRecall(BIO, scheme)(truth, found, [[1], [3]]) == 1 / 4
        assert TagRecall(BIO, scheme)(truth, found, [[1, 1], [3, 3]]) == 1 / 4
        assert TagRecall(BIO, scheme)(truth, found, [0, 3]) == 0


def test_scores_of_tags_are_what_the_largest_says():
    scores = np.eye(5)[np.array(FOUND)] * 0.2
    assert results(TRUTH, scores, BIO, "BIO") == results(TRUTH, FOUND, BIO, "BIO")
    assert results(np.array(TRUTH)[..., None], scores, BIO) == results(TRUTH, FOUND, BIO)


def test_tags_where_there_was_no_path_find_nothing():
    assert results([[B_PER, OUT]], [[-1, -1]], BIO) == [0, 0, 0]
    assert results([[B_PER, OUT], [B_PER, OUT]], [[-1, -1], [B_PER, OUT]], BIO, "BIO") == pytest.approx(
        [1, 1 / 2, 2 / 3]
    )


def test_nothing_is_0():
    for average in ("micro", "macro", "weighted"):
        assert results([[OUT]], [[OUT]], BIO, "BIO", average=average) == [0, 0, 0]
        assert results(np.zeros((0, 3), int), np.zeros((0, 3), int), BIO, average=average) == [0, 0, 0]
        assert results(np.zeros((2, 0), int), np.zeros((2, 0), int), BIO, "BIO", average=average) == [0, 0, 0]


def test_the_tag_outside():
    truth, found = [[0, 1, 2]], [[0, 1, 1]]
    assert TagPrecision(3, outside=1)(truth, found) == 1
    assert TagPrecision(["a", "b", "c"], outside="b")(truth, found) == 1
    assert TagPrecision(["a", "b", "c"])(truth, found) == pytest.approx(2 / 3)


def test_saved_as_plain_data():
    metric = TagF1Score(BIO, scheme="BIO", average="macro", ignore_class=-1, strict=True, name="f")
    again = metrics.deserialize(metrics.serialize(metric))
    assert (again.classes, again.average, again.ignore_class, again.strict) == (["PER", "LOC"], "macro", -1, True)
    assert again.name == "f"


# --- helpers, and what is refused ---


def test_what_a_scheme_allows():
    allowed = tag_constraints(BIO)
    assert allowed.transitions.astype(int).tolist() == [
        [1, 1, 0, 1, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 1, 1],
        [1, 1, 0, 1, 1],
    ]
    assert allowed.start.astype(int).tolist() == [1, 1, 0, 1, 0]
    assert allowed.end.all()
    allowed = tag_constraints(["O", "B-X", "I-X", "L-X", "U-X"], "BILOU")
    assert allowed.transitions.astype(int).tolist() == [
        [1, 1, 0, 0, 1],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 0],
        [1, 1, 0, 0, 1],
        [1, 1, 0, 0, 1],
    ]
    assert allowed.start.astype(int).tolist() == [1, 1, 0, 0, 1]
    assert allowed.end.astype(int).tolist() == [1, 0, 0, 1, 1]
    same = tag_constraints(["O", "B-X", "I-X", "E-X", "S-X"], "BIOES")
    for a, b in zip(same, allowed, strict=True):
        np.testing.assert_array_equal(a, b)


def test_tags_without_types():
    assert tag_spans([[0, 1, 2, 1]], ["O", "B", "I"]) == [[("", 1, 3), ("", 3, 4)]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TagPrecision(3, "BIO"), "TagPrecision: tags: expected names for the scheme 'BIO', got 3"),
        (lambda: TagRecall(BIO, "bio"), "TagRecall: scheme: expected one of BIO, BILOU, BIOES, got 'bio'"),
        (lambda: TagRecall(BILOU, "BIO"), "TagRecall: tags: expected O, B-…, I-… for BIO, got 'L-PER'"),
        (lambda: TagF1Score(3, average="mean"), "TagF1Score: average: expected 'micro', 'macro', 'weighted' or None"),
        (lambda: TagF1Score(3, outside=3), "TagF1Score: outside: expected a tag from 0 to 2, got 3"),
        (lambda: TagF1Score(3, outside="O"), "TagF1Score: outside: expected one of the tags, got 'O'"),
        (
            lambda: TagF1Score(2)([[0, 2]], [[0, 1]]),
            r"y_true: expected numbers from 0 to 1 \(tags\), got 2 at \(0, 1\)",
        ),
        (
            lambda: TagF1Score(2)([[0, 1]], [[0, -2]]),
            r"y_pred: expected numbers from 0 to 1 \(tags\), got -2 at \(0, 1\)",
        ),
        (lambda: TagF1Score(2)([[0, 1]], [[0.5, 1]]), "y_pred: expected integers, got float64"),
        (lambda: TagF1Score(2)([0, 1], [0, 1]), r"y_true: expected shape \(batch, steps\)"),
        (lambda: TagF1Score(2)([[0, 1]], np.zeros((1, 2, 3))), "y_pred: expected a score for each of 2 tags"),
        (lambda: TagF1Score(2)([[0, 1]], [[0, 1]], [1, 1]), r"sample_weight: expected shape \(batch=1,\) or"),
        (lambda: utils.tag_spans([0, 1], BIO), r"labels: expected shape \(batch, steps\), got \(2,\)"),
        (lambda: utils.tag_spans([[9]], BIO), r"labels: expected numbers from 0 to 4 \(tags\), got 9 at \(0, 0\)"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
