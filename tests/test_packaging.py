"""What pyproject.toml says of the package is said the same everywhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
tomllib = pytest.importorskip("tomllib")
pytestmark = pytest.mark.once
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]


def test_the_requirements_of_the_tests_are_the_extra():
    lines = (ROOT / "tests" / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == PROJECT["optional-dependencies"]["test"]


def test_the_versions_of_python_are_those_of_the_wheels():
    classified = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    built = re.findall(r"cp3(\d+)-", SETTINGS["tool"]["cibuildwheel"]["build"])
    assert classified == [f"3.{minor}" for minor in built]
    assert PROJECT["requires-python"] == f">={classified[0]}"
    for name in ("README.md", "docs/first_forecast.md", "SECURITY.md"):
        assert f"{classified[0]} to {classified[-1]}" in (ROOT / name).read_text(), name


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == PROJECT["version"]
    # MIT is the licence of the parser of JSON.
    assert PROJECT["license"].split(" AND ")[0] in re.findall(r"^license: (.*)$", citation, re.MULTILINE)
