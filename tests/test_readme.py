"""Every command of the README, in its order, as a reader would type it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import ROOT, reviews
from unroll.serving import Client, ServingError
from unroll.serving.server.ports import free_port

BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.fixture
def shell(tmp_path):
    """A folder with data in it, and the environment of a reader who has activated `.venv`."""
    reviews(900).to_csv(tmp_path / "reviews.csv", index=False)
    reviews(100, seed=1).to_csv(tmp_path / "newer.csv", index=False)
    hours = pd.date_range("2026-01-01", periods=600, freq="h")
    load = 100 + 20 * np.sin(2 * np.pi * hours.hour / 24)
    pd.DataFrame({"date": hours, "load": load}).to_csv(tmp_path / "load.csv", index=False)
    colours = ["red", "green", "blue", "white"] * 20  # as many as it takes to tell what is learnt from chance
    for number, colour in enumerate(colours):
        Image.new("RGB", (48, 40 + number), colour).save(tmp_path / f"{number}.png")
    captions = [f"a {colour} wall" for colour in colours]
    files = [f"{number}.png" for number in range(len(colours))]
    pd.DataFrame({"image": files, "caption": captions}).to_csv(tmp_path / "photos.csv", index=False)
    Image.new("RGB", (64, 48), "red").save(tmp_path / "photo.jpg")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    background: list[subprocess.Popen] = []
    yield tmp_path, environment, background
    for process in background:
        process.send_signal(signal.SIGTERM)
    for process in background:
        process.wait(timeout=30)


def until(answers, process, what):
    deadline = time.monotonic() + 120
    while not answers():
        assert process.poll() is None, f"{what} ended with code {process.returncode}"
        assert time.monotonic() < deadline, f"{what} does not answer"
        time.sleep(0.1)


def served(port: int) -> bool:
    try:
        with Client(f"127.0.0.1:{port}", model="reviews", timeout=1) as client:
            return bool(client.status())
    except ServingError:
        return False


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.timeout(900)  # it trains four models
def test_the_commands_of_the_readme_work(shell):
    folder, environment, background = shell
    grpc, rest, ui = free_port(), free_port(), free_port()  # the README's own may be taken on this machine
    ran = []
    for language, block in BLOCKS:
        if language == "python":
            code = block.replace("127.0.0.1:8500", f"127.0.0.1:{grpc}")
            done = subprocess.run(
                [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.split()[0] in ("neg", "pos")
            continue
        for line in block.splitlines():
            command = line.split("  #")[0].strip()
            ran.append(command)
            if command.startswith(("unroll serve", "unroll ui")):
                serving = command.startswith("unroll serve")
                port = grpc if serving else ui
                ports = f"--port {grpc} --rest_api_port {rest}" if serving else f"--port {ui}"
                process = subprocess.Popen(["bash", "-c", f"exec {command} {ports}"], cwd=folder, env=environment)
                background.append(process)
                until(lambda port=port, serving=serving: (served if serving else listening)(port), process, command)
                continue
            command = command.replace("127.0.0.1:8501", f"127.0.0.1:{rest}")
            if command.startswith("unroll predict"):
                command += f" --server 127.0.0.1:{grpc}"
            done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert len(ran) >= 9, f"the README's commands were not found: {ran}"
