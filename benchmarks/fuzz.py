"""Requests that no client means, by the million, for a server with its default flags.

    python benchmarks/fuzz.py --requests 1000000

They are those of the tests (tests/conformance/), by gRPC and REST, from several processes, each with connections of its
own; a seed is a request. Exit code 1 if one came back as INTERNAL, UNKNOWN or a 5xx other than 501 (which says that
there is no such method), if one was lost or had no answer after 30 s, if the server's resident memory was ever more
than 200 MB above that before the first, or if an honest request is not answered afterwards.
"""

import argparse
import http.client
import itertools
import json
import logging
import multiprocessing
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # else benchmarks/serving.py hides the package
from benchmarks.harness import processes  # noqa: E402
from unroll.serving.engine.quiet import import_tensorflow  # noqa: E402
from unroll.serving.server.ports import free_port  # noqa: E402
from unroll.serving.versions.store import Store  # noqa: E402

_GROWTH = 200e6
_TIMEOUT = 30.0
_CHUNK = {"gRPC": 2000, "REST": 2000}  # requests of one task, whose seed is its number
_CONNECTIONS = 4  # a process, by REST
_VARIANTS = 10  # of each REST request that is drawn, which takes ten times as long as to send it
_WARM = 200  # requests of each endpoint before memory is measured
_SHOWN = 10
_NO_ANSWER, _LOST = "no answer", "connection lost"
_MEANT = {"501"}  # what a REST client is told who asks for what there is not
Seen = tuple[Counter[str], list[str]]
"""How many came back with each code, and a line for each that should not have."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--rest_share", type=float, default=0.3, help="of the requests")
    parser.add_argument("--processes", type=int, default=4, help="that draw and send")
    parser.add_argument("--seed", type=int, default=0, help="of the first chunk; each further chunk has the next")
    parser.add_argument("--serve", default="", help="flags of the server: --serve='--flag 1'")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        report = _fuzz(arguments, Path(home))
    if arguments.json:
        print(json.dumps(report))
    else:
        _show(report)
    if report["missed"]:
        sys.exit("\n".join(report["missed"]))


class _Memory(threading.Thread):
    """Watches a server's resident memory; `peak` is the most that it saw."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.peak = 0

    def run(self) -> None:
        while True:
            self.peak = max(self.peak, processes.memory_bytes(self._pid))
            time.sleep(0.2)


def _fuzz(arguments: argparse.Namespace, home: Path) -> dict[str, Any]:
    from tests.serving_fixtures import start_server

    import_tensorflow()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # what it thinks of the tests' models
    _export(home)
    rest_port = free_port()
    ports = ("--port", "0", "--rest_api_port", str(rest_port))
    server = start_server("-m", "unroll", "serve", "--home", str(home), *ports, *arguments.serve.split())
    if not server.port:
        sys.exit(server.text)
    server.rest_port = rest_port
    targets = {"gRPC": server.address, "REST": rest_port}
    total = {"REST": int(arguments.requests * arguments.rest_share)}
    total["gRPC"] = arguments.requests - total["REST"]
    for protocol, target in targets.items():  # what is loaded lazily is loaded now
        _SEND[protocol](target, _WARM, 2**32)
    assert _is_honest(rest_port), server.text
    before = processes.memory_bytes(server.process.pid)
    memory = _Memory(server.process.pid)
    memory.start()
    start = time.monotonic()
    seen = _send_all(targets, total, arguments)
    seconds = time.monotonic() - start
    alive = server.process.poll() is None
    honest = alive and _is_honest(rest_port)
    time.sleep(5.0)
    after = processes.memory_bytes(server.process.pid)
    ended = server.stop()
    offenders = [line for _, lines in seen.values() for line in lines]
    sent = {protocol: sum(codes.values()) for protocol, (codes, _) in seen.items()}
    problems = {
        f"{len(offenders)} answers that should not be, such as": bool(offenders),
        **dict.fromkeys(offenders[:_SHOWN], True),
        f"resident memory grew by {(memory.peak - before) / 1e6:.0f} MB": memory.peak - before > _GROWTH,
        "no answer to an honest request afterwards": not honest,
        f"the server ended with code {ended}: {server.text[-2000:]}": not alive or ended != 0,
    }
    return {
        "system": "unroll",
        "requests": sent,
        "codes": {protocol: dict(codes.most_common()) for protocol, (codes, _) in seen.items()},
        "requests_per_second": sum(sent.values()) / seconds,
        "memory_mb": {"before": before / 1e6, "peak": memory.peak / 1e6, "after": after / 1e6},
        "honest_answered": honest,
        "missed": [problem for problem, missed in problems.items() if missed],
    }


