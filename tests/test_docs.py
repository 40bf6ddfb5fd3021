"""The pages in docs/ say what is true: tests that they name exist, their code runs, their links lead somewhere."""

import pathlib
import re
import subprocess
import sys

import pytest

root = pathlib.Path(__file__).parents[1]
pages = sorted((root / "docs").glob("*.md"))
each_page = pytest.mark.parametrize("page", pages, ids=lambda p: p.stem)


def test_every_difference_names_a_test_that_exists():
    lines = [line for line in (root / "docs/differences.md").read_text("utf-8").splitlines() if line.startswith("- ")]
    assert len(lines) > 30
    for line in lines:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", line)
        assert named, line
        for file, test in named:
            assert re.search(rf"^def {test}\(", (root / "tests" / file).read_text("utf-8"), re.M), f"{file}::{test}"


@each_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@each_page
def test_the_code_of_the_pages_runs(page, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    for package in ("torch", "keras"):
        if any(f"import {package}\n" in block for block in blocks):
            pytest.importorskip(package, exc_type=ImportError)
    if blocks:
        command = [sys.executable, "-c", "\n".join(blocks)]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, ended.stderr
