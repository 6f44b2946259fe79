"""Our encoders on polyphonic music, beside the figures of Bai et al. 2018 (arXiv:1803.01271): nats a frame.

    python benchmarks/cells/music.py --data JSB_Chorales.mat
    python benchmarks/cells/music.py --data Nottingham.mat --epochs 20 --units 256

A frame is which of 88 keys sound, and the next one is to be told from all before it: the sum over keys of the cross-
entropy, as there. The file is that of their repository, with its split. Each cell is trained with the same settings but
its own number of layers; the weights of the epoch that is best on the validation part are tested.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import scipy.io
import tensorflow as tf

from unroll.models.layers.encoder import CELLS, causal_layer

PUBLISHED = {
    "JSB_Chorales": {"lstm": 8.45, "gru": 8.43, "rnn": 8.91, "tcn": 8.10},
    "Nottingham": {"lstm": 3.29, "gru": 3.46, "rnn": 4.05, "tcn": 3.07},
}
KEYS, NOWHERE = 88, -1.0  # the second in targets, behind a sequence's end
LAYERS = {"tcn": 4, "transformer": 3, "mingru": 2}  # of the others one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="JSB_Chorales.mat or Nottingham.mat")
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--batch", type=int, default=16, help="sequences of a training step")
    parser.add_argument("--dropout", type=float, default=0.5, help="of what the layers read and the last one gives")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--transpose", type=int, default=0, help="semitones up or down at most, drawn anew each epoch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print rows, one object each")
    arguments = parser.parse_args()
    parts = scipy.io.loadmat(arguments.data)
    data = {part: [one.astype(np.float32) for one in parts[f"{part}data"][0]] for part in ("train", "valid", "test")}
    rows = []
    for cell in arguments.cells:
        row = {"set": arguments.data.stem, "cell": cell, **_trained(cell, data, arguments)}
        rows.append({**row, "published": PUBLISHED.get(arguments.data.stem, {}).get(cell)})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps(rows) if arguments.json else pd.DataFrame(rows).to_string(index=False))


def _trained(cell: str, data: dict[str, list[np.ndarray]], arguments: argparse.Namespace) -> dict[str, Any]:
    keras.utils.set_random_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    layers = LAYERS.get(cell, 1)
    frames = keras.Input([None, KEYS])
    read = keras.layers.Dense(arguments.units)(frames)
    # a TCN and a Transformer drop between their layers; of a single recurrent one, what it reads
    said = causal_layer(cell, arguments.units, layers, dropout=arguments.dropout / layers**0.5)(read)
    model = keras.Model(frames, keras.layers.Dense(KEYS)(keras.layers.Dropout(arguments.dropout)(said)))
    steps = arguments.epochs * -(-len(data["train"]) // arguments.batch)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, alpha=0.02, warmup_target=arguments.learning_rate, warmup_steps=steps // 20
    )
    model.compile(keras.optimizers.AdamW(rate, weight_decay=1e-2, clipnorm=1.0), _nats_a_frame)
    score = _scorer(model, arguments.batch)
    best, weights, begun = np.inf, model.get_weights(), time.perf_counter()
    for _ in range(arguments.epochs):
        shifts = rng.integers(-arguments.transpose, arguments.transpose, len(data["train"]), endpoint=True)
        moved = [_transposed(one, shift) for one, shift in zip(data["train"], shifts, strict=True)]
        model.fit(_batches(lambda moved=moved: _padded(moved, arguments.batch, rng)), verbose=0)
        if (nats := score(data["valid"])) < best:
            best, weights = nats, model.get_weights()
    seconds = time.perf_counter() - begun
    model.set_weights(weights)
    return {
        "units": arguments.units,
        "layers": layers,
        "transpose": arguments.transpose,
        "parameters": model.count_params(),
        "seconds": round(seconds),
        "valid_nats": round(best, 3),
        "test_nats": round(score(data["test"]), 3),
    }


def _transposed(frames: np.ndarray, semitones: int) -> np.ndarray:
    """As it is where a note would leave the keyboard."""
    moved = np.roll(frames, semitones, axis=1)
    lost = moved[:, :semitones] if semitones > 0 else moved[:, KEYS + semitones :]
    return frames if semitones and lost.any() else moved


def _padded(sequences: list[np.ndarray], batch: int, rng: np.random.Generator | None) -> Iterator[tuple]:
    """Batches of about the same length, in an order that is drawn: frames, and those that follow them."""
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    groups = [order[begin : begin + batch] for begin in range(0, len(order), batch)]
    for group in rng.permutation(len(groups)) if rng is not None else range(len(groups)):
        ones = [sequences[i] for i in groups[group]]
        shape = (len(ones), max(map(len, ones)) - 1, KEYS)
        read, follows = np.zeros(shape, np.float32), np.full(shape, NOWHERE, np.float32)
        for row, one in enumerate(ones):
            read[row, : len(one) - 1], follows[row, : len(one) - 1] = one[:-1], one[1:]
        yield read, follows


def _batches(generator: Callable[[], Iterator[tuple]]) -> tf.data.Dataset:
    spec = tf.TensorSpec([None, None, KEYS], tf.float32)
    return tf.data.Dataset.from_generator(generator, output_signature=(spec, spec)).prefetch(2)


def _each(follows: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The sum of nats and the number of frames."""
    there = tf.cast(follows[..., 0] > NOWHERE, tf.float32)  # [B, T]
    nats = tf.nn.sigmoid_cross_entropy_with_logits(tf.maximum(follows, 0), logits)
    return tf.reduce_sum(tf.reduce_sum(nats, axis=2) * there), tf.reduce_sum(there)


def _nats_a_frame(follows: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.math.divide(*_each(follows, logits))


def _scorer(model: keras.Model, batch: int) -> Callable[[list[np.ndarray]], float]:
    """Of sequences, nats a frame."""
    spec = tf.TensorSpec([None, None, KEYS], tf.float32)

    @tf.function(input_signature=[spec, spec])
    def sums(read: tf.Tensor, follows: tf.Tensor) -> tf.Tensor:
        return tf.stack(_each(follows, model(read, training=False)))

    def score(sequences: list[np.ndarray]) -> float:
        nats, frames = sum(sums(*one).numpy() for one in _padded(sequences, 4 * batch, None))
        return float(nats / frames)

    return score


if __name__ == "__main__":
    main()
