"""One library in a process of its own, told on standard input what to do: a line of JSON each way.

Started by run.py as ``worker.py PEER THREADS``, with the process pinned to as many CPUs.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import pathlib
import sys
import time
from dataclasses import replace

import numpy as np
from cells import Cell, parse


def measure(call, seconds: float) -> list[float]:
    """Return the times of single calls, in seconds, for about that long."""
    times: list[float] = []
    start = time.perf_counter()
    while True:
        before = time.perf_counter()
        call()
        after = time.perf_counter()
        times.append(after - before)
        if (after - start > seconds and len(times) >= 3) or len(times) >= 200_000:
            return times


def status(field: str) -> int:
    """Return a size of this process in bytes."""
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(field))


def peak_memory(peer, cell: Cell) -> int:
    """Return how many bytes a call takes at its peak, above those of the process before it."""
    # A small call first, for the code and the threads that come with any call.
    small = replace(cell, batch=1, steps=2, inputs=8, units=8)
    peer.prepare(small, small.arrays())()
    call = peer.prepare(cell, cell.arrays())
    # Linux and its C library: give back what is free, start the high-water mark afresh.
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = status("VmRSS")
    call()
    return status("VmHWM") - before


def main() -> None:
    name, threads = sys.argv[1], int(sys.argv[2])
    # Whatever the library prints must not disturb the protocol.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    from peers import PEERS

    def answer(**values: object) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    try:
        peer = PEERS[name](threads)
    except ImportError as error:
        answer(error=str(error))
        return
    answer(version=peer.version)
    call = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "seconds" in request:
                answer(times=measure(call, request["seconds"]))
                continue
            cell = replace(parse(request["cell"]), precision=request.get("precision", "float32"))
            missing = cell.needs - peer.offers
            if missing:
                answer(unable=f"not offered: {', '.join(sorted(missing))}")
            elif "save" in request:
                call = peer.prepare(cell, cell.arrays())
                values = peer.result(call())
                np.savez(request["save"], *values)
                answer(ready=True)
            else:
                answer(bytes=peak_memory(peer, cell))
        except Exception as error:  # reported, so that the others go on
            answer(unable=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
