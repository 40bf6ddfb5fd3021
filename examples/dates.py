"""Turn dates written in many ways into ISO form, with attention and without it, and draw where the model looks.

A bidirectional LSTM reads what is written, such as "le 5 mars 1987" or "Thusday, March 5th, 1987", a character a step;
its last states are the first of a decoder, which spells "1987-03-05" (Sutskever, Vinyals & Le 2014). At every character
the decoder looks back at all that was read, weighted by how well it goes with its own state (Bahdanau, Cho & Bengio
2015; the dot product is Luong, Pham & Manning's, 2015); without that, all must fit in the states. Training gives
the decoder the right character before each; then it is run step by step, on the characters it has said itself.

Days first before dots and months first before slashes, and a year of two digits is one from 1950 to 2049: every
date has one meaning. One in five has a slip of the pen. The days of the test are none of those trained on.
"""

from __future__ import annotations

import datetime
import re
import string
from collections.abc import Sequence
from typing import Any

import common
import numpy as np

import lstmcore
from lstmcore import Input, Model
from lstmcore.callbacks import Callback
from lstmcore.layers import LSTM, Attention, Bidirectional, Concatenate, Dense, Embedding
from lstmcore.optimizers import Adam
from lstmcore.utils import pad_sequences

WEEKDAYS = {
    "en": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "fr": "lundi, mardi, mercredi, jeudi, vendredi, samedi, dimanche",
    "de": "Montag, Dienstag, Mittwoch, Donnerstag, Freitag, Samstag, Sonntag",
}
MONTHS = {
    "en": "January, February, March, April, May, June, July, August, September, October, November, December",
    "fr": "janvier, février, mars, avril, mai, juin, juillet, août, septembre, octobre, novembre, décembre",
    "de": "Januar, Februar, März, April, Mai, Juni, "  # codespell:ignore
    "Juli, August, September, Oktober, November, Dezember",  # codespell:ignore
}
WRITINGS = {
    "en": [
        "{weekday}, {day} {month} {year}",
        "{weekday}, {month} {nth}, {year}",
        "{month} {nth}, {year}",
        "{day} {month} {year}",
        "the {nth} of {month} {year}",
        "{day} {short} {year}",
        "{day}-{short}-{yy:02}",
    ],
    "fr": ["le {first} {month} {year}", "{weekday} {first} {month} {year}", "le {weekday} {first} {month} {year}"],
    "de": ["{day}. {month} {year}", "{weekday}, {day}. {month} {year}", "{weekday}, den {day}.{m}.{year}"],
    "in numbers": ["{day}.{m}.{year}", "{day:02}.{m:02}.{yy:02}", "{m}/{day}/{year}", "{m:02}/{day:02}/{yy:02}"],
}
NUMBER_OF = {name.lower(): k for names in MONTHS.values() for k, name in enumerate(names.split(", "), 1)}
NUMBER_OF |= {name.lower()[:3]: k for k, name in enumerate(MONTHS["en"].split(", "), 1)}
FIRST, LAST = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)
SLIPS = 0.4  # how often there is one, where there is a word for it

