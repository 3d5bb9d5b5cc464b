"""What the project promises about its own shape."""

from __future__ import annotations

import ast
import inspect
import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import graft

SOURCE = Path(__file__).parents[1] / "src" / "graft"
MODULES = sorted(SOURCE.rglob("*.py"))
DRAWERS = {"util", "utils", "helper", "helpers", "common", "misc"}

# What users call. A change here is a line in CHANGELOG.md.
PUBLIC = {
    "load": "(folder: 'Path | str') -> 'SentenceTransformer | Classifier | SeriesClassifier'",
    "read_result": "(folder: 'Path | str') -> 'Result'",
    "run": "(source: 'Path | str | Mapping[str, Any]', overrides: 'Iterable[str]' = (), "
    "root: 'Path | str' = 'runs', *, frames: 'Mapping[str, pd.DataFrame] | None' = None, "
    "restart: 'bool' = False) -> 'Result'",
}


def functions(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def code_lines(node: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def test_modules_are_small() -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert len(sizes) > 100
    assert statistics.median(sizes.values()) <= 150
    assert {path: size for path, size in sizes.items() if size > 400} == {}


def test_functions_are_short() -> None:
    lengths = {
        f"{path.name}:{node.name}": code_lines(node) for path in MODULES for node in functions(path)
    }
    assert {name: length for name, length in lengths.items() if length > 70} == {}
    assert statistics.quantiles(lengths.values(), n=20)[-1] <= 50


def test_nothing_is_called_a_drawer() -> None:
    assert [path for path in MODULES if DRAWERS & set(path.with_suffix("").parts)] == []


def public_functions(body: list[ast.stmt]) -> list[ast.FunctionDef]:
    """Public functions of a module and public methods of its public classes."""
    found = [node for node in body if isinstance(node, ast.FunctionDef)]
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += public_functions(node.body)
    return [node for node in found if not node.name.startswith("_")]


def test_every_public_function_says_what_it_returns() -> None:
    bare = [
        f"{path.name}:{node.name}"
        for path in MODULES
        for node in public_functions(ast.parse(path.read_text(encoding="utf-8")).body)
        if ast.get_docstring(node) is None
    ]
    assert bare == []


def test_the_public_names_are_these() -> None:
    assert sorted(graft.__all__) == ["GraftError", "Result", "Verdict", *sorted(PUBLIC)]
    found = {name: str(inspect.signature(getattr(graft, name))) for name in PUBLIC}
    assert found == PUBLIC


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(AttributeError, match="no attribute 'rnu'; it has"):
        _ = graft.rnu


def test_importing_graft_changes_nothing_and_loads_nothing_heavy() -> None:
    script = (
        "import json, os, sys, threading, warnings\n"
        "before = dict(os.environ), list(warnings.filters), threading.active_count()\n"
        "import graft\n"
        "after = dict(os.environ), list(warnings.filters), threading.active_count()\n"
        "heavy = {'torch', 'transformers', 'pandas', 'sklearn', 'mlflow'} & set(sys.modules)\n"
        "print(json.dumps([before == after, sorted(heavy)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert json.loads(done.stdout) == [True, []]
