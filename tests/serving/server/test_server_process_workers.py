"""`--workers=2`: two processes that are one server to its clients."""

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving_fixtures import ROOT, Server, start_model_server, until
from unroll.serving.client.client import Client

CALLS = re.compile(rb':tensorflow:serving:request_count\{model_name="m",status="OK"\} (\d+)')


@pytest.fixture(scope="module")
def folder(light_exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workers")
    shutil.copytree(light_exports[1], folder / "m" / "1")
    shutil.copytree(light_exports[2], folder / "other" / "2")
    return folder


@pytest.fixture(scope="module")
def workers(folder: Path) -> Iterator[Server]:
    (folder / "cwd").mkdir()
    running = start_model_server(
        "--workers=2",
        "--model_name=m",
        f"--model_base_path={folder / 'm'}",
        f"--request_log={folder / 'log'}",
        cwd=folder / "cwd",
    )
    assert running.port, running.text
    yield running
    running.process.kill()
    running.process.wait()


def children(parent: int) -> set[int]:
    """The processes that serve for this one."""
    found = set()
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        found |= {int(child) for child in task.read_text().split()}
    return {child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def score(server: Server, model: str = "m") -> Any:
    """The answer on a connection of its own."""
    with Client(server.address, model=model) as client:
        return client.predict({"text": ["a"]})["score"][0]


def answered_by(folder: Path, model: str) -> Counter[int]:
    """How many requests each process has logged."""
    logs = (folder / "log" / model).glob("*.tsv")
    return Counter({int(log.stem.rpartition("-")[2]): len(log.read_text().splitlines()) for log in logs})


def counted(server: Server) -> int:
    return int(CALLS.search(server.rest("GET", "/monitoring/prometheus/metrics").body)[1])  # type: ignore[index]


def test_connections_are_spread_and_metrics_added_up(workers: Server, folder: Path) -> None:
    pids = children(workers.process.pid)
    assert len(pids) == 2
    served = re.findall(r"INFO process (\d+): m: version 1 is served", workers.text)
    assert set(map(int, served)) == pids
    assert f"m: loading version 1 from {folder / 'm' / '1'}" in workers.text
    for _ in range(32):
        assert score(workers) == 1.0
    until(lambda: answered_by(folder, "m").total() == 32)
    assert answered_by(folder, "m").keys() == pids  # all 32 on one of them: 1 in 2 ** 31
    counts = {counted(workers) for _ in range(8)}
    assert counts == {64}  # a Client asks for the metadata before it predicts


def reload(server: Server, config: str) -> None:
    with Client(server.address, model="m") as client:
        client.reload_config(config)


def answers_everywhere(server: Server, model: str, value: float) -> None:
    assert [score(server, model) for _ in range(16)] == [value] * 16


def test_a_reload_reaches_all_and_a_killed_worker_comes_back_with_it(workers: Server, folder: Path) -> None:
    before = children(workers.process.pid)
    config = f'config {{ name: "other" base_path: "{folder / "other"}" model_platform: "tensorflow" }}'
    reload(workers, f"model_config_list {{ {config} }}")
    answers_everywhere(workers, "other", 2.0)

    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    until(lambda: not is_alive(killed))
    for _ in range(8):
        assert score(workers, "other") == 2.0  # by the one that is left
    (new,) = until(lambda: children(workers.process.pid) - before)
    until(lambda: f"process {killed} ended (code -9); it is restarted" in workers.text)

    def new_one_answers() -> bool:
        assert score(workers, "other") == 2.0
        return new in answered_by(folder, "other")

    until(new_one_answers, 200)
    until(lambda: f"process {new} serves in place of one that ended" in workers.text)
    model = f'config {{ name: "m" base_path: "{folder / "m"}" model_platform: "tensorflow" }}'
    reload(workers, f"model_config_list {{ {config} {model} }}")
    answers_everywhere(workers, "m", 1.0)


@contextlib.contextmanager
def no_more_files(server: Server, folder: Path) -> Iterator[None]:
    """Lets its first process open none."""
    before = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    yield
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def no_working_folder(server: Server, folder: Path) -> Iterator[None]:
    """Removes where it was started."""
    (folder / "cwd").rmdir()
    yield
    (folder / "cwd").mkdir()


@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [(no_more_files, "Too many open files"), (no_working_folder, "cwd: No such file or directory")],
)
def test_a_worker_that_cannot_be_started_anew_is_said_and_comes_back_once_it_can(
    workers: Server, folder: Path, obstacle: Any, reason: str
) -> None:
    before = children(workers.process.pid)
    killed = max(before)
    with obstacle(workers, folder):
        os.kill(killed, signal.SIGKILL)
        until(
            lambda: re.search(rf"a process cannot be restarted: \S*{reason}; it is tried again in \d+ s", workers.text)
        )
        answers_everywhere(workers, "m", 1.0)  # by the one that is left
    (new,) = until(lambda: children(workers.process.pid) - before)
    until(lambda: f"process {new} serves in place of one that ended" in workers.text)
    answers_everywhere(workers, "m", 1.0)
    assert "Traceback" not in workers.text


def test_a_second_server_on_the_same_ports_ends_in_one_line(workers: Server, folder: Path) -> None:
    model = ("--workers=2", "--model_name=m", f"--model_base_path={folder / 'm'}")
    for flag, port in (("--port", workers.port), ("--rest_api_port", workers.rest_port)):
        second = start_model_server(*model, f"{flag}={port}")
        assert second.process.wait(30) == 2
        assert len(second.output) == 1
        assert second.text.startswith(f"error: {flag} {port}: cannot listen on 127.0.0.1:{port}; ")


def test_sigterm_stops_all_and_ends_well(workers: Server) -> None:
    pids = children(workers.process.pid)
    assert workers.stop() == 0
    assert not any(map(is_alive, pids))
    assert "Traceback" not in workers.text
    for pid in pids:
        assert f"process {pid}: stopping: calls in flight (0) may take 30 seconds" in workers.text
    until(lambda: workers.text.endswith("INFO stopped\n"))


@pytest.mark.slow
def test_what_a_worker_cannot_serve_is_said_in_one_line(start: Callable[..., Server], tmp_path: Path) -> None:
    nothing = start(
        "-m",
        "unroll.serving.server",
        "--port=0",
        "--workers=2",
        "--model_name=m",
        f"--model_base_path={tmp_path / 'none'}",
    )
    assert nothing.process.wait(60) == 2
    (said,) = [line for line in nothing.output if line.startswith("error:")]
    assert str(tmp_path / "none") in said
    assert "Traceback" not in nothing.text


def test_a_killed_parent_leaves_nobody_behind(folder: Path) -> None:
    flags = ("--workers=2", "--port=0", f"--model_base_path={folder / 'm'}")
    command = [sys.executable, "-m", "unroll.serving.server", *flags]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as parent:
        pids = until(lambda: len(found := children(parent.pid)) == 2 and found)
        parent.kill()
    until(lambda: not any(map(is_alive, pids)))
