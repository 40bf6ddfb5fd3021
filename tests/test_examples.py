"""The programs in examples/ and the code in the README run as a new user would run them."""

import datetime
import importlib
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest

import lstmcore
from lstmcore import Input, Sequential, layers

root = pathlib.Path(__file__).parents[1]
examples = root / "examples"
shared = root.parent / "shared" / "data"

# Options that make a program end in a second or two, the file of data it needs, and what must stand in its table:
# facts about the data that are known without it.
programs = {
    "air_passengers_ahead": ("--epochs 2", None, "25 forecasts"),  # that end in 1958-12 to 1960-12
    "energy": ("--epochs 1 --units 4", "ETTh1.csv", "2857 forecasts"),  # 4 months of 30 days, less 23 hours
    "oil_and_load": ("--epochs 1 --units 4", "ETTh1.csv", "2857 forecasts"),
    "air_quality": (
        "--epochs 1",
        "pollution.csv",
        "35039 hours",
    ),  # 5 years with a leap day, less a year, a day, an hour
    "sentiment": ("--reviews 64 --epochs 1", "aclImdb_labelled.tsv.gz", "published, epoch 2 +0.8428"),
    "characters": ("--characters 20000 --units 16 --epochs 1 --length 20", "tinyshakespeare.txt", "2,000 characters"),
    "bilstm_crf_tagger": ("--lines 200 --tests 50 --epochs 1 --units 8", "tinyshakespeare.txt", "50 lines"),
    "music": ("--pieces 16 --units 16 --epochs 1", "JSB_Chorales.npz", "77 pieces of the test"),
    "movement": ("--folds 2 --epochs 1", "IndoorMovement.zip", "314 traces"),
    "addition": ("--questions 500 --units 16 --epochs 1", None, "50 questions"),
    # Rules read whatever is spelled as it should be.
    "dates": ("--dates 300 --tests 60 --epochs 1 --units 8", None, r"rules .* 1\.0000\n"),
    # An LSTM of 16 units on one of 16 on 10 symbols, and Dense: 4 * 16 * (27 + 33) + 8 * 17 weights.
    "selective_copying": (
        "--cells LSTM minGRU --short 10 --length 20 --units 16 --epochs 2 --long-epochs 1",
        None,
        "LSTM +16 +3976 ",
    ),
    "hyperparameters": ("--trials 2 --epochs 2", None, "best trials"),
    "serve_keras_file": ("--epochs 1 --starts 1 --requests 5", None, r"a request, later +\d"),
    "grid_search": ("--units 2 4 --rates 0.01 --folds 2 --epochs 2", None, "450 digits"),  # a quarter of 1797
    "accelerate_pytorch": ("--questions 100 --steps 10 --units 8 --epochs 2", None, "1000 sums of the test"),
}


def run(name, options, folder, **environment):
    return subprocess.run(
        [sys.executable, examples / f"{name}.py", *options.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "LSTMCORE_DATA": os.environ.get("LSTMCORE_DATA", str(shared)), **environment},
    )


