"""`unroll serve` beside its peers, with the same SavedModel behind each.

    python benchmarks/serving.py                                             # an LSTM of 64 units, 32 tokens a row
    python benchmarks/serving.py --saved_model workspace/store/sentiment/1   # input `text`
    python benchmarks/serving.py --systems unroll --workers 1 2

The peers are installed into an environment of their own at the first run. The servers take turns under load, so that a
busy machine hurts all alike, and are suspended in between, since some never rest. The figures are medians over the
rounds; failures are summed. The clients share one process, a connection each, and send the next request as soon as the
answer is there. "limit" is the same graph in process without any protocol: one thread, a v1 Session in a loop, 1 or 64
rows a call, as TensorFlow Serving runs it; "engine" the same with the executor that ours uses.
"""

import argparse
import contextlib
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # else this file would stand before the package of its name
from benchmarks import load, processes, saved_models, systems  # noqa: E402
from benchmarks.peers import environment  # noqa: E402


@dataclass(frozen=True)
class Case:
    """What is measured at a time: requests of `rows` rows by `clients` clients (in process: no clients)."""

    system: str
    clients: int
    rows: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saved_model", type=Path, help="version directory with input `text`; without it, the LSTM")
    parser.add_argument("--texts", choices=["rt", "imdb"], default="rt", help="sentences or whole reviews")
    parser.add_argument("--systems", nargs="+", choices=list(systems.DOORS), default=list(systems.DOORS))
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="of ours; each number is a system")
    parser.add_argument("--serve", default="", help="further flags of ours: --serve='--flag 1'")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16], help="a request")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load, a case and round")
    parser.add_argument("--peers", type=Path, default=environment.CACHE, help="where the peers are installed")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # else the servers would be left
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as running:
        rows = _measure(arguments, Path(scratch), running)
    if arguments.json:
        print(json.dumps(rows))
    else:
        _show(rows)


def _measure(arguments: argparse.Namespace, scratch: Path, running: contextlib.ExitStack) -> list[dict[str, Any]]:
    if arguments.saved_model:
        saved_model, about = (
            arguments.saved_model,
            {"model": arguments.saved_model.parent.name, "texts": arguments.texts},
        )
        inputs = {rows: saved_models.text_inputs(arguments.texts, rows) for rows in arguments.rows}
    else:
        saved_model, about = saved_models.export_lstm(scratch / "lstm"), {"model": "lstm"}
        inputs = {rows: saved_models.token_inputs(rows) for rows in arguments.rows}
    encode = {"grpc": saved_models.predict_body, "http": saved_models.json_body}
    for rows, some in inputs.items():
        for protocol, body in encode.items():
            load.write_bodies(scratch / f"{protocol}-{rows}", [body(one) for one in some])

    in_process = _in_process(saved_model, inputs, scratch, running)
    servers = {
        name: running.enter_context(_started(name, saved_model, scratch, arguments.peers, flags))
        for name, flags in _flags(arguments)
    }
    for server in servers.values():
        server.wait(load.read_bodies(scratch / f"{server.protocol}-{arguments.rows[0]}")[0])
        server.pause()
    cases = [
        *(Case(name, clients, rows) for rows in arguments.rows for clients in arguments.clients for name in servers),
        *(Case(name, 0, rows) for rows in (1, 64) for name in in_process),
    ]
    measure: Callable[[Case, float], dict[str, float]] = lambda case, seconds: (  # noqa: E731
        _load(servers, case, seconds, scratch) if case.clients else in_process[case.system](case.rows, seconds)
    )
    for case in cases:  # the first requests of a server are slow; they do not count
        measure(case, 1.0)
    taken: dict[Case, list[dict[str, float]]] = {case: [] for case in cases}
    schedule = [case for _ in range(arguments.rounds) for case in cases]
    for case in track(schedule, "load", console=Console(stderr=True)):
        taken[case].append(measure(case, arguments.seconds))
    return [
        {"system": case.system, **about, "clients": case.clients, "rows": case.rows, **_summary(samples)}
        for case, samples in taken.items()
    ]


def _flags(arguments: argparse.Namespace) -> Iterator[tuple[str, tuple[str, ...]]]:
    further = tuple(arguments.serve.split())
    for name in arguments.systems:
        if name != "unroll":
            yield name, ()
            continue
        for workers in arguments.workers:
            yield (
                ("unroll", further)
                if workers == 1
                else (
                    f"unroll --workers {workers}",
                    (*further, "--workers", str(workers)),
                )
            )


@contextlib.contextmanager
def _started(
    name: str, saved_model: Path, scratch: Path, peers: Path, flags: tuple[str, ...]
) -> Iterator[systems.System]:
    folder = scratch / name
    folder.mkdir()
    server = systems.start(name.split(" ")[0], saved_model, folder, peers, flags)
    try:
        yield server
    finally:
        server.stop()


