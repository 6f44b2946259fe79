"""SIGTERM while a server starts, or while it loads a version that never ends to load."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving_fixtures import ROOT, start_model_server, until
from unroll.serving.client.client import Client
from unroll.serving.versions import warmup

SIGTERM_CAUGHT = 1 << 14  # of SigCgt in /proc


@pytest.fixture
def hanging(exports: dict[int, Path], tmp_path: Path) -> Path:
    """A version whose warmup waits for a file; `<version>.running` stands beside it once it does."""
    version = tmp_path / "hanging" / "2"
    shutil.copytree(exports[2], version)
    waiting = [("hold", {"path": [str(version)[:-1] + "never"]})]
    records = version / "assets.extra" / warmup.FILE
    warmup.write(records, "sample", {"hold": "tensorflow/serving/predict"}, waiting)
    return version


@pytest.fixture
def starting(hanging: Path) -> Iterator["subprocess.Popen[str]"]:
    flags = ("--port=0", "--model_name=sample", f"--model_base_path={hanging.parent}")
    command = [sys.executable, "-m", "unroll.serving.server", *flags]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def ends_well(process: "subprocess.Popen[str]") -> str:
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert "Exception" not in said
    return said


def test_a_server_that_starts_ends_well(starting: "subprocess.Popen[str]") -> None:
    def catches() -> bool:
        status = Path(f"/proc/{starting.pid}/status").read_text()
        return bool(int(status.partition("SigCgt:")[2].split()[0], 16) & SIGTERM_CAUGHT)

    until(catches)  # long before TensorFlow is imported
    ends_well(starting)


def test_a_server_that_loads_its_first_model_ends_well(starting: "subprocess.Popen[str]", hanging: Path) -> None:
    until((hanging.parent / "never.running").exists)
    said = ends_well(starting)
    assert f"sample: loading version 2 from {hanging}" in said
    assert "stopping before it serves" in said
    assert said.endswith("INFO stopped\n")


def test_a_server_that_loads_another_version_ends_well(exports: dict[int, Path], hanging: Path, tmp_path: Path) -> None:
    shutil.copytree(exports[1], tmp_path / "sample" / "1")
    running = start_model_server(
        "--model_name=sample",
        f"--model_base_path={tmp_path / 'sample'}",
        "--file_system_poll_wait_seconds=0.1",
        "--drain_seconds=1",
    )
    try:
        hanging.rename(tmp_path / "sample" / "2")
        until((hanging.parent / "never.running").exists)
        with Client(running.address, model="sample") as client:
            assert client.status() == {1: "AVAILABLE", 2: "LOADING"}
            assert client.predict({"text": ["four"]})["score"] == [4.0]
        assert running.stop() == 0, running.text
        assert "Traceback" not in running.text
        assert "Exception" not in running.text
    finally:
        running.process.kill()
        running.process.wait()
