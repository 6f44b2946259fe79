"""A server holds the memory that its models need, not what loading took."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.serving_fixtures import ROOT
from unroll.serving.export import export_saved_model

PROGRAM = """
import sys
from pathlib import Path
import numpy as np

def megabytes(kind):
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(kind + ":"))

from unroll.serving.engine.session_engine import SessionEngine
"""
pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="not Linux")


def run(program: str, *arguments: str) -> None:
    command = [sys.executable, "-c", PROGRAM + program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_pages_that_only_loading_the_library_needs_are_let_go(exports: dict[int, Path]) -> None:
    run(
        """
from_files = megabytes("Rss") - megabytes("Anonymous")
assert from_files < 200, from_files
engine = SessionEngine(Path(sys.argv[1]))
assert engine.run("pick", [np.array([2])])[0] == [30.0]
""",
        str(exports[1]),
    )


def test_a_model_that_is_closed_gives_its_memory_back(tmp_path: Path) -> None:
    import tensorflow as tf

    class Large(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tables = [tf.Variable(tf.ones([1 << 20, 4])) for _ in range(6)]  # 16 MiB each

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "x")])
        def serve(self, x: tf.Tensor) -> dict[str, Any]:
            return {"y": tf.add_n([tf.gather(table, x)[:, 0] for table in self.tables])}

    large = Large()
    signatures = {"serving_default": large.serve}
    directory = export_saved_model(large, signatures, tmp_path / "large", name="large", warmup_requests=[])
    run(
        """
def used():
    engine = SessionEngine(Path(sys.argv[1]))
    assert engine.run("serving_default", [np.array([2], np.int32)])[0] == [6.0]
    assert megabytes("Anonymous") > 96
    engine.close()
    return megabytes("Anonymous")

before = megabytes("Anonymous")
afterwards = [used() for _ in range(2)]
assert max(afterwards) < before + 48, (before, afterwards)
""",
        str(directory),
    )
