"""Epochs from a source: passes over the data, or so many batches at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ... import _random
from .source import Batch, Source, warn_of_the_end


class Feed:
    """Gives the batches of one epoch after the other.

    Parameters
    ----------
    source : where they come from.
    stream : decides what is random about their order.
    steps : batches of an epoch; the next epoch goes on where this one stopped. None: an epoch is a
        pass over the data.

    Attributes
    ----------
    finished : whether there will be no more batches: the generator has ended.
    """

    def __init__(self, source: Source, stream: _random.Stream, steps: int | None = None) -> None:
        self.source, self.stream, self.steps = source, stream, steps
        self.finished = False
        self._pass: Iterator[Batch] | None = None
        self._calls = stream.calls  # of the stream, before the pass under way
        self._mark = source.position()  # the source's, before the pass under way
        self._offset = 0  # batches of that pass that earlier epochs have had
        self._skip = 0  # batches of this epoch that were done before it was resumed

    def epoch(self) -> Iterator[Batch]:
        """Return the batches of the next epoch."""
        steps, done = self.steps, self._skip
        self._skip = 0
        self.source.begin_epoch()
        if self._pass is None:
            self._open(self._offset + done)
        while steps is None or done < steps:
            assert self._pass is not None
            batch = next(self._pass, None)
            if batch is not None:
                yield batch
                done += 1
            elif not done and self._offset and not self.source.once:  # the epoch before ended with the data
                self._open(0)
            else:
                self._pass = None
                self.finished = self.source.once
                break
        if self._pass is None and steps is not None and done < steps:
            warn_of_the_end()
        self._offset += done
        if self._offset == self.source.steps:
            self._pass = None
        if self._pass is None:
            self._restart()
        self.source.end_epoch()

    def _open(self, skip: int) -> None:
        if not skip:
            self._restart()
        self._pass = self.source.epoch(self.stream, skip)

    def _restart(self) -> None:
        self._calls, self._mark, self._offset = self.stream.calls, self.source.position(), 0

    def position(self, done: int) -> dict[str, Any]:
        """Return where the feed is with ``done`` batches of its epoch trained on, as plain data."""
        where = {"calls": self._calls, "mark": self._mark, "offset": self._offset, "done": done}
        return where | {"kind": self.source.kind}

    def seek(self, position: dict[str, Any]) -> None:
        """Make the next `epoch` the rest of the one that `position` told of."""
        if position["kind"] == self.source.kind:
            self._mark = position["mark"]
            self.source.seek(self._mark)
        elif position["done"] or position["offset"]:  # in the middle of data that these are not
            raise ValueError(
                f"x: expected {position['kind']}, as in the training that was interrupted, got {self.source.kind}"
            )
        self.stream.calls = self._calls = position["calls"]
        self._offset, self._skip = position["offset"], position["done"]
        self._pass = None
