"""Texts as numbers: the rules of Keras 2's Tokenizer, worked out by hand."""

import hashlib
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from lstmcore.preprocessing import text
from lstmcore.preprocessing.text import Tokenizer

TEXTS = ["The cat sat on the mat.", "The dog sat!", "a\tdog, a CAT"]


def fitted(**options):
    tokenizer = Tokenizer(**options)
    tokenizer.fit_on_texts(TEXTS)
    return tokenizer


def test_words_are_separated_by_every_sign_but_the_apostrophe():
    assert text.text_to_word_sequence("Don't--stop: [it's] \t 5.5%\n_x") == ["don't", "stop", "it's", "5", "5", "x"]
    assert text.text_to_word_sequence("A-B c", lower=False, filters="") == ["A-B", "c"]
    assert text.text_to_word_sequence("a,b.c", filters=".", split=",") == ["a", "b", "c"]
    # Only the space separates, not other white space.
    assert text.text_to_word_sequence("a\xa0b") == ["a\xa0b"]


def test_numbers_go_by_frequency_then_by_who_came_first():
    tokenizer = fitted()
    assert tokenizer.word_counts == {"the": 3, "cat": 2, "sat": 2, "on": 1, "mat": 1, "dog": 2, "a": 2}
    assert tokenizer.word_index == {"the": 1, "cat": 2, "sat": 3, "dog": 4, "a": 5, "on": 6, "mat": 7}
    assert tokenizer.index_word == {n: w for w, n in tokenizer.word_index.items()}
    assert tokenizer.document_count == 3
    assert tokenizer.word_docs == {"the": 2, "cat": 2, "sat": 2, "on": 1, "mat": 1, "dog": 2, "a": 1}
    assert tokenizer.index_docs == {1: 2, 2: 2, 3: 2, 6: 1, 7: 1, 4: 2, 5: 1}


def test_fitting_again_adds_to_the_counts():
    tokenizer = fitted()
    tokenizer.fit_on_texts(["mat mat mat"])
    assert tokenizer.word_index["mat"] == 1
    assert tokenizer.document_count == 4
    assert tokenizer.word_docs["mat"] == 2


def test_words_without_a_number_are_left_out_or_replaced():
    assert fitted().texts_to_sequences(["the new cat", "", "mat"]) == [[1, 2], [], [7]]
    assert fitted(num_words=3).texts_to_sequences(["the cat sat"]) == [[1, 2]]
    tokenizer = fitted(oov_token="<oov>")
    assert tokenizer.word_index["<oov>"] == 1
    assert tokenizer.word_index["the"] == 2
    assert tokenizer.texts_to_sequences(["the new cat"]) == [[2, 1, 3]]
    tokenizer = fitted(num_words=3, oov_token="<oov>")
    assert tokenizer.texts_to_sequences(["the new cat"]) == [[2, 1, 1]]
    assert len(tokenizer.word_index) == 8  # num_words does not shorten it
    assert list(tokenizer.texts_to_sequences_generator(iter(["the"]))) == [[2]]


def test_numbers_become_words_again():
    assert fitted().sequences_to_texts([[1, 2, 99], [0]]) == ["the cat", ""]
    assert fitted(num_words=3, oov_token="<oov>").sequences_to_texts([[2, 3, 99]]) == ["the <oov> <oov>"]


def test_characters_and_lists_of_words_are_taken_as_they_are():
    tokenizer = Tokenizer(char_level=True)
    tokenizer.fit_on_texts("Hello")  # each character a text, as Keras has it
    assert tokenizer.word_index == {"l": 1, "h": 2, "e": 3, "o": 4}
    assert tokenizer.document_count == 5
    assert tokenizer.texts_to_sequences(["Hole!"]) == [[2, 4, 1, 3]]
    words = Tokenizer()
    words.fit_on_texts([["New York", "a.b"], ["new york"]])
    assert words.word_index == {"new york": 1, "a.b": 2}
    exact = Tokenizer(lower=False)
    exact.fit_on_texts([["A", "a"]])
    assert exact.word_index == {"A": 1, "a": 2}
    split = Tokenizer(analyzer=lambda s: s.split("|"))
    split.fit_on_texts(["a|B c"])
    assert split.word_index == {"a": 1, "B c": 2}


