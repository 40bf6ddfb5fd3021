"""Texts as sequences of numbers, under the names of Keras 2."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arguments import among, filled, flag, function, integer, items, positive_integer, string, strings, whole_array

__all__ = ["Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json"]

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'  # every sign but the apostrophe

Analyzer = Callable[[str], Sequence[str]]


def text_to_word_sequence(input_text: str, filters: str = _FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """Return the words of a text.

    >>> from lstmcore.preprocessing.text import text_to_word_sequence
    >>> text_to_word_sequence("It's late, isn't it?")
    ["it's", 'late', "isn't", 'it']

    Parameters
    ----------
    input_text : the text.
    filters : characters that separate words as ``split`` does.
    lower : whether to write all in small letters.
    split : what separates words.
    """
    input_text = string("input_text", input_text)
    if flag("lower", lower):
        input_text = input_text.lower()
    if not string("split", split):
        raise ValueError("split: expected at least one character, got ''")
    separators = {ord(character): split for character in "".join(strings("filters", filters))}
    return [word for word in input_text.translate(separators).split(split) if word]


def one_hot(
    input_text: str,
    n: int,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Analyzer | None = None,
) -> list[int]:
    """Return a number from 1 to n - 1 for each word, by Python's ``hash``: see `hashing_trick`."""
    return hashing_trick(input_text, n, hash, filters, lower, split, analyzer)


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Analyzer | None = None,
) -> list[int]:
    """Return a number from 1 to n - 1 for each word, without a vocabulary; different words may share one.

    >>> from lstmcore.preprocessing.text import hashing_trick
    >>> hashing_trick("the cat and the dog", 100, "md5")
    [51, 3, 69, 51, 33]

    Parameters
    ----------
    text : the text.
    n : one more than the largest number.
    hash_function : "md5", a function of the word, or None for Python's ``hash``, whose numbers
        differ from process to process.
    filters, lower, split : as in `text_to_word_sequence`.
    analyzer : a function that returns the words of a text, instead of that.
    """
    n = positive_integer("n", n)
    if n < 2:
        raise ValueError(f"n: expected 2 at least (0 stands for no word), got {n}")
    if isinstance(hash_function, str) and hash_function == "md5":
        hashed: Callable[[str], int] = _md5
    elif hash_function is None:
        hashed = hash
    elif callable(hash_function):
        hashed = hash_function
    else:
        raise ValueError(f"hash_function: expected 'md5', a function or None, got {hash_function!r}")
    string("text", text)
    if analyzer is None:
        words = text_to_word_sequence(text, filters, lower, split)
    else:
        words = strings("analyzer", function("analyzer", analyzer)(text))
    return [_hashed(hashed(word)) % (n - 1) + 1 for word in words]


def _hashed(number: Any) -> int:
    if not isinstance(number, (int, np.integer)):
        raise TypeError(f"hash_function: expected a function that returns integers, got {number!r}")
    return int(number)


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


