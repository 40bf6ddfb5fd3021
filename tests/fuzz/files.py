"""Files that are cut, flipped, joined or made up: each loads or gets a clear error, and nothing else happens."""

import contextlib
import os
import tempfile
import warnings

import numpy as np

from lstmcore import Sequential, audio, callbacks, decoders, layers, models
from lstmcore.preprocessing.text import Tokenizer, tokenizer_from_json

# What a damaged file may raise. MemoryError: a size in it may ask for more than there is.
CLEAR = (ValueError, TypeError, OSError, EOFError, MemoryError, NotImplementedError)


def damage(rng, content):
    """The same bytes cut, with some of them changed, a part repeated, left out, or replaced."""
    content = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        if not content:
            break
        at, size = int(rng.integers(len(content))), int(rng.integers(1, 40))
        kind = rng.integers(6)
        if kind == 0:
            del content[at:]
        elif kind == 1:
            content[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            content[at:at] = content[at : at + size]
        elif kind == 3:
            del content[at : at + size]
        elif kind == 4:
            content[at : at + size] = rng.bytes(size)
        else:
            digits = str(int(rng.choice([0, -1, 2**31, 2**63, 10**30]))).encode()
            content[at : at + len(digits)] = digits
    return bytes(content)


def model_of(rng):
    kinds = [layers.LSTM(3), layers.Bidirectional(layers.GRU(2)), layers.SimpleRNN(3), layers.SLSTM(4, 2)]
    model = Sequential([layers.Conv1D(3, 2, input_shape=(5, 2)), kinds[rng.integers(len(kinds))], layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 5, 2), "float32"), np.ones((4, 1), "float32"), verbose=0)
    return model


def whole_models(rng, folder):
    """A damaged model loads, or does not; it never takes the process with it."""
    path = os.path.join(folder, "m.safetensors")
    model_of(rng).save(path)
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(damage(rng, content))
    models.load_model(path).predict(np.ones((2, 5, 2), "float32"), verbose=0)


def weights(rng, folder):
    """Weights from a damaged file are all taken, or none."""
    path = os.path.join(folder, "m.weights.safetensors")
    model, other = model_of(rng), model_of(np.random.default_rng(int(rng.integers(2**31))))
    model.save_weights(path)
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(damage(rng, content))
    before = other.get_weights()
    try:
        other.load_weights(path)
    except CLEAR:
        for a, b in zip(before, other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        raise


def backups(rng, folder):
    """A damaged backup is refused before anything is changed, or training goes on from it."""
    x, y = np.ones((8, 5, 2), "float32"), np.ones((8, 1), "float32")
    stop = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: 1 / (3 - batch))
    model = model_of(rng)
    with contextlib.suppress(ZeroDivisionError):
        model.fit(x, y, batch_size=2, verbose=0, callbacks=[callbacks.BackupAndRestore(folder, save_freq=1), stop])
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            content = file.read()
        with open(os.path.join(folder, name), "wb") as file:
            file.write(damage(rng, content))
    other = Sequential.from_config(model.get_config())
    other.compile("adam", "mse", metrics=["mae"])
    before = other.get_weights()
    try:
        other.fit(x, y, batch_size=2, verbose=0, callbacks=[callbacks.BackupAndRestore(folder, save_freq=1)])
    except CLEAR:
        for a, b in zip(before, other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        raise


def architectures(rng, folder):
    """A damaged description of a model is refused, or makes a model."""
    text = damage(rng, model_of(rng).to_json().encode())
    models.model_from_json(text.decode("utf-8", "replace"))


def tokenizers(rng, folder):
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(["the cat sat on the mat", "the dog ate the cat"])
    text = damage(rng, tokenizer.to_json().encode())
    tokenizer_from_json(text.decode("utf-8", "replace")).texts_to_sequences(["the cat"])


def sounds(rng, folder):
    path = os.path.join(folder, "a.wav")
    audio.write_wav(path, rng.uniform(-1, 1, 200).astype("float32"), 8000)
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(damage(rng, content))
    samples, rate = audio.read_wav(path)
    assert np.isfinite(samples).all()
    assert rate > 0


def language_models(rng, folder):
    arpa = "\\data\\\nngram 1=3\nngram 2=1\n\n\\1-grams:\n-1 <s> -0.5\n-1 a\n-1 </s>\n\n"
    arpa += "\\2-grams:\n-0.3 <s> a\n\n\\end\\\n"
    path = os.path.join(folder, "lm.arpa")
    with open(path, "wb") as file:
        file.write(damage(rng, arpa.encode()))
    decoders.NGram.from_arpa(path).score(["a", "a"])


def names(rng, folder):
    """A file of any name holds the whole model, or is refused and not made: none lies about what is in it."""
    ending = str(
        rng.choice(["", ".safetensors", ".keras", ".h5", ".hdf5", ".KERAS", ".onnx", ".pt", ".npz", ".", ". "])
    )
    path = os.path.join(folder, str(rng.choice(["m", "m.weights", "m.v1", "é", "m" * 240])) + ending)
    model, x = model_of(rng), rng.standard_normal((2, 5, 2)).astype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.save(path)
        except CLEAR:
            assert not os.listdir(folder)
            raise
    loaded = models.load_model(path)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert os.listdir(folder) == [os.path.basename(path)]


CASES = (whole_models, whole_models, weights, backups, architectures, tokenizers, sounds, language_models, names)


def case(rng):
    chosen = CASES[rng.integers(len(CASES))]
    with tempfile.TemporaryDirectory() as folder:
        try:
            chosen(rng, folder)
        except CLEAR as error:
            text = str(error)
        else:
            return
        # The message is for a person: it says something, and is no dump of what the file held.
        assert 0 < len(text) < 2000, text[:2000]
