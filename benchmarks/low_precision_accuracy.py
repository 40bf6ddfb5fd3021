"""What low precision costs the scores of the gallery: medians over seeds in float32, bfloat16 and int8.

python benchmarks/low_precision_accuracy.py                        all tasks, seeds 0 to 2
python benchmarks/low_precision_accuracy.py music energy --seeds 0 1
python benchmarks/low_precision_accuracy.py energy --epochs 1      a quick look

What has been measured is written to --output after each seed, beside the other tasks that are in it.

Every program of examples/ is run for each seed in float32, and again with the weights of that run: quantized to int8,
with products of int8 or of float32 ("weights"). In bfloat16 it is run, and trained, with the policy mixed_bfloat16.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import pathlib
import statistics
import sys
from collections.abc import Callable, Iterator
from typing import Any

from machine import circumstances
from scores import EXAMPLES, HERE, TASKS

from lstmcore import mixed_precision
from lstmcore.training.trainer import Trainer

TASKS_HERE = {
    "sentiment": "sentiment_lstm",
    "spoken_digits": "spoken_digits",
    "energy": "energy",
    "music": "music_lstm",
    "characters": "characters",
}
PRECISIONS = ("float32", "bfloat16", "int8", "int8 weights")


class Fits:
    """What the calls of `fit` in a program have come to, so that a second run can go without them."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, list[Any], Any]] = []

    def train(self, fit: Callable[..., Any]) -> Callable[..., Any]:
        """Return a `fit` that keeps what it has come to."""

        def train(model: Any, *arguments: Any, **options: Any) -> Any:
            history = fit(model, *arguments, **options)
            self.done.append((model.get_build_config(), model.get_weights(), history))
            return history

        return train

    def recall(self, weights: str | None) -> Callable[..., Any]:
        """Return a `fit` that gives a model the weights of the one in the same place before, in int8."""
        fits = iter(self.done)

        def recall(model: Any, *arguments: Any, **options: Any) -> Any:
            build, values, history = next(fits)
            if not model.built:
                model.build_from_config(build)
            model.set_weights(values)
            model.quantize("int8", weights=weights)
            if (data := options.get("validation_data")) is not None:
                data = data if isinstance(data, tuple) else (data,)
                found = model.evaluate(*data, batch_size=options.get("batch_size"), verbose=0, return_dict=True)
                for name, value in found.items():
                    history.history[f"val_{name}"] = [*history.history[f"val_{name}"][:-1], value]
            return history

        return recall


@contextlib.contextmanager
def fitting(fit: Callable[..., Any]) -> Iterator[None]:
    """Within the ``with`` block, have another `fit`."""
    before = Trainer.fit
    Trainer.fit = fit  # type: ignore[method-assign]
    try:
        yield
    finally:
        Trainer.fit = before  # type: ignore[method-assign]


def scores_of(name: str, seed: int, options: list[str]) -> dict[str, float]:
    """Return the score of a task by precision."""
    task = TASKS[TASKS_HERE[name]]
    program = importlib.import_module(task.program)

    def run(fit: Callable[..., Any]) -> float:
        with fitting(fit), contextlib.redirect_stdout(io.StringIO()):
            arguments = [*task.options, "--seed", str(seed), "--verbose", "0", "--picture", "", *options]
            return float(program.main(arguments)[task.score])

    fits = Fits()
    found = {"float32": run(fits.train(Trainer.fit))}
    mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        found["bfloat16"] = run(Trainer.fit)
    finally:
        mixed_precision.set_global_policy("float32")
    found["int8"] = run(fits.recall(None))
    found["int8 weights"] = run(fits.recall("int8"))
    return found


def table(results: dict[str, list[dict[str, float]]], epochs: dict[str, int | None]) -> str:
    """Return medians, and the relative change from float32 where the score gets worse, as a table in Markdown."""
    lines = [f"| task | score | epochs | seeds | {' | '.join(PRECISIONS)} |", "|---" * (4 + len(PRECISIONS)) + "|"]
    for name, runs in results.items():
        task = TASKS[TASKS_HERE[name]]
        medians = {p: statistics.median(run[p] for run in runs) for p in PRECISIONS}
        sign = -1 if task.better == "more" else 1
        cells = [f"{medians['float32']:.4f}"]
        for precision in PRECISIONS[1:]:
            worse = sign * (medians[precision] - medians["float32"]) / abs(medians["float32"])
            cells.append(f"{medians[precision]:.4f} ({worse:+.2%})")
        lines.append(f"| {name} | {task.score} | {epochs[name] or 'all'} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Medians; in brackets, how much worse than float32, of its score."])


def main() -> None:
    """Run what is asked for, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="task", help=f"of {', '.join(TASKS_HERE)}; by default, all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="instead of each program's own")
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "results" / "low_precision_accuracy.json")
    options = parser.parse_args()
    for name in options.tasks:
        if name not in TASKS_HERE:
            parser.error(f"expected tasks of {', '.join(TASKS_HERE)}, got {name}")
    sys.path.insert(0, str(EXAMPLES))
    further = [] if options.epochs is None else ["--epochs", str(options.epochs)]
    written: dict[str, Any] = {"results": {}, "epochs": {}}
    if options.output.exists():
        written = json.loads(options.output.read_text(encoding="utf-8"))
    results, epochs = written["results"], written["epochs"]
    for name in options.tasks or TASKS_HERE:
        results[name], epochs[name] = [], options.epochs
        for seed in options.seeds:
            results[name].append(scores_of(name, seed, further))
            print(f"{name}, seed {seed}: {results[name][-1]}", flush=True)
            written["circumstances"] = circumstances()
            options.output.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    print(table(results, epochs))


if __name__ == "__main__":
    main()
