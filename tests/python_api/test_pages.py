"""The code of docs/python.md and docs/python.ipynb, as a reader would run it."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, reviews
from tests.python_api.cells import execute

PAGE = ROOT / "docs" / "python.md"
NOTEBOOK = ROOT / "docs" / "python.ipynb"


def test_the_page(tmp_path: Path) -> None:
    """In a process of its own: what the page imports is all that a reader has imported."""
    reviews(600).to_csv(tmp_path / "reviews.csv", index=False)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 4
    then = (
        "assert newer.version == 2 and tuned.version is None\n"
        "assert newer.metrics['test/accuracy'] > 0.8, newer.metrics\n"
        "assert unroll.load('reviews').version == 1, 'the champion'"
    )
    code = f"from tests.python_api.cells import execute\nexecute({blocks!r}, {then!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "tuned" / "saved_model.pb").is_file()
    assert (tmp_path / "reviews.keras").is_file()


def test_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(NOTEBOOK.read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    execute(cells, "assert newer.version == 2")


def test_the_notebook_stores_no_outputs() -> None:
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            ast.parse("".join(cell["source"]))
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
