"""Windows of prepared series as a tf.data pipeline; none is stored."""

import numpy as np
import tensorflow as tf

from unroll.models.series.stepping import advance
from unroll.pipelines.data.series.clock.graph_step import graph_step
from unroll.pipelines.data.series.data import SeriesData
from unroll.pipelines.data.series.window_index import WindowIndex


def windows(
    data: SeriesData,
    split: str,
    *,
    lookback: int,
    horizon: int,
    batch_size: int,
    history: int | None = None,
    stride: int = 1,
    shuffle: tuple[int, int] | None = None,
    passes: int = 1,
) -> tf.data.Dataset:
    """Batches of windows, cut from the stored values by their numbers; memory grows with the series only.

    Args:
        data: the series.
        split: train, validation or test; "all" of further data.
        lookback: L, steps of history that decide which windows there are.
        horizon: H, steps.
        batch_size: B; the last batch may have fewer.
        history: steps of history that are given, by default L.
        stride: steps from a window of a series to the next.
        shuffle: (seed, epoch) of a pseudorandom order in which every window comes once; None keeps series and time
            order.
        passes: over the windows; each is shuffled in an order of its own.

    Returns:
        Dataset of dictionaries: `history` float32 [B, history, D], `target` float32 [B, H, C], `future` float32
        [B, H, F], `timestamp` int64 [B] (Unix seconds of the newest step of history), `static` int32 [B, S], `series`
        int32 [B] (the row in `data.ids`), and `mean`, `std`, `naive`, float32 [B, C].
    """
    index = WindowIndex.of(data, split, lookback=lookback, horizon=horizon, stride=stride)
    back = lookback if history is None else history
    targets, width = data.targets, data.values.shape[1]
    missing = len(data.values)  # a row of NaN behind the others pads short histories
    values = tf.concat([data.values, np.full((1, width), np.nan, np.float32)], 0)
    first, ends = tf.constant(index.first), tf.constant(index.ends)
    begins = tf.concat([[np.int64(0)], ends[:-1]], 0)
    offsets, start = tf.constant(data.offsets[:-1]), tf.constant(data.start)
    by_series = {
        "static": tf.constant(data.static),
        "series": tf.range(len(data.ids)),
        "mean": tf.constant(data.scales.mean),
        "std": tf.constant(data.scales.std),
        "naive": tf.constant(data.scales.naive),
    }
    span = tf.range(-back, horizon, dtype=tf.int64)
    seeds = None
    if shuffle is not None:
        seed, epoch = shuffle
        orders = [(seed, epoch * passes + number) for number in range(passes)]
        seeds = tf.constant([np.random.SeedSequence(order).generate_state(2) for order in orders], tf.uint32)
    batch_count = -(-index.count // batch_size)
    step = graph_step(data.frequency)

    @tf.autograph.experimental.do_not_convert
    def cut(number: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = number % batch_count
        numbers = tf.range(batch * batch_size, tf.minimum((batch + 1) * batch_size, index.count))
        if seeds is not None:
            numbers = tf.random.experimental.index_shuffle(
                numbers, seeds[number // batch_count], tf.constant(index.count - 1, tf.int64)
            )
        series = tf.searchsorted(ends, numbers, side="right", out_type=tf.int64)
        origin = tf.gather(first, series) + (numbers - tf.gather(begins, series)) * index.stride
        local = origin[:, None] + span  # [B, history + H], steps from the series' start
        rows = tf.where(local >= 0, local + tf.gather(offsets, series)[:, None], missing)
        ahead = tf.gather(values, rows[:, back:])
        return {
            "history": tf.gather(values, rows[:, :back]),
            "target": ahead[:, :, :targets],
            "future": ahead[:, :, width - data.future_covariates :],
            "timestamp": advance(tf.gather(start, series), origin - 1, **step),
            **{name: tf.gather(tensor, series) for name, tensor in by_series.items()},
        }

    batches = tf.data.Dataset.range(passes * batch_count)
    return batches.map(cut, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
