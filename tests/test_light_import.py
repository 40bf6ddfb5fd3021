"""Importing the package costs next to nothing; what it offers is loaded when it is first used, in whatever order."""

import ast
import os
import subprocess
import sys

import pytest

import lstmcore

# What `import numpy` loads is not counted, and no clock is read: modules are what an import's time and memory go into.
BEFORE = "import sys, numpy; before = set(sys.modules); "
LOADED = "; print(*sorted(set(sys.modules) - before))"


def loaded(program: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", BEFORE + program + LOADED], capture_output=True, text=True, check=True, timeout=120
    )
    return set(run.stdout.split())


def test_an_import_loads_the_core_and_nothing_else():
    ours = {"lstmcore", "lstmcore._config", "lstmcore._core", "lstmcore._not_offered"}
    program = "import lstmcore; lstmcore.set_num_threads(1); lstmcore.__version__; dir(lstmcore)"
    assert loaded(program) - {"__future__"} == ours


def test_a_model_loads_neither_bars_nor_files():
    program = "from lstmcore import Input, Sequential, layers; Sequential([Input((3, 1)), layers.LSTM(2)])"
    assert {"tqdm", "safetensors", "matplotlib", "pandas", "tempfile", "platform"}.isdisjoint(loaded(program))
    assert {"secrets", "numpy.random"}.isdisjoint(loaded("from lstmcore import models"))


@pytest.mark.once
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_every_module_may_be_the_first_to_be_used():
    # One process that knows NumPy, of which each module has a copy of its own.
    program = """
import os, sys, numpy
for name in sys.argv[1:]:
    if not (child := os.fork()):
        exec(f"from lstmcore import {name}")
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(name, flush=True)
"""
    run = subprocess.run(
        [sys.executable, "-c", program, *sorted(lstmcore._MODULES & {*lstmcore.__all__})],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (run.returncode, run.stdout) == (0, ""), run.stderr


def test_what_a_type_checker_sees_is_what_is_there():
    with open(lstmcore.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    optional = {"keras", "sklearn", "torch"}  # a type checker may have none of these packages
    modules = {name for name, module in seen.items() if module is None}
    assert modules | optional == lstmcore._MODULES
    assert {name: module for name, module in seen.items() if module} == lstmcore._MODULE_OF
    assert {*lstmcore.__all__} <= {*dir(lstmcore)}


def test_a_description_finds_its_class_before_anyone_has_used_it():
    described = {"layers": ("Dense", {"units": 2}), "losses": ("Huber", {}), "metrics": ("Mean", {})}
    described |= {"optimizers": ("Adam", {}), "regularizers": ("L2", {}), "initializers": ("Zeros", {})}
    program = f"""
import sys
from lstmcore.serialization.objects import deserialize
for module, (name, config) in {described}.items():
    print("lstmcore." + module in sys.modules)
    made = deserialize({{"module": "lstmcore." + module, "class_name": name, "config": config}})
    assert type(made).__name__ == name
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert "False" in run.stdout  # at least one was not there before


def test_a_description_imports_nothing_that_is_not_ours():
    program = (
        "from lstmcore.serialization import deserialize\n"
        "try: deserialize({'module': 'lstmcore.audio', 'class_name': 'X', 'config': {}})\n"
        "except ValueError: pass\n"
        "try: deserialize({'module': 'this', 'class_name': 'X', 'config': {}})\n"
        "except ValueError: pass\n"
    )
    assert {"lstmcore.audio", "this"}.isdisjoint(loaded("pass\n" + program + "pass"))