READ = "\0" + string.ascii_letters + "éûäÉÛÄ" + string.digits + " ,./-"  # the first is padding
SPELLED = "^0123456789-"  # the first stands before the others
LENGTH = len("1987-03-05")
SHOWN = [("en", 1), ("fr", 2), ("de", 2)]  # the writings that the picture shows
Score = tuple[float | None, ...]


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train with attention and without, print how many dates are right, save the picture; return it."""
    parser = common.parser(__doc__, "dates.png", epochs=10, data=False)
    parser.add_argument("--dates", type=int, default=10_000, help="to train on")
    parser.add_argument("--tests", type=int, default=2000, help="to test on, of other days")
    parser.add_argument("--units", type=int, default=32, help="of the encoder in each direction; the decoder has twice")
    options = parser.parse_args(argv)

    rng = np.random.default_rng(options.seed)
    days = [FIRST + datetime.timedelta(int(k)) for k in rng.permutation((LAST - FIRST).days + 1)]
    held_out, others = days[: options.tests], days[options.tests :]
    train = [others[k] for k in rng.integers(len(others), size=options.dates)]
    read, answers = codes(write(train, rng)[0], READ), codes([SPELLED[0] + str(day) for day in train], SPELLED)
    texts, slipped = write(held_out, rng)

    rows: dict[str, Score] = {}
    curves: dict[str, list[float]] = {}
    for name in ("without attention", "with attention"):
        lstmcore.utils.set_random_seed(options.seed)
        trained, encoder, step = build(options.units, attends=name == "with attention")
        trained.compile(Adam(0.004, clipnorm=1.0), "sparse_categorical_crossentropy")
        judged = Judge(encoder, step, texts, held_out, slipped)
        trained.fit(
            [read, answers[:, :-1]],
            answers[:, 1:],
            batch_size=64,
            epochs=options.epochs,
            callbacks=[judged],
            verbose=options.verbose,
        )
        rows[name] = judged.scores[-1]
        curves[name] = [score[0] or 0.0 for score in judged.scores]
    rows["rules"] = judge([by_rules(text) for text in texts], held_out, slipped)

    for text, said in zip(texts[:5], spell(encoder, step, texts[:5])[0], strict=True):
        print(f"{text} = {said}")
    common.print_table(f"{options.tests} dates of other days", ["right", "with a slip", "without"], rows, 4)
    if options.picture:
        shown = [
            fill(WRITINGS[language][k], language, day) for (language, k), day in zip(SHOWN, held_out, strict=False)
        ]
        shown[0] = slip(shown[0], rng)
        draw(options.picture, curves, rows["rules"][0] or 0.0, shown, *spell(encoder, step, shown))
    return {name: row[0] or 0.0 for name, row in rows.items()}


def write(days: Sequence[datetime.date], rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Return each day in one of the writings, in capitals or not, and whether there is a slip in it."""
    texts, slipped = [], []
    writings = [(language, writing) for language, several in WRITINGS.items() for writing in several]
    for day in days:
        language, writing = writings[rng.integers(len(writings))]
        text = fill(writing, language, day)
        wrong = slip(text, rng) if rng.random() < SLIPS else text
        change = (str, str, str.lower, str.upper)[rng.integers(4)]
        texts.append(change(wrong))
        slipped.append(wrong != text)
    return texts, np.array(slipped)


def fill(writing: str, language: str, day: datetime.date) -> str:
    """Return a day in a writing."""
    names = language if language in MONTHS else "en"
    month = MONTHS[names].split(", ")[day.month - 1]
    ending = "th" if day.day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    return writing.format(
        weekday=WEEKDAYS[names].split(", ")[day.weekday()],
        day=day.day,
        nth=f"{day.day}{ending}",
        first="1er" if day.day == 1 else day.day,
        month=month,
        short=month[:3],
        m=day.month,
        year=day.year,
        yy=day.year % 100,
    )


def slip(text: str, rng: np.random.Generator) -> str:
    """Return a text with a letter left out, doubled, changed, or after the next; only of long words, which allow it."""
    places = [k for word in re.finditer(r"[^\W\d_]{5,}", text) for k in range(word.start(), word.end() - 1)]
    if not places:
        return text
    k = places[rng.integers(len(places))]
    other = string.ascii_lowercase[rng.integers(26)]
    middle = ("", 2 * text[k], other, text[k + 1] + text[k])[kind := rng.integers(4)]
    return text[:k] + middle + text[k + (2 if kind == 3 else 1) :]


def by_rules(text: str) -> str:
    """Return the ISO form of a date whose words are all spelled as they should be; else something, or ''."""
    numbers = [int(digits) for digits in re.findall(r"\d+", text)]
    months = [NUMBER_OF[word] for word in re.findall(r"[^\W\d_]+", text.lower()) if word in NUMBER_OF]
    if len(numbers) + len(months) != 3:
        return ""
    first, *others, year = numbers
    month, day = (*months, first) if months else (first, *others) if "/" in text else (*others, first)
    century = 0 if year > 99 else 1900 if year >= 50 else 2000
    return f"{century + year}-{month:02}-{day:02}"


def codes(texts: Sequence[str], alphabet: str) -> np.ndarray:
    """Return the characters as integers (texts, steps), 0 for padding."""
    return pad_sequences([[alphabet.index(c) for c in text] for text in texts], padding="post")


