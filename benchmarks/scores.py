"""Run the scored programs of examples/ with several seeds, and hold the medians beside published numbers.

python benchmarks/scores.py                      all of them, seeds 0 to 4
python benchmarks/scores.py music addition       some
python benchmarks/scores.py air_quality --seeds 0 1 2 --threads 1
python benchmarks/scores.py --list               all by name

Every seed is a process of its own, one after the other. What has been measured is written to
benchmarks/results after each of them, as JSON and as a table.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from typing import Any

from machine import circumstances

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"


@dataclasses.dataclass(frozen=True)
class Task:
    """A program with its options, which of its scores counts, and what to hold it against."""

    program: str
    score: str
    published: float | None
    aim: float | None = None
    better: str = "less"
    options: tuple[str, ...] = ()

    def reached(self, median: float) -> str:
        """Return whether the aim is reached."""
        if self.aim is None:
            return ""
        return "yes" if (median <= self.aim if self.better == "less" else median >= self.aim) else "no"


TASKS = {
    "air_passengers": Task("air_passengers", "test_rmse", 47.53, options=("--published",)),
    "air_passengers_ahead": Task("air_passengers_ahead", "rmse", None),
    "energy": Task("energy", "mse", None),
    "energy_alone": Task("energy", "mse", 0.114, options=("--alone",)),
    "oil_and_load": Task("oil_and_load", "rmse", None),
    "oil_and_load_heavy": Task("oil_and_load", "brier", None),
    "air_quality": Task("air_quality", "rmse", 26.496, aim=26.5),
    "air_quality_published": Task("air_quality", "rmse", 26.496, options=("--published",)),
    "sentiment": Task("sentiment", "accuracy", 0.8428, aim=0.84, better="more"),
    "sentiment_lstm": Task("sentiment", "accuracy", 0.8679, 0.865, "more", ("--setup", "lstm")),
    "bilstm_crf_tagger": Task("bilstm_crf_tagger", "BiLSTM-CRF", None, better="more"),
    "characters": Task("characters", "bits", None),
    "music_lstm": Task("music", "nats", 8.45, aim=8.5),
    "music_gru": Task("music", "nats", 8.43, aim=8.5, options=("--cell", "GRU")),
    "movement": Task("movement", "accuracy", None, better="more"),
    "spoken_digits": Task("spoken_digits", "accuracy", 0.9733, aim=0.98, better="more"),
    "spoken_digits_held_out": Task("spoken_digits", "accuracy", None, None, "more", ("--held-out", "each")),
    "transcription": Task("transcription", "character_error_rate", None, aim=0.02),
    "streaming_recognition": Task("streaming_recognition", "character_error_rate", None),
    "addition": Task("addition", "accuracy", 0.9883, aim=0.98, better="more"),
    "dates": Task("dates", "with attention", None, aim=0.98, better="more"),
    "hyperparameters": Task("hyperparameters", "rmse", None),
    "grid_search": Task("grid_search", "accuracy", None, better="more"),
}


def run(name: str, seed: int, options: list[str], threads: int | None) -> dict[str, Any]:
    """Run a program in a process of its own; return its scores and the seconds it took."""
    command = [sys.executable, str(HERE / "scores.py"), "--one", name, "--seeds", str(seed), "--options", *options]
    variables = {} if threads is None else {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables})
    last = process.stdout.rstrip().rpartition("\n")[2]
    if process.returncode:
        raise SystemExit(f"{name}, seed {seed}: ended with {process.returncode}\n{process.stdout}")
    return {"seed": seed, **json.loads(last)}


def run_here(name: str, seed: int, options: list[str]) -> None:
    """Run a program in this process; print its scores as JSON in the last line."""
    sys.path.insert(0, str(EXAMPLES))
    task = TASKS[name]
    program = importlib.import_module(task.program)
    before = time.perf_counter()
    arguments = [*task.options, "--seed", str(seed), "--verbose", "0", "--picture", "", *options]
    scores = program.main(arguments)
    print(json.dumps({"scores": scores, "seconds": time.perf_counter() - before}))


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Return what has been measured as a table in Markdown."""
    lines = [
        "| program | score | median | least | most | seeds | published | aim | reached | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in results.items():
        task = TASKS[name]
        scores = [run["scores"][task.score] for run in runs]
        median = statistics.median(scores)
        shown = [f"{number:.4g}" for number in (median, min(scores), max(scores))]
        known = ["" if number is None else f"{number:g}" for number in (task.published, task.aim)]
        command = " ".join([f"{task.program}.py", *task.options])
        seconds = f"{statistics.median(run['seconds'] for run in runs):.0f}"
        cells = [command, task.score, *shown, str(len(runs)), *known, task.reached(median), seconds]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is asked for, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="programs to run; all if none")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--threads", type=int, help="of each process; all CPUs if None")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="passed on to the programs; the last")
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(TASKS))
        return
    if arguments.one:
        run_here(arguments.one, arguments.seeds[0], arguments.options)
        return
    unknown = set(arguments.names) - set(TASKS)
    if unknown:
        parser.error(f"expected names among {', '.join(TASKS)}, got {', '.join(sorted(unknown))}")

    stem = HERE / "results" / f"{datetime.date.today()}-scores"
    results: dict[str, list[dict[str, Any]]] = {}
    for name in arguments.names or TASKS:
        for seed in arguments.seeds:
            results.setdefault(name, []).append(run(name, seed, arguments.options, arguments.threads))
            print(f"{name}, seed {seed}: {results[name][-1]}", flush=True)
            record = {"circumstances": circumstances(), "options": arguments.options, "results": results}
            stem.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            stem.with_suffix(".md").write_text(table(results) + "\n", encoding="utf-8")
    print(f"\n{table(results)}\n\nwritten to {stem}.json and .md")


if __name__ == "__main__":
    main()
