"""The pages in docs/ say what is true: tests that they name exist, their code runs, their links lead somewhere."""

import functools
import importlib
import inspect
import json
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


# --- how the site is made ---


def of_the_site(name, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "docs"))
    return importlib.import_module(name)


@pytest.mark.once
def test_what_is_missing_on_a_site_is_found(monkeypatch, tmp_path):
    check = of_the_site("site_check", monkeypatch)
    (tmp_path / "a.html").write_text("<h1 id='here'></h1><a href='#here'></a><a href='sub/b.html#there'></a>", "utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.html").write_text("<p id='there'></p><a href='../a.html'></a><img src='../i.png'>", "utf-8")
    (tmp_path / "i.png").touch()
    (tmp_path / "s.css").write_text(
        "a { background: url('i.png') } b { background: url(https://x.org/y.png) }", "utf-8"
    )
    (tmp_path / "c.html").write_text(
        "<a href='no.html'></a><a href='a.html#no'></a><a href='https://example.org'></a><a href='sub'></a>"
        "<script src='https://example.org/x.js'></script><img src='no.png'>",
        "utf-8",
    )
    found = [line.split(": ")[-1] for line in check.wrong(tmp_path)]
    assert found == ["https://example.org/x.js", "no.png", "no.html", "a.html#no", "sub", "https://x.org/y.png"]


@pytest.mark.once
def test_a_notebook_becomes_a_page_with_all_that_comes_out_of_it(monkeypatch, tmp_path):
    site_notebooks = of_the_site("site_notebooks", monkeypatch)
    stream = [{"output_type": "stream", "text": text} for text in ("Epoch 1\n", "1/2 ━\r2/2 ━━\r", "     \r2/2 - 0s\n")]
    html = {"output_type": "execute_result", "data": {"text/plain": "<Model>", "text/html": ["<b>", "m</b>"]}}
    drawn = {"output_type": "display_data", "data": {"text/plain": "<Figure>", "image/png": "aGVsbG8="}}
    plain = {"output_type": "execute_result", "data": {"text/plain": "(3, 4)"}}
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "\n", "Words."]},
        {"cell_type": "code", "source": ["fit()"], "outputs": [*stream, html, drawn, plain, *stream[:1]]},
        {"cell_type": "code", "source": "print('```')", "outputs": []},
    ]
    page = site_notebooks.page({"cells": cells}, "n", tmp_path)
    assert page == (
        "# Title\n\nWords.\n\n{download}`The notebook <n.ipynb>`\n\n```python\nfit()\n```\n\n"
        '```text\nEpoch 1\n2/2 - 0s\n```\n\n```{raw} html\n<div class="output"><b>m</b></div>\n```\n\n'
        "![What the cell draws](n_1.png)\n\n"
        "```text\n(3, 4)\n```\n\n```text\nEpoch 1\n```\n\n````python\nprint('```')\n````\n"
    )
    assert (tmp_path / "n_1.png").read_bytes() == b"hello"


@pytest.mark.parametrize("path", sorted((root / "examples").glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebooks_are_kept_without_outputs(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    assert len(cells) > 5
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    assert len({cell["id"] for cell in cells}) == len(cells)
