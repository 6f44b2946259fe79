"""A small SavedModel, and a real server in a process of its own, for every test that asks one."""

import os
import re
import shlex
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.rest_client import Reply, ask
from unroll.serving.server.ports import free_port
from unroll.serving.versions.store import Store

ROOT = Path(__file__).resolve().parents[1]
SERVE = ("-m", "unroll", "serve", "--port", "0", "--rest_api_port", "0")


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Waits for a condition, and returns its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)
    return value


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[str]
    port: int = 0
    rest_port: int = 0
    output: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def text(self) -> str:
        return "".join(self.output)

    def rest(self, verb: str, path: str, body: Any = None, tls: ssl.SSLContext | None = None, **headers: str) -> Reply:
        """Asks the REST endpoint."""
        return ask(self.rest_port, verb, path, body, tls, **headers)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def start_server(*python: str, cwd: Path = ROOT) -> Server:
    """Runs Python with these arguments there, and returns once it announces its server or has ended."""
    server = Server(
        subprocess.Popen(
            [sys.executable, *python],
            cwd=cwd,
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
            if found := re.search(r"Serving on 127\.0\.0\.1:(\d+)", line):
                server.port = int(found[1])
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    assert ready.wait(120), "".join(server.output)
    return server


def running_server(home: Path) -> Iterator[Server]:
    """A server of a workspace's store, for a fixture to yield from; killed at the end."""
    running = start_server(*SERVE, "--store", str(home / "store"), "--home", str(home))
    yield running
    running.process.kill()
    running.process.wait()


def suggested(server: Server) -> list[str]:
    """The command by which a server says it can be tried."""
    until(lambda: "Try it:\n" in server.output[:-1])
    return shlex.split(server.output[server.output.index("Try it:\n") + 1])


def start_model_server(*flags: str, cwd: Path = ROOT) -> Server:
    """Runs `python -m unroll.serving.server` with these flags, gRPC and REST on free ports."""
    rest_port = free_port()
    server = start_server("-m", "unroll.serving.server", "--port=0", f"--rest_api_port={rest_port}", *flags, cwd=cwd)
    server.rest_port = rest_port
    return server


def export_sample(directory: Path, offset: float = 0.0) -> Path:
    """A model with text, number and Classify signatures; `score` is the text's length plus `offset`.

    `hold` keeps the engine busy until a file stands at the first `path`; it leaves `<path>.running` when it starts.
    """
    import tensorflow as tf

    from unroll.serving.export import export_saved_model

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

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "path")])
        def hold(self, path: tf.Tensor) -> dict[str, tf.Tensor]:
            def nothing(turn: tf.Tensor) -> tf.Tensor:
                # What needs the turn, the optimizer cannot look at only once, nor leave out.
                return tf.strings.substr(tf.strings.as_string(turn), 0, 0)

            def missing(turn: tf.Tensor) -> tf.Tensor:
                return (tf.size(tf.io.matching_files(path[0] + nothing(turn))) == 0) & (turn < 5_000_000)

            with tf.control_dependencies([tf.io.write_file(tf.strings.join([path[0], ".running"]), "")]):
                (turns,) = tf.while_loop(missing, lambda turn: turn + 1, [tf.constant(0)])
            return {"held": path + nothing(turns)}

        @tf.function(input_signature=[])
        def describe(self) -> dict[str, tf.Tensor]:
            return {"json": tf.constant("{}")}

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
            "hold": module.hold,
            "describe": module.describe,
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
def store(exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """What `server` serves: version 1 as `sample`, which stays. A test may put models of other names there."""
    shared = Store(tmp_path_factory.mktemp("store"))
    shared.put("sample", 1, exports[1])
    return shared


@pytest.fixture(scope="session")
def server(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all."""
    log = tmp_path_factory.mktemp("requests")
    running = start_server(
        *(*SERVE, "--store", str(store.root), "--request_log", str(log), "--file_system_poll_wait_seconds", "0.1")
    )
    assert running.port, "".join(running.output)
    yield running
    assert running.stop() == 0, "".join(running.output)


@pytest.fixture(scope="session")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address) as open_channel:
        yield open_channel


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """`start_server`, for servers that end with the test."""
    running: list[Server] = []

    def starting(*python: str) -> Server:
        running.append(start_server(*python))
        return running[-1]

    yield starting
    for one in running:
        one.process.kill()
        one.process.wait()
