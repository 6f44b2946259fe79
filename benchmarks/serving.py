"""`unroll serve` beside its peers, with the same SavedModel behind each.

    python benchmarks/serving.py                                                  # an LSTM of 64 units, 32 tokens a row
    python benchmarks/serving.py --models lstm workspace/store/movie_reviews/1    # and one with the input `text`
    python benchmarks/serving.py --tensorflow_model_server /usr/bin/tensorflow_model_server
    python benchmarks/serving.py --systems unroll --other_checkout ../before      # what a change brought
    python benchmarks/serving.py --systems unroll --workers 1 2 --cells 64x16 --rest_cells

The peers are installed into an environment of their own at the first run. The servers take turns under load, so that a
busy machine hurts all alike, and are suspended in between, since some never rest. The figures are medians over the
rounds; failures are summed. The clients share one process, a connection each, and send the next request as soon as the
answer is there. Each cell is that many clients x that many rows a request. A system that has but one endpoint is asked
there, by gRPC or REST.

TensorFlow Serving is started as one tunes it for such models: batching with a timeout of 0, at most 1024 rows and as
many batch threads as cores, --tensorflow_intra_op_parallelism=1, --grpc_max_threads=256. Ours has its default flags.

"limit" is the same graph in process without any protocol: a v1 Session in a loop, 1, 16 or 64 rows a call, as
TensorFlow Serving runs it, in one thread or in one on each core; "engine" the same with the executor that ours uses
for small ops.
"""

import argparse
import contextlib
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # else this file would stand before the package of its name
from benchmarks.harness import comparison, in_process, load, processes, saved_models, systems  # noqa: E402
from benchmarks.harness.comparison import Cell  # noqa: E402
from benchmarks.peers import environment  # noqa: E402

_ROWS_A_CALL = (1, 16, 64)
_REST_SECONDS = 6.0  # that each server has to itself before the first load: ours tries how the model runs best


@dataclass(frozen=True)
class Case:
    """What is measured at a time, as a cell is asked; in process: no clients, no protocol."""

    system: str
    protocol: str
    clients: int
    rows: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        *("--models", "--saved_model"), nargs="+", default=["lstm"], help="lstm, or version directories, input `text`"
    )
    parser.add_argument("--texts", choices=["rt", "imdb"], default="rt", help="sentences or whole reviews")
    parser.add_argument("--systems", nargs="*", choices=systems.INSTALLED, default=list(systems.INSTALLED))
    parser.add_argument("--tensorflow_model_server", type=Path, help="its binary, which is measured too")
    parser.add_argument("--other_checkout", type=Path, help="of this project, which is measured too")
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="of ours; each number is a system")
    parser.add_argument("--serve", default="", help="further flags of ours: --serve='--flag 1'")
    parser.add_argument("--cells", type=_size, nargs="*", default=[(1, 1), (8, 1), (64, 1), (64, 16)], metavar="CxR")
    parser.add_argument("--rest_cells", type=_size, nargs="*", default=[(8, 1), (64, 1)], metavar="CxR")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load, a case and round")
    parser.add_argument("--peers", type=Path, default=environment.CACHE, help="where the peers are installed")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # else the servers would be left
    cells = [Cell("grpc", *size) for size in arguments.cells] + [Cell("http", *size) for size in arguments.rest_cells]
    measured: list[dict[str, Any]] = []
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as running:
            rows = _measure(model, cells, arguments, Path(scratch), running)
        if not arguments.json:
            comparison.show(rows, cells)
        measured += rows
    if arguments.json:
        print(json.dumps(measured))


def _size(text: str) -> tuple[int, int]:
    if not (found := re.fullmatch(r"(\d+)x(\d+)", text)):
        raise argparse.ArgumentTypeError(f"{text!r}: expected clients x rows, as in 64x16")
    return int(found[1]), int(found[2])


