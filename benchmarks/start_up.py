"""Seconds until the first answer: of a server that starts, and of a version that is new in the store.

    python benchmarks/start_up.py
    python benchmarks/start_up.py --saved_model workspace/store/sentiment/1 --systems unroll

Peers know no new versions: they are started anew. "first request" is the first one that a version answers after it was
loaded, on an open connection, as a multiple of the median of those that follow.
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
from benchmarks import saved_models, systems  # noqa: E402
from benchmarks.connections import GrpcConnection  # noqa: E402
from benchmarks.peers import environment  # noqa: E402
from benchmarks.trailers import OK  # noqa: E402
from serving import Store  # noqa: E402

_FOLLOWING = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saved_model", type=Path, nargs="*", default=[], help="with input `text`; beside the LSTM")
    parser.add_argument("--systems", nargs="+", choices=list(systems.DOORS), default=list(systems.DOORS))
    parser.add_argument("--serve", default="", help="further flags of ours: --serve='--flag 1'")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=Path, default=environment.CACHE, help="where the peers are installed")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if set(arguments.systems) != {"unroll"}:
        environment.python(arguments.peers)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # else the servers would be left
    with tempfile.TemporaryDirectory() as scratch:
        rows = _measure(arguments, Path(scratch))
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table("model", "system", "start s", "new version s", "first request ms", "median ms", "first / median")
    for row in rows:
        first, median = row.get("first_ms"), row.get("median_ms")
        figures = (row["start_s"], row.get("new_version_s"), first, median, first / median if median else None)
        table.add_row(row["model"], row["system"], *(f"{figure:.2f}" if figure else "" for figure in figures))
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _measure(arguments: argparse.Namespace, scratch: Path) -> list[dict[str, Any]]:
    models = {"lstm": (saved_models.export_lstm(scratch / "lstm"), saved_models.token_inputs(1, 64))}
    for path in arguments.saved_model:
        models[path.resolve().parent.name] = (path, saved_models.text_inputs("rt", 1, 64))
    taken: dict[tuple[str, str], list[dict[str, float]]] = {}
    schedule = [(model, name) for _ in range(arguments.rounds) for model in models for name in arguments.systems]
    for number, (model, name) in enumerate(track(schedule, "start", console=Console(stderr=True))):
        saved_model, inputs = models[model]
        folder = scratch / str(number)
        folder.mkdir()
        encode = {"grpc": saved_models.predict_body, "http": saved_models.json_body}[systems.DOORS[name][0]]
        flags = tuple(arguments.serve.split()) if name == "unroll" else ()
        server = systems.start(name, saved_model, folder, arguments.peers, flags)
        try:
            sample = {"start_s": server.wait(encode(inputs[0]))}
            if name == "unroll":
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


def _new_version(
    server: systems.System, saved_model: Path, inputs: list[dict[str, Any]], store: Path
) -> dict[str, float]:
    asked = [GrpcConnection.encode(server.path, saved_models.predict_body(some, version=2)) for some in inputs]
    connection = GrpcConnection(server.port)
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
