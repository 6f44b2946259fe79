"""Milliseconds of a training step: our recurrent layers beside Keras's own, and torch's.

    python benchmarks/cells/steps.py                              # one layer, of 64 and of 512 units
    python benchmarks/cells/steps.py --torch ~/torch/bin/python   # beside torch, from an environment that has it
    python benchmarks/cells/steps.py --models                     # whole models of the tasks

A step is a forward pass and the gradients of all weights and of a layer's inputs, from the same start. Systems take
turns. Medians are given of the time that passed, and of what the process itself computed, which other load on the
machine reaches less; it is told best with `--threads 1`, since threads that wait for work count too.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from unroll.models.autoregressive import AutoregressiveConfig, Network
from unroll.models.layers import recurrent
from unroll.models.layers.recurrent import Recurrent
from unroll.models.layers.sequence_decoder import SequenceDecoder, SequenceDecoderConfig
from unroll.models.text.classifier import TextClassifier, TextClassifierConfig

LAYERS = ((64, 100, 64, 64), (50, 100, 512, 64))  # batch, time, units, features
TASKS = ("sentiment", "language", "captioning")
CELLS = {
    "unroll": dict(recurrent.CELLS),
    "keras": {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU},
}
Step = Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru"], choices=CELLS["keras"])
    parser.add_argument(
        "--models", nargs="*", choices=TASKS, help="models of these tasks, by default of all, instead of single layers"
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0, help="of an op; 0 leaves the choice to each system")
    parser.add_argument("--torch", type=Path, metavar="PYTHON", help="interpreter of an environment with torch")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    rows: list[dict[str, Any]] = []
    layers = _layers(arguments.cells, arguments.torch, arguments.threads)
    for case, steps in layers if arguments.models is None else _models(arguments.models or TASKS):
        times = _times(steps, arguments.rounds)
        for system, (passed, computed) in times.items():
            figures = {"ms": round(passed, 2), "cpu_ms": round(computed, 2)}
            ratio = {"keras_over_this": round(times["keras"][1] / computed, 2)}
            rows.append({"system": system, **case, **figures, **ratio})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


def _layers(cells: list[str], torch: Path | None, threads: int) -> Iterator[tuple[dict[str, Any], dict[str, Step]]]:
    for batch, steps, units, features in LAYERS:
        for cell in cells:
            x = tf.random.normal([batch, steps, features])
            systems = {}
            for system in CELLS:
                layer = _made(system, lambda: Recurrent(cell, units))  # noqa: B023
                systems[system] = _step(layer, lambda read, layer=layer: layer(read, training=True), x)
            case = {"cell": cell, "batch": batch, "time": steps, "units": units, "features": features}
            with _Torch(torch, {**case, "threads": threads}) as peer:
                yield case, {**systems, **peer}


def _models(tasks: Sequence[str]) -> Iterator[tuple[dict[str, Any], dict[str, Step]]]:
    """With the settings that the tasks have by default, but for the cell."""
    rng = np.random.default_rng(0)

    def ids(*shape: int) -> tf.Tensor:
        return tf.constant(rng.integers(4, 60, shape), tf.int32)

    texts, chunk, source, said = ids(64, 256), ids(50, 100), tf.random.normal([16, 64, 128]), ids(16, 12)
    sentiment = TextClassifierConfig(10_000, 2, "gru", 64, 2, members=3, ngram_buckets=2**18)
    writer = AutoregressiveConfig([1] * 69, 50)

    def decoder(context: str) -> SequenceDecoderConfig:
        return SequenceDecoderConfig(1000, context)

    def written(model: Network) -> tf.Tensor:
        return model.steps(chunk, model.initial_state(50), training=True)[0]

    models: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
        "sentiment, GRU 64, 256 tokens": (
            lambda: TextClassifier(sentiment),
            lambda model: model(texts, training=True)["encoders"],
        ),
        "language, LSTM 512, chunks of 100": (lambda: Network(writer), written),
        **{
            f"captioning's decoder, LSTM 256, {context}": (
                lambda context=context: SequenceDecoder(decoder(context)),
                lambda model: model(source, said, training=True)[0],
            )
            for context in ("attention", "initial", "every_step")
        },
    }
    for name, (make, said_of) in models.items():
        if not name.startswith(tuple(tasks)):
            continue
        steps = {}
        for system in CELLS:
            model = _made(system, make)
            steps[system] = _step(model, lambda _, model=model, said_of=said_of: said_of(model))
        yield {"model": name}, steps


def _made(system: str, make: Callable[[], Any]) -> Any:
    """A model whose recurrent layers are that system's; seeded, so that weights are equal."""
    recurrent.CELLS = CELLS[system]
    keras.utils.set_random_seed(0)
    try:
        return make()
    finally:
        recurrent.CELLS = CELLS["unroll"]


def _step(model: Any, forward: Callable[[tf.Tensor | None], tf.Tensor], x: tf.Tensor | None = None) -> Step:
    forward(x)  # builds it

    @tf.function
    def step() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            read = None if x is None else tf.identity(x)
            tape.watch([] if read is None else [read])
            loss = tf.reduce_mean(tf.square(forward(read)))
        sources = [*model.trainable_variables, *([] if read is None else [read])]
        return [tf.reduce_sum(one) for one in tape.gradient(loss, sources) if one is not None]

    return step


def _times(steps: dict[str, Step], rounds: int) -> dict[str, tuple[float, float]]:
    times: dict[str, list[tuple[float, float]]] = {system: [] for system in steps}
    for round_ in range(rounds + 1):  # the first traces
        for system, step in steps.items():
            begun = time.perf_counter(), time.process_time()
            other = step()
            passed = (time.perf_counter() - begun[0], time.process_time() - begun[1])
            if round_:
                times[system].append(other if isinstance(other, tuple) else passed)
    return {
        system: (1e3 * median(one for one, _ in taken), 1e3 * median(one for _, one in taken))
        for system, taken in times.items()
    }


class _Torch:
    """A process with torch, which takes a step a line; none without an interpreter."""

    def __init__(self, python: Path | None, case: dict[str, Any]) -> None:
        self._command = [str(python), str(Path(__file__).parents[1] / "peers" / "torch_cells.py"), json.dumps(case)]
        self._process: subprocess.Popen | None = None
        self._there = python is not None

    def __enter__(self) -> dict[str, Step]:
        if not self._there:
            return {}
        self._process = process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

        def step() -> tuple[float, float]:
            process.stdin.write("\n")
            process.stdin.flush()
            return tuple(json.loads(process.stdout.readline()))

        return {"torch": step}

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.stdin.close()
            self._process.wait()


if __name__ == "__main__":
    main()
