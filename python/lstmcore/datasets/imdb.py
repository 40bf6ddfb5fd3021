"""Film reviews and whether they are favourable: 25,000 to train on, 25,000 to test with.

Maas, A. L., Daly, R. E., Pham, P. T., Huang, D., Ng, A. Y. & Potts, C. (2011), Learning word vectors
for sentiment analysis, ACL 2011. Made into numbers as Keras's ``imdb.npz`` is: the words of the
training reviews by frequency, words that only the test reviews have left out, reviews in the same order.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import string
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arguments import integer
from .._arguments import path as checked_path
from .._warnings import warn
from ..serialization import atomic
from ._files import cache_folder, fetch, find

__all__ = ["get_word_index", "load_data"]

_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
_CHECKSUM = "md5:7c2ac02c03563afcf9b574c7e56c153a"
_ARCHIVE, _FOLDER, _TABLE = "aclImdb_v1.tar.gz", "aclImdb", "aclImdb_labelled.tsv.gz"
_FORMAT = 1  # of the cached file

# Keras's file was made by Python 2: a byte at a time, so that only A to Z have small letters.
_LETTERS = dict(zip(string.ascii_uppercase, string.ascii_lowercase, strict=True))
_WORDS = str.maketrans({**dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "), **_LETTERS})

_MEMBER = re.compile(r"aclImdb/(train|test)/(pos|neg)/(\d+_\d+\.txt)")

Review = tuple[str, int, str, str]  # split, label, name of its file, text
Reviews = tuple[NDArray[Any], NDArray[np.int64]]


class _Data(NamedTuple):
    """Both halves, training reviews first: one review after the other in ``ids``, ending at ``ends``."""

    ids: NDArray[np.int32]  # 1 for the most frequent word
    ends: NDArray[np.int64]
    labels: NDArray[np.int64]
    train: int  # how many reviews to train on
    words: list[str]  # by frequency


def load_data(
    path: str | os.PathLike[str] = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Reviews, Reviews]:
    """Return ``(x_train, y_train), (x_test, y_test)``: lists of word numbers, and 1 for favourable.

    ::

        from lstmcore.datasets import imdb
        from lstmcore.utils import pad_sequences

        (x_train, y_train), (x_test, y_test) = imdb.load_data(num_words=10000)
        x_train = pad_sequences(x_train, maxlen=200)

    The reviews are read from ``aclImdb_v1.tar.gz``, the folder ``aclImdb`` it holds, or the table
    ``aclImdb_labelled.tsv.gz`` in ``$LSTMCORE_DATA`` or the cache folder, or fetched, which needs the
    extra "data". The first time takes a few seconds; the numbers are then kept in the cache folder.

    Parameters
    ----------
    path : the name of that file in the cache folder, or where it shall be.
    num_words : keep the words with numbers below this; None keeps all (but, as in Keras, the last).
    skip_top : leave out the words with numbers below this.
    maxlen : leave out the reviews that are not shorter than this.
    seed : of the order of the reviews.
    start_char : the number at the beginning of every review; None for none.
    oov_char : the number in place of words left out; None leaves them out without a trace.
    index_from : added to the ranks of the words, of which the first is 1.

    Raises
    ------
    FileNotFoundError
        The reviews are not there and cannot be fetched.
    ValueError
        The file is damaged, or ``maxlen`` leaves no review.
    """
    _check(num_words, skip_top, maxlen, seed, start_char, oov_char, index_from)
    data = _load(path)
    ids, ends = data.ids + np.int32(index_from or 0), data.ends
    starts = np.concatenate([[0], ends[:-1]])
    rng = np.random.RandomState(seed)  # whose order is Keras's
    order = np.concatenate([_shuffled(rng, 0, data.train), _shuffled(rng, data.train, len(ends))])
    if maxlen:
        order = order[(ends - starts + (start_char is not None))[order] < maxlen]
        if not 0 < np.count_nonzero(order < data.train) < len(order):
            raise ValueError(f"maxlen: no review is left that is shorter than {maxlen}; give a larger number")
    limit = num_words
    if not limit:
        # Keras takes the largest number of all for the limit, so that this one is left out.
        kept = np.zeros(len(ends), bool)
        kept[order] = True
        limit = max(start_char or 0, int(ids[np.repeat(kept, ends - starts)].max(initial=0)))
    known = (skip_top <= ids) & (ids < limit)
    if oov_char is not None:
        ids = np.where(known, ids, np.int32(oov_char))
    else:
        before = np.concatenate([[0], np.cumsum(known)])
        ids, starts, ends = ids[known], before[starts], before[ends]
    first = [] if start_char is None else [start_char]
    if first and not skip_top <= first[0] < limit:
        first = [] if oov_char is None else [oov_char]
    numbers = _shared(ids)
    x = np.empty(len(order), object)
    for k, (start, end) in enumerate(zip(starts[order].tolist(), ends[order].tolist(), strict=True)):
        x[k] = first + numbers[start:end]
    y, train = data.labels[order], int(np.count_nonzero(order < data.train))
    return (x[:train], y[:train]), (x[train:], y[train:])


def _check(num_words: Any, skip_top: Any, maxlen: Any, seed: Any, *numbers: Any) -> None:
    for name, value in (("num_words", num_words), ("maxlen", maxlen)):
        if value is not None and integer(name, value) < 0:
            raise ValueError(f"{name}: expected an integer from 0 on or None, got {value!r}")
    integer("skip_top", skip_top)
    if not 0 <= integer("seed", seed) < 2**32:
        raise ValueError(f"seed: expected an integer from 0 to 2**32 - 1, got {seed!r}")
    for name, value in zip(("start_char", "oov_char", "index_from"), numbers, strict=True):
        # Beside the words' numbers, in 32 bits.
        if value is not None and abs(integer(name, value)) >= 2**30:
            raise ValueError(f"{name}: expected an integer below 2**30 or None, got {value!r}")


def get_word_index(path: str | os.PathLike[str] = "imdb.npz") -> dict[str, int]:
    """Return word -> rank, from 1, of `load_data`'s words; the numbers there are ``index_from`` higher."""
    return {word: rank for rank, word in enumerate(_load(path).words, 1)}


