"""The version, the threads and what this build runs on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from . import _core

__version__: str = _core.__version__


def get_num_threads() -> int:
    """Return the largest number of threads a call may use.

    By default what OMP_NUM_THREADS says, or else the smaller of the CPUs this process may run on and the quota of its
    control groups; fewer once it has turned out that so many cannot be started. Small calls use fewer. Results do not
    depend on it.
    """
    return _core.get_num_threads()


def set_num_threads(num_threads: int) -> None:
    """Limit the threads of every later call in this process, 1 to 4096."""
    _core.set_num_threads(num_threads)


@contextmanager
def threads(num_threads: int) -> Iterator[None]:
    """Limit the threads within a ``with`` block.

    >>> import lstmcore
    >>> with lstmcore.threads(1):
    ...     lstmcore.get_num_threads()
    1
    """
    before = get_num_threads()
    set_num_threads(num_threads)
    try:
        yield
    finally:
        set_num_threads(before)


def show_config() -> None:
    """Print version, compiler, instruction sets and threads; worth pasting into a bug report."""
    import platform  # here, because nothing else needs it

    config = _core.config()
    rows = {
        "lstmcore": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "platform": platform.platform(),
        "compiler": config["compiler"],
        "instruction set": f"{config['instruction_set']} ({8 * config['vector_bytes']}-bit vectors)",
        "available": ", ".join(config["available_instruction_sets"]),
        "threads": get_num_threads(),
        "threading": config["threading"],
    }
    mpi = sys.modules.get(f"{__package__}.distributed.mpi")  # if a model has been distributed
    if mpi is not None and (processes := mpi.described()) is not None:
        rows["processes"] = processes
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:{width}}  {value}")
