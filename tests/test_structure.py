"""How the package is put together."""

import ast
from pathlib import Path

import lstmcore

ROOT = Path(lstmcore.__file__).parent


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for pattern in ("*.py", "*.pyi") for path in ROOT.rglob(pattern)}


def imported(module: str) -> set[str]:
    """The modules that a module needs: those it names, wherever in the file, and the packages which these are in."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            named |= {f"{base}.{a.name}" if f"{base}.{a.name}" in MODULES else base for a in node.names}
    needed = {".".join(name.split(".")[:k]) for name in named for k in range(1, name.count(".") + 2)}
    # The packages that a module is in are there before it; it needs one only if it takes a name from it.
    around = {".".join(module.split(".")[:k]) for k in range(1, module.count(".") + 1)} - named
    return (needed & MODULES.keys()) - around - {module}


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """The modules of a circle, in the order in which each needs the next; empty if there is none."""
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for other in sorted(graph[module]):
            if found := visit(other, [*path, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(graph) if (found := visit(module, []))), [])


def test_a_circle_is_found_and_told():
    assert circle_in({"a": {"b", "d"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]
    assert circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_module_needs_one_that_needs_it():
    circle = circle_in({module: imported(module) for module in MODULES})
    assert not circle, "imports in a circle: " + " -> ".join(circle)
