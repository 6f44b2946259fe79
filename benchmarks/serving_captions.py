"""What beam search costs a served captioner, and what a batch gains.

    python benchmarks/serving_captions.py --saved_model workspace/store/captioning/1 --pictures photos/

A server in a process of its own, one client. Greedy is the signature `sample` at temperature 0. The candidates take
turns, round by round; medians are given.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # else benchmarks/serving.py hides the package
from benchmarks.harness.served_client import served_client  # noqa: E402
from unroll.serving import Client  # noqa: E402

_BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saved_model", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True, help="folder of JPEG and PNG files, or Parquet")
    parser.add_argument("--column", default="image", help="of the Parquet file's pictures")
    parser.add_argument("--intra_op", type=int, default=1, help="the server's --tensorflow_intra_op_parallelism")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    pictures = _pictures(arguments.pictures, arguments.column)
    with served_client(arguments.saved_model, "--tensorflow_intra_op_parallelism", str(arguments.intra_op)) as client:
        rows = _measure(client, pictures, arguments.rounds)
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table("decoding", "pictures a request", "ms a picture", "pictures/s")
    for row in rows:
        table.add_row(
            row["decoding"], str(row["rows"]), f"{row['ms_per_picture']:.2f}", f"{1e3 / row['ms_per_picture']:.0f}"
        )
    Console().print(table)
    ms = {(row["decoding"], row["rows"]): row["ms_per_picture"] for row in rows}
    for size in (1, _BATCH):
        print(f"beam / greedy, {size} a request: {ms['beam', size] / ms['greedy', size]:.2f}")
    gain = ms["beam", 1] / ms["beam", _BATCH]
    print(f"a batch of {_BATCH} against {_BATCH} single requests: {gain:.2f} times the pictures/s")


def _measure(client: Client, pictures: list[bytes], rounds: int) -> list[dict[str, Any]]:
    cases: dict[tuple[str, int], Callable[[list[bytes]], Any]] = {}
    for size in (1, _BATCH):
        cases["beam", size] = lambda some: client.predict({"image": some})
        cases["greedy", size] = lambda some: client.predict(
            {"image": some, "temperature": [0.0] * len(some)}, signature="sample"
        )
    seconds: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    for number in range(-2, rounds):  # two rounds to warm up
        some = [pictures[(number * _BATCH + i) % len(pictures)] for i in range(_BATCH)]
        for (how, size), ask in cases.items():
            begin = time.perf_counter()
            for start in range(0, _BATCH, size):
                ask(some[start : start + size])
            if number >= 0:
                seconds[how, size].append(time.perf_counter() - begin)
    return [
        {
            "system": "unroll",
            "decoding": how,
            "rows": size,
            "ms_per_picture": 1e3 * statistics.median(seconds[how, size]) / _BATCH,
        }
        for how, size in cases
    ]


def _pictures(source: Path, column: str) -> list[bytes]:
    if source.is_dir():
        return [
            file.read_bytes() for file in sorted(source.iterdir()) if file.suffix.lower() in (".jpg", ".jpeg", ".png")
        ]
    import pandas as pd

    return pd.read_parquet(source, columns=[column])[column].head(512).tolist()


if __name__ == "__main__":
    main()
