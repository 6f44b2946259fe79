"""The code of docs/python.md and docs/python.ipynb, as a reader would run it."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, reviews

PAGE = ROOT / "docs" / "python.md"
NOTEBOOK = ROOT / "docs" / "python.ipynb"
_SHOWING = """
import ast

def show(value):
    \"\"\"What a notebook does with a cell's last value.\"\"\"
    for method in ("_repr_html_", "_repr_png_"):
        if hasattr(value, method):
            assert getattr(value, method)()
            return
    repr(value)

def run(source, namespace):
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)
    if last:
        show(eval(compile(ast.Expression(last.value), "cell", "eval"), namespace))
"""


def execute(folder: Path, cells: list[str], then: str) -> None:
    """Runs cells in one namespace in a process of its own, shows their last values, and then checks."""
    script = (
        f"{_SHOWING}\nnamespace = {{}}\nfor source in {cells!r}:\n    run(source, namespace)\nrun({then!r}, namespace)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_page(tmp_path: Path) -> None:
    reviews(600).to_csv(tmp_path / "reviews.csv", index=False)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 4
    execute(
        tmp_path,
        blocks,
        "assert newer.version == 2 and tuned.version is None\n"
        "assert newer.metrics['test/accuracy'] > 0.8, newer.metrics\n"
        "assert unroll.load('reviews').version == 1, 'the champion'",
    )
    assert (tmp_path / "tuned" / "saved_model.pb").is_file()
    assert (tmp_path / "reviews.keras").is_file()


def test_the_notebook(tmp_path: Path) -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    execute(tmp_path, cells, "assert newer.version == 2")


def test_the_notebook_stores_no_outputs() -> None:
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            ast.parse("".join(cell["source"]))
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
