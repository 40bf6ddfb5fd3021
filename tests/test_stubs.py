"""The stubs of the core say what is in it."""

import ast
import inspect
import pathlib

import numpy as np
import pytest

import lstmcore
from lstmcore import _core
from lstmcore.functional import LSTMOptions

pytestmark = pytest.mark.once
STUBS = ast.parse((pathlib.Path(lstmcore.__file__).parent / "_core.pyi").read_text())


def public(names):
    return {name for name in names if not name.startswith("_") or name == "__version__"}


def declared(body):
    """Functions, classes and variables of a module or class of the stubs, by name; not what is there for types only."""
    found = {}
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            only_typing = isinstance(node, ast.ClassDef) and any(ast.unparse(b) == "TypedDict" for b in node.bases)
            if not only_typing:
                found[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            found[node.target.id] = node
    return found


def test_stubs_and_core_have_the_same_names():
    assert public(declared(STUBS.body)) == public(vars(_core))


@pytest.mark.parametrize("name", [n for n, node in declared(STUBS.body).items() if isinstance(node, ast.ClassDef)])
def test_classes_have_the_members_that_the_stubs_say(name):
    members = declared(declared(STUBS.body)[name].body)
    assert public(members) == public(vars(getattr(_core, name)))
    for member, node in members.items():
        is_property = any(ast.unparse(d) == "property" for d in node.decorator_list)
        assert is_property == isinstance(inspect.getattr_static(getattr(_core, name), member), property) or member == (
            "__new__"
        )


def test_forward_takes_as_many_arguments_as_the_stubs_say():
    arguments = declared(STUBS.body)["forward"].args
    count = len(arguments.posonlyargs) + len(arguments.args)
    weights = _core.pack(LSTMOptions(), [np.zeros((1, 4)), np.zeros((1, 4))], False, False)
    call = [weights, np.zeros((1, 1, 1)), None, True, False, *[None] * (count - 5)]
    for k in (8, 9, 13):
        call[k] = False
    _core.forward(*call)
    with pytest.raises(TypeError, match=f"expected {count} arguments, got {count - 1}"):
        _core.forward(*call[:-1])
