"""What the machine itself can do, measured with the instruction set in use."""

from __future__ import annotations

import platform
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .. import _core

# Sizes in KB that fit the first, second and third cache of the CPUs we know, and one that fits none.
LEVELS = {"L1": 24, "L2": 512, "L3": 8 << 10, "memory": 256 << 10}


def fma_limit(threads: int) -> float:
    """Float32 multiply-adds in registers, in floating point operations a second."""
    rounds = 5_000_000

    def loop(_: int) -> float:
        return _core.multiply_add_loop(rounds, False)

    with ThreadPoolExecutor(threads) as pool:
        best = 0.0
        for _ in range(30):  # a quarter of a second: others may be using the CPUs
            before = time.perf_counter()
            work = sum(pool.map(loop, range(threads)))
            best = max(best, work / (time.perf_counter() - before))
    return best


def read_limits() -> dict[str, float]:
    """Bytes a second that one thread reads from each level of memory."""
    result = {}
    for level, kilobytes in LEVELS.items():
        data = np.ones(kilobytes << 8, np.float32)
        rounds = max(1, (256 << 10) // kilobytes)
        best = 0.0
        for _ in range(4):
            before = time.perf_counter()
            _core.read_loop(data, rounds)
            best = max(best, rounds * data.nbytes / (time.perf_counter() - before))
        result[level] = best
    return result


def cpu_name() -> str:
    """The CPU's own name for itself."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        keys = {k.strip(): v.strip() for k, v in fields.items()}
        return f"{keys['model name']} (family {keys['cpu family']}, model {keys['model']})"
    except (OSError, KeyError):
        return platform.processor()
