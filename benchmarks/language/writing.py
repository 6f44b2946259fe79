"""Characters a second that a language model writes: in the served graph, and one by one through `step`.

Beside them a plain loop in Python over the Keras model, a call of a tf.function for each character, as tutorials have
it, and with `--torch` PyTorch's, in an environment that has it. Networks are untrained: speed does not depend on what
they know. Of several rounds the median counts.

    python benchmarks/language/writing.py                                     # about 4 minutes
    python benchmarks/language/writing.py --cells lstm --torch /path/to/python
    python benchmarks/language/writing.py --cells lstm --ngrams corpus.txt    # mixed in
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])  # else this folder hides packages
from unroll.serving.engine.quiet import import_tensorflow  # noqa: E402

import_tensorflow()
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from unroll import serving  # noqa: E402
from unroll.models.autoregressive import Autoregressive, AutoregressiveConfig  # noqa: E402
from unroll.models.layers.encoder import CELLS  # noqa: E402
from unroll.models.text.lossless import CharacterUnits  # noqa: E402
from unroll.models.text.mixture import Gate, Mixture  # noqa: E402
from unroll.models.tokens import RESERVED  # noqa: E402
from unroll.pipelines.tasks.language.corpus.data import Split  # noqa: E402
from unroll.pipelines.tasks.language.mixing import HIDDEN, Ngrams, mixed  # noqa: E402
from unroll.pipelines.tasks.language.scores.ngrams import ORDER  # noqa: E402
from unroll.pipelines.tasks.language.signatures import writer_servable  # noqa: E402
from unroll.serving.engine.session_engine import SessionEngine  # noqa: E402

CHARACTERS = [*map(chr, range(32, 96)), "\n"]  # as many as tinyshakespeare has
LENGTH = 500
_TORCH = Path(__file__).parents[1] / "peers" / "torch_writer.py"
Writes = Callable[[int], int]
"""Rows in, how many characters were written in all out."""


def main() -> None:
    arguments = _arguments()
    rows = []
    text = arguments.ngrams.read_text() if arguments.ngrams else ""
    for cell in arguments.cells:
        keras.utils.set_random_seed(0)
        units = CharacterUnits(sorted(set(text)) or CHARACTERS)
        sizes = {"embedding": arguments.embedding, "units": arguments.units, "members": arguments.members}
        network = Autoregressive(AutoregressiveConfig(tuple(units.characters), cell=cell, **sizes))
        model = _with_ngrams(network, units, text) if text else network
        with tempfile.TemporaryDirectory() as folder:
            engine = _engine(model, units, Path(folder))
            systems = {"graph": _in_the_graph(engine), "step": _by_steps(engine), "keras": _in_python(model)}
            rates = {name: _rates(writes, arguments) for name, writes in systems.items()}
        if arguments.torch and cell == "lstm":
            rates["torch"] = _torch(arguments)
        rows += [
            {"cell": cell, "system": name, "streams": streams, "characters_per_second": rate}
            for name, found in rates.items()
            for streams, rate in found.items()
        ]
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table("cell", "system", *(f"{streams} streams" for streams in arguments.streams))
    for cell in arguments.cells:
        for system in dict.fromkeys(row["system"] for row in rows if row["cell"] == cell):
            found = [row for row in rows if (row["cell"], row["system"]) == (cell, system)]
            table.add_row(cell, system, *(f"{row['characters_per_second']:,.0f}" for row in found))
    Console().print(table)


def _with_ngrams(network: Autoregressive, units: CharacterUnits, text: str) -> Mixture:
    ids = units(tf.constant([text])).values.numpy()
    size = ORDER + 5
    gate = Gate(*map(np.zeros, [size, size, (size, HIDDEN), HIDDEN, (HIDDEN, 2)]), np.full(2, 0.5))
    ngrams = Ngrams(ORDER, gate, gain=0.0)
    return mixed(network, ngrams, [Split(ids, np.array([len(ids)]))], running=True)


def _engine(model: Autoregressive | Mixture, units: CharacterUnits, folder: Path) -> SessionEngine:
    servable = writer_servable(model, units, ends=False, description={})
    serving.export_saved_model(
        servable.module, servable.signatures, folder / "1", name="m", warmup_requests=[], model=model
    )
    return SessionEngine(folder / "1")


def _rates(writes: Writes, arguments: argparse.Namespace) -> dict[int, float]:
    """The median of the rounds' characters a second, by streams."""
    found = {}
    for streams in arguments.streams:
        writes(streams)
        rates = []
        for _ in range(arguments.rounds):
            begin, written = time.perf_counter(), 0
            while (seconds := time.perf_counter() - begin) < arguments.seconds:
                written += writes(streams)
            rates.append(written / seconds)
        found[streams] = statistics.median(rates)
    return found


def _in_the_graph(engine: SessionEngine) -> Writes:
    signature = engine.signatures["serving_default"]

    def writes(rows: int) -> int:
        given = {
            "text": np.array([b"ROMEO:"] * rows, object),
            "length": np.full(rows, LENGTH, np.int32),
            "seed": np.arange(rows),
        }
        feeds = [given.get(name, signature.defaults.get(name)) for name in signature.inputs]
        answer = dict(zip(signature.outputs, engine.run("serving_default", feeds), strict=True))
        return sum(len(one.decode()) for one in answer["continuation"])

    return writes


def _by_steps(engine: SessionEngine) -> Writes:
    signature = engine.signatures["step"]
    logits = list(signature.outputs).index("logits")
    state = [list(signature.outputs).index(name) if name != "id" else -1 for name in signature.inputs]
    rng = np.random.default_rng(0)

    def writes(rows: int) -> int:
        feeds = [np.zeros([rows, *(spec.shape or ())[1:]], spec.dtype) for spec in signature.inputs.values()]
        ids = np.full(rows, RESERVED, np.int32)
        for _ in range(LENGTH):
            answer = engine.run("step", [ids if one < 0 else given for one, given in zip(state, feeds, strict=True)])
            feeds = [answer[one] for one in state]
            ids = RESERVED + _drawn(answer[logits][:, RESERVED:], rng)
        return rows * LENGTH

    return writes


def _drawn(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """In proportion to the softmax, by the Gumbel trick; int32 `[rows]`."""
    return np.argmax(logits + rng.gumbel(size=logits.shape), axis=1).astype(np.int32)


def _in_python(model: Autoregressive | Mixture) -> Writes:
    @tf.function(reduce_retracing=True)
    def step(ids: tf.Tensor, state: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        logits, after = model.step(ids, state)
        return RESERVED + tf.random.categorical(logits[:, RESERVED:], 1, tf.int32)[:, 0], after

    def writes(rows: int) -> int:
        ids, state = tf.fill([rows], RESERVED), model.initial_state(rows)
        for _ in range(LENGTH):
            ids, state = step(ids, state)
        ids.numpy()
        return rows * LENGTH

    return writes


def _torch(arguments: argparse.Namespace) -> dict[int, float]:
    found = {}
    for streams in arguments.streams:
        sizes = [arguments.units, arguments.embedding, len(CHARACTERS), streams, LENGTH, arguments.seconds]
        command = [arguments.torch, str(_TORCH), *map(str, sizes)]
        rates = [
            float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            for _ in range(arguments.rounds)
        ]
        found[streams] = statistics.median(rates)
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--embedding", type=int, default=64)
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--streams", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ngrams", type=Path, help="a text, whose n-grams are mixed in")
    parser.add_argument("--torch", help="interpreter of an environment that has torch")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
