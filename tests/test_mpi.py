"""Trainings that mpiexec starts: the same bits on any number of processes, and no process that waits for ever."""

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mpi4py", reason="the extra mpi")
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(MPIEXEC is None, reason="no mpiexec; the package mpich has one"),
]
PROGRAM = str(Path(__file__).with_name("mpi_program.py"))


def run(processes, what="", folder="", timeout=60):
    # Of Open MPI and of MPICH, whichever there is; a process of one thread, for there are fewer cores than processes.
    allow = {
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }
    path = os.pathsep.join(
        filter(None, [str(Path(__import__("lstmcore").__file__).parents[1]), os.environ.get("PYTHONPATH")])
    )
    return subprocess.run(
        [MPIEXEC, "-n", str(processes), sys.executable, PROGRAM, what, str(folder)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **allow, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )


def bits(ended):
    assert ended.returncode == 0, ended.stderr
    return re.findall(r"bits (\w+)", ended.stdout)


@functools.cache
def undisturbed():
    (alone,) = bits(run(1))
    return alone


def test_bits_are_those_of_one_process():
    ended = run(4)
    assert bits(ended) == [undisturbed()] * 4
    assert ended.stdout.count("Epoch 1/3") == 1  # the first alone prints
    sent = [float(share) for share in re.findall(r"bits \w+ ([\d.e-]+)", ended.stdout)]
    assert 1 < max(sent) <= 2  # times the weights, in a step


def test_a_killed_process_ends_all_and_fewer_go_on(tmp_path):
    ended = run(3, "kill:5", tmp_path)
    assert ended.returncode != 0
    assert "bits" not in ended.stdout
    assert (tmp_path / "training.safetensors").exists()
    assert bits(run(2, "", tmp_path)) == [undisturbed()] * 2


@pytest.mark.parametrize(("what", "said"), [("raise", "of my own"), ("hang", "has waited 2 s for the others")])
def test_an_exception_or_silence_ends_all(what, said):
    ended = run(2, what)
    assert ended.returncode != 0
    assert said in ended.stderr
    assert "bits" not in ended.stdout
