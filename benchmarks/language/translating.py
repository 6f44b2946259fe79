"""How long a served translator takes over a sentence, beside the graph alone and beside a loop over `step`.

    python benchmarks/language/translating.py --saved_model workspace/store/english_german/1 --texts test_2016_flickr.en

A server in a process of its own, one client, a sentence a request, and 16 of them. `graph` is the same request in this
process, without a server: the limit. `loop` is greedy, a call of `step` for each subword, as a client without the
search would write it. The candidates take turns, round by round.
"""

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[2])  # else this folder hides packages
from unroll.serving.engine.quiet import import_tensorflow  # noqa: E402

import_tensorflow()
import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from benchmarks.harness.served_client import served_client  # noqa: E402
from unroll.serving import Client  # noqa: E402
from unroll.serving.engine.session_engine import SessionEngine  # noqa: E402

_BATCH, _WARM = 16, 2
Answers = Callable[..., dict[str, np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saved_model", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True, help="a sentence a line, also .gz")
    parser.add_argument("--rounds", type=int, default=20, help="of 16 sentences each")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    opened = gzip.open if arguments.texts.suffix == ".gz" else open
    with opened(arguments.texts, "rt", encoding="utf-8") as lines:
        texts = np.array([line.strip().encode() for line in lines if line.strip()], object)
    with served_client(arguments.saved_model) as client:
        rows = _measured(client, SessionEngine(arguments.saved_model), texts, arguments.rounds)
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table("system", "sentences a request", "ms a sentence", "95th percentile")
    for row in rows:
        table.add_row(row["system"], str(row["rows"]), f"{row['ms']:.1f}", f"{row['ms_p95']:.1f}")
    Console().print(table)


def _measured(client: Client, engine: SessionEngine, texts: np.ndarray, rounds: int) -> list[dict[str, Any]]:
    def served(inputs: dict[str, np.ndarray], signature: str = "serving_default") -> dict[str, np.ndarray]:
        return client.predict(inputs, signature)

    def graph(inputs: dict[str, np.ndarray], signature: str = "serving_default") -> dict[str, np.ndarray]:
        known = engine.signatures[signature]
        feeds = [inputs.get(name, known.defaults.get(name)) for name in known.inputs]
        return dict(zip(known.outputs, engine.run(signature, feeds), strict=True))

    described = json.loads(served({}, "describe")["json"].item())
    asks: dict[tuple[str, int], Callable[[np.ndarray], object]] = {
        ("served", 1): lambda some: served({"text": some}),
        ("graph", 1): lambda some: graph({"text": some}),
        ("loop", 1): lambda some: _by_steps(graph, some, described["start"], described["end"]),
        ("served", _BATCH): lambda some: served({"text": some}),
        ("graph", _BATCH): lambda some: graph({"text": some}),
    }
    seconds: dict[tuple[str, int], list[float]] = {case: [] for case in asks}
    for number in range(-_WARM, rounds):
        some = texts[[(number * _BATCH + i) % len(texts) for i in range(_BATCH)]]
        for case, ask in asks.items():
            for start in range(0, _BATCH, case[1]):
                begin = time.perf_counter()
                ask(some[start : start + case[1]])
                if number >= 0:
                    seconds[case].append((time.perf_counter() - begin) / case[1])
    return [
        {
            "system": system,
            "rows": rows,
            "ms": round(1e3 * float(np.median(found)), 2),
            "ms_p95": round(1e3 * float(np.quantile(found, 0.95)), 2),
        }
        for (system, rows), found in seconds.items()
    ]


def _by_steps(answer: Answers, text: np.ndarray, start: int, end: int) -> None:
    going = answer({"text": text}, "read")
    memory = {name: one for name, one in going.items() if name.startswith("memory_")}
    id_ = start
    for _ in range(100):
        going = answer({**memory, **going, "id": np.array([id_], np.int32)}, "step")
        id_ = int(going.pop("logits")[0].argmax())
        if id_ == end:
            return


if __name__ == "__main__":
    main()