def _measure(
    model: str, cells: list[Cell], arguments: argparse.Namespace, scratch: Path, running: contextlib.ExitStack
) -> list[dict[str, Any]]:
    sizes = sorted({cell.rows for cell in cells})
    if model == "lstm":
        saved_model, about = saved_models.export_lstm(scratch / "lstm"), {"model": "lstm"}
        inputs = {rows: saved_models.token_inputs(rows) for rows in sizes}
    else:
        saved_model = Path(model)
        about = {"model": saved_model.resolve().parent.name, "texts": arguments.texts}
        inputs = {rows: saved_models.text_inputs(arguments.texts, rows) for rows in sizes}
    for rows, some in inputs.items():
        for protocol, body in systems.BODIES.items():
            load.write_bodies(scratch / f"{protocol}-{rows}", [body(one) for one in some])

    loops = in_process.start(saved_model, inputs[sizes[-1]], scratch, running)
    servers = {
        name: running.enter_context(_started(name, saved_model, scratch, arguments, flags))
        for name, flags in _flags(arguments)
    }
    for server in servers.values():
        server.wait({protocol: load.read_bodies(scratch / f"{protocol}-{sizes[0]}")[0] for protocol in systems.BODIES})
        server.pause()
    for server in servers.values():
        server.resume()
        time.sleep(_REST_SECONDS)
        server.pause()
    schedule = [
        *dict.fromkeys(_cases(cells, servers)),
        *(Case(name, "", 0, rows) for rows in _ROWS_A_CALL for name in loops),
    ]

    def measure(case: Case, seconds: float) -> dict[str, Any]:
        return _load(servers, case, seconds, scratch) if case.clients else loops[case.system](case.rows, seconds)

    for case in schedule:  # the first requests of a server are slow; they do not count
        measure(case, 1.0)
    taken: dict[Case, list[dict[str, Any]]] = {case: [] for case in schedule}
    for case in track(schedule * arguments.rounds, f"load, {about['model']}", console=Console(stderr=True)):
        taken[case].append(measure(case, arguments.seconds))
    return [{**asdict(case), **about, **_summary(samples)} for case, samples in taken.items()]


def _flags(arguments: argparse.Namespace) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The systems, and the flags of those that are ours."""
    further = tuple(arguments.serve.split())
    for name in (*arguments.systems, *_installed(arguments).names):
        if name == systems.UNROLL:
            for workers in arguments.workers:
                flag = ("--workers", str(workers)) if workers > 1 else ()
                yield " ".join((name, *flag)), (*further, *flag)
        else:
            yield name, further


def _installed(arguments: argparse.Namespace) -> systems.Installed:
    return systems.Installed(arguments.peers, arguments.tensorflow_model_server, arguments.other_checkout)


@contextlib.contextmanager
def _started(
    name: str, saved_model: Path, scratch: Path, arguments: argparse.Namespace, flags: tuple[str, ...]
) -> Iterator[systems.System]:
    folder = scratch / name
    folder.mkdir()
    server = systems.start(comparison.kind(name), saved_model, folder, _installed(arguments), flags)
    try:
        yield server
    finally:
        server.stop()


def _cases(cells: list[Cell], servers: dict[str, systems.System]) -> Iterator[Case]:
    for cell in cells:
        for name in servers:
            if protocol := cell.protocol_of(name):
                yield Case(name, protocol, cell.clients, cell.rows)


def _load(servers: dict[str, systems.System], case: Case, seconds: float, scratch: Path) -> dict[str, Any]:
    server = servers[case.system]
    endpoint = server.endpoints[case.protocol]
    server.resume()
    time.sleep(0.1)
    bodies = scratch / f"{case.protocol}-{case.rows}"
    command = [case.protocol, str(endpoint.port), endpoint.path, str(case.clients), str(seconds), str(bodies)]
    before = {name: processes.cpu_seconds(one.process.pid) for name, one in servers.items()}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.harness.load", *command], capture_output=True, text=True, cwd=ROOT
    )
    if done.returncode:
        sys.exit(f"{case}: {done.stderr}\n{server.log.read_text()}")
    server.pause()
    used = {name: processes.cpu_seconds(one.process.pid) - before[name] for name, one in servers.items()}
    sample: dict[str, Any] = json.loads(done.stdout)
    if sample["failures"]:
        print(f"{case}: {sample['failures']}", file=sys.stderr)
    sample["cpu_us"] = 1e6 * used.pop(case.system) / sample["requests"]
    sample["others_cpu"] = sum(used.values()) / seconds
    return sample


def _summary(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians, but of failures the sum; and the rate of each round, which ran beside the same round of the others."""
    names = [name for name in samples[0] if name not in ("failures", "requests", "failed")]
    return {
        **{name: statistics.median(sample[name] for sample in samples) for name in names},
        "failed": sum(sample["failed"] for sample in samples),
        "rounds": [sample["requests_per_second"] for sample in samples],
    }


if __name__ == "__main__":
    main()
