"""The film reviews: Keras's numbers and order, one cached file, whatever form the reviews come in."""

import gzip
import io
import os
import random
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

from lstmcore.datasets import imdb
from lstmcore.utils import pad_sequences

REAL = [Path(os.environ.get("LSTMCORE_DATA", "/nowhere")), Path(__file__).parents[2] / "shared" / "data"]

# (split, label, file name): text; favourable ones come first, by the names of their files.
REVIEWS = {
    ("train", 1, "10_9.txt"): "Good good, isn't it?<br />Good film",
    ("train", 1, "2_10.txt"): "A good film",
    ("train", 0, "0_1.txt"): "Bad film. CAFÉ",
    ("test", 1, "0_8.txt"): "good unseen FILM",
    ("test", 0, "1_2.txt"): "unseen Bad!",
}
# Counted by hand: good 4 and film 3; the rest once, in the order they come in.
RANKS = {"good": 1, "film": 2, "isn't": 3, "it": 4, "br": 5, "a": 6, "bad": 7, "cafÉ": 8}


def write_archive(folder):
    with tarfile.open(folder / "aclImdb_v1.tar.gz", "w:gz") as archive:
        others = {"README": "no review", "train/unsup/0_0.txt": "good", "train/labeledBow.feat": "0:1"}
        files = {f"{s}/{'pos' if y else 'neg'}/{name}": text for (s, y, name), text in REVIEWS.items()}
        for name, content in {**others, **dict(reversed(files.items()))}.items():
            info = tarfile.TarInfo(f"aclImdb/{name}")
            info.size = len(content.encode())
            archive.addfile(info, io.BytesIO(content.encode()))


def write_folder(folder):
    for (split, label, name), content in REVIEWS.items():
        path = folder / "aclImdb" / split / ("pos" if label else "neg") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")


def write_table(folder, reviews=REVIEWS):
    with gzip.open(folder / "aclImdb_labelled.tsv.gz", "wt", encoding="utf-8", newline="\n") as table:
        for (split, label, name), content in reviews.items():
            identity, rating = name.removesuffix(".txt").split("_")
            table.write(f"{split}\t{label}\t{rating}\t{identity}\t{content}\n")


FORMS = {"archive": write_archive, "folder": write_folder, "table": write_table}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    monkeypatch.setenv("LSTMCORE_DATA", str(data))
    monkeypatch.setenv("LSTMCORE_CACHE", str(cache))
    return data, cache


def keras_order(count, *before, seed=113):
    rng = np.random.RandomState(seed)
    for n in before:
        rng.shuffle(np.arange(n))
    order = np.arange(count)
    rng.shuffle(order)
    return order


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_numbers(folders, form):
    FORMS[form](folders[0])
    assert imdb.get_word_index() == RANKS
    (x, y), (x_test, y_test) = imdb.load_data(num_words=100)
    train = [[4, 4, 6, 7, 8, 4, 5], [9, 4, 5], [10, 5, 11]]
    test = [[4, 5], [10]]  # words that no training review has leave no trace
    assert x.tolist() == [[1, *train[k]] for k in keras_order(3)]
    assert y.tolist() == [[1, 1, 0][k] for k in keras_order(3)]
    assert x_test.tolist() == [[1, *test[k]] for k in keras_order(2, 3)]
    assert y_test.tolist() == [[1, 0][k] for k in keras_order(2, 3)]
    assert (x.dtype, y.dtype) == (object, np.int64)
    assert isinstance(x[0], list)


def by_the_rules(ids, num_words, skip_top, maxlen, start_char, oov_char, index_from):
    """Keras's steps, one review at a time."""
    reviews = [[w + index_from for w in review] for review in ids]
    if start_char is not None:
        reviews = [[start_char, *review] for review in reviews]
    if maxlen:
        reviews = [review for review in reviews if len(review) < maxlen]
    limit = num_words or max(max(review) for review in reviews)
    if oov_char is None:
        return [[w for w in review if skip_top <= w < limit] for review in reviews]
    return [[w if skip_top <= w < limit else oov_char for w in review] for review in reviews]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_words": 6},
        {"num_words": 6, "oov_char": None},
        {"skip_top": 5},
        {"skip_top": 5, "oov_char": None},
        {"maxlen": 5},
        {"start_char": None, "index_from": 0},
        {"start_char": None, "maxlen": 4, "seed": 1},
        {"num_words": 8, "skip_top": 2, "start_char": 0, "oov_char": 7, "index_from": 10},
    ],
)
def test_the_options_do_what_keras_does_with_them(folders, options):
    write_table(folders[0])
    seed = options.pop("seed", 113)
    defaults = {
        "num_words": None,
        "skip_top": 0,
        "maxlen": None,
        "start_char": 1,
        "oov_char": 2,
        "index_from": 3,
        **options,
    }
    train = [[[1, 1, 3, 4, 5, 1, 2], [6, 1, 2], [7, 2, 8]][k] for k in keras_order(3, seed=seed)]
    test = [[[1, 2], [7]][k] for k in keras_order(2, 3, seed=seed)]
    (x, _), (x_test, _) = imdb.load_data(seed=seed, **options)
    # The limit is that of both halves together, so the rules are applied to both at once.
    assert [*x, *x_test] == by_the_rules(train + test, **defaults)


