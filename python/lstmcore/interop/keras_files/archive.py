"""The zip of a .keras file: read within bounds, and written."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
OURS = "lstmcore.safetensors"  # the state of training, beside what Keras looks at

_READ = (CONFIG, METADATA, WEIGHTS, OURS)

# Keras stores its parts as they are; more than this is no model but a bomb.
RATIO, SLACK = 8, 1 << 20


def bound(size: int) -> int:
    """Return how many bytes a file of that size may become."""
    return RATIO * size + SLACK


def unpacked(content: bytes) -> dict[str, bytes]:
    """Return those parts of a .keras file that are read, by name.

    Raises
    ------
    ValueError
        It is no whole zip file, is none of Keras's, or holds more than its size allows.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _parts(archive, bound(len(content)))
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        EOFError,
        OSError,
        RuntimeError,
        struct.error,
    ) as error:
        raise ValueError(f"not a whole ZIP file ({error})") from None


def _parts(archive: zipfile.ZipFile, most: int) -> dict[str, bytes]:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    for name in _READ:
        if names.count(name) > 1:
            raise ValueError(f"expected each part once, got {name!r} again")
    if CONFIG not in names:
        raise ValueError(f"expected a model that Keras has saved, got a ZIP file without {CONFIG}")
    if WEIGHTS not in names:
        others = ", ".join(name for name in names if "weights" in name) or "none"
        raise ValueError(f"expected the weights in one part {WEIGHTS}, got {others[:200]}")
    wanted = [entry for entry in entries if entry.filename in _READ]
    total = sum(entry.file_size for entry in wanted)
    if total > most:
        raise ValueError(f"expected at most {most} bytes when unpacked, for the size of the file, got {total}")
    for entry in wanted:  # of other kinds, zipfile unpacks a block as a whole, whatever it becomes
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{entry.filename}: expected a part stored or deflated, got kind {entry.compress_type}")
    # zipfile gives no more than the size that is said, and compares the checksum.
    return {entry.filename: archive.read(entry) for entry in wanted}


def packed(parts: Mapping[str, bytes]) -> bytes:
    """Return the zip of these parts, none of them compressed, as Keras does."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in parts.items():
            # The time of an entry would make two files of one model differ.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return stream.getvalue()
