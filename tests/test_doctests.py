"""The examples in the docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import lstmcore

modules = sorted(
    m.name for m in pkgutil.walk_packages(lstmcore.__path__, "lstmcore.") if not m.name.endswith(("_core", "__main__"))
)


@pytest.mark.parametrize("name", modules)
def test_examples_in_docstrings(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