def test_the_numbers_are_cached_until_the_reviews_change(folders, monkeypatch):
    data, cache = folders
    write_table(data)
    imdb.load_data()
    assert [p.name for p in cache.iterdir()] == ["imdb.npz"]
    with monkeypatch.context() as patch:
        patch.setattr(imdb, "_build", None)  # would raise
        imdb.load_data()
        (data / "aclImdb_labelled.tsv.gz").rename(data / "elsewhere")
        imdb.load_data()  # without the reviews, what is cached is all there is
    (data / "elsewhere").rename(data / "aclImdb_labelled.tsv.gz")
    write_table(data, {**REVIEWS, ("train", 0, "9_1.txt"): "another bad one"})
    assert len(imdb.load_data()[0][0]) == 4


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04cut"])
def test_a_damaged_cached_file_is_made_again(folders, content):
    write_table(folders[0])
    folders[1].mkdir()
    (folders[1] / "imdb.npz").write_bytes(content)
    assert imdb.get_word_index() == RANKS
    assert imdb.get_word_index() == RANKS
    assert len(list(folders[1].iterdir())) == 1


def test_the_cached_file_may_be_elsewhere_but_a_foreign_file_is_not_overwritten(folders, tmp_path):
    write_table(folders[0])
    imdb.load_data(tmp_path / "mine.npz")
    assert (tmp_path / "mine.npz").exists()
    assert not folders[1].exists()
    np.savez(tmp_path / "keras.npz", x_train=np.array([[1], [2, 3]], object))
    before = (tmp_path / "keras.npz").read_bytes()
    with pytest.raises(ValueError, match="path: expected a file that load_data made, or none yet"):
        imdb.load_data(tmp_path / "keras.npz")
    assert (tmp_path / "keras.npz").read_bytes() == before


def test_without_a_place_for_the_cached_file_there_is_a_warning(folders):
    write_table(folders[0])
    folders[1].write_text("no folder")
    with pytest.warns(UserWarning, match="the reviews are not cached"):
        assert imdb.get_word_index() == RANKS


def test_two_processes_can_build_at_once(folders):
    write_table(folders[0])
    program = "from lstmcore.datasets import imdb; print(sorted(imdb.get_word_index()))"
    runs = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [run.communicate()[0].strip() for run in runs] == [str(sorted(RANKS))] * 2
    assert [p.name for p in folders[1].iterdir()] == ["imdb.npz"]


def test_what_is_missing_is_said(folders, monkeypatch):
    class NoNetwork:
        @staticmethod
        def retrieve(url, known_hash, fname, path, progressbar):
            raise OSError("no network")

    monkeypatch.setitem(sys.modules, "pooch", NoNetwork)
    with pytest.raises(FileNotFoundError, match=r"aclImdb_v1.tar.gz: not found in .*data or .*cache.* \(no network\)"):
        imdb.load_data()
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(FileNotFoundError, match=r'install "lstmcore\[data\]" to have it fetched from https://ai.stan'):
        imdb.load_data()


def test_the_archive_is_fetched_with_its_checksum(folders, monkeypatch):
    class Network:
        @staticmethod
        def retrieve(url, known_hash, fname, path, progressbar):
            # Published with many loaders of this archive, e.g. PaddlePaddle's.
            assert known_hash == "md5:7c2ac02c03563afcf9b574c7e56c153a"
            path.mkdir()
            write_archive(path)
            return str(path / fname)

    monkeypatch.setitem(sys.modules, "pooch", Network)
    assert imdb.get_word_index() == RANKS


@pytest.mark.parametrize("form", ["archive", "table"])
def test_a_file_that_is_cut_short_is_an_error(folders, form):
    FORMS[form](folders[0])
    (path,) = folders[0].iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"is damaged or incomplete \(.*\); delete it and fetch it again"):
        imdb.load_data()


