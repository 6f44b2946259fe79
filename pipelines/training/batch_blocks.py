"""Parts of batches of records."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def block(batches: tf.data.Dataset, begin: float, end: float, *, in_order: bool) -> tf.data.Dataset:
    """A part of batches.

    Args:
        batches: nested tensors, whose first axis is the rows.
        begin: a share from 0 to 1.
        end: a larger one.
        in_order: whether the rows follow one another, so that neighbours are alike: then the part is of all rows, else
            it is of each batch, since batches may be sorted by length.

    Returns:
        The rows from `begin` to `end`, without empty batches.

    Example:
        >>> batches = tf.data.Dataset.range(10).batch(4)
        >>> [one.tolist() for one in block(batches, 0.5, 1.0, in_order=True).as_numpy_iterator()]
        [[5, 6, 7], [8, 9]]
        >>> [one.tolist() for one in block(batches, 0.5, 1.0, in_order=False).as_numpy_iterator()]
        [[2, 3], [6, 7], [9]]
    """
    if (begin, end) == (0, 1):  # of which it stays known how many batches there are
        return batches
    total = 0
    if in_order:
        total = int(batches.reduce(tf.constant(0, tf.int64), lambda count, *one: count + _rows(one)))
        first, last = int(begin * total), int(end * total)

    def cut(before: tf.Tensor, *one: Any) -> tuple[tf.Tensor, Any]:
        rows = _rows(one)
        if in_order:
            low, high = (tf.clip_by_value(bound - before, 0, rows) for bound in (first, last))
        else:
            low, high = (tf.cast(tf.cast(rows, tf.float64) * share, tf.int64) for share in (begin, end))
        kept = tf.nest.map_structure(lambda tensor: tensor[low:high], one)
        return before + rows, kept if len(kept) > 1 else kept[0]

    return batches.scan(tf.constant(0, tf.int64), cut).filter(lambda *one: _rows(one) > 0)


def rows_of(sizes: Sequence[int], begin: float, end: float) -> np.ndarray:
    """The numbers of the rows that `block` takes of batches that may be sorted, int `[rows]`.

    Args:
        sizes: rows of each batch.
        begin: a share from 0 to 1.
        end: a larger one.

    Example:
        >>> rows_of([4, 4, 2], 0.5, 1.0).tolist()
        [2, 3, 6, 7, 9]
    """
    starts = np.cumsum([0, *sizes])
    parts = [
        np.arange(start + int(size * begin), start + int(size * end))
        for start, size in zip(starts[:-1], sizes, strict=True)
    ]
    return np.concatenate([*parts, np.empty(0, int)])


def _rows(batch: Any) -> tf.Tensor:
    return tf.shape(tf.nest.flatten(batch)[0], tf.int64)[0]
