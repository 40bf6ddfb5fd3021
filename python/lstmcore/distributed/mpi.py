"""Processes that MPI connects."""

from __future__ import annotations

import os
import pickle
import sys
import time
import types
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arguments import number
from .._config import get_num_threads, set_num_threads
from .communicator import Alone, Communicator
from .distribution import Distribution

Array = NDArray[Any]

# By which launchers tell a process that it is one of several: their number, or its own.
_SIGNS = ("PMI_SIZE", "PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_SIZE")


class MPICommunicator(Communicator):
    """The processes that ``mpiexec`` has started.

    Parameters
    ----------
    timeout : seconds that a process waits for the others.
    comm : an ``mpi4py.MPI.Comm``; a copy of ``COMM_WORLD`` by default.

    Raises
    ------
    ImportError
        mpi4py is missing.
    RuntimeError
        The MPI does not allow for threads.
    """

    def __init__(self, timeout: float = 600.0, comm: Any = None) -> None:
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:
            raise ImportError(
                "MPI: needs mpi4py and an MPI library (pip install 'lstmcore[mpi]', and mpich if the system has no "
                f"MPI): {error}"
            ) from error
        if MPI.Query_thread() < MPI.THREAD_FUNNELED:
            raise RuntimeError(
                "MPI: expected an MPI that allows for threads (MPI_THREAD_FUNNELED or more), got MPI_THREAD_SINGLE; "
                "set mpi4py.rc.thread_level = 'multiple' before mpi4py.MPI is imported, or build MPI with threads"
            )
        self.timeout = number("MPI: timeout", timeout, "(0, inf)")
        self._mpi, self._comm = MPI, (comm or MPI.COMM_WORLD).Dup()
        self.rank, self.size = self._comm.Get_rank(), self._comm.Get_size()
        self.local_size: int = self._comm.Split_type(MPI.COMM_TYPE_SHARED).Get_size()
        self.sent = 0  # bytes, to other processes, by `exchange`
        if self.size > 1:
            _abort_on_exceptions(self._comm)

    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        """Send each process a part, return what came; see `Communicator.exchange`."""
        counts = np.array([part.size for part in parts], np.int64)
        sizes = np.empty_like(counts)
        self._wait(self._comm.Ialltoall(counts, sizes))
        out, came = np.concatenate([part.reshape(-1) for part in parts]), np.empty(sizes.sum(), parts[0].dtype)
        kind = self._mpi._typedict[out.dtype.char]
        starts = [np.concatenate([[0], np.cumsum(n)[:-1]]) for n in (counts, sizes)]
        self._wait(self._comm.Ialltoallv([out, (counts, starts[0]), kind], [came, (sizes, starts[1]), kind]))
        self.sent += int(counts.sum() - counts[self.rank]) * out.itemsize
        return np.split(came, np.cumsum(sizes)[:-1])

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, which go there by pickle."""
        own = np.frombuffer(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), np.uint8)
        sizes = np.empty(self.size, np.int64)
        self._wait(self._comm.Iallgather(np.array([own.size], np.int64), sizes))
        came = np.empty(sizes.sum(), np.uint8)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        kind = self._mpi.BYTE
        self._wait(self._comm.Iallgatherv([own, kind], [came, (sizes, starts), kind]))
        return [pickle.loads(part.tobytes()) for part in np.split(came, np.cumsum(sizes)[:-1])]

    def _wait(self, request: Any) -> None:
        """Wait for what was asked for, without taking the processor from who is still computing."""
        begun = time.perf_counter()
        while not request.Test():
            waited = time.perf_counter() - begun
            if waited > self.timeout:
                raise TimeoutError(
                    f"MPI: process {self.rank} of {self.size} has waited {self.timeout:g} s for the others: one has "
                    "ended, hangs, or does not call what the others do (fit, evaluate and predict are for all of them)"
                )
            time.sleep(0 if waited < 1e-3 else 1e-4)


def _abort_on_exceptions(comm: Any) -> None:
    """Let an exception that ends this process end all: the others would wait for it."""
    show = sys.excepthook

    def end(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
        print(f"lstmcore: process {comm.Get_rank()} of {comm.Get_size()} ends, and all with it:", file=sys.stderr)
        show(kind, error, trace)
        sys.stderr.flush()
        sys.stdout.flush()
        comm.Abort(1)

    sys.excepthook = end


_connections: dict[float, MPICommunicator] = {}  # by their timeouts, for all models


def _connected(timeout: float) -> Communicator:
    """Return what connects the processes; the first time, share the machine's threads among them."""
    if timeout not in _connections:
        communicator = MPICommunicator(timeout)
        if not _connections and "OMP_NUM_THREADS" not in os.environ:
            set_num_threads(max(1, get_num_threads() // communicator.local_size))
        _connections[timeout] = communicator
    return _connections[timeout]


def described() -> str | None:
    """Return what `show_config` tells of the processes; None if there is one."""
    for one in _connections.values():
        return f"{one.size} over MPI, {one.local_size} of them on this machine; this is number {one.rank}"
    return None


class MPI(Distribution):
    """Trains on all processes that ``mpiexec`` has started, bit for bit as in one with as many shards.

    >>> import numpy as np
    >>> from lstmcore import Sequential, layers
    >>> model = Sequential([layers.LSTM(4, input_shape=(None, 2)), layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> model.distribute(shards=4)  # mpiexec -n 2 python train.py: the same bits as python train.py
    >>> len(model.fit(np.ones((8, 5, 2)), np.ones(8), verbose=0).history["loss"])
    1

    A process is limited to its share of the machine's threads, unless OMP_NUM_THREADS says otherwise.

    Parameters
    ----------
    shards : pieces that every batch is cut into; at least as many as there are processes.
    timeout : seconds that a process waits for the others before it ends with an error, and all with it.

    Raises
    ------
    ImportError
        There are several processes, and mpi4py is missing.
    ValueError
        There are more processes than shards.
    """

    def __init__(self, shards: int = 8, timeout: float = 600.0) -> None:
        waits = number("MPI: timeout", timeout, "(0, inf)")
        started = any(os.environ.get(name, "").isdigit() for name in _SIGNS) or "mpi4py.MPI" in sys.modules
        super().__init__(shards, _connected(waits) if started else Alone())
