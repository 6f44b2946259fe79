"""A task is one folder: nothing outside it knows it by name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from unroll import plugins

ROOT = Path(__file__).parents[2]
TASKS = ROOT / "pipelines" / "tasks"


def words(file: Path) -> Iterator[tuple[int, str]]:
    """Names, and texts that are not docstrings, with their lines."""
    tree = ast.parse(file.read_text())
    explained = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documents = {
        id(statement.value)
        for node in ast.walk(tree)
        for statement in (node.body if isinstance(node, explained) else [])
        if isinstance(statement, ast.Expr)
    }
    operations = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and "raw_ops" in ast.unparse(node.func)]
    theirs = {id(keyword) for node in operations for keyword in node.keywords}  # names that TensorFlow gives
    for node in ast.walk(tree):
        if id(node) in theirs:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.lineno, node.value
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        for key in ("name", "id", "attr", "arg"):
            if isinstance(value := getattr(node, key, None), str):
                yield getattr(node, "lineno", 0), value


@pytest.mark.parametrize("task", plugins.built_in())
def test_nothing_outside_a_tasks_folder_knows_its_name(task: str) -> None:
    folders = ("models", "pipelines", "serving", "monitoring")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")] + [*(ROOT / "unroll").glob("*.py")]
    found = [
        f"{file.relative_to(ROOT)}:{line}: {word}"
        for file in files
        if not file.is_relative_to(TASKS / task)
        for line, word in words(file)
        if task in word.lower()
    ]
    assert not found


@pytest.mark.parametrize("task", plugins.built_in())
def test_a_folder_bears_its_tasks_name(task: str) -> None:
    assert f'name = "{task}"' in (TASKS / task / "task.py").read_text()
