"""The zip files of ``torch.save``: a pickle that says what there is, and a member for the bytes of every storage."""

import os
import zipfile
from typing import Any

from .pickles import load
from .tensors import Storages


def read_archive(name: str) -> Any:
    """Return what ``torch.save`` wrote into the file of that name, with arrays for tensors."""
    with open(name, "rb") as file:
        if file.read(1) == b"\x80":
            raise ValueError(f"{name}: PyTorch's format from before version 1.6; load it there and torch.save it again")
        try:
            with zipfile.ZipFile(file) as archive:
                folder = _check(name, archive)
                return load(archive.read(f"{folder}/data.pkl"), Storages(archive, folder))
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise ValueError(f"{name}: no file of torch.save, cut short or damaged: {error}") from None
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


def _check(name: str, archive: zipfile.ZipFile) -> str:
    """Return the folder that everything is in, after a look at what the members say of themselves."""
    members = archive.infolist()
    pickles = [member.filename for member in members if member.filename.endswith("/data.pkl")]
    if len(pickles) != 1 or pickles[0].count("/") != 1:
        raise ValueError(f"expected one data.pkl in one folder, found {pickles}")
    folder = pickles[0].partition("/")[0]
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        raise ValueError("two members of the same name")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"{member.filename}: a compressed member; torch.save compresses nothing")
        if not member.filename.startswith(f"{folder}/") or ".." in member.filename.split("/"):
            raise ValueError(f"{member.filename}: a member outside the folder {folder}")
    # Members may overlap, so that a small file holds many large ones.
    if sum(member.file_size for member in members) > os.path.getsize(name):
        raise ValueError("members that say they are larger than the file")
    return folder
