"""Windows as a client would send them."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from unroll.pipelines.data.series.data import SeriesData
from unroll.pipelines.task import Arrays
from unroll.pipelines.tasks.forecasting.statistical.sampled import SampledWindows


def sent_windows(data: SeriesData, batches: tf.data.Dataset, sampled: SampledWindows | None = None) -> Iterator[Arrays]:
    """Batches with names instead of numbers, and with what is known of their future.

    Args:
        data: the series.
        batches: of `windows`, all of a split in their order.
        sampled: of the same split; where given, a batch has their `before`, too.
    """
    ids = np.array([one.encode() for one in data.ids], object)
    names = [
        np.array([b"", *(name.encode() for name in names)], object)
        for names in data.dataset_info["categories"].values()
    ]
    first = 0
    for batch in batches.as_numpy_iterator():
        count = len(batch["static"])
        static = np.empty(batch["static"].shape, object)
        for column, categories in enumerate(names):
            static[:, column] = categories[batch["static"][:, column]]
        before = {} if sampled is None else {"before": sampled.before(first, count)}
        yield {**batch, "series": ids[batch["series"]], "static": static, **before}
        first += count
