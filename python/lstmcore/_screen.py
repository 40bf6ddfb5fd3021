"""What is being looked at: a terminal, a notebook, or a file; what each can show; and bars for the first two."""

from __future__ import annotations

import codecs
import sys
import time
import warnings
from typing import Any

# What stands for our letters where a stream has no place for them: ASCII, or an old code page of 256.
_PLAIN = {ord(c): "-" for c in "─"} | {ord(c): "+" for c in "┌┬┐├┼┤└┴┘"} | {ord("│"): "|", ord("━"): "=", ord("█"): "#"}
PLAIN = "lstmcore.plain"  # the name of this among what Python does about letters that an encoding has not


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(ord(c), "?") for c in error.object[error.start : error.end]), error.end


codecs.register_error(PLAIN, _plain)


def plain(text: str) -> str:
    """Return a text as standard output can show it: lines of ASCII for those of a table, ? for other letters."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # a stream of somebody's own need not have one
    return text if text.isascii() else text.encode(encoding, PLAIN).decode(encoding)


def show(text: str) -> None:
    """Print a line, whatever letters it has."""
    print(plain(text), flush=True)


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook; one that nobody has imported IPython for is none."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def is_watched() -> bool:
    """Whether somebody sees what is printed as it comes, on a terminal or in a notebook."""
    isatty = getattr(sys.stdout, "isatty", None)  # there is no standard output where it is closed
    return (isatty is not None and isatty()) or in_notebook()


def has_widgets() -> bool:
    """Whether bars of a notebook are widgets, each in a place of its own."""
    if not in_notebook():
        return False
    try:
        import ipywidgets  # noqa: F401 - whether it is there
    except ImportError:
        return False
    return True


def bar(total: int | None, since: float | None = None, **options: Any) -> Any:
    """Return a bar of tqdm's: a widget in a notebook that has them, otherwise text that leaves with the last update.

    Parameters
    ----------
    total : of what is counted, if known.
    since : when it began, by `time.perf_counter`.
    options : further ones of tqdm's.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a notebook has no widgets: the text does
        from tqdm.auto import tqdm  # here, because importing it takes longer than lstmcore itself
    widgets = has_widgets()
    if not widgets:
        import shutil

        # A terminal that says its width is 0 has the 80 characters of one that does not say; and its height is of no
        # matter, as there is one bar at a time.
        options |= {"ncols": shutil.get_terminal_size().columns, "nrows": 20, "ascii": plain(" ━")}
    length = "{bar}" if widgets else "{bar:30}"
    made = tqdm(
        total=total,
        bar_format=options.pop(
            "bar_format",
            "{n_fmt} {elapsed}{postfix}"
            if total is None
            else f"{{n_fmt}}/{{total_fmt}} {length} {{elapsed}}{{postfix}}",
        ),
        leave=False,
        file=sys.stdout,
        disable=sys.stdout is None,
        mininterval=0,
        **options,
    )
    if since is not None and not made.disable:
        made.start_t -= time.perf_counter() - since
    return made
