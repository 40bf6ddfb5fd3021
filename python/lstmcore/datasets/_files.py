"""Where the files of data sets are: looked for, cached, fetched."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from .. import _screen


def cache_folder() -> Path:
    """Return the folder for files that can be made or fetched again; it need not exist yet.

    ``$LSTMCORE_CACHE``, or else "lstmcore" in what the platform has for caches.
    """
    if chosen := os.environ.get("LSTMCORE_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "lstmcore"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "lstmcore"


def folders() -> list[Path]:
    """Return where files are looked for: ``$LSTMCORE_DATA``, then the cache folder."""
    chosen = os.environ.get("LSTMCORE_DATA")
    return [*([Path(chosen).expanduser()] if chosen else []), cache_folder()]


def find(*names: str) -> Path | None:
    """Return the first of these that exists, folder by folder."""
    return next((path for folder in folders() for name in names if (path := folder / name).exists()), None)


def fetch(url: str, name: str, checksum: str, instead: str) -> Path:
    """Fetch a file into the cache folder and return its path.

    Raises
    ------
    FileNotFoundError
        It cannot be fetched; the message says why, and, with ``instead``, what else to do.
    """
    looked = f"not found in {' or '.join(map(str, folders()))} ($LSTMCORE_DATA, $LSTMCORE_CACHE)"
    try:
        import pooch
    except ImportError:
        raise FileNotFoundError(
            f'{name}: {looked}; install "lstmcore[data]" to have it fetched from {url}, or {instead}'
        ) from None
    try:
        return Path(pooch.retrieve(url, checksum, fname=name, path=cache_folder(), progressbar=_bar(name)))
    except Exception as error:  # pooch hands on whatever requests, urllib3 or the system raise
        raise FileNotFoundError(f"{name}: {looked}, and fetching {url} failed ({error}); {instead}") from error


def _bar(name: str) -> Any:
    """Return a bar that pooch moves, if somebody is watching; its total is what the server says, set by pooch."""
    if not _screen.is_watched():
        return False
    return _screen.bar(1, desc=name, unit="B", unit_scale=True)
