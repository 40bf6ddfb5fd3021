"""Training and prediction on more than one process: the same bits on any number of them.

`MPI` for ``compile(..., distribute=MPI(shards=8))``, and `predict` for data that Dask holds. ``model.distribute`` does
the first in one line.
"""

from .communicator import Alone, Communicator
from .distribution import Distribution
from .large import predict
from .mpi import MPI

__all__ = ["MPI", "Alone", "Communicator", "Distribution", "predict"]
