"""From outputs to labels: of networks trained with CTC, greedy or by beam search; and draws of the next token."""

from .ctc import beam_search, ctc_decode, greedy
from .ngram import NGram
from .sampling import sample

__all__ = ["NGram", "beam_search", "ctc_decode", "greedy", "sample"]
