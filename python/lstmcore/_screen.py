"""What is being looked at: a terminal, a notebook, or a file; and bars for the first two."""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook; one that nobody has imported IPython for is none."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def is_watched() -> bool:
    """Whether somebody sees what is printed as it comes, on a terminal or in a notebook."""
    return sys.stdout.isatty() or in_notebook()


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
        options |= {"ncols": shutil.get_terminal_size().columns, "nrows": 20, "ascii": " ━"}
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
        mininterval=0,
        **options,
    )
    if since is not None:
        made.start_t -= time.perf_counter() - since
    return made
