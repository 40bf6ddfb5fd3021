"""What all subcommands share: the parser, errors as one line, and the end of a pipe."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

from .._config import __version__
from .._screen import PLAIN
from . import bench, check, convert, info, summary

_SUBCOMMANDS = (info, summary, convert, bench, check)
# What a person can mend; all else is a fault of ours, and a traceback says where.
_ERRORS = (OSError, ValueError, TypeError, ImportError, NotImplementedError)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all arguments."""
    top = argparse.ArgumentParser("python -m lstmcore", description="LSTM, GRU and simple recurrent networks on a CPU.")
    top.add_argument("--version", action="version", version=f"lstmcore {__version__}")
    top.set_defaults(run=info.run)  # without a subcommand
    subcommands = top.add_subparsers(title="subcommands", metavar="{info,summary,convert,bench,check}")
    for module in _SUBCOMMANDS:
        module.add(subcommands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its status: 0, 1 after an error, 2 for arguments it does not know.

    >>> from lstmcore.cli.main import main
    >>> main(["summary", "no_such_file.safetensors"])
    1
    """
    if hasattr(sys.stdout, "reconfigure"):  # a terminal or pipe of ASCII
        sys.stdout.reconfigure(errors=PLAIN)
    arguments = parser().parse_args(argv)
    try:
        for module in getattr(arguments, "imported", ()):
            _import(module)
        status: int = arguments.run(arguments)
        print(end="", flush=True)  # there is no stdout to flush where it is closed
    except BrokenPipeError:
        # The reader has what it wanted, as `head`. What is left to write at exit goes nowhere.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130  # as a shell says of a process that was interrupted
    except _ERRORS as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        print(f"lstmcore: error: {' '.join(lines) or type(error).__name__}", file=sys.stderr)
        return 1
    return status


def _import(module: str) -> None:
    # As for `python -m`, modules of the directory that one stands in are found.
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    importlib.import_module(module)
