"""The house is as docs/architecture.md draws it, and its rooms and modules stay small."""

import re
import statistics
from pathlib import Path

from tests.test_imports import ROOT

CODE = ("unroll", "models", "pipelines", "serving", "monitoring", "benchmarks")
MAX_MODULES, MAX_LINES, MEDIAN_BYTES = 15, 350, 5000
INDENT = 2  # of a folder within another, on the page


def modules() -> list[Path]:
    """Of our code; `unroll` holds links to the other folders, which are not followed."""
    return [
        file
        for folder in CODE
        for file in (ROOT / folder).rglob("*.py")
        if not any(parent.is_symlink() for parent in file.parents)
    ]


def drawn() -> set[str]:
    """The folders of the page's first block, such as `serving/rest/json`."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    folders: list[str] = []
    found = set()
    for line in page.split("```")[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // INDENT
        name = line.split(maxsplit=1)[0] if line.strip() else ""
        if name.endswith("/") and depth <= len(folders):
            folders = [*folders[:depth], name.rstrip("/")]
            found.add("/".join(folders))
    return found


def test_the_page_draws_every_folder_and_no_other() -> None:
    there = {file.parent.relative_to(ROOT).as_posix() for file in modules()}
    others = {folder for folder in there if not folder.startswith("pipelines/tasks")}
    assert drawn() == {*others, "pipelines/tasks/<task>", "docs", "tests"}


def test_the_page_names_every_module_at_the_top_of_a_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    top = [file for file in modules() if file.parent.parent == ROOT and file.parent.name != "benchmarks"]
    listed = page[page.index("At the top of the packages") : page.index("Imports go one way")]
    sections = {line.split("`")[1].rstrip("/"): line for line in listed.split("\n- ")[1:]}
    for file in top:
        named = f"`{file.name}`" in sections[file.parent.name] or file.name in ("__init__.py", "__main__.py", "cli.py")
        assert named, file.relative_to(ROOT)
    there = {file.name for file in top}
    assert set(re.findall(r"`(\w+\.py)`", listed)) <= there


def test_the_pages_name_files_that_are_there() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = {
        (page.name, name)
        for page in pages
        for name in re.findall(r"(?<![\w/.-])((?:\w+/)+[\w.-]*\w)", page.read_text())
        if name.partition("/")[0] in (*CODE, "docs", "tests")
    }
    assert named, "some are"
    assert {one for one in named if not (ROOT / one[1]).exists()} == set()


def test_no_folder_holds_many_modules() -> None:
    counts: dict[Path, int] = {}
    for file in modules():
        counts[file.parent] = counts.get(file.parent, 0) + (file.name != "__init__.py")
    assert {folder.relative_to(ROOT): count for folder, count in counts.items() if count > MAX_MODULES} == {}


def test_modules_are_short() -> None:
    lines = {file.relative_to(ROOT): len(file.read_text().splitlines()) for file in modules()}
    assert {file: count for file, count in lines.items() if count > MAX_LINES} == {}
    assert statistics.median(file.stat().st_size for file in modules()) < MEDIAN_BYTES
