"""The main job in one go: train, serve, ask, check for drift."""

import pydoc_data.topics
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.table import Table

from unroll import serving
from unroll.errors import UserError
from unroll.monitoring.report import Report, drift_report
from unroll.monitoring.requests import Window
from unroll.pipelines.data.records import read_records
from unroll.pipelines.data.splits import hash_split
from unroll.pipelines.registry import task_named
from unroll.pipelines.tasks.sentiment.sample import sample as movie_reviews
from unroll.pipelines.training.config import load_config
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.training import train
from unroll.serving.server.ports import free_port
from unroll.workspace import Workspace

NAME = "movie_reviews"
_WINDOW = 300
_START_SECONDS = 120.0
_QUESTIONS = (
    "A warm, funny film that I will watch again with my children.",
    "I want those two hours of my life back: a dull, lazy, endless mess.",
    "The actors do what they can, but nobody told the writer that a story needs an end.",
)


def demo(workspace: Workspace) -> None:
    """Trains on real reviews, serves, asks over gRPC and compares two windows of requests.

    Args:
        workspace: where everything is written.

    Raises:
        UserError: the sample data is not installed, or the server does not start.
    """
    console = Console()
    sample = movie_reviews(workspace.cache / "samples")
    task = task_named(sample.task)
    config = load_config(task.Config, base=sample.settings)
    with Progress() as progress:
        progress.line("1. Train on labelled reviews of IMDB and Rotten Tomatoes", "bold")
        trained = train(task, config, str(sample.path), NAME, workspace, progress, promote=True)
        progress.line("2. Serve it over gRPC, ask it, and watch its requests", "bold")
        with _server(workspace, progress) as address, serving.Client(address, model=NAME) as client:
            answers = client.predict({"text": list(_QUESTIONS)})
            texts = (text for batch in read_records([sample.path], ["text"]) for text in batch["text"])
            unseen = [text for text in texts if hash_split(text) == "test"]
            windows = {
                "300 held-out reviews": _watch(client, random.Random(0).sample(unseen, _WINDOW), workspace, progress),
                "300 paragraphs of Python's manual": _watch(client, _manual(), workspace, progress),
            }
    accuracy = Table("test accuracy", *(group for group, _ in _accuracies(trained.card.metrics)))
    accuracy.add_row(trained.title, *(f"{v:.3f}" for _, v in _accuracies(trained.card.metrics)))
    console.print(accuracy)
    table = Table("asked over gRPC", "answer", "score")
    for text, label, score in zip(_QUESTIONS, answers["label"], answers["score"], strict=True):
        table.add_row(text, label, f"{score:.2f}")
    console.print(table)
    table = Table("window of requests", "verdict", "p-value")
    for window, report in windows.items():
        table.add_row(window, report.verdict, f"{report.comparison.p_value:.4f}")
    console.print(table)
    home = workspace.home
    command = "unroll" if shutil.which("unroll") else Path(sys.argv[0])
    console.print(
        f"[bold]Made[/] in {home}:\n"
        f"  {trained.path}  the model: stock TensorFlow Serving loads it too\n"
        f"  {workspace.requests / NAME}  the requests just served\n"
        f"  {home / 'mlflow.db'}  the run: see it with [bold]{command} ui --home {home}[/]\n"
        "[bold]Try next[/]:\n"
        f"  {command} serve --home {home} &\n"
        f'  {command} predict {NAME} --input "I laughed twice, both times at the wrong moment."\n'
        f"  {command} monitor report {NAME} --home {home}",
        soft_wrap=True,
        highlight=False,
    )


def _accuracies(metrics: Mapping[str, float]) -> list[tuple[str, float]]:
    prefix = "test/accuracy"
    return [
        (key.removeprefix(prefix).strip("/") or "all", value)
        for key, value in metrics.items()
        if key.startswith(prefix)
    ]


@contextmanager
def _server(workspace: Workspace, progress: Progress) -> Iterator[str]:
    """`unroll serve` in a process of its own; its address."""
    port = free_port()
    serve = ["-m", "unroll", "serve", "--home", str(workspace.home), "--port", str(port), "--rest_api_port", "0"]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([sys.executable, *serve], stdout=subprocess.DEVNULL, stderr=said)
        try:
            with progress.stage("starting the server"):
                _wait_until_ready(f"127.0.0.1:{port}", process, said)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(address: str, process: subprocess.Popen, said: IO[str]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with serving.Client(address, model=NAME) as client:
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(serving.ServingError):
                client.wait_until_ready(1.0)
                return
    said.seek(0)
    lines = said.read().strip().splitlines() or ["it said nothing"]
    raise UserError(f"the server did not start: {lines[-1]}")


def _watch(client: "serving.Client", texts: Sequence[str], workspace: Workspace, progress: Progress) -> Report:
    """Sends texts, one a request, and compares the window that they make with the reference."""
    with progress.stage(f"sending {len(texts)} texts", total=len(texts)) as stage:
        for text in texts:
            client.predict({"text": [text]})
            stage.advance()
    sent = datetime.now(UTC)
    with progress.stage("comparing with the reference"):
        while True:  # the log is written behind the requests' backs
            try:
                report = drift_report(
                    NAME, store=workspace.store, requests=workspace.requests, window=Window(len(texts))
                )
            except UserError:  # nothing of it is on disk yet
                if _late(sent):
                    raise
            else:
                if (report.requests == len(texts) and (sent - report.last).total_seconds() < 1) or _late(sent):
                    return report
            time.sleep(0.1)


def _late(since: datetime) -> bool:
    return (datetime.now(UTC) - since).total_seconds() > 10


def _manual() -> list[str]:
    topics = pydoc_data.topics.topics.values()
    paragraphs = [paragraph for topic in topics for paragraph in topic.split("\n\n") if len(paragraph) > 80]
    return random.Random(0).sample(paragraphs, _WINDOW)
