"""The README's first command."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from unroll.pipelines.samples import Sample
from unroll.pipelines.tasks.sentiment import demo
from unroll.pipelines.training.card import Card
from unroll.workspace import Workspace


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_trains_serves_and_tells_drift(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unroll", "demo", "--home", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    held_out, manual = (line for line in done.stdout.splitlines() if line.startswith("│ 300 "))
    assert "no drift" in held_out
    assert "no drift" not in manual
    assert (tmp_path / "store" / "movie_reviews" / "1" / "saved_model.pb").is_file()


def test_the_demo_serves_asks_and_compares_what_was_trained(trained, reviews_csv, tmp_path, monkeypatch, capfd) -> None:
    """All but the training, which is another model's; the real data and times are the slow test's."""
    workspace = Workspace(tmp_path)
    shutil.copytree(trained["home"] / "store" / "small", workspace.store / "small")
    path = workspace.store / "small" / "1"
    made = SimpleNamespace(card=Card.load(path), title="small version 1", path=path)
    monkeypatch.setattr(demo, "NAME", "small")
    monkeypatch.setattr(demo, "_WINDOW", 60)
    monkeypatch.setattr(demo, "train", lambda *args, **settings: made)
    monkeypatch.setattr(demo, "movie_reviews", lambda folder: Sample("sentiment", "reviews", reviews_csv, {}))
    demo.demo(workspace)
    lines = capfd.readouterr().out.splitlines()
    held_out, manual = (line for line in lines if line.startswith("│ 300 "))  # as they are called
    assert "no drift" in held_out
    assert "drift" in manual, "of so small a model none may be found"
    assert any("A warm, funny film" in line and "pos" in line for line in lines)
