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
    try:
        module = importlib.import_module(name)
    except ImportError as error:  # says which extra it needs
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))
    examples = [example.source for test in doctest.DocTestFinder().find(module) for example in test.examples]
    if any(source.startswith(("import torch", "from torch")) for source in examples):
        pytest.importorskip("torch")
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