class Tokenizer:
    """Numbers the words, or the characters, of texts, the most frequent first.

    >>> from lstmcore.preprocessing.text import Tokenizer
    >>> tokenizer = Tokenizer(oov_token="<unknown>")
    >>> tokenizer.fit_on_texts(["The cat sat on the mat.", "The dog sat."])
    >>> tokenizer.word_index["the"]
    2
    >>> tokenizer.texts_to_sequences(["The dog and the cat"])
    [[2, 7, 1, 2, 4]]

    Words are numbered from 1 by how often they came, equal ones by which came first; 0 stands for
    padding. A word that was never seen, or one whose number is not below ``num_words``, becomes
    that of ``oov_token`` or, without it, is left out.

    Parameters
    ----------
    num_words : keep the ``num_words - 1`` most frequent words, the ``oov_token`` among them.
    filters, lower, split : as in `text_to_word_sequence`; texts given as lists are taken as words.
    char_level : whether to number characters instead.
    oov_token : stands for the words that have no number; its own is 1.
    analyzer : a function that returns the words of a text, instead of `text_to_word_sequence`.
    document_count : the number of texts seen so far.

    Attributes
    ----------
    word_counts : word -> how often it came.
    word_docs, index_docs : word, or its number -> in how many texts it came.
    word_index, index_word : word -> its number, and back, of all words, whatever ``num_words``.
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = _FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Analyzer | None = None,
        *,
        document_count: int = 0,
    ) -> None:
        self.num_words = None if num_words is None else positive_integer("Tokenizer: num_words", num_words)
        self.filters = "".join(strings("Tokenizer: filters", filters))
        self.lower, self.split = flag("Tokenizer: lower", lower), string("Tokenizer: split", split)
        self.char_level = flag("Tokenizer: char_level", char_level)
        self.oov_token = None if oov_token is None else string("Tokenizer: oov_token", oov_token)
        self.analyzer = None if analyzer is None else function("Tokenizer: analyzer", analyzer)
        self.document_count = integer("Tokenizer: document_count", document_count)
        self.word_counts: dict[str, int] = {}
        self.word_docs: dict[str, int] = {}
        self.index_docs: dict[int, int] = {}
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: str | list[str]) -> Sequence[str]:
        if isinstance(text, list) and all(isinstance(word, str) for word in text):
            return [word.lower() for word in text] if self.lower else text
        if not isinstance(text, str):
            raise TypeError(f"Tokenizer: texts: expected strings or lists of words, got {text!r}")
        if self.char_level:
            return text.lower() if self.lower else text
        if self.analyzer is not None:
            return strings("analyzer", self.analyzer(text))
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[str | list[str]]) -> None:
        """Count the words of texts, beside those seen before, and number them anew."""
        counts, documents = Counter(self.word_counts), Counter(self.word_docs)
        for text in items("texts", texts, "strings or lists of words"):
            words = self._words(text)
            counts.update(words)
            documents.update(dict.fromkeys(words, 1))
            self.document_count += 1
        self.word_counts, self.word_docs = dict(counts), dict(documents)
        ranked = sorted(counts, key=counts.__getitem__, reverse=True)  # stable: equal ones stay in order
        numbered = enumerate(ranked if self.oov_token is None else [self.oov_token, *ranked], 1)
        # As in Keras, a text that contains the oov_token gives it the later of its two numbers.
        self.word_index = {word: number for number, word in numbered}
        self.index_word = {number: word for word, number in self.word_index.items()}
        self.index_docs = {self.word_index[word]: count for word, count in documents.items()}

    def fit_on_sequences(self, sequences: Sequence[Iterable[int]]) -> None:
        """Count in how many sequences each number comes, for `sequences_to_matrix` with "tfidf"."""
        checked = _sequences(sequences)
        self.document_count += len(checked)
        documents = Counter(self.index_docs)
        for sequence in checked:
            documents.update(set(sequence))
        self.index_docs = dict(documents)

    def texts_to_sequences(self, texts: Iterable[str | list[str]]) -> list[list[int]]:
        """Return the numbers of the words of each text."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[str | list[str]]) -> Iterator[list[int]]:
        """Yield what `texts_to_sequences` returns, text by text."""
        oov = None if self.oov_token is None else self.word_index.get(self.oov_token)
        for text in items("texts", texts, "strings or lists of words"):
            numbers = (self._kept(self.word_index.get(word), oov) for word in self._words(text))
            yield [number for number in numbers if number is not None]

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Return the words of each sequence of numbers, joined by spaces."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """Yield what `sequences_to_texts` returns, sequence by sequence."""
        oov = None if self.oov_token is None else self.word_index.get(self.oov_token)
        for sequence in _sequences(sequences):
            numbers = (self._kept(number if number in self.index_word else None, oov) for number in sequence)
            yield " ".join(self.index_word[number] for number in numbers if number is not None)

    def _kept(self, number: int | None, oov: int | None) -> int | None:
        return oov if number is None or (self.num_words and number >= self.num_words) else number

    def texts_to_matrix(self, texts: Iterable[str | list[str]], mode: str = "binary") -> NDArray[Any]:
        """Return a row for each text: see `sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Sequence[Sequence[int]], mode: str = "binary") -> NDArray[Any]:
        """Return an array (sequences, num_words) with a value for each number that a sequence has.

        Parameters
        ----------
        sequences : lists of numbers.
        mode : "binary" for 1; "count" for how often it comes; "freq" for that divided by the
            length of the sequence; "tfidf" for (1 + ln count) ln(1 + texts / (1 + texts with the word)).
        """
        if not among(mode, ("binary", "count", "freq", "tfidf")):
            raise ValueError(f"mode: expected 'binary', 'count', 'freq' or 'tfidf', got {mode!r}")
        if not self.num_words and not self.word_index:
            raise ValueError("Tokenizer: num_words: expected a number, or texts to be fitted first, got None")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("mode: 'tfidf' needs texts to be fitted first")
        columns = self.num_words or len(self.word_index) + 1
        checked = _sequences(sequences)
        lowest = min((min(sequence, default=0) for sequence in checked), default=0)
        if lowest < 0:
            raise ValueError(f"sequences: expected numbers from 0 on, got {lowest}")
        matrix = filled("Tokenizer: num_words", (len(checked), columns), 0, np.float64)
        for row, sequence in zip(matrix, checked, strict=True):
            counts = Counter(number for number in sequence if number < columns)
            if not counts:
                continue
            numbers, n = np.array(list(counts)), np.array(list(counts.values()), float)
            if mode == "binary":
                row[numbers] = 1
            elif mode == "count":
                row[numbers] = n
            elif mode == "freq":
                row[numbers] = n / len(sequence)
            else:
                documents = np.array([self.index_docs.get(number, 0) for number in counts])
                row[numbers] = (1 + np.log(n)) * np.log(1 + self.document_count / (1 + documents))
        return matrix

    def get_config(self) -> dict[str, Any]:
        """Return the arguments and the counts as plain data, the dicts as JSON; not the ``analyzer``."""
        return {
            "num_words": self.num_words,
            "filters": self.filters,
            "lower": self.lower,
            "split": self.split,
            "char_level": self.char_level,
            "oov_token": self.oov_token,
            "document_count": self.document_count,
            "word_counts": json.dumps(self.word_counts),
            "word_docs": json.dumps(self.word_docs),
            "index_docs": json.dumps(self.index_docs),
            "index_word": json.dumps(self.index_word),
            "word_index": json.dumps(self.word_index),
        }

    def to_json(self, **options: Any) -> str:
        """Return JSON for `tokenizer_from_json`, ours or Keras's; options are those of ``json.dumps``."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **options)


def _sequences(sequences: Any) -> list[list[int]]:
    """Return lists of integers."""
    checked = []
    for k, sequence in enumerate(items("sequences", sequences, "lists of integers")):
        if not hasattr(sequence, "__iter__") or isinstance(sequence, (str, bytes)) or not getattr(sequence, "ndim", 1):
            raise TypeError(f"sequences[{k}]: expected a list of integers, got {sequence!r}")
        array = whole_array(f"sequences[{k}]", list(sequence))
        if array.ndim != 1:
            raise ValueError(f"sequences[{k}]: expected a list of integers, got an array of shape {array.shape}")
        checked.append(array.tolist())
    return checked


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """Return the tokenizer that ``Tokenizer.to_json``, ours or Keras's, describes."""
    try:
        config = dict(json.loads(json_string)["config"])
        tables = {
            name: json.loads(config.pop(name))
            for name in ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        }
        for name, table in tables.items():
            values = str if name == "index_word" else int
            if not isinstance(table, dict) or not all(isinstance(value, values) for value in table.values()):
                raise TypeError(f"{name}: expected a dict of {values.__name__}, got {table!r}")
        # JSON's keys are strings.
        for name in ("index_docs", "index_word"):
            tables[name] = {int(number): value for number, value in tables[name].items()}
        tokenizer = Tokenizer(**config)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"json_string: expected what Tokenizer.to_json returns, got {error!r} on reading it"
        ) from error
    for name, table in tables.items():
        setattr(tokenizer, name, table)
    return tokenizer
