"""``info``: what this installation runs on."""

from __future__ import annotations

import argparse
from typing import Any

from .._config import show_config


def add(subcommands: Any) -> None:
    """Add the subcommand."""
    words = "print version, compiler, instruction sets and threads (also without a subcommand)"
    subcommands.add_parser("info", help=words, description=words).set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print it."""
    show_config()
    return 0
