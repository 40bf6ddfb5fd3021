"""Language models of n-grams: read from the ARPA's format, or counted in a text."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .. import _core
from .._arguments import flag, items, mapping, number, path, positive_integer, strings

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0  # what the format's tools write for the logarithm of 0, as for a begin that is never predicted
_LONGEST = 100  # nothing that is counted has contexts of more tokens
Entries = Mapping[tuple[str, ...], tuple[float, float]]


def texts(name: str, values: Iterable[str]) -> list[str]:
    """Return strings that the core can hold, or raise TypeError or ValueError."""
    found = strings(name, values)
    for text in found:
        if any("\ud800" <= c <= "\udfff" for c in text):
            raise ValueError(f"{name}: expected text without lone surrogates, got {text!r}")
    return found


class NGram:
    """Log probabilities of a token after others, with backoff to shorter contexts.

    >>> from lstmcore.decoders import NGram
    >>> model = NGram.from_text(["abab", "ab"], order=2)
    >>> model
    <NGram order=2 tokens=5>
    >>> model.score("ab") > model.score("ba")
    True

    Made by `from_arpa` or `from_text`.

    Parameters
    ----------
    entries : {tokens: (log10 probability, log10 backoff)}; tokens are tuples of strings.
    unknown : log10 probability of a token that is not among them, where "<unk>" is not either. -100, as in KenLM.

    Attributes
    ----------
    order : the most tokens of an entry.
    tokens : all the single tokens, sorted.

    Notes
    -----
    "<s>" and "</s>" stand for the begin and the end of a text, where they are among the tokens. The model is a table
    in the core, which threads may share.
    """

    def __init__(self, entries: Entries, unknown: float = -100.0) -> None:
        self.unknown = number("unknown", unknown, "[-inf, 0]")
        if not mapping("entries", entries):
            raise ValueError("entries: expected n-grams, got none")
        for tokens, numbers in entries.items():
            if not isinstance(numbers, (tuple, list)) or len(numbers) != 2:
                raise TypeError(f"entries: expected a probability and a backoff for each, got {numbers!r}")
            log_probability, backoff = numbers
            if not isinstance(tokens, tuple) or not tokens or "" in texts("entries", tokens):
                raise TypeError(f"entries: expected tuples of strings, got {tokens!r}")
            number(f"entries: {' '.join(tokens)}", log_probability, "[-inf, 0]")
            number(f"entries: {' '.join(tokens)}: backoff", backoff, "[-1e6, 1e6]")
        self.order = max(map(len, entries))
        self.tokens = sorted({token for tokens in entries for token in tokens})
        index = {token: k for k, token in enumerate(self.tokens)}
        # "<UNK>" is how some tools spell it.
        unknown_token = next((index[t] for t in (UNKNOWN, UNKNOWN.upper()) if t in index), -1)
        ln10 = math.log(10)
        table = [([index[t] for t in tokens], p * ln10, b * ln10) for tokens, (p, b) in entries.items()]
        begin, end = index.get(BEGIN, -1), index.get(END, -1)
        self._table = _core.NGramTable(self.tokens, table, begin, end, unknown_token, self.unknown * ln10)

    def score(self, tokens: str | Sequence[str], *, begin: bool = True, end: bool = True) -> float:
        """Return the natural log probability of tokens, or of the characters of a string.

        With ``begin`` they stand at the begin of a text, with ``end`` the end of one follows; either only where the
        model knows it.
        """
        return sum(self.scores(tokens, begin=begin, end=end), 0.0)

    def scores(self, tokens: str | Sequence[str], *, begin: bool = True, end: bool = True) -> list[float]:
        """Return the same for each token, and for the end."""
        return self._table.scores(texts("tokens", tokens), flag("begin", begin), flag("end", end))

    @classmethod
    def from_arpa(cls, source: str | os.PathLike[str] | Iterable[str], unknown: float = -100.0) -> NGram:
        r"""Read a model in the ARPA's format.

        >>> from lstmcore.decoders import NGram
        >>> lines = ["\\data\\", "ngram 1=2", "\\1-grams:", "-0.3 a", "-0.3 b", "\\end\\"]
        >>> round(NGram.from_arpa(lines).score("ab"), 3)  # 10 ** -0.3 each
        -1.382

        Parameters
        ----------
        source : the path of a file in UTF-8, or its lines.
        unknown : as for `NGram`.

        Raises
        ------
        ValueError
            Not in that format: the message has the number of the line.
        """
        if not isinstance(source, (str, os.PathLike)):
            return cls(_parse(items("source", source, "a path or lines of text")), unknown)
        with Path(path("source", source)).open(encoding="utf-8-sig") as file:
            try:
                entries = _parse(file)
            except UnicodeDecodeError as error:
                raise ValueError(f"source: expected a file in UTF-8, got {source} ({error})") from None
        return cls(entries, unknown)

    @classmethod
    def from_text(
        cls, texts: Iterable[str | Sequence[str]], order: int = 3, smoothing: float = 0.5, words: bool = False
    ) -> NGram:
        """Count the n-grams of texts, each with a begin and an end.

        Parameters
        ----------
        texts : strings, or sequences of tokens.
        order : the longest n-gram.
        smoothing : between 0 and 1, taken off every count, so that what was not seen has a share: absolute
            discounting (Ney, Essen & Kneser 1994), with backoff. Of single tokens, that share is "<unk>"'s.
        words : strings are split at white space, not into characters.
        """
        order, words = positive_integer("order", order), flag("words", words)
        if order > _LONGEST:
            raise ValueError(f"order: expected at most {_LONGEST}, got {order}")
        smoothing = number("smoothing", smoothing, "[1e-300, 1)")  # below, shares of it would be no normal numbers
        if isinstance(texts, str):
            raise TypeError(f"texts: expected a sequence of strings, got a string, {texts[:20]!r}")
        counts: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(order)]
        for text in items("texts", texts, "a sequence of strings"):
            tokens = (
                text.split()
                if words and isinstance(text, str)
                else items("texts", text, "a string or a sequence of tokens")
            )
            for token in tokens:
                if not isinstance(token, str) or token in (BEGIN, END, UNKNOWN, ""):
                    raise ValueError(f"texts: expected tokens other than {BEGIN}, {END} and {UNKNOWN}, got {token!r}")
            tokens = [BEGIN, *tokens, END]
            for n in range(1, order + 1):
                counts[n - 1].update(tuple(tokens[k - n + 1 : k + 1]) for k in range(max(1, n - 1), len(tokens)))
        if not counts[0]:
            raise ValueError("texts: expected at least one, got none")
        return cls(_discounted(counts, smoothing))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} order={self.order} tokens={len(self.tokens)}>"


def _discounted(counts: Sequence[Counter[tuple[str, ...]]], discount: float) -> dict[tuple[str, ...], Any]:
    """Return the entries: of a token seen after a context, (count - discount) / count of the context."""
    p: dict[tuple[str, ...], float] = {}
    totals: Counter[tuple[str, ...]] = Counter()
    seen: dict[tuple[str, ...], list[str]] = {}
    for count in counts:
        for (*context, token), c in count.items():
            totals[tuple(context)] += c
            seen.setdefault(tuple(context), []).append(token)
    for count in counts:
        for tokens, c in count.items():
            p[tokens] = (c - discount) / totals[tokens[:-1]]
    p[(UNKNOWN,)] = discount * len(seen[()]) / totals[()]
    entries = {tokens: (math.log10(value), 0.0) for tokens, value in p.items()}
    entries[(BEGIN,)] = (NEVER, 0.0)
    left = {history: discount * len(after) / totals[history] for history, after in seen.items()}
    for history, after in seen.items():
        if not history:
            continue
        # What is left for the tokens not seen here, over what they have together in the shorter context: what is left
        # there, and what those have that were seen there. (One less the others would cancel.)
        shorter = history[1:]
        rest = math.fsum([left[shorter], *(p[(*shorter, token)] for token in set(seen[shorter]).difference(after))])
        entries[history] = (entries[history][0], math.log10(left[history] / rest))
    return entries


def _parse(lines: Iterable[str]) -> dict[tuple[str, ...], tuple[float, float]]:
    """Return {tokens: (log10 probability, log10 backoff)} of a file in the ARPA's format."""
    declared: dict[int, int] = {}
    entries: dict[tuple[str, ...], tuple[float, float]] = {}
    found: Counter[int] = Counter()
    order = -1  # -1 before \data\, 0 within, then that of the section
    for at, line in _stripped(lines):
        wrong = partial(_wrong, at, line)
        if order == -1:  # anything may stand before
            order = 0 if line == "\\data\\" else -1
        elif line == "\\end\\":
            break
        elif line.startswith("\\"):
            section = re.fullmatch(r"\\(\d+)-grams:", line)
            if not section or int(section[1]) not in declared:
                raise wrong(f"a section of {sorted(declared)} like \\1-grams:, or \\end\\")
            order = int(section[1])
        elif order == 0:
            count = re.fullmatch(r"ngram\s+(\d+)\s*=\s*(\d+)", line)
            if not count or int(count[1]) < 1:
                raise wrong("a count like ngram 1=20")
            declared[int(count[1])] = int(count[2])
        else:
            # The ARPA's separators are blanks; other white space may be a token.
            fields = re.split(r"[ \t]+", line)
            if len(fields) not in (order + 1, order + 2):
                raise wrong(f"a probability, {order} tokens and at most a backoff")
            try:
                p, backoff = float(fields[0]), float(fields[order + 1]) if len(fields) == order + 2 else 0.0
            except ValueError:
                raise wrong("numbers around the tokens") from None
            if not p <= 0 or not abs(backoff) <= 1e6:
                raise wrong("a log10 probability of at most 0, and a backoff from -1e6 to 1e6")
            tokens = tuple(fields[1 : order + 1])
            if tokens in entries:
                raise wrong("every n-gram once")
            entries[tokens] = (p, backoff)
            found[order] += 1
    else:
        missing = "\\data\\" if order == -1 else "\\end\\"
        raise ValueError(f"source: expected a line {missing}, got none")
    for n, count_of_n in declared.items():
        if found[n] != count_of_n:
            raise ValueError(f"source: expected {count_of_n} {n}-grams, as \\data\\ says, got {found[n]}")
    return entries


def _wrong(at: int, line: str, expected: str) -> ValueError:
    return ValueError(f"source: line {at}: expected {expected}, got {line!r}")


def _stripped(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    for k, line in enumerate(lines, 1):
        if not isinstance(line, str):
            raise TypeError(f"source: expected a path or lines of text, got {line!r}")
        text = line.strip(" \t\r\n")
        if text:
            yield k, text
