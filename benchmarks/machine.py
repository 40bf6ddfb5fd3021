"""What is measured on, and what that machine itself can do."""

from __future__ import annotations

import datetime
import os
from typing import Any

from lstmcore import _core
from lstmcore.cli.limits import cpu_name, fma_limit, read_limits

__all__ = ["circumstances", "cpu_name", "fma_limit", "read_limits"]


def circumstances() -> dict[str, Any]:
    """Return when, on what and with which build of lstmcore."""
    return {
        "date": datetime.datetime.now().isoformat(timespec="minutes"),
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)),
        "config": dict(_core.config()),
    }
