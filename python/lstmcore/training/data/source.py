"""What every source of batches is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ... import _random
from ..._warnings import warn

# x, y or None, sample_weight or None
Batch = tuple[Any, Any, Any]


class Source:
    """Gives the batches of an epoch.

    Attributes
    ----------
    steps : the number of batches in a pass over the data, or None if nobody knows.
    once : whether the data can be gone through only once, as a generator's.
    kind : what the data come as, for errors.
    """

    steps: int | None = None
    once = False
    kind = "a data set"

    def epoch(self, stream: _random.Stream | None, skip: int = 0) -> Iterator[Batch]:
        """Return the batches of a pass over the data, without the first ``skip``.

        Whatever is random about their order comes from ``stream``, in one call of its ``next`` at most;
        without a stream they come in the order of the data.
        """
        raise NotImplementedError

    def first(self) -> Batch:
        """Return a batch, or a part of one, that shows what the data look like."""
        raise NotImplementedError

    def steps_of(self, limit: int | None) -> Iterator[Batch]:
        """Return the batches of a pass in the order of the data, ``limit`` at most; warn if there are fewer."""
        done = 0
        for batch in itertools.islice(self.epoch(None), limit):
            yield batch
            done += 1
        if limit is not None and done < limit:
            warn_of_the_end()

    def begin_epoch(self) -> None:
        """Take notice of the beginning of an epoch of training."""

    def end_epoch(self) -> None:
        """Take notice of the end of an epoch of training."""

    def position(self) -> Any:
        """Return what `seek` needs to make the next pass the same again, as plain data."""

    def seek(self, position: Any) -> None:
        """Make the next pass the one that came after `position`."""


def warn_of_the_end() -> None:
    """Warn, in Keras's words, that there are fewer batches than were asked for."""
    warn(
        "Your input ran out of data; interrupting training. Make sure that your dataset or generator can generate at "
        "least `steps_per_epoch * epochs` batches.",
    )