@pytest.mark.parametrize("name", programs)
def test_programs_print_their_scores_and_save_a_picture(name, tmp_path):
    pytest.importorskip("matplotlib")
    options, data, fact = programs[name]
    if name == "serve_keras_file":
        pytest.importorskip("h5py")
    if name == "hyperparameters":
        pytest.importorskip("optuna")
    if name == "grid_search":
        pytest.importorskip("sklearn")
    if name == "accelerate_pytorch":
        pytest.importorskip("torch")
    if data and not (pathlib.Path(os.environ.get("LSTMCORE_DATA", shared)) / data).exists():
        pytest.skip(f"{data} is neither in $LSTMCORE_DATA nor in ../shared/data")
    ended = run(name, options, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert re.search(fact, ended.stdout)
    assert re.search(r"^\S.*? +\d+\.\d+$", ended.stdout, re.M)
    assert "nan" not in ended.stdout
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_air_passengers(tmp_path):
    pytest.importorskip("matplotlib")
    ended = run("air_passengers", "--epochs 20", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"LSTM +\d+\.\d +\d+\.\d +\d+\.\d\n", ended.stdout)
    # The naive forecast of the 27 held-out months, worked out from the published series.
    assert re.search(r"same month last year .* 47\.2 +43\.0\n", ended.stdout)
    assert (tmp_path / "air_passengers.png").read_bytes().startswith(b"\x89PNG")


def test_air_passengers_comes_near_the_published_error(tmp_path):
    ended = run("air_passengers", "--published --picture=", tmp_path)
    # Published: 22.93 and 47.53, from other initial weights. Saying "as this month" gives 23.2 and 48.7.
    train, test = map(float, re.search(r"^LSTM +(\S+) +(\S+)", ended.stdout, re.M).groups())
    assert 22 < train < 24
    assert 46 < test < 56


def test_a_keras_file_is_served_over_http(tmp_path):
    pytest.importorskip("h5py")
    model = Sequential([Input((None, 2)), layers.LSTM(3), layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    options = "--file model.keras --picture= --starts 1 --requests 1 --serve --port 0"
    with subprocess.Popen(
        [sys.executable, examples / "serve_keras_file.py", *options.split()],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            address = next(line.split()[-1] for line in server.stdout if line.startswith("serving on "))

            def answer(content):
                asked = urllib.request.Request(address, content, method="POST")
                try:
                    with urllib.request.urlopen(asked, timeout=60) as response:
                        return response.status, json.loads(response.read())
                except urllib.error.HTTPError as error:
                    with error:
                        return error.code, json.loads(error.read())

            x = np.random.default_rng(0).normal(size=(2, 5, 2)).astype("float32")
            status, answered = answer(json.dumps({"inputs": x.tolist()}).encode())
            assert status == 200
            np.testing.assert_array_equal(np.float32(answered["outputs"]), model.predict(x, verbose=0))
            for wrong in (b"[", b"{}", b'{"inputs": [[1, 2], [3]]}', b'{"inputs": [[[1, 2, 3]]]}', b"[" * 100_000):
                status, answered = answer(wrong)
                assert status == 400
                assert "error" in answered
        finally:
            server.terminate()


def test_vanishing_gradients(tmp_path):
    pytest.importorskip("matplotlib")
    ended = run("vanishing_gradients", "", tmp_path)
    rows = re.findall(r"^([A-Z].*?)  +(\S+) +(\S+) +(\S+) +(\S+)$", ended.stdout, re.M)
    norms = {name: [float(n) for n in numbers] for name, *numbers in rows}
    assert list(norms) == ["SimpleRNN", "GRU", "LSTM", "GRU, open gates", "LSTM, open gates"]
    assert all(n == sorted(n, reverse=True) for n in norms.values())
    # What is left of the gradient at each step between 30 and 100: somewhat more than the gates carry, 1/2 in a GRU and
    # sigmoid(1) = 0.73 in an LSTM, for the rest of the cell carries some too.
    rates = {name: (n[3] / n[2]) ** (1 / 70) for name, n in norms.items()}
    assert 0.5 < rates["GRU"] < 0.75
    assert 0.73 < rates["LSTM"] < 0.9
    assert rates["SimpleRNN"] < 0.85
    # Gates that remember for up to 100 steps: less than a tenfold fall in the last 70.
    for name in ("GRU, open gates", "LSTM, open gates"):
        assert norms[name][2] < 10 * norms[name][3]
    assert (tmp_path / "vanishing_gradients.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [name for name, (_, data, _) in programs.items() if data])
def test_missing_data_is_named(name, tmp_path):
    ended = run(name, f"--data {tmp_path}", tmp_path, LSTMCORE_CACHE=str(tmp_path), https_proxy="http://127.0.0.1:9")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert str(tmp_path) in ended.stderr
    expected = "imdb" if name == "sentiment" else re.escape(programs[name][1]) + " is missing"
    assert re.search(expected, ended.stderr, re.I)


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(examples)
    return importlib.import_module


def test_the_bits_of_a_bigram_are_those_of_its_counts(program):
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 5, 200), rng.integers(0, 5, 50)
    # Witten and Bell: (times seen + kinds of followers * chance without context) / (all seen + kinds of followers).
    kinds, bits = len(set(train)), 0.0
    for before, code in itertools.pairwise(test):
        chance = (np.sum(train == code) + kinds / 5) / (len(train) + kinds)
        followers = [b for a, b in itertools.pairwise(train) if a == before]
        others = len(set(followers))
        bits -= np.log2((followers.count(code) + others * chance) / (len(followers) + others)) / (len(test) - 1)
    assert program("characters").ngram_bits(train, test, 1, 5) == pytest.approx(bits, rel=1e-12)


def test_the_score_of_music_is_the_likelihood_of_whole_frames(program):
    rng = np.random.default_rng(0)
    pieces = [rng.integers(0, 2, (steps, 88)) for steps in (3, 6)]
    certain = [np.full((len(piece) - 1, 88), 0.5) for piece in pieces]
    assert program("music").score(pieces, certain) == pytest.approx(88 * np.log(2))


def test_questions_of_addition_are_different_and_their_answers_right(program):
    questions, answers = program("addition").ask(300, np.random.default_rng(0))
    pairs = [tuple(map(int, question.split("+"))) for question in questions]
    assert len({tuple(sorted(pair)) for pair in pairs}) == 300
    assert [int(answer) for answer in answers] == [a + b for a, b in pairs]
    assert {len(question) for question in questions} == {7}


def test_oil_and_load_reads_nothing_of_the_hours_it_forecasts(program):
    oil_and_load = program("oil_and_load")
    rng = np.random.default_rng(0)
    series, heavy, begin = rng.normal(size=(400, 7)), rng.random(400) < 0.5, 250
    x, y = oil_and_load.examples(series, heavy, (0, 400))
    assert [len(x["past"]), len(x["ahead"])] == [400 - 7 * 24 - 23] * 2
    k = begin - 7 * 24  # the forecast that begins at that hour: the first has a week before it
    np.testing.assert_allclose(
        y["temperature"][k, :, 0], series[begin : begin + 24, 6] - series[begin - 1, 6], rtol=1e-5
    )
    assert y["heavy"][k, :, 0].tolist() == heavy[begin : begin + 24].tolist()
    rules = oil_and_load.baselines(series[:, 6], heavy, np.array([begin]))
    series[begin:], heavy[begin:] = rng.normal(size=(150, 7)), ~heavy[begin:]
    later, _ = oil_and_load.examples(series, heavy, (0, 400))
    for name, array in x.items():
        assert (array[: k + 1] == later[name][: k + 1]).all()
        assert (array[k + 1] != later[name][k + 1]).any()
    for before, after in zip(rules, oil_and_load.baselines(series[:, 6], heavy, np.array([begin])), strict=True):
        assert all((before[name] == after[name]).all() for name in before)


def test_the_area_of_oil_and_load_is_that_of_pairs_put_in_order(program):
    rng = np.random.default_rng(0)
    happened, probability = rng.random((9, 5)) < 0.4, rng.integers(0, 20, (9, 5)) / 20
    gap = probability[happened][:, None] - probability[~happened]
    brier, area = program("oil_and_load").quality(happened, probability)
    assert area == pytest.approx(np.mean(gap > 0) + np.mean(gap == 0) / 2, rel=1e-6)  # ties count half
    assert brier == pytest.approx((np.sum((1 - probability[happened]) ** 2) + np.sum(probability[~happened] ** 2)) / 45)


def test_what_selective_copying_asks_for_stands_among_the_blanks(program):
    x, tokens = program("selective_copying").ask(2000, 50, np.random.default_rng(0))
    assert x.shape == (2000, 58, 10)
    assert (x.sum(axis=2) == 1).all()
    steps = x.argmax(axis=2)
    assert [row[row < 8].tolist() for row in steps] == tokens.tolist()
    assert ((steps == 9) == (np.arange(58) >= 50)).all()
    # Each place is taken by 2000 * 8 / 50 = 320 tokens, with a standard deviation of sqrt(2000 * 0.16 * 0.84) = 16.
    assert (np.abs((steps[:, :50] < 8).sum(axis=0) - 320) < 5 * 16).all()


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "sLSTM", "minGRU", "minLSTM"])
def test_models_of_selective_copying_have_as_many_weights(cell, program):
    copying = program("selective_copying")
    weights = 4 * 64 * (10 + 64 + 1) + 4 * 64 * (64 + 64 + 1) + 8 * (64 + 1)  # two layers of LSTM, and Dense
    model = copying.make(cell, copying.width(cell, weights))
    assert model.count_params() == pytest.approx(weights, rel=0.03)


@pytest.mark.parametrize(
    ("language", "index", "text"),
    [
        ("en", 1, "Sunday, August 22nd, 1999"),
        ("en", 4, "the 22nd of August 1999"),
        ("en", 6, "22-Aug-99"),
        ("fr", 2, "le dimanche 22 août 1999"),
        ("de", 1, "Sonntag, 22. August 1999"),
        ("in numbers", 1, "22.08.99"),
        ("in numbers", 2, "8/22/1999"),
    ],
)
def test_a_day_is_written_as_people_do(language, index, text, program):
    dates = program("dates")
    assert dates.fill(dates.WRITINGS[language][index], language, datetime.date(1999, 8, 22)) == text
    assert dates.by_rules(text.upper()) == "1999-08-22"


def test_every_writing_of_a_day_has_one_meaning(program):
    dates = program("dates")
    for day in (datetime.date(1950, 1, 1), datetime.date(2001, 2, 3), datetime.date(2049, 12, 11)):
        for language, writings in dates.WRITINGS.items():
            for writing in writings:
                assert dates.by_rules(dates.fill(writing, language, day)) == str(day)


def test_no_slip_makes_one_month_look_like_another(program):
    dates, rng = program("dates"), np.random.default_rng(0)
    forms = [[names.split(", ")[k] for names in dates.MONTHS.values()] for k in range(12)]
    seen = [{dates.slip(name, rng).lower() for name in names for _ in range(2000)} for names in forms]
    assert not any(one & other for one, other in itertools.combinations(seen, 2))
    assert "mai" in seen[4]  # short names, which a letter tells apart, are left as they are
    assert len(seen[1]) > 50  # of "February" alone: 7 letters left out, and changed in 25 ways each


def test_dates_are_spelled_a_character_at_a_time_as_the_trained_model_would(program):
    dates = program("dates")
    lstmcore.utils.set_random_seed(0)
    trained, encoder, step = dates.build(8, attends=True)
    texts = ["le 5 mars 1987", "Wednesday, 23 September 1987"]  # the first is padded
    said, weights = dates.spell(encoder, step, texts)
    for text, one in zip(texts, said, strict=True):
        before = dates.codes([dates.SPELLED[0] + one[:-1]], dates.SPELLED)
        probabilities = trained.predict([dates.codes([text], dates.READ), before], verbose=0)
        assert "".join(dates.SPELLED[k] for k in probabilities[0].argmax(-1)) == one
    shares = np.concatenate(weights, axis=1)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, rtol=1e-5)  # float32, 28 terms
    assert not shares[0, :, len(texts[0]) :].any()


def test_the_gallery_lists_all_programs():
    listed = set(re.findall(r"^\| `(\w+)\.py`", (examples / "README.md").read_text(encoding="utf-8"), re.M))
    assert listed == {path.stem for path in examples.glob("*.py")} - {"common", "speech"}


def test_readme_code_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 6
    for block in blocks:
        subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, timeout=120, check=True)


def test_python_m_lstmcore_shows_the_configuration():
    run = subprocess.run([sys.executable, "-m", "lstmcore"], capture_output=True, text=True, timeout=60, check=True)
    shown = dict(line.split(None, 1) for line in run.stdout.splitlines() if not line.startswith("instruction"))
    assert {"lstmcore", "compiler", "available", "threads", "threading"} <= shown.keys()
