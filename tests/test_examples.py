"""The programs in examples/ and the code in the README run as a new user would run them."""

import pathlib
import re
import subprocess
import sys

import pytest

root = pathlib.Path(__file__).parents[1]


def test_air_passengers(tmp_path):
    pytest.importorskip("matplotlib")
    program = root / "examples" / "air_passengers.py"
    run = subprocess.run(
        [sys.executable, program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    assert re.search(r"LSTM +\d+\.\d +\d+\.\d +\d+\.\d\n", run.stdout)
    # The naive forecast of the 27 held-out months, worked out from the published series.
    assert re.search(r"same month last year .* 47\.2 +43\.0\n", run.stdout)
    assert (tmp_path / "air_passengers.png").read_bytes().startswith(b"\x89PNG")


def test_vanishing_gradients(tmp_path):
    pytest.importorskip("matplotlib")
    program = root / "examples" / "vanishing_gradients.py"
    run = subprocess.run(
        [sys.executable, program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    rows = re.findall(r"^([A-Z].*?)  +(\S+) +(\S+) +(\S+) +(\S+)$", run.stdout, re.M)
    norms = {name: [float(n) for n in numbers] for name, *numbers in rows}
    assert list(norms) == ["SimpleRNN", "GRU", "LSTM", "GRU, open gates", "LSTM, open gates"]
    assert all(n == sorted(n, reverse=True) for n in norms.values())
    # What is left of the gradient at each step between 30 and 100: somewhat more than the gates carry, 1/2 in a GRU and
    # sigmoid(1) = 0.73 in an LSTM, for the rest of the cell carries some too.
    rates = {name: (n[3] / n[2]) ** (1 / 70) for name, n in norms.items()}
    assert 0.5 < rates["GRU"] < 0.75
    assert 0.73 < rates["LSTM"] < 0.9
    assert rates["SimpleRNN"] < 0.85
    # Gates that remember for up to 100 steps: less than a tenfold fall in the last 70.
    for name in ("GRU, open gates", "LSTM, open gates"):
        assert norms[name][2] < 10 * norms[name][3]
    assert (tmp_path / "vanishing_gradients.png").read_bytes().startswith(b"\x89PNG")


def test_readme_code_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 3
    for block in blocks:
        subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, timeout=120, check=True)


def test_python_m_lstmcore_shows_the_configuration():
    run = subprocess.run([sys.executable, "-m", "lstmcore"], capture_output=True, text=True, timeout=60, check=True)
    shown = dict(line.split(None, 1) for line in run.stdout.splitlines() if not line.startswith("instruction"))
    assert {"lstmcore", "compiler", "available", "threads", "threading"} <= shown.keys()
