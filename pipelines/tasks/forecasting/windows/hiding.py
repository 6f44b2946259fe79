"""What a client may leave out is left out of a few training windows, so that the model learns to do without."""

import tensorflow as tf

from unroll.models.series.calendar import UNKNOWN_TIME

_HIDDEN = 0.1  # of the training windows, of which time and future covariates, or categories, are not told


@tf.autograph.experimental.do_not_convert
def hide(window: dict[str, tf.Tensor], seed: tuple[int, int], number: tf.Tensor) -> dict[str, tf.Tensor]:
    """Takes time and future covariates from a few windows, and categories from others.

    Args:
        window: a batch, as `unroll.pipelines.data.series.windows` makes it.
        seed: seed and epoch.
        number: of the batch; with the seed it decides which windows.
    """
    rows = tf.shape(window["timestamp"])[0]
    key = tf.stack([tf.constant(seed[0] * 100_003 + seed[1], tf.int64), number])
    hidden = tf.random.stateless_uniform([rows], key) < _HIDDEN
    nameless = tf.random.stateless_uniform([rows], key[::-1]) < _HIDDEN
    return {
        **window,
        "timestamp": tf.where(hidden, UNKNOWN_TIME, window["timestamp"]),
        "static": tf.where(nameless[:, None], 0, window["static"]),
        "future": tf.where(hidden[:, None, None], float("nan"), window["future"]),
    }
