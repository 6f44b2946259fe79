"""Seconds an epoch: Unroll's input pipeline against the plain Keras recipe, same model, same batch size.

The plain recipe: texts in memory, shuffled, batched, `TextVectorization` in the input map, every batch padded
to the longest review, `model.fit`. Unroll's: token shards on disk, batches of about the same length. The
limit: the same batches as Unroll's, already in memory.

    python benchmarks/training.py                       # sample reviews; about 10 minutes on two cores
    python benchmarks/training.py --records 2000 --rounds 1 --cells gru
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # else benchmarks/serving.py hides the package
from unroll.serving.engine.quiet import import_tensorflow  # noqa: E402

import_tensorflow()
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from unroll.pipelines.tasks.sentiment.labelled_text import stream  # noqa: E402
from unroll.pipelines.tasks.sentiment.sample import sample  # noqa: E402
from unroll.pipelines.tasks.sentiment.task import Sentiment, SentimentConfig  # noqa: E402
from unroll.pipelines.training.config import load_config  # noqa: E402
from unroll.pipelines.training.progress import Progress  # noqa: E402


def main() -> None:
    arguments = _arguments()
    progress = Progress()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = _sample(arguments.records, Path(folder))
        for cell in arguments.cells:
            config = load_config(SentimentConfig, overrides=[f"model.cell={cell}", *arguments.set])
            prepared = Path(folder) / cell
            prepared.mkdir()
            Sentiment.prepare(config, str(data), prepared, progress)
            rows += _measure(cell, Sentiment(config, prepared), data, arguments.rounds, progress)
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table("cell", "system", "seconds an epoch", "padding", "times faster than plain")
    for row in rows:
        plain = next(r for r in rows if r["cell"] == row["cell"] and r["system"] == "plain")
        table.add_row(
            row["cell"],
            row["system"],
            f"{row['seconds']:.1f}",
            f"{row['padding']:.0%}",
            f"{plain['seconds'] / row['seconds']:.1f}",
        )
    Console().print(table)


def _measure(cell: str, task: Sentiment, data: Path, rounds: int, progress: Progress) -> list[dict]:
    memory = list(task.train_batches(0))
    plain = _plain(task, data)
    systems: dict[str, Callable[[], tf.data.Dataset]] = {
        "unroll": lambda: task.train_batches(0),
        "plain": lambda: plain,
        "limit": lambda: _from_memory(memory),
    }
    padding = {name: _padding(make()) for name, make in systems.items()}
    models = {}
    for name in systems:
        models[name] = task.build()
        task.compile(models[name], keras.optimizers.Adam(1e-3))
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for round_ in range(rounds + 1):  # the first traces the graph and is left out
        for name, make in systems.items():
            with progress.stage(f"{cell} round {round_}: {name}"):
                start = time.perf_counter()
                batches = make() if round_ else make().take(2)
                models[name].fit(batches, shuffle=False, verbose=0)
                if round_:
                    seconds[name].append(time.perf_counter() - start)
    return [
        {"system": name, "cell": cell, "seconds": statistics.median(seconds[name]), "padding": padding[name]}
        for name in systems
    ]


def _plain(task: Sentiment, data: Path) -> tf.data.Dataset:
    records = [
        pair
        for batch in stream(task.config.data, str(data))
        for pair in zip(batch["text"], batch["label"], strict=True)
    ]
    texts, labels = zip(*records, strict=True)
    classes = task.dataset_info()["classes"]
    vectorize = keras.layers.TextVectorization(max_tokens=task.config.model.vocabulary_size)
    vectorize.adapt(tf.data.Dataset.from_tensor_slices(list(texts)).batch(1024))
    longest = max(len(text.split()) for text in texts)
    vectorize = keras.layers.TextVectorization(
        vocabulary=vectorize.get_vocabulary()[: len(task._vocabulary)], output_sequence_length=longest
    )
    dataset = tf.data.Dataset.from_tensor_slices(
        (list(texts), np.array([classes.index(label) for label in labels], np.int32))
    )
    # of the same number of records as Unroll's training split, since the rest is held out there
    dataset = dataset.shuffle(len(texts), seed=0).take(task._data.records("train"))
    return (
        dataset.batch(task.config.train.batch_size)
        .map(
            lambda text, label: (tf.cast(vectorize(text), tf.int32), label),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .prefetch(tf.data.AUTOTUNE)
    )


def _from_memory(batches: list) -> tf.data.Dataset:
    signature = (tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32))
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)


def _padding(batches: tf.data.Dataset) -> float:
    cells = empty = 0
    for ids, _ in batches:
        cells += ids.numpy().size
        empty += int((ids.numpy() == 0).sum())
    return empty / cells


def _sample(records: int, folder: Path) -> Path:
    import pandas as pd

    table = pd.read_csv(sample(folder).path)
    table = table.sample(min(records, len(table)), random_state=0)
    table.to_csv(folder / "reviews.csv", index=False)
    return folder / "reviews.csv"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=6000, help="reviews drawn from the sample")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", nargs="+", default=["gru", "tcn"])
    parser.add_argument("--set", action="append", default=[], help="configuration, key.sub=value")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
