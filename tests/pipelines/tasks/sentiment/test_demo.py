"""The README's first command."""

import subprocess
import sys
from pathlib import Path

import pytest


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
