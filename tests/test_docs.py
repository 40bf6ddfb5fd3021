"""The pages in docs/ say what is true: tests that they name exist, their code runs, their links lead somewhere."""

import functools
import inspect
import os
import pathlib
import re
import subprocess
import sys

import pytest

import lstmcore

root = pathlib.Path(__file__).parents[1]
pages = sorted((root / "docs").glob("*.md"))
# Packages that blocks import, or that what they import needs.
needed = {
    "torch": "torch",
    "keras": "keras",
    "sklearn": "sklearn",
    "autograd.numpy as anp": "autograd",
    "lstmcore import Sequential, layers, tuner": "optuna",
}
each_page = pytest.mark.parametrize("page", pages, ids=lambda p: p.stem)


def test_every_difference_names_a_test_that_exists():
    lines = [line for line in (root / "docs/differences.md").read_text("utf-8").splitlines() if line.startswith("- ")]
    assert len(lines) > 30
    for line in lines:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", line)
        assert named, line
        for file, test in named:
            assert re.search(rf"^def {test}\(", (root / "tests" / file).read_text("utf-8"), re.M), f"{file}::{test}"


def test_tests_that_guides_name_exist():
    named = re.findall(
        r"`tests/(test_\w+\.py)(?:::(test_\w+))?`", (root / "docs/reproducibility.md").read_text("utf-8")
    )
    assert len(named) > 8
    for file, test in named:
        assert re.search(rf"^def {test}\(" if test else "", (root / "tests" / file).read_text("utf-8"), re.M), (
            file,
            test,
        )


def test_every_guide_is_in_the_contents():
    listed = re.findall(r"^(?:\w+ <)?([\w/]+)>?$", "\n".join(contents("guides.md") + contents("index.md")), re.M)
    assert sorted({*listed, "index"} - {"api", "gallery/index"}) == [page.stem for page in pages]


def contents(page):
    return re.findall(r"^```\{toctree\}\n(.*?)^```", (root / "docs" / page).read_text("utf-8"), re.M | re.S)


def test_no_guide_has_the_name_of_a_page_that_sphinx_makes():
    assert not {"search", "genindex", "py-modindex"} & {page.stem for page in pages}


def test_every_task_has_a_page_with_a_program():
    table = re.search(r"## I want to …\n\n(.*?)\n\n", (root / "docs/index.md").read_text("utf-8"), re.S)[1]
    tasks = re.findall(r"\((\w+\.md)\)", table)
    assert len(tasks) == 11
    for page in tasks:
        assert "```python" in (root / "docs" / page).read_text("utf-8"), page


def test_every_public_name_has_a_page():
    pytest.importorskip("scipy")
    pytest.importorskip("optuna")
    listed = set(re.findall(r"^   lstmcore\.(\S+)$", (root / "docs/api.rst").read_text("utf-8"), re.M))
    of_modules = {
        name
        for module in listed - {"torch", "keras", "sklearn"}
        if inspect.ismodule(lookup(module))
        for name in lookup(module).__all__
    }
    packages = {name.rpartition(".")[0] for name in listed}
    assert {name for name in lstmcore.__all__ if name != "__version__"} - listed - of_modules - packages == set()


def lookup(name):
    return functools.reduce(getattr, name.split("."), lstmcore)


@pytest.mark.parametrize("program", sorted((root / "docs/figures").glob("[!_]*.py")), ids=lambda p: p.stem)
def test_pictures_of_the_guides_are_drawn(program):
    shown = [page for page in pages if f"{{figure}} _figures/{program.stem}.png" in page.read_text("utf-8")]
    assert shown  # the site, which CI builds, runs the programs


@each_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.once
@each_page
def test_the_code_of_the_pages_runs(page, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    for package, name in needed.items():
        if any(f"import {package}\n" in block or f"from {package}" in block for block in blocks):
            pytest.importorskip(name, exc_type=ImportError)
    if blocks:
        command = [sys.executable, "-c", "\n".join(blocks)]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # the models are too small for more
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env=one_thread)
        assert ended.returncode == 0, ended.stderr
