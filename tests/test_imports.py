"""Imports between the packages go one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"models", "pipelines", "serving", "monitoring", "unroll", "errors", "workspace"}
ALLOWED = {
    "models": set(),
    "serving": {"errors", "workspace"},
    "monitoring": {"errors", "workspace", "serving"},
    "pipelines": {"errors", "workspace", "models", "serving", "monitoring"},
    "errors": set(),
    "workspace": set(),
}


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[0] for name in names} & OURS


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_lies_below_it(package):
    files = [ROOT / f"{package}.py"] if (ROOT / f"{package}.py").exists() else (ROOT / package).rglob("*.py")
    for file in files:
        unexpected = imported(file) - ALLOWED[package] - {package}
        assert not unexpected, f"{file.relative_to(ROOT)} must not import {unexpected}"


def test_the_front_door_answers_without_loading_tensorflow():
    code = "import sys, unroll; print([m for m in ('tensorflow', 'mlflow', 'matplotlib', 'grpc') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
