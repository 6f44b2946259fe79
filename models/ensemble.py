"""Several networks that answer as one."""

import math
from collections.abc import Sequence

import tensorflow as tf


def averaged(logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """Logits of the mean of several networks' probabilities; those of a single one as they are.

    Args:
        logits: float `[..., ids]` each.

    Example:
        >>> even, sure = tf.zeros([2]), tf.constant([0.0, -1e9])
        >>> tf.exp(averaged([even, sure])).numpy()
        array([0.75, 0.25], dtype=float32)
    """
    if len(logits) == 1:
        return logits[0]
    return tf.reduce_logsumexp(tf.stack([tf.nn.log_softmax(one) for one in logits]), axis=0) - math.log(len(logits))
