"""Imports between the packages, and between the rooms of `serving`, go one way."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "serving", "monitoring", "pipelines")
ALLOWED = {
    "models": {"picture_header"},
    "serving": {"errors", "workspace", "plugins", "picture_header"},
    "monitoring": {"errors", "workspace", "plugins", "serving", "picture_header"},
    "pipelines": {"errors", "workspace", "plugins", "models", "serving", "monitoring", "picture_header"},
}
FLOORS = [
    {"files"},
    {"protocol"},
    {"client", "front", "engine"},
    {"http2", "rest.json", "batching"},
    {"rest", "versions"},
    {"services"},
    {"processes"},
    {"server"},
]
"""The rooms of `serving`: one imports from floors below its own, and from itself."""


def imported(file: Path) -> Iterator[str]:
    """Full names of what a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top(name: str) -> str | None:
    """The package or module of ours, `serving` of `unroll.serving.front.auth`, that a name belongs to."""
    parts = name.split(".")
    return parts[1] if parts[0] == "unroll" and len(parts) > 1 else None


def room(parts: tuple[str, ...]) -> str:
    """The room of a module of `serving`: `rest.json` of `("rest", "json", "text")`."""
    rooms = set().union(*FLOORS)
    return next((name for name in (".".join(parts[:2]), parts[0]) if name in rooms), "")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        unexpected = {top(name) for name in imported(file)} - ALLOWED[package] - {package, None}
        assert not unexpected, f"{file.relative_to(ROOT)} must not import {unexpected}"


def test_what_lies_below_all_imports_nothing_of_ours() -> None:
    for name in ("errors", "workspace", "picture_header"):
        assert not {top(one) for one in imported(ROOT / "unroll" / f"{name}.py")} - {None}
    assert {top(one) for one in imported(ROOT / "unroll" / "plugins.py")} == {"errors", None}


@pytest.mark.parametrize("folder", [*PACKAGES, "unroll", "tests", "benchmarks"])
def test_every_import_of_ours_has_the_prefix(folder: str) -> None:
    bare = {*PACKAGES, "errors", "workspace", "picture_header"}
    for file in (ROOT / folder).glob("*.py") if folder == "unroll" else (ROOT / folder).rglob("*.py"):
        found = {name for name in imported(file) if name.split(".")[0] in bare}
        assert not found, f"{file.relative_to(ROOT)} must import unroll.{min(found, default='')}"


def defined(module: str) -> set[str]:
    """What a module of ours may be asked for: what it defines, imports or lists, and the modules within it."""
    path = ROOT / module.replace(".", "/")
    within = {file.stem for file in path.glob("*.py")} | {folder.name for folder in path.glob("*/")}
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return within | names | {getattr(node, "name", "") for node in tree.body}


def test_what_benchmarks_import_is_there() -> None:
    for file in (ROOT / "benchmarks").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "unroll":
                missing = {alias.name for alias in node.names} - defined(node.module)
                assert not missing, f"{file.relative_to(ROOT)} imports {missing} of {node.module}"


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_a_room_of_serving_imports_only_from_floors_below(floor: int) -> None:
    below = set().union(*FLOORS[:floor])
    for name in FLOORS[floor]:
        for file in (ROOT / "serving").joinpath(*name.split(".")).glob("*.py"):
            asked = (one.split(".")[2:] for one in imported(file) if one.startswith("unroll.serving."))
            unexpected = {room(tuple(parts)) for parts in asked} - below - {name}
            assert not unexpected, f"{file.relative_to(ROOT)} must not import from {unexpected}"


def test_every_room_of_serving_is_on_a_floor() -> None:
    rooms = {path.parent.relative_to(ROOT / "serving").as_posix() for path in (ROOT / "serving").rglob("*.py")}
    assert {name.replace("/", ".") for name in rooms} - {"."} == set().union(*FLOORS)


def test_the_command_line_answers_without_loading_tensorflow() -> None:
    code = (
        "import sys, unroll; light = 'typer' not in sys.modules and 'rich' not in sys.modules\n"
        "import unroll.cli; heavy = {'tensorflow', 'mlflow', 'matplotlib', 'grpc', 'numpy', 'pydantic', 'yaml'}\n"
        "print(light, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "True []"