def _send_all(targets: dict[str, Any], total: dict[str, int], arguments: argparse.Namespace) -> dict[str, Seen]:
    """Has the processes draw and send, a chunk at a time, until each protocol has had its total."""
    seen: dict[str, Seen] = {protocol: (Counter(), []) for protocol in targets}
    numbers = itertools.count(arguments.seed)
    running: dict[Future[Seen], tuple[str, int]] = {}
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(arguments.processes, context) as pool,
        Progress(*Progress.get_default_columns(), console=Console(stderr=True)) as progress,
    ):
        bar = progress.add_task("fuzz", total=sum(total.values()))
        while True:
            left = {
                protocol: total[protocol]
                - sum(seen[protocol][0].values())
                - sum(size for other, size in running.values() if other == protocol)
                for protocol in targets
            }
            if len(running) < arguments.processes and max(left.values()) > 0:
                protocol = max(left, key=lambda name: left[name] / total[name] if total[name] else 0)
                size = min(left[protocol], _CHUNK[protocol])
                task = pool.submit(_SEND[protocol], targets[protocol], size, next(numbers))
                running[task] = protocol, size
                continue
            if not running:
                return seen
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                protocol, _ = running.pop(done)
                codes, offenders = done.result()
                seen[protocol][0].update(codes)
                seen[protocol][1].extend(offenders)
                progress.advance(bar, sum(codes.values()))


def _export(home: Path) -> None:
    from tests.conformance.conftest import export_half_plus_two
    from tests.rest_fixtures import export_types
    from tests.serving_fixtures import export_sample

    store = Store(home / "store")
    exports = {"sample": export_sample, "half_plus_two": export_half_plus_two, "types": export_types}
    for name, export in exports.items():
        store.put(name, 3 if name == "types" else 1, export(home / "exports" / name))


def _grpc(address: str, requests: int, number: int) -> Seen:
    import_tensorflow()
    from tests.conformance import fuzz

    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        return fuzz.run(channel, requests, number * _CHUNK["gRPC"], timeout=_TIMEOUT)


def _rest(port: int, requests: int, number: int) -> Seen:
    import_tensorflow()
    drawn = _drawn(requests, number)
    parts = [drawn[start::_CONNECTIONS] for start in range(_CONNECTIONS)]
    codes: Counter[str] = Counter()
    offenders: list[str] = []
    with ThreadPoolExecutor(_CONNECTIONS) as threads:
        for asked, outcomes in zip(parts, threads.map(lambda part: _ask(port, part), parts), strict=True):
            codes.update(outcomes)
            for request, outcome in zip(asked, outcomes, strict=True):
                if outcome in (_NO_ANSWER, _LOST) or (outcome[0] == "5" and outcome not in _MEANT):
                    offenders.append(f"chunk {number}: {request!r}: {outcome}")
    return codes, offenders


def _drawn(requests: int, number: int) -> list[tuple[Any, ...]]:
    """Requests of the REST tests, any at all or predictions; and those, recombined and with bytes changed."""
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    from tests.conformance import fuzz
    from tests.conformance import test_fuzz_rest as tests

    anything = st.tuples(tests.verbs, tests.paths, tests.bodies, tests.encodings)
    urls = st.builds("/v1/models/{}{}".format, st.sampled_from(["sample", "types"]), tests.methods)
    drawn: list[tuple[Any, ...]] = []

    @seed(number)
    @settings(max_examples=max(1, requests // _VARIANTS), deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(request=anything if number % 2 else st.tuples(st.just("POST"), urls, tests.bodies, st.just({})))
    def draw(request: tuple[Any, ...]) -> None:
        drawn.append(request)

    draw()
    rng = random.Random(number)
    mutated = fuzz.Requests(rng).mutated
    bodies = [request[2] for request in drawn]
    while len(drawn) < requests:
        verb, path, _, headers = rng.choice(drawn)
        body = rng.choice(bodies)
        drawn.append((verb, path, mutated(body) if rng.random() < 0.7 else body, headers))
    return drawn[:requests]


def _ask(port: int, requests: list[tuple[Any, ...]]) -> list[str]:
    from tests.conformance.test_fuzz_rest import Asking

    asking = Asking(port, _TIMEOUT)
    outcomes = []
    for request in requests:
        try:
            status, _ = asking.ask(*request)
        except TimeoutError:
            outcomes.append(_NO_ANSWER)
            asking = Asking(port, _TIMEOUT)
        except (OSError, http.client.HTTPException, AssertionError):
            outcomes.append(_LOST)
            asking = Asking(port, _TIMEOUT)
        else:
            outcomes.append(str(status))
    return outcomes


def _is_honest(port: int) -> bool:
    from tests.rest_client import ask

    try:
        return ask(port, "POST", "/v1/models/types:predict", {"inputs": [[2.0, 4.0]]}).json == {"outputs": [[1.0, 2.0]]}
    except OSError:
        return False


_SEND: dict[str, Any] = {"gRPC": _grpc, "REST": _rest}


def _show(report: dict[str, Any]) -> None:
    table = Table("protocol", "answer", "requests")
    table.columns[2].justify = "right"
    for protocol, codes in report["codes"].items():
        for code, count in codes.items():
            table.add_row(protocol, code, f"{count:,}")
        table.add_section()
    Console().print(table)
    memory = ", ".join(f"{name} {size:,.0f}" for name, size in report["memory_mb"].items())
    print(f"{sum(report['requests'].values()):,} requests, {report['requests_per_second']:,.0f} a second")
    print(f"resident memory, MB: {memory}")
    print(f"an honest request afterwards: {'answered' if report['honest_answered'] else 'not answered'}")


if __name__ == "__main__":
    main()
