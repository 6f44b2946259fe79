"""A small SavedModel, and a real server in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from serving.store import Store

ROOT = Path(__file__).resolve().parents[2]
SERVE = (
    "import sys, serving.cli, errors\n"
    "try: serving.cli.app()\n"
    "except errors.UserError as error: print(f'error: {error}', file=sys.stderr); sys.exit(2)"
)


@dataclass
class Server:
    """A running `unroll serve`."""

    process: subprocess.Popen[str]
    port: int = 0
    output: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def start_server(store: Path, *options: str) -> Server:
    """Starts a server and returns once it answers, or has ended."""
    server = Server(
        subprocess.Popen(
            [sys.executable, "-c", SERVE, "serve", "--store", str(store), "--port", "0", *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    )
    ready = threading.Event()

    def read() -> None:
        assert server.process.stdout
        for line in server.process.stdout:
            server.output.append(line)
            if found := re.search(r"--server 127\.0\.0\.1:(\d+)", line):
                server.port = int(found[1])
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    assert ready.wait(120), "".join(server.output)
    return server


def export_sample(directory: Path, offset: float = 0.0) -> Path:
    """A model with text, number and Classify signatures; `score` is the text's length plus `offset`."""
    import tensorflow as tf

    from serving.export import export_saved_model

    class Sample(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.offset = tf.Variable(offset, dtype=tf.float32)
            words = tf.lookup.KeyValueTensorInitializer(["good", "bad"], ["positive", "negative"])
            self.labels = tf.lookup.StaticHashTable(words, "unknown")

        def lengths(self, text: tf.Tensor) -> tf.Tensor:
            return tf.cast(tf.strings.length(text), tf.float32) + self.offset

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        def text(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            scores = self.lengths(text)
            pair = tf.stack([scores, -scores], axis=1)
            return {"label": self.labels.lookup(text), "score": scores, "probabilities": pair}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
        def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            features = {"text": tf.io.FixedLenFeature([], tf.string, "")}
            text = tf.io.parse_example(inputs, features)["text"]
            classes = tf.stack([self.labels.lookup(text), text], axis=1)
            return {"classes": classes, "scores": tf.stack([self.lengths(text), -self.lengths(text)], axis=1)}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 2], tf.float32, "a"),
                tf.TensorSpec([None], tf.float32, "b"),
            ]
        )
        def sums(self, a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"sum": tf.reduce_sum(a, 1) + b}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "index")])
        def pick(self, index: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"picked": tf.gather(tf.constant([10.0, 20.0, 30.0]), index)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "turns")])
        def spin(self, turns: tf.Tensor) -> dict[str, tf.Tensor]:
            count = tf.while_loop(lambda i: i < tf.reduce_max(turns), lambda i: i + 1, [tf.constant(0, tf.int64)])
            return {"turns": turns + 0 * count[0]}

    module = Sample()
    example = tf.train.Example()
    example.features.feature["text"].bytes_list.value.append(b"good")
    return export_saved_model(
        module,
        {
            "serving_default": module.text,
            "classify": module.classify,
            "sums": module.sums,
            "pick": module.pick,
            "spin": module.spin,
        },
        directory,
        name="sample",
        warmup_requests=[
            ("serving_default", {"text": ["good"]}),
            ("classify", {"inputs": [example.SerializeToString()]}),
        ],
        extra_files={"model_card.md": b"# sample\n"},
    )


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Version 1, and version 2 whose scores are 1000 higher."""
    folder = tmp_path_factory.mktemp("exports")
    return {1: export_sample(folder / "1"), 2: export_sample(folder / "2", offset=1000.0)}


@pytest.fixture(scope="session")
def server(exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves version 1 to every test that only asks."""
    folder = tmp_path_factory.mktemp("shared")
    Store(folder / "store").put("sample", 1, exports[1])
    running = start_server(folder / "store", "--request_log", str(folder / "requests"))
    assert running.port, "".join(running.output)
    yield running
    assert running.stop() == 0, "".join(running.output)


@pytest.fixture(scope="session")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address) as open_channel:
        yield open_channel


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers that are stopped after the test."""
    running: list[Server] = []

    def starting(store: Path, *options: str) -> Server:
        running.append(start_server(store, "--home", str(tmp_path / "home"), *options))
        return running[-1]

    yield starting
    for one in running:
        one.stop()