def _shuffled(rng: np.random.RandomState, start: int, stop: int) -> NDArray[np.int64]:
    order = np.arange(start, stop)
    rng.shuffle(order)
    return order


def _shared(ids: NDArray[np.int32]) -> list[int]:
    """Return a list in which equal numbers are one Python object: it takes a third of the memory."""
    if not ids.size:
        return []
    low, high = int(ids.min()), int(ids.max())
    numbers = np.array(range(low, high + 1), object)
    result: list[int] = numbers[ids - low].tolist()
    return result


# --- the cached file ---


def _load(path: str | os.PathLike[str]) -> _Data:
    cache = cache_folder() / checked_path("path", path)  # an absolute path stays what it is
    source = find(_ARCHIVE, _FOLDER, _TABLE)
    data = _read(cache, None if source is None else _key(source))
    if data is not None:
        return data
    if source is None:
        source = fetch(_URL, _ARCHIVE, _CHECKSUM, f"put {_ARCHIVE} or {_TABLE} there")
    data = _build(source)
    _write(cache, data, _key(source))
    return data


def _key(source: Path) -> str:
    # A folder's own time changes when files come or go.
    parts = [source / split / kind for split in ("train", "test") for kind in ("pos", "neg")]
    stats = [path.stat() for path in (parts if source.is_dir() else [source])]
    return f"{_FORMAT} {source.name} {[(s.st_size, s.st_mtime_ns) for s in stats]}"


def _read(cache: Path, key: str | None) -> _Data | None:
    """Return what is cached, or None if there is nothing or if it was made from another source."""
    if not cache.exists():
        return None
    try:
        with np.load(cache, allow_pickle=False) as file:
            found = str(file["key"])
            if found != key and (key is not None or not found.startswith(f"{_FORMAT} ")):
                return None
            words = file["words"].tobytes().decode().split("\n")
            return _Data(file["ids"], file["ends"], file["labels"], int(file["train"]), words)
    except Exception as error:  # what a damaged file makes go wrong can be anything
        if cache.parent == cache_folder():
            return None  # ours: it is made again
        raise ValueError(f"path: expected a file that load_data made, or none yet, got {cache} ({error})") from error


def _write(cache: Path, data: _Data, key: str) -> None:
    content = io.BytesIO()
    words = np.frombuffer("\n".join(data.words).encode(), np.uint8)  # an array of strings takes much more
    np.savez(content, ids=data.ids, ends=data.ends, labels=data.labels, train=data.train, words=words, key=key)
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(cache, content.getvalue())
    except OSError as error:
        warn(f"the reviews are not cached, so that every call builds them anew: {error}")


# --- from texts to numbers ---


def _build(source: Path) -> _Data:
    try:
        reviews = list(_reviews(source))
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # what a damaged file makes go wrong can be anything
        if isinstance(error, ValueError) and str(error).startswith(str(source)):
            raise
        raise ValueError(f"{source}: is damaged or incomplete ({error}); delete it and fetch it again") from error
    # The order in Keras's file: favourable ones first, then by the names of their files.
    reviews.sort(key=lambda review: (review[0] != "train", -review[1], review[2]))
    train = sum(review[0] == "train" for review in reviews)
    if not 0 < train < len(reviews):
        raise ValueError(f"{source}: expected reviews to train on and to test with, got {train} of {len(reviews)}")
    texts = [[word for word in text.translate(_WORDS).split(" ") if word] for *_, text in reviews]
    counts = Counter(word for words in texts[:train] for word in words)
    ranks = {word: rank for rank, (word, _) in enumerate(counts.most_common(), 1)}
    numbered = [[ranks[word] for word in words if word in ranks] for words in texts]
    return _Data(
        np.fromiter((number for numbers in numbered for number in numbers), np.int32),
        np.cumsum([len(numbers) for numbers in numbered]),
        np.array([review[1] for review in reviews]),
        train,
        list(ranks),
    )


def _reviews(source: Path) -> Iterator[Review]:
    if source.is_dir():
        for split in ("train", "test"):
            for kind in ("pos", "neg"):
                for path in (source / split / kind).glob("*.txt"):
                    yield split, int(kind == "pos"), path.name, path.read_text("utf-8")
    elif source.name.endswith(".tsv.gz"):
        with gzip.open(source, "rt", encoding="utf-8", newline="\n") as table:
            for number, line in enumerate(table, 1):
                columns = line.rstrip("\n").split("\t")
                if len(columns) != 5 or columns[0] not in ("train", "test") or columns[1] not in ("0", "1"):
                    raise ValueError(
                        f"{source}, line {number}: expected split, label, rating, id and text, got {line[:60]!r}"
                    )
                split, label, rating, identity, text = columns
                yield split, int(label), f"{identity}_{rating}.txt", text
    else:
        with tarfile.open(source, "r|gz") as archive:
            for member in archive:
                if (name := _MEMBER.fullmatch(member.name)) and (file := archive.extractfile(member)):
                    yield name[1], int(name[2] == "pos"), name[3], file.read().decode("utf-8")
