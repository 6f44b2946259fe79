"""How good a translation is likely to be, by how sure the model is of it."""

from dataclasses import dataclass

import tensorflow as tf

from unroll.models.tokens import PADDING


@dataclass(frozen=True)
class Quality:
    """An estimate of a score from 0 to 1 that needs no reference: `best - slope * sqrt(nats a token)`.

    The mean log-probability of a translation's tokens goes with how people judge it about as well as models do that are
    trained for it (Fomicheva et al. 2020, "Unsupervised Quality Estimation for Neural Machine Translation").

    Args:
        best: the score where there is no doubt.
        slope: what a doubt takes off it.

    Call arguments:
        log_probability: of translations, the end included, float32 `[rows]`.
        ids: of each, the end included, then padding, int32 `[rows, time]`.

    Returns:
        float32 `[rows]`.

    Example:
        >>> ids = tf.constant([[5, 6, 7, 3], [5, 6, 3, 0]])
        >>> Quality(0.75, 0.5)(tf.constant([-4.0, 0.0]), ids).numpy().tolist()
        [0.25, 0.75]
    """

    best: float
    slope: float

    def __call__(self, log_probability: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(self.best - self.slope * doubt(log_probability, ids), 0.0, 1.0)


def doubt(log_probability: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """The square root of the nats that a token costs, float32 `[rows]`; arguments as of `Quality`."""
    tokens = tf.math.count_nonzero(ids != PADDING, axis=1, dtype=tf.float32)
    return tf.sqrt(tf.maximum(-log_probability, 0.0) / tf.maximum(tokens, 1.0))
