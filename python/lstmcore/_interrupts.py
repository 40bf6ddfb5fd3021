"""Ctrl-C at a moment that suits."""

from __future__ import annotations

import signal
import threading
import types


class DeferredInterrupt:
    """Within a ``with`` block, Ctrl-C waits until `check` is called, so that no step is left half done.

    A second Ctrl-C does not wait.
    """

    def __enter__(self) -> DeferredInterrupt:
        self._pressed = False
        # Only the main thread receives signals, and only Python's own handler is ours to replace.
        self._ours = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._ours:
            signal.signal(signal.SIGINT, self._press)
        return self

    def _press(self, number: int, frame: types.FrameType | None) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self._pressed:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