def build(units: int, attends: bool) -> tuple[Model, Model, Model]:
    """Return the model that is trained, and two of the same layers that run what it has learnt.

    The first goes from what is written and the character before each to the probabilities of each; the second from
    what is written to the outputs of the encoder and the first states of the decoder; the third from the character
    before, those outputs and the states to the probabilities of the next, new states and, if it attends, weights.
    """
    embed, combine = Embedding(len(SPELLED), 16), Dense(2 * units, activation="tanh")
    decoder = LSTM(2 * units, return_sequences=True, return_state=True)
    attend, join, choose = Attention(), Concatenate(), Dense(len(SPELLED), activation="softmax")

    def decode(before: Any, encoded: Any, states: Any) -> list[Any]:
        """Draw the decoder, over all characters or over one."""
        outputs, *states = decoder(embed(before), initial_state=states)
        weights: list[Any] = []
        if attends:
            context, *weights = attend([outputs, encoded], return_attention_scores=True)
            outputs = join([context, outputs])
        return [choose(combine(outputs)), *states, *weights]

    written, before = Input((None,), dtype="int32"), Input((None,), dtype="int32")
    letters = Embedding(len(READ), 32, mask_zero=True)(written)
    both_ways = Bidirectional(LSTM(units, return_sequences=True, return_state=True))
    encoded, h_forward, c_forward, h_backward, c_backward = both_ways(letters)
    first = [Concatenate()([h_forward, h_backward]), Concatenate()([c_forward, c_backward])]
    trained = Model([written, before], decode(before, encoded, first)[0])

    kept, states = Input((None, 2 * units)), [Input((2 * units,)), Input((2 * units,))]
    return trained, Model(written, [encoded, *first]), Model([before, kept, *states], decode(before, kept, states))


def spell(encoder: Model, step: Model, texts: Sequence[str]) -> tuple[list[str], list[np.ndarray]]:
    """Return what the models make of texts, and the weights (texts, 1, steps) for each character of that."""
    encoded, *states = encoder(codes(texts, READ))  # what is padding goes with the outputs, to the attention
    before, said, looked = np.zeros((len(texts), 1), int), [], []
    for _ in range(LENGTH):
        probabilities, *rest = step([before, encoded, *states])
        before, states = probabilities.argmax(-1), rest[:2]
        said.append(before)
        looked += rest[2:]
    return ["".join(SPELLED[k] for k in row) for row in np.concatenate(said, axis=1)], looked


def judge(said: Sequence[str], days: Sequence[datetime.date], slipped: np.ndarray) -> Score:
    """Return the share of days said right: of all, of those with a slip, and of those without."""
    right = np.array([one == str(day) for one, day in zip(said, days, strict=True)])
    return tuple(float(some.mean()) if some.size else None for some in (right, right[slipped], right[~slipped]))


class Judge(Callback):
    """The scores of what the models spell by themselves, after every epoch."""

    def __init__(
        self, encoder: Model, step: Model, texts: list[str], days: list[datetime.date], slipped: np.ndarray
    ) -> None:
        super().__init__()
        self.run, self.texts, self.days, self.slipped = (encoder, step), texts, days, slipped
        self.scores: list[Score] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take them."""
        said, _ = spell(*self.run, self.texts)
        self.scores.append(judge(said, self.days, self.slipped))


def draw(
    path: str,
    curves: dict[str, list[float]],
    of_rules: float,
    texts: Sequence[str],
    said: Sequence[str],
    looked: Sequence[np.ndarray],
) -> None:
    """Save a picture of the scores over epochs and, for some texts, of the weights of what was read."""
    figure, (above, *maps) = common.canvas(
        "Dates into ISO form", panels=1 + len(texts), gridspec_kw={"height_ratios": [1.2] + [1] * len(texts)}
    )
    figure.set_size_inches(11, 14)
    for (name, right), color in zip(curves.items(), (common.BLUE, common.ORANGE), strict=True):
        above.plot(range(1, len(right) + 1), right, color=color, lw=2, label=name)
    above.axhline(of_rules, color=common.GREY, ls="--", lw=1.6, label="rules, for what is spelled right")
    above.set_xlabel("epoch")
    above.set_ylabel("dates of other days right")
    above.set_ylim(0, 1.02)
    above.legend(loc="lower right")
    weights = np.concatenate(looked, axis=1)
    for axes, text, answer, map_ in zip(maps, texts, said, weights, strict=True):
        axes.imshow(map_[:, : len(text)], aspect="auto", cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(text)), text, fontsize=12)
        axes.set_yticks(range(LENGTH), answer, fontsize=11)
        axes.set_ylabel("spelled")
        axes.grid(False)
    maps[-1].set_xlabel("read; the darker, the more weight")
    common.save(figure, path)


if __name__ == "__main__":
    main()
