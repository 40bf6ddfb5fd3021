"""From the outputs of a network trained with CTC to labels: greedy, or by beam search with a language model."""

from .ctc import beam_search, ctc_decode, greedy
from .ngram import NGram

__all__ = ["NGram", "beam_search", "ctc_decode", "greedy"]
