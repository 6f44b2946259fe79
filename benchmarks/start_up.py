"""Seconds until the first answer, and the memory of an idle server.

    python benchmarks/start_up.py
    python benchmarks/start_up.py --saved_model workspace/store/sentiment/1 --systems unroll
    python benchmarks/start_up.py --systems unroll --tensorflow_model_server /usr/bin/tensorflow_model_server

"first start" is that of a server that remembers nothing of the model: ours tries what is fastest for it, once it has
answered. "start" is a later one. "new version" is the time from a new version in the store to its first answer; peers
know none and are restarted. "first / median" is the first request that a version answers after it was loaded, on an
open connection, beside the median of those that follow. Memory is that of a server with this one model that nobody asks
any more, after its later start: RSS, what of it is anonymous (not of files), and PSS (shared pages in equal parts), of
all its processes. Nothing else should run meanwhile: a start takes both cores.
"""

import argparse
import json
import select
import shutil
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # else benchmarks/serving.py hides the package
from benchmarks.harness import processes, saved_models, systems  # noqa: E402
from benchmarks.harness.connections import GrpcConnection  # noqa: E402
from benchmarks.harness.trailers import OK  # noqa: E402
from benchmarks.peers import environment  # noqa: E402
from unroll.serving import Store  # noqa: E402

_FOLLOWING = 200
_SECONDS, _MEGABYTES = 2.5, 500  # what ours is to need at most
_IDLE = 3.0  # seconds without a request, after which memory counts
_COLUMNS = {
    "first start s": ("first_start_s", 2),
    "start s": ("start_s", 2),
    "new version s": ("new_version_s", 2),
    "first request ms": ("first_ms", 2),
    "median ms": ("median_ms", 2),
    "first / median": ("first_to_median", 2),
    "RSS MB": ("rss_mb", 0),
    "anonymous MB": ("anonymous_mb", 0),
    "PSS MB": ("pss_mb", 0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saved_model", type=Path, nargs="*", default=[], help="with input `text`; beside the LSTM")
    parser.add_argument("--systems", nargs="*", choices=systems.INSTALLED, default=list(systems.INSTALLED))
    parser.add_argument("--tensorflow_model_server", type=Path, help="its binary, which is measured too")
    parser.add_argument("--other_checkout", type=Path, help="of this project, which is measured too")
    parser.add_argument("--serve", default="", help="further flags of ours: --serve='--flag 1'")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=Path, default=environment.CACHE, help="where the peers are installed")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not {systems.UNROLL}.issuperset(arguments.systems):
        environment.python(arguments.peers)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # else the servers would be left
    with tempfile.TemporaryDirectory() as scratch:
        rows = _measure(arguments, Path(scratch))
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table("model", "system", *_COLUMNS)
    for row in rows:
        row["first_to_median"] = row["first_ms"] / row["median_ms"] if "first_ms" in row else None
        table.add_row(
            row["model"],
            row["system"],
            *("" if row.get(name) is None else f"{row[name]:.{digits}f}" for name, digits in _COLUMNS.values()),
        )
    Console(width=None if sys.stdout.isatty() else 150).print(table)
    for row in rows:
        if row["system"] == systems.UNROLL:
            first, later, memory = (row[name] for name in ("first_start_s", "start_s", "rss_mb"))
            print(
                f"unroll, {row['model']}: first answer after {later:.2f} s, the first time {first:.2f} s "
                f"(at most {_SECONDS}); idle {memory:.0f} MB (at most {_MEGABYTES})"
            )


def _measure(arguments: argparse.Namespace, scratch: Path) -> list[dict[str, Any]]:
    models = {"lstm": (saved_models.export_lstm(scratch / "lstm"), saved_models.token_inputs(1, 64))}
    for path in arguments.saved_model:
        models[path.resolve().parent.name] = (path, saved_models.text_inputs("rt", 1, 64))
    taken: dict[tuple[str, str], list[dict[str, float]]] = {}
    installed = systems.Installed(arguments.peers, arguments.tensorflow_model_server, arguments.other_checkout)
    names = (*arguments.systems, *installed.names)
    schedule = [(model, name) for _ in range(arguments.rounds) for model in models for name in names]
    for number, (model, name) in enumerate(track(schedule, "start", console=Console(stderr=True))):
        saved_model, inputs = models[model]
        folder = scratch / str(number)
        folder.mkdir()
        bodies = {protocol: body(inputs[0]) for protocol, body in systems.BODIES.items()}
        flags = tuple(arguments.serve.split())
        sample: dict[str, float] = {}
        for which in ("first_start_s", "start_s"):
            server = systems.start(name, saved_model, folder, installed, flags)
            try:
                sample[which] = server.wait(bodies)
                if which == "start_s":
                    time.sleep(_IDLE)
                    sample |= _memory(server.process.pid)
                    if name in (systems.UNROLL, systems.OTHER):
                        sample |= _new_version(server, saved_model, inputs, folder / "home" / "store")
            finally:
                server.stop()
        shutil.rmtree(folder)
        taken.setdefault((model, name), []).append(sample)
    return [
        {
            "system": name,
            "model": model,
            **{figure: statistics.median(sample[figure] for sample in samples) for figure in samples[0]},
        }
        for (model, name), samples in taken.items()
    ]


def _memory(pid: int) -> dict[str, float]:
    names = {"Rss": "rss_mb", "Anonymous": "anonymous_mb", "Pss": "pss_mb"}
    return {names[name]: size / 1e6 for name, size in processes.memory_parts(pid).items() if name in names}


def _new_version(
    server: systems.System, saved_model: Path, inputs: list[dict[str, Any]], store: Path
) -> dict[str, float]:
    endpoint = server.endpoints["grpc"]
    asked = [GrpcConnection.encode(endpoint.path, saved_models.predict_body(some, version=2)) for some in inputs]
    connection = GrpcConnection(endpoint.port)
    poll = select.epoll()
    poll.register(connection.socket, select.EPOLLIN)

    def ask(request: bytes) -> tuple[str, float]:
        start = time.perf_counter()
        connection.call(request)
        outcome = None
        while outcome is None:
            poll.poll(0.1)
            outcome = connection.receive()
        return outcome, time.perf_counter() - start

    with connection.socket:
        Store(store).put(saved_models.NAME, 2, saved_model)
        start = time.perf_counter()
        outcome, first = ask(asked[0])
        while outcome != OK:
            if time.perf_counter() > start + 300:
                sys.exit(f"version 2 does not answer: {outcome}\n{server.log.read_text()}")
            time.sleep(0.005)
            outcome, first = ask(asked[0])
        seconds = time.perf_counter() - start
        following = [ask(asked[number % len(asked)])[1] for number in range(_FOLLOWING)]
    return {"new_version_s": seconds, "first_ms": 1e3 * first, "median_ms": 1e3 * statistics.median(following)}


if __name__ == "__main__":
    main()
