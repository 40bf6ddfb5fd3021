"""The programs on speech run as a new user would run them, and what they share does what it says."""

import importlib
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("scipy")

root = pathlib.Path(__file__).parents[1]
examples = root / "examples"
shared = root.parent / "shared" / "data"
folder = pathlib.Path(os.environ.get("LSTMCORE_DATA", shared))
needs_data = pytest.mark.skipif(
    not (folder / "fsdd_int16_8k.npz").exists(),
    reason="fsdd_int16_8k.npz is neither in $LSTMCORE_DATA nor in ../shared/data",
)

# Options that make a program end in seconds, and a number of its table that is known without it.
SMALL = "--epochs 1 --units 8 --verbose 0"
programs = {
    "spoken_digits": (SMALL, "300 recordings each"),  # 6 speakers, 10 digits, 5 of each
    "transcription": (f"{SMALL} --sequences 32 --tests 4", "4 sequences each"),
    "streaming_recognition": (f"{SMALL} --sequences 32 --tests 2", "2 sequences: bit for bit as the whole"),
}
each_program = pytest.mark.parametrize("name", programs)


def run(name, options, directory, **environment):
    return subprocess.run(
        [sys.executable, examples / f"{name}.py", *options.split()],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "LSTMCORE_DATA": str(folder), **environment},
    )


@needs_data
@each_program
def test_programs_print_their_scores_and_save_a_picture(name, tmp_path):
    pytest.importorskip("matplotlib")
    options, fact = programs[name]
    ended = run(name, options, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert fact in ended.stdout
    assert re.search(r"^\S.*? +\d+\.\d+$", ended.stdout, re.M)
    assert "nan" not in ended.stdout
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@each_program
def test_missing_data_is_named(name, tmp_path):
    ended = run(name, f"--data {tmp_path}", tmp_path, LSTMCORE_CACHE=str(tmp_path))
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "fsdd_int16_8k.npz is missing" in ended.stderr
    assert str(tmp_path) in ended.stderr


@needs_data
def test_a_speaker_can_be_held_out(tmp_path):
    ended = run("spoken_digits", f"{SMALL} --held-out theo --picture=", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"^theo, held out: 0\.\d+ of 500 recordings$", ended.stdout, re.M)
    refused = run("spoken_digits", "--held-out nobody", tmp_path)
    assert refused.returncode == 2
    assert "invalid choice: 'nobody'" in refused.stderr


@pytest.mark.slow
@needs_data
def test_digits_are_told_apart_better_than_published(program):
    # Published: 0.9733. Asked for: 0.98, reached in a third of the epochs that the program takes.
    options = ["--picture=", "--verbose=0", f"--data={folder}", "--epochs=6", "--units=48"]
    assert program("spoken_digits").main(options)["accuracy"] >= 0.98


@pytest.mark.slow
@needs_data
def test_joined_digits_are_spelled_with_few_errors(program):
    # The whole program: 0.006 (examples/README.md). A third of it: 0.035 with seeds 0 and 1; and 0.7 for whoever
    # always says the same.
    options = ["--picture=", "--verbose=0", f"--data={folder}", "--epochs=10", "--sequences=700", "--tests=120"]
    assert program("transcription").main([*options, "--units=48"])["character_error_rate"] <= 0.06


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(examples)
    return importlib.import_module


@needs_data
def test_recordings_are_those_of_the_official_split(program):
    speech = program("speech")
    train, test = speech.load(str(folder))
    assert (len(train.samples), len(test.samples)) == (2700, 300)
    assert np.bincount(test.digits * 6 + test.speakers).tolist() == [5] * 60
    train, test = speech.load(str(folder), "lucas")
    assert set(test.speakers) == {speech.SPEAKERS.index("lucas")}
    assert (len(train.samples), len(test.samples)) == (2500, 500)
    assert not set(test.speakers) & set(train.speakers)


def recordings_of(speech, count=20):
    rng = np.random.default_rng(0)
    samples = [rng.normal(0, 0.1, 1000 + 100 * k).astype("float32") for k in range(count)]
    digits, speakers = np.arange(count) % 10, np.arange(count) // 10
    return speech.Recordings(samples, digits, speakers, np.zeros(count, bool))


def test_joined_sequences_say_what_their_text_says(program):
    speech = program("speech")
    recordings = recordings_of(speech)
    sequences, texts = speech.join(recordings, 50, np.random.default_rng(1))
    for samples, text in zip(sequences, texts, strict=True):
        words = text.split(" ")
        assert 2 <= len(words) <= 5
        # Of either speaker: 1,000 or 2,000 samples and 100 for each number of the digit.
        digits = [speech.WORDS.index(word) for word in words]
        spoken = {sum(1000 + 100 * (10 * speaker + digit) for digit in digits) for speaker in (0, 1)}
        pauses = (len(words) + 1) * speech.RATE
        assert any(0.05 * pauses - 6 <= len(samples) - n <= 0.3 * pauses for n in spoken)
        assert speech.read(speech.spell(text)) == text
        assert 0 not in speech.spell(text)
    assert {letter for word in speech.WORDS for letter in word} == set(speech.CHARACTERS[2:])


def test_batches_hold_everything_once_with_rows_of_like_lengths(program):
    speech = program("speech")
    features = [np.full((n, 3), n, "float32") for n in range(1, 41)]
    batches = speech.Batches(features, [[n] * (n % 4 + 1) for n in range(1, 41)], 8, np.random.default_rng(0))
    epochs = []
    for _ in range(2):
        batches.on_epoch_begin()
        seen = []
        for k in range(len(batches)):
            x, y = batches[k]
            assert x.shape[1] % speech.STRIDES == 0
            lengths = (x[..., 0] != 0).sum(1)
            assert lengths.tolist() == y[:, 0].tolist()
            assert [int((row != 0).sum()) for row in y] == [n % 4 + 1 for n in lengths]
            seen += lengths.tolist()
        assert sorted(seen) == list(range(1, 41))
        epochs.append(seen)
    assert epochs[0] != epochs[1]


def test_predictions_are_those_of_each_recording_alone(program):
    speech, transcription = program("speech"), program("transcription")
    model = transcription.build(4)
    rng = np.random.default_rng(0)
    features = [rng.standard_normal((n, 40)).astype("float32") for n in (12, 7, 30, 1)]
    for own, outputs in zip(features, speech.predict(model, features), strict=True):
        assert outputs.shape == (-(-len(own) // speech.STRIDES), len(speech.CHARACTERS))
        alone = next(speech.predict(model, [own]))
        np.testing.assert_allclose(outputs, alone, rtol=1e-5, atol=1e-6)


def test_a_recogniser_in_chunks_reads_what_the_whole_says(program):
    speech, streaming = program("speech"), program("streaming_recognition")
    recordings = recordings_of(speech)
    features = speech.Features(recordings.samples, causal=True)
    model = streaming.Sequential([streaming.Input(shape=(None, 40)), *streaming.layers(8)])
    samples = np.concatenate(recordings.samples)
    whole = model(features(samples)[None])
    for seconds in (0.01, 0.033, 0.1, 1.0):
        recogniser = streaming.Recogniser(model, features, seconds)
        for _ in range(2):
            recogniser.reset()
            for begin in range(0, len(samples), recogniser.samples):
                recogniser(samples[begin : begin + recogniser.samples])
            np.testing.assert_array_equal(np.concatenate(recogniser.logits), whole[0])
            assert recogniser.text == speech.read(streaming.greedy(whole)[0][0])
