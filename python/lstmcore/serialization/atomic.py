"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import time
from pathlib import Path

_NAME_KEPT = 100  # bytes of a file's name in that of the temporary file, which must not become too long itself
_ABANDONED_AFTER = 60.0  # seconds; by then whoever made a temporary file has locked it, if it is alive


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to a file such that at any time, whatever happens, it holds either the old content or the new.

    The data goes to a temporary file beside it, ``.<name>.<random>.tmp``, then to the disk, and then
    takes the name. On an error the temporary file is removed; one that a killed process has left is
    removed by the next `write` to that name, once it is a minute old. A link stays, and the file that it leads to is
    replaced. What is no file, a terminal or a pipe (``/dev/stdout`` also where it leads to a file), is written to, as
    any program would, and not replaced.

    Raises
    ------
    OSError
        The folder is missing or cannot be written to, the disk is full, or ``path`` is a folder, a disk or a socket.
    """
    descriptor = _stream(path)
    if descriptor is not None:
        with open(descriptor, "wb") as stream:
            stream.write(data)
        return
    target = Path(os.path.realpath(path))  # through a link, to the file itself
    _remove_abandoned(target)
    try:
        _replace(target, data)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error  # not that of the temporary file


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f"{_stem(target)}{os.urandom(8).hex()}.tmp")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(file, "wb") as stream:
            fcntl.flock(file, fcntl.LOCK_EX)  # released with the process: says that somebody is at it
            with contextlib.suppress(FileNotFoundError, PermissionError):
                os.fchmod(file, target.stat().st_mode & 0o7777)
            stream.write(data)
            stream.flush()
            os.fsync(file)
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _stream(path: str | os.PathLike[str]) -> int | None:
    """Return a descriptor of what is to be written to instead of replaced; refuse what is neither."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path}: expected the name of a file, got a folder")
    # A file that is open already, by its descriptor: whoever has it open would go on with the one that was replaced.
    link = os.fspath(path)
    for _ in range(40):  # the most links that the system itself follows
        folder, name = os.path.realpath(os.path.dirname(link)), os.path.basename(link)
        if folder == f"/proc/{os.getpid()}/fd" and name.isdigit():
            return os.dup(int(name))  # opened anew, it would begin at the beginning
        if not os.path.islink(link):
            break
        link = os.path.join(folder, os.readlink(link))
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    if not stat.S_ISREG(mode):
        raise OSError(f"{path}: expected the name of a file, got a disk or a socket")
    return None


def _stem(target: Path) -> str:
    """Return what the names of temporary files begin with."""
    return f".{os.fsencode(target.name)[:_NAME_KEPT].decode('utf-8', 'ignore')}."


def _sync_folder(folder: Path) -> None:
    # The new name survives a power cut only when the folder is on the disk too.
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: str | os.PathLike[str]) -> None:
    """Remove a file that `write` has written, if it exists, and what killed processes have left of it."""
    target = Path(path)
    target.unlink(missing_ok=True)
    if target.parent.is_dir():
        _remove_abandoned(target, 0.0)


def _remove_abandoned(target: Path, after: float = _ABANDONED_AFTER) -> None:
    pattern = re.compile(re.escape(_stem(target)) + r"[0-9a-f]{16}\.tmp")
    with os.scandir(target.parent) as entries:
        old = [Path(entry.path) for entry in entries if pattern.fullmatch(entry.name)]
    for path in old:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime < after:
                continue
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its writer is alive
                path.unlink()
            finally:
                os.close(descriptor)