def test_matrices_hold_what_their_mode_says():
    tokenizer = fitted()
    row = {"the": 1, "cat": 2}
    counts = {mode: tokenizer.texts_to_matrix(["the the cat"], mode) for mode in ("binary", "count", "freq", "tfidf")}
    for mode, values in {
        "binary": (1, 1),
        "count": (2, 1),
        "freq": (2 / 3, 1 / 3),
        # 3 texts, 2 of them with each word.
        "tfidf": ((1 + math.log(2)) * math.log(1 + 3 / 3), math.log(1 + 3 / 3)),
    }.items():
        expected = np.zeros((1, 8))
        expected[0, row["the"]], expected[0, row["cat"]] = values
        assert np.allclose(counts[mode], expected, rtol=1e-15, atol=0)
    # The share is of all the numbers of a sequence, also those that have no column.
    assert fitted(num_words=3).sequences_to_matrix([[1, 5, 5, 5], []], "freq").tolist() == [[0, 0.25, 0], [0, 0, 0]]


def test_sequences_alone_are_enough_for_matrices():
    tokenizer = Tokenizer(num_words=4)
    tokenizer.fit_on_sequences([[1, 1, 2], [2]])
    assert tokenizer.document_count == 2
    assert tokenizer.index_docs == {1: 1, 2: 2}
    assert np.isclose(tokenizer.sequences_to_matrix([[2]], "tfidf")[0, 2], math.log(1 + 2 / 3))


def test_a_tokenizer_survives_json():
    tokenizer = fitted(num_words=5, oov_token="<oov>")
    again = text.tokenizer_from_json(tokenizer.to_json(indent=2))
    assert vars(again) == vars(tokenizer)
    assert again.texts_to_matrix(TEXTS, "tfidf").tolist() == tokenizer.texts_to_matrix(TEXTS, "tfidf").tolist()


def test_json_of_keras_is_read():
    # The form that Keras 2 writes, for fit_on_texts(["b a b"]).
    config = {
        "num_words": None,
        "filters": "!",
        "lower": True,
        "split": " ",
        "char_level": False,
        "oov_token": None,
        "document_count": 1,
        "word_counts": '{"b": 2, "a": 1}',
        "word_docs": '{"b": 1, "a": 1}',
        "index_docs": '{"1": 1, "2": 1}',
        "index_word": '{"1": "b", "2": "a"}',
        "word_index": '{"b": 1, "a": 2}',
    }
    tokenizer = text.tokenizer_from_json(json.dumps({"class_name": "Tokenizer", "config": config}))
    assert tokenizer.texts_to_sequences(["a b"]) == [[2, 1]]
    assert tokenizer.index_docs == {1: 1, 2: 1}


def test_hashing_needs_no_vocabulary():
    words = ["the", "cat", "the"]
    expected = [int(hashlib.md5(w.encode()).hexdigest(), 16) % 49 + 1 for w in words]
    assert text.hashing_trick("The cat, the", 50, "md5") == expected
    assert text.hashing_trick("The cat, the", 50, len) == [4, 4, 4]
    assert text.one_hot("The cat, the", 50) == [hash(w) % 49 + 1 for w in words]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Tokenizer(num_words=0), ValueError, "Tokenizer: num_words: expected a positive integer, got 0"),
        (lambda: fitted().texts_to_matrix(["a"], "bag"), ValueError, "mode: expected 'binary', 'count'.* got 'bag'"),
        (lambda: Tokenizer().sequences_to_matrix([[1]]), ValueError, "num_words: expected a number, or texts"),
        (lambda: Tokenizer(5).sequences_to_matrix([[1]], "tfidf"), ValueError, "mode: 'tfidf' needs texts"),
        (lambda: Tokenizer().fit_on_texts([3]), TypeError, "texts: expected strings or lists of words, got 3"),
        (lambda: Tokenizer().fit_on_texts([["a", 3]]), TypeError, r"strings or lists of words, got \['a', 3\]"),
        (lambda: text.hashing_trick("a", 1), ValueError, "n: expected 2 at least"),
        (lambda: text.hashing_trick("a", 5, "sha"), ValueError, "hash_function: expected 'md5', a function or None"),
        (lambda: text.tokenizer_from_json("{}"), ValueError, "json_string: expected what Tokenizer.to_json returns"),
        (lambda: text.tokenizer_from_json("nonsense"), ValueError, "json_string: expected"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_import_brings_in_nothing_heavy():
    program = (
        "import sys; from lstmcore.preprocessing.text import Tokenizer;"
        "print([m for m in ('optuna', 'pandas', 'scipy', 'matplotlib', 'pooch', 'lstmcore.tuner') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"
