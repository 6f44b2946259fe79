"""Mixed traffic at 70 % of capacity (or --rate), while an operator puts versions, reloads the configuration and errs.

    python benchmarks/soak.py --minutes 60
    python benchmarks/soak.py --minutes 3 --every 15    # to try it: a version every quarter of a minute

Traffic: Predict of 1, 8 and 16 rows on an LSTM, Predict and Classify on texts, REST with --rest; some clients cancel,
some hang up. One request in a hundred has 1 to 2000 rows and is cancelled at any moment: by a reset, by hanging up, or
by a deadline of 0.3 to 6 ms. Every minute (`--every`) a new version of a model, every second minute another
configuration of models by HandleReloadConfigRequest, every fifth a version that is damaged. Exit code 1 if a request
failed, a version did not come up, threads or file descriptors were left, or resident memory grew by more than 5 %: its
median over the last ten minutes beside that over ten minutes after the first ten, to warm up (in short runs: thirds).
"""

import argparse
import contextlib
import json
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # else benchmarks/serving.py hides the package
from benchmarks.harness import processes, saved_models, systems  # noqa: E402
from benchmarks.harness.traffic import Kind, Seen, Traffic  # noqa: E402
from benchmarks.operations import Operator  # noqa: E402
from unroll.serving import Store  # noqa: E402

_SHARE = 0.7
_CLIENTS = 32
_GROWTH = 0.05
_LSTM = "/v1/models/lstm:predict"
_MAX_ROWS = 2000
_LEFT = 8  # threads and files by which pools may yet grow: far fewer than a run loads versions