@pytest.mark.parametrize("form", ["archive", "table"])
def test_a_damaged_file_is_read_or_is_an_error(folders, form):
    FORMS[form](folders[0])
    (path,) = folders[0].iterdir()
    packed = path.read_bytes()
    plain = gzip.decompress(packed)
    rng = random.Random(2)
    for k in range(120):
        # Within what is packed, or behind a checksum that is right: headers, lengths, names, texts.
        content = bytearray(plain if k % 2 else packed)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content) if k % 4 else min(1500, len(content)))] = rng.randrange(256)
        path.write_bytes(gzip.compress(bytes(content), 1) if k % 2 else bytes(content))
        message = error_of(imdb.load_data)
        assert message is None or message.startswith((str(path), "maxlen: "))


def test_a_damaged_cached_file_of_ours_is_made_again_whatever_is_wrong_with_it(folders):
    write_table(folders[0])
    want = imdb.get_word_index()
    (cached,) = [path for path in folders[1].rglob("*") if path.is_file()]
    whole, rng = cached.read_bytes(), random.Random(3)
    for k in range(40):
        content = bytearray(whole[: rng.randrange(len(whole))] if k % 9 == 0 else whole)
        for _ in range(rng.randint(1, 3) if content else 0):
            content[rng.randrange(len(content))] = rng.randrange(256)
        cached.write_bytes(content)
        assert imdb.get_word_index() == want


def error_of(call):
    """Return the message of the ValueError, if there is one."""
    try:
        call()
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"path": None}, TypeError, "path: expected a path, got None"),
        ({"num_words": -1}, ValueError, "num_words: expected an integer from 0 on or None, got -1"),
        ({"num_words": 1e4}, TypeError, "num_words: expected an integer, got 10000.0"),
        ({"maxlen": "long"}, TypeError, "maxlen: expected an integer, got 'long'"),
        ({"seed": -1}, ValueError, r"seed: expected an integer from 0 to 2\*\*32 - 1, got -1"),
        ({"index_from": 2**40}, ValueError, r"index_from: expected an integer below 2\*\*30 or None"),
        ({"oov_char": "?"}, TypeError, r"oov_char: expected an integer, got '\?'"),
    ],
)
def test_options_that_are_none_are_named_before_anything_is_read(folders, options, error, message):
    with pytest.raises(error, match=message):
        imdb.load_data(**options)


def test_a_table_of_another_kind_is_an_error(folders):
    with gzip.open(folders[0] / "aclImdb_labelled.tsv.gz", "wt") as table:
        table.write("train\t1\tgood film\n")
    with pytest.raises(ValueError, match=r"line 1: expected split, label, rating, id and text, got 'train\\t1"):
        imdb.load_data()


def test_maxlen_must_leave_reviews(folders):
    write_table(folders[0])
    with pytest.raises(ValueError, match="maxlen: no review is left that is shorter than 2"):
        imdb.load_data(maxlen=2)


real = next((f for f in REAL if any((f / n).exists() for n in ("aclImdb_v1.tar.gz", "aclImdb_labelled.tsv.gz"))), None)


@pytest.mark.slow
@pytest.mark.skipif(real is None, reason="needs the reviews in $LSTMCORE_DATA or ../shared/data")
def test_the_real_reviews_are_those_of_keras(folders, monkeypatch):
    monkeypatch.setenv("LSTMCORE_DATA", str(real))
    imdb.load_data()
    begun = time.perf_counter()
    (x, y), (x_test, y_test) = imdb.load_data(num_words=10000)
    assert time.perf_counter() - begun < 5  # a second on a quiet machine: from the cached file
    assert x.shape == x_test.shape == y.shape == y_test.shape == (25000,)
    assert y.sum() == y_test.sum() == 12500
    # Printed in many tutorials of Keras.
    assert y[:10].tolist() == [1, 0, 0, 1, 0, 0, 1, 0, 1, 0]
    assert y_test[:10].tolist() == [0, 1, 1, 0, 1, 1, 1, 0, 0, 1]
    assert [len(x[0]), len(x[1]), max(map(len, x))] == [218, 189, 2494]
    assert x[0][:5] == [1, 14, 22, 16, 43]
    assert x[0][14:22] == [4, 173, 36, 256, 5, 25, 100, 43]  # frequent words, whose ranks no tie decides
    assert max(max(row) for row in x) == 9999
    ranks = imdb.get_word_index()
    assert [ranks[w] for w in ("the", "and", "a", "of", "to", "is", "br", "in", "it", "i")] == list(range(1, 11))
    words = {rank + 3: word for word, rank in ranks.items()}
    assert " ".join(words[i] for i in x[0][1:9]) == "this film was just brilliant casting location scenery"
    assert pad_sequences(x, maxlen=200).shape == (25000, 200)
