"""`lstmcore.keras`: Keras's numbers, on each of its backends that we run on. The checks stand in `keras_checks.py`."""

import ast
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.peer, pytest.mark.once]

CHECKS = pathlib.Path(__file__).with_name("keras_checks.py")
NAMES = [
    node.name
    for node in ast.parse(CHECKS.read_text("utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
]


@pytest.fixture(scope="module", params=["torch", pytest.param("jax", marks=pytest.mark.slow), "numpy"])
def outcome(request):
    """What was wrong with each check on a backend: a process of its own, for a process has but one."""
    for package in {"keras", request.param}:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"could not find {package}")
    environment = {**os.environ, "KERAS_BACKEND": request.param, "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # most of JAX's time is compilation
    ended = subprocess.run([sys.executable, CHECKS], env=environment, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr
    return dict(map(json.loads, ended.stdout.splitlines()))


@pytest.mark.parametrize("name", NAMES)
def test_on_each_backend(outcome, name):
    assert outcome[name] == "", outcome[name]


def test_a_missing_keras_is_named():
    program = "import sys; sys.modules['keras'] = None; from lstmcore import keras"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "lstmcore.keras needs Keras: pip install 'keras>=3'" in ended.stderr
    assert "import lstmcore as keras" in ended.stderr


def test_a_missing_backend_is_named():
    if importlib.util.find_spec("keras") is None:
        pytest.skip("could not find keras")
    program = "import sys; sys.modules['torch'] = None; import lstmcore.keras"
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "Keras cannot be imported" in ended.stderr
    assert "KERAS_BACKEND (torch, jax or numpy)" in ended.stderr


def test_what_keras_has_is_asked_of_the_package():
    if importlib.util.find_spec("keras") is None:
        pytest.skip("could not find keras")
    program = "from lstmcore import keras; keras.layers"
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "AttributeError" in ended.stderr
    assert "import lstmcore as keras" in ended.stderr