def _in_process(
    saved_model: Path,
    inputs: dict[int, list[dict[str, NDArray[Any]]]],
    scratch: Path,
    running: contextlib.ExitStack,
) -> dict[str, Callable[[int, float], dict[str, float]]]:
    some = max(inputs.values(), key=lambda requests: sum(len(next(iter(one.values()))) for one in requests))
    joined: dict[str, Any] = {alias: np.concatenate([one[alias] for one in some]) for alias in some[0]}
    np.savez(scratch / "inputs.npz", **joined)
    return {
        name: _loop(running, str(saved_model.resolve()), str(scratch / "inputs.npz"), executor)
        for name, executor in _EXECUTORS.items()
    }


def _loop(running: contextlib.ExitStack, *arguments: str) -> Callable[[int, float], dict[str, float]]:
    command = [sys.executable, "-m", "benchmarks.limit", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    running.enter_context(process)  # leaving it closes standard input, which ends the process
    assert process.stdin
    assert process.stdout
    question, answer = process.stdin, process.stdout

    def measure(rows: int, seconds: float) -> dict[str, float]:
        question.write(f"{rows} {seconds}\n")
        question.flush()
        return json.loads(answer.readline())

    return measure


def _load(servers: dict[str, systems.System], case: Case, seconds: float, scratch: Path) -> dict[str, float]:
    server = servers[case.system]
    server.resume()
    time.sleep(0.1)
    bodies = scratch / f"{server.protocol}-{case.rows}"
    command = [server.protocol, str(server.port), server.path, str(case.clients), str(seconds), str(bodies)]
    before = {name: processes.cpu_seconds(one.process.pid) for name, one in servers.items()}
    done = subprocess.run([sys.executable, "-m", "benchmarks.load", *command], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{case}: {done.stderr}\n{server.log.read_text()}")
    server.pause()
    used = {name: processes.cpu_seconds(one.process.pid) - before[name] for name, one in servers.items()}
    sample = json.loads(done.stdout)
    if sample["failures"]:
        print(f"{case}: {sample['failures']}", file=sys.stderr)
    sample["cpu_us"] = 1e6 * used.pop(case.system) / sample["requests"]
    sample["others_cpu"] = sum(used.values()) / seconds
    return sample


def _summary(samples: list[dict[str, float]]) -> dict[str, float]:
    """Medians, but of failures the sum."""
    names = [name for name in samples[0] if name not in ("failures", "requests")]
    return {
        name: sum(sample[name] for sample in samples)
        if name == "failed"
        else statistics.median(sample[name] for sample in samples)
        for name in names
    }


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(title=" ".join(str(rows[0][name]) for name in ("model", "texts") if name in rows[0]))
    columns = (
        "system",
        "clients",
        "rows",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "failed",
        "CPU us",
        "unroll / it",
        "limit",
    )
    for column in columns:
        table.add_column(column, justify="left" if column == "system" else "right")
    rates = {(row["system"], row["clients"], row["rows"]): row["requests_per_second"] for row in rows}
    most = 64 * rates["limit", 0, 64]
    shown = None
    for row in rows:
        if shown not in (None, (row["clients"], row["rows"])):
            table.add_section()
        shown = row["clients"], row["rows"]
        ours = rates.get(("unroll", row["clients"], row["rows"]))
        table.add_row(
            row["system"],
            str(row["clients"] or "in process"),
            str(row["rows"]),
            *(f"{row[name]:,.{digits}f}" for name, digits in _FIGURES),
            f"{ours / row['requests_per_second']:.2f}" if ours and row["system"] != "unroll" else "",
            f"{row['requests_per_second'] * row['rows'] / most:.0%}",
        )
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    console.print("limit: rows/s as a share of those in process, 64 rows a call")
    calls = {row["system"]: row["p50_ms"] for row in rows if not row["clients"] and row["rows"] == 1}
    for row in rows:
        if row["clients"] == 1 and row["rows"] == 1:
            times = " and ".join(f"{row['p50_ms'] / call:.2f} times {name}'s call" for name, call in calls.items())
            console.print(f"{row['system']}, 1 client: p50 is {times} in process")
    loaded = [row for row in rows if row["clients"]]
    fastest = max(loaded, key=lambda row: row["requests_per_second"])
    others = max(row["others_cpu"] for row in loaded)
    console.print(
        f"load generator: {fastest['load_us']:.0f} us a request at {fastest['requests_per_second']:,.0f} a second"
    )
    if others > 0.01:
        console.print(f"servers that were not under load took {others:.0%} of a core")


_EXECUTORS = {"limit": "", "engine": "SINGLE_THREADED_EXECUTOR"}
_FIGURES = (("requests_per_second", 0), ("p50_ms", 2), ("p99_ms", 2), ("failed", 0), ("cpu_us", 0))

if __name__ == "__main__":
    main()
