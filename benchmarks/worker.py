"""One library in a process of its own, told on standard input what to do: a line of JSON each way.

Started by run.py as ``worker.py PEER THREADS``, with the process pinned to as many CPUs.
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np
from cells import parse


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
            if "prepare" in request:
                cell = parse(request["prepare"])
                call = peer.prepare(cell, cell.arrays())
                if call is None:
                    answer(unable="not offered")
                    continue
                values = peer.result(call())
                np.savez(request["save"], *values)
                answer(ready=True)
            else:
                answer(times=measure(call, request["seconds"]))
        except Exception as error:  # reported, so that the others go on
            answer(unable=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
