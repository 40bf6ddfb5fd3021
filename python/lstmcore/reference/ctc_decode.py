"""Decoding of what a network trained with CTC puts out, one utterance at a time, in plain Python.

Graves, Fernández, Gomez & Schmidhuber 2006, "Connectionist temporal classification"; Graves & Jaitly 2014, "Towards
end-to-end speech recognition with recurrent neural networks", algorithm 1; Hannun, Maas, Jurafsky & Ng 2014,
"First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs", algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .activations import Array

Labels = tuple[int, ...]


def log_add(a: float, b: float) -> float:
    """Return log(exp(a) + exp(b))."""
    a, b = max(a, b), min(a, b)
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))


def ctc_greedy(log_probabilities: Array, blank: int = 0, merge_repeated: bool = True) -> tuple[list[int], float]:
    """Return the labels of the most probable path, repeats and blanks taken out, and its log probability.

    ``log_probabilities`` is (steps, classes).
    """
    path = [int(frame.argmax()) for frame in log_probabilities]
    score = sum((float(frame[c]) for frame, c in zip(log_probabilities, path, strict=True)), 0.0)
    labels = [c for t, c in enumerate(path) if c != blank and not (merge_repeated and t > 0 and path[t - 1] == c)]
    return labels, score


def ctc_beam_search(
    log_probabilities: Array,
    blank: int = 0,
    beam_width: int = 100,
    top_paths: int = 1,
    cutoff: float = -math.inf,
    lm: Callable[[Labels, int], float] | None = None,
    alpha: float = 1.0,
    beta: float = 0.0,
) -> list[tuple[Labels, float]]:
    """Return labelings and their scores, the best first.

    The paths of a prefix l, up to a step, are those that end in a blank, of probability p_b(l), and those that end in
    its last label, p_n(l). A frame with probabilities y makes of them::

        p_b'(l)  = (p_b(l) + p_n(l)) y[blank]
        p_n'(l)  = p_n(l) y[last of l]  +  the share of the prefix without its last label, where that is in the beam
        p_n'(lc) = (p_b(l) + p_n(l)) y[c], but only p_b(l) y[c] where c is the last of l already

    Then the ``beam_width`` prefixes with the largest log(p_b + p_n) + sum over labels of (alpha log p(label | before)
    + beta) are kept. Of equal ones, those come first that were in the beam before, then those whose parent stood
    further in front, then the lower label; in the end, the lower labels.
    """
    beam: list[tuple[Labels, float, float]] = [((), 0.0, -math.inf)]  # prefix, log p_b, log p_n
    bonus: dict[Labels, float] = {(): 0.0}
    for frame in log_probabilities:
        y = [float(v) for v in frame]
        new = {prefix: [-math.inf, -math.inf] for prefix, _, _ in beam}
        for prefix, p_b, p_n in beam:
            new[prefix][0] = log_add(p_b, p_n) + y[blank]
            if prefix:
                new[prefix][1] = p_n + y[prefix[-1]]
        for prefix, p_b, p_n in beam:
            for c in range(len(y)):
                if c == blank or y[c] < cutoff:
                    continue
                extended = (*prefix, c)
                share = (p_b if prefix and prefix[-1] == c else log_add(p_b, p_n)) + y[c]
                paths = new.setdefault(extended, [-math.inf, -math.inf])
                paths[1] = log_add(paths[1], share)
                if extended not in bonus:
                    spoken = alpha * lm(prefix, c) if lm and alpha > 0 else 0.0
                    bonus[extended] = bonus[prefix] + (spoken + beta)
        ranks = {prefix: log_add(*paths) + bonus[prefix] for prefix, paths in new.items()}
        best = sorted((p for p in new if ranks[p] > -math.inf), key=lambda p: -ranks[p])[:beam_width]
        beam = [(prefix, new[prefix][0], new[prefix][1]) for prefix in best]
    scores = [(prefix, log_add(p_b, p_n) + bonus[prefix]) for prefix, p_b, p_n in beam]
    return sorted(scores, key=lambda found: (-found[1], found[0]))[:top_paths]
