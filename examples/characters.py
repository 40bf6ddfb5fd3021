"""Learn to write like Shakespeare, character by character, and print a sample.

An LSTM reads the first 90 % of tiny Shakespeare (Karpathy 2015) in windows of 100 characters and learns to
tell the next one at every step. The rest is then read as one long stream, the state carried from
beginning to end by `model.stream()`: how many bits the model needs for each character, beside what counting
needs - a bigram, and an n-gram that knows the last four characters (interpolated as by Witten & Bell 1991).
The same stream writes the sample, a character a call; the temperature says how daring it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import common
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import lstmcore
from lstmcore import decoders
from lstmcore.layers import LSTM, Dense, Dropout, Embedding
from lstmcore.models import Sequential
from lstmcore.optimizers import Adam
from lstmcore.utils import timeseries_dataset_from_array

WINDOW, CHUNK = 100, 500


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, print bits per character and a sample, save the picture; return the bits."""
    parser = common.parser(__doc__, "characters.png", epochs=10)
    parser.add_argument("--units", type=int, default=256, help="width of the LSTM")
    parser.add_argument("--temperature", type=float, default=0.7, help="of the sample: 1 as learnt, less is safer")
    parser.add_argument("--length", type=int, default=500, help="characters of the sample")
    parser.add_argument("--characters", type=int, help="learn from the first so many alone")
    options = parser.parse_args(argv)

    text = common.data_file("tinyshakespeare.txt", options.data).read_text(encoding="utf-8")[: options.characters]
    alphabet, codes = np.unique(list(text), return_inverse=True)
    split = int(0.9 * len(codes))
    train, test = codes[:split], codes[split:]

    def windows(codes: np.ndarray, shuffle: bool = False) -> object:
        """Return batches of windows, end to end, with the windows one character further as targets."""
        following = sliding_window_view(codes[1:], WINDOW)
        return timeseries_dataset_from_array(
            codes[:-1], following, WINDOW, sequence_stride=WINDOW, batch_size=64, shuffle=shuffle, seed=options.seed
        )

    lstmcore.utils.set_random_seed(options.seed)
    model = Sequential(
        [
            Embedding(len(alphabet), 64, input_length=WINDOW),
            LSTM(options.units, return_sequences=True),
            Dropout(0.2),
            Dense(len(alphabet), activation="softmax"),
        ]
    )
    model.compile(optimizer=Adam(learning_rate=0.003, clipnorm=1.0), loss="sparse_categorical_crossentropy")
    history = model.fit(
        windows(train, shuffle=True), validation_data=windows(test), epochs=options.epochs, verbose=options.verbose
    )

    rows = {
        "LSTM": [stream_bits(model, test)],
        "bigram": [ngram_bits(train, test, 1, len(alphabet))],
        "n-gram, the last four": [ngram_bits(train, test, 4, len(alphabet))],
    }
    common.print_table(f"{len(test):,} characters not trained on", ["bits a character"], rows, 3)
    print(f"\nA sample, temperature {options.temperature}:\n")
    print(write(model, alphabet, options.length, options.temperature, np.random.default_rng(options.seed)))
    if options.picture:
        draw(options.picture, history.history, {name: bits for name, [bits] in rows.items() if name != "LSTM"})
    return {"bits": rows["LSTM"][0]}


def stream_bits(model: Sequential, codes: np.ndarray) -> float:
    """Return the bits that each character but the first takes, all read as one stream."""
    stream = model.stream(steps=CHUNK)
    total = 0.0
    for start in range(0, len(codes) - 1, CHUNK):
        following = codes[start + 1 : start + CHUNK + 1]
        chances = stream(codes[None, start : start + len(following)])[0]
        total -= np.log2(chances[np.arange(len(following)), following]).sum(dtype=float)
    return float(total / (len(codes) - 1))


def ngram_bits(train: np.ndarray, test: np.ndarray, order: int, size: int) -> float:
    """Return the bits by counts of what has followed the last characters, mixed with those of shorter contexts.

    The shorter contexts weigh as much as the context has had different followers.
    """
    chances = np.full(len(test) - order, 1 / size)
    for length in range(order + 1):
        seen, met = contexts(train, length, size), contexts(test[order - length :], length, size)
        pairs, times = np.unique(seen * size + train[length:], return_counts=True)
        kinds = np.unique(pairs // size, return_counts=True)
        known = count(np.unique(seen, return_counts=True), met)
        others = np.maximum(count(kinds, met), 1)  # a context never seen leaves all to the shorter ones
        chances = (count((pairs, times), met * size + test[order:]) + others * chances) / (known + others)
    return float(-np.log2(chances).mean())


def contexts(codes: np.ndarray, length: int, size: int) -> np.ndarray:
    """Return a number for the characters before each character that has so many."""
    return sum(
        (codes[k : len(codes) - length + k] * size**k for k in range(length)), np.zeros(len(codes) - length, int)
    )


def count(table: tuple[np.ndarray, np.ndarray], keys: np.ndarray) -> np.ndarray:
    """Return how often each key stands in a table of sorted keys and numbers."""
    place = np.minimum(np.searchsorted(table[0], keys), len(table[0]) - 1)
    return np.where(table[0][place] == keys, table[1][place], 0)


def write(model: Sequential, alphabet: np.ndarray, length: int, temperature: float, rng: np.random.Generator) -> str:
    """Return a text drawn from the model, beginning after a line's end."""
    stream = model.stream()
    code, written = int(np.searchsorted(alphabet, "\n")), []
    for _ in range(length):
        code = int(decoders.sample(stream(np.array([code]))[0], temperature, kind="probabilities", seed=rng))
        written.append(str(alphabet[code]))
    return "".join(written)


def draw(path: str, history: dict[str, list[float]], baselines: dict[str, float]) -> None:
    """Save a picture of the losses in bits, beside the baselines."""
    figure, axes = common.canvas("Bits a character of Shakespeare", "epoch", "bits a character")
    epochs = np.arange(1, len(history["loss"]) + 1)
    axes.plot(epochs, np.divide(history["loss"], np.log(2)), color=common.BLUE, lw=2, label="LSTM, text trained on")
    axes.plot(epochs, np.divide(history["val_loss"], np.log(2)), color=common.ORANGE, lw=2, label="LSTM, held out")
    for (name, bits), line in zip(baselines.items(), ("--", ":"), strict=True):
        axes.axhline(bits, color=common.GREY, ls=line, lw=1.6, label=name)
    axes.legend(loc="upper right")
    common.save(figure, path)


if __name__ == "__main__":
    main()