class Watch(threading.Thread):
    """Prints a line a minute; `minutes` keeps its figures."""

    def __init__(self, pid: int, traffic: Traffic, operator: Operator, minute: float):
        super().__init__(daemon=True)
        self._pid = pid
        self._traffic = traffic
        self._operator = operator
        self._minute = minute
        self._stopping = threading.Event()
        self.minutes: list[dict[str, float]] = []
        self.total = Seen()

    def run(self) -> None:
        samples: list[int] = []
        end = time.monotonic() + self._minute
        while not self._stopping.wait(self._minute / 20):
            samples.append(processes.memory_bytes(self._pid))
            if time.monotonic() >= end:
                end += self._minute
                self._report(statistics.median(samples))
                samples = []

    def stop(self) -> None:
        self._stopping.set()
        self.join()
        self._add(self._traffic.take())

    def _report(self, memory: float) -> None:
        seen = self._traffic.take()
        self._add(seen)
        seconds = sorted(seen.seconds) or [0.0]
        figures = {
            "minute": len(self.minutes) + 1,
            "requests": sum(seen.outcomes.values()),
            "failed": sum(seen.failures.values()),
            "p50_ms": 1e3 * seconds[len(seconds) // 2],
            "p99_ms": 1e3 * seconds[len(seconds) * 99 // 100],
            "memory_mb": memory / 1e6,
            "threads": processes.threads(self._pid),
            "files": processes.files(self._pid),
        }
        self.minutes.append(figures)
        line = " ".join(f"{name} {figure:,.10g}" for name, figure in _rounded(figures).items())
        failures = f" {seen.failures}" if seen.failures else ""
        print(f"{line} {self._operator.done}{failures}", file=sys.stderr, flush=True)

    def _add(self, seen: Seen) -> None:
        self.total.outcomes += seen.outcomes
        self.total.seconds.extend(seen.seconds[::100])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every", type=float, default=60.0, help="seconds from version to version, and of a report")
    parser.add_argument("--capacity_seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, help="requests a second, where others need the machine")
    parser.add_argument("--no_reload", action="store_true", help="for a server without HandleReloadConfigRequest")
    parser.add_argument("--rest", action="store_true", help="a sixth of the traffic over REST")
    parser.add_argument("--serve", default="", help="further flags of the server: --serve='--flag 1'")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # else the servers would be left
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as running:
        report = _soak(arguments, Path(scratch), running)
    if arguments.json:
        print(json.dumps(report))
    else:
        _show(report)
    grew = "resident memory {:.0f} -> {:.0f} MB ({:+.1%})".format(*report["memory_mb"], report["memory_growth"])
    left = ", ".join("{} {} -> {}".format(name, *report[name]) for name in ("threads", "files"))
    verdict = f"{report['failed']} failed, {grew}, {left}"
    if report["missed"]:
        sys.exit("\n".join((f"MISSED: {verdict}", *report["missed"])))
    print(f"PASSED: {verdict}", file=sys.stderr)


def _soak(arguments: argparse.Namespace, scratch: Path, running: contextlib.ExitStack) -> dict[str, Any]:
    exports = {
        "lstm": saved_models.export_lstm(scratch / "lstm"),
        "texts": saved_models.export_texts(scratch / "texts"),
    }
    store = Store(scratch / "home" / "store")
    for model, saved_model in exports.items():
        store.put(model, 1, saved_model)
    server = systems.start(systems.UNROLL, exports["lstm"], scratch, flags=tuple(arguments.serve.split()))
    running.callback(server.stop)
    endpoints = {
        protocol: endpoint for protocol, endpoint in server.endpoints.items() if protocol == "grpc" or arguments.rest
    }
    kinds = [kind for kind in _kinds() if kind.protocol in endpoints]
    to_cancel = [kind for kind in _to_cancel() if kind.protocol in endpoints]
    server.endpoints = {"grpc": endpoints["grpc"]}  # the other asks for a model of another name
    server.wait({"grpc": kinds[0].bodies[0]})
    channel = running.enter_context(grpc.insecure_channel(f"127.0.0.1:{endpoints['grpc'].port}"))
    operator = Operator(store, exports, channel, arguments.every, not arguments.no_reload)
    for model in exports:  # what is loaded lazily is loaded now
        operator.put_version(model)
    if not arguments.no_reload:
        operator.reload(extra=True)
        operator.reload(extra=False)
    traffic = Traffic({protocol: endpoint.port for protocol, endpoint in endpoints.items()}, kinds, to_cancel)
    traffic.capacity(_CLIENTS, min(5.0, arguments.capacity_seconds))
    capacity = traffic.capacity(_CLIENTS, arguments.capacity_seconds)
    traffic.close()
    before = traffic.take().failures
    begin = _resting(server.process.pid, 0, 0)
    print(f"capacity {capacity:,.0f} requests/s; threads {begin[0]}, files {begin[1]}", file=sys.stderr)

    watch = Watch(server.process.pid, traffic, operator, arguments.every)
    operator.start()
    watch.start()
    traffic.run(arguments.rate or _SHARE * capacity, 60 * arguments.minutes)
    operator.stop()
    watch.stop()
    traffic.close()
    end = _resting(server.process.pid, *begin)
    alive = server.process.poll() is None
    if not alive:
        print(server.log.read_text(), file=sys.stderr)

    first, last = _settled([figures["memory_mb"] for figures in watch.minutes], arguments.every)
    growth = last / first - 1
    problems = {
        f"failed requests while capacity was measured: {before}": bool(before),
        f"failed requests: {watch.total.failures}": bool(watch.total.failures),
        f"resident memory grew by {growth:.1%}, from {first:.0f} to {last:.0f} MB": growth > _GROWTH,
        f"threads {begin[0]} -> {end[0]}": end[0] > begin[0] + _LEFT,
        f"files {begin[1]} -> {end[1]}": end[1] > begin[1] + _LEFT,
        "the server ended": not alive,
        **dict.fromkeys(operator.problems, True),
    }
    return {
        "system": "unroll",
        "capacity": capacity,
        "outcomes": dict(watch.total.outcomes),
        "failed": sum(watch.total.failures.values()),
        **operator.done,
        "memory_mb": [first, last],
        "memory_growth": growth,
        "threads": [begin[0], end[0]],
        "files": [begin[1], end[1]],
        "minutes": watch.minutes,
        "missed": [problem for problem, missed in problems.items() if missed],
    }


def _settled(memory: list[float], every: float) -> tuple[float, float]:
    """Medians of what counts as the beginning, once the server is warm, and as the end."""
    if not memory:
        return 1.0, 1.0
    part = max(1, min(int(600 / every), len(memory) // 3))
    warm = memory[part:] or memory
    return statistics.median(warm[:part]), statistics.median(warm[-part:])


def _kinds() -> Iterator[Kind]:
    for rows in (1, 8, 16):
        inputs = saved_models.token_inputs(rows)
        yield Kind("grpc", systems.PREDICT, [saved_models.predict_body(one, "lstm") for one in inputs])
    texts = saved_models.text_inputs("rt", 2)
    yield Kind("grpc", systems.PREDICT, [saved_models.predict_body(one, "texts") for one in texts])
    yield Kind(
        "grpc",
        "/tensorflow.serving.PredictionService/Classify",
        [saved_models.classify_body(one, "texts") for one in texts],
    )
    tokens = saved_models.token_inputs(1)
    yield Kind("http", _LSTM, [saved_models.json_body(one) for one in tokens])


def _to_cancel() -> Iterator[Kind]:
    """Of all sizes: beyond 256 rows, a request runs in parts."""
    inputs = [saved_models.token_inputs(int(rows), 1)[0] for rows in np.geomspace(1, _MAX_ROWS, 64)]
    messages = [saved_models.predict_body(one, "lstm") for one in inputs]
    for ending in ("reset", "hang up", "deadline"):
        yield Kind("grpc", systems.PREDICT, messages, ending)
    yield Kind("http", _LSTM, [saved_models.json_body(one) for one in inputs], "hang up")


def _resting(pid: int, threads: int, files: int) -> tuple[int, int]:
    """Threads and files without traffic; waits for them to fall to these numbers, half a minute at most."""
    for _ in range(30 if threads else 3):
        time.sleep(1)
        now = processes.threads(pid), processes.files(pid)
        if now[0] <= threads and now[1] <= files:
            break
    return now


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(figure, 1) for name, figure in figures.items()}


def _show(report: dict[str, Any]) -> None:
    if report["minutes"]:
        table = Table(*report["minutes"][0])
        for figures in report["minutes"]:
            table.add_row(*(f"{figure:,.10g}" for figure in _rounded(figures).values()))
        Console().print(table)
    for name, value in report.items():
        if name != "minutes":
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
