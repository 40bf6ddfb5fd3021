"""Ctrl-C at a moment that suits."""

from __future__ import annotations

import signal
import sys
import threading
import types


class DeferredInterrupt:
    """Within a ``with`` block, Ctrl-C waits until `check` is called, so that no step is left half done.

    A second Ctrl-C does not wait.
    """

    def __enter__(self) -> DeferredInterrupt:
        self._pressed = False
        self._caller: types.FrameType | None = sys._getframe(1)
        # Only the main thread receives signals, and only Python's own handler is ours to replace.
        self._ours = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._ours:
            signal.signal(signal.SIGINT, self._press)
        return self

    def _press(self, number: int, frame: types.FrameType | None) -> None:
        if not self._runs(frame):  # an exception from another signal came in between, and the block is over
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True

    def _runs(self, frame: types.FrameType | None) -> bool:
        """Return whether the function with the block is among those that run."""
        while frame is not None and frame is not self._caller:
            frame = frame.f_back
        return frame is not None

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self._pressed:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._caller = None
