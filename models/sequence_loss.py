"""The loss of models that generate sequences."""

import tensorflow as tf


def sequence_cross_entropy(
    logits: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor, label_smoothing: float = 0.0
) -> tf.Tensor:
    """Mean cross-entropy of the tokens that count.

    With smoothing e and V ids, a token's loss is -(1 - e) log p(target) - e / V sum_v log p(v): the target distribution
    of Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7, as Vaswani et al. 2017, section 5.4, use
    it for sequences. Every token weighs the same, in long sequences and in short ones.

    Args:
        logits: float `[..., V]`.
        targets: int `[...]`, ids; any id where the mask is False.
        mask: bool `[...]`, False for padding, which has neither loss nor gradient.
        label_smoothing: e, from 0 up to 1, excluded.

    Returns:
        float32 scalar; 0 where the mask is False throughout.

    Example:
        >>> logits = tf.math.log([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]])
        >>> loss = sequence_cross_entropy(logits, tf.constant([[1, 0]]), tf.constant([[True, False]]))
        >>> round(float(tf.exp(-loss)), 4)
        0.25
    """
    logits = tf.cast(logits, tf.float32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)  # [...]
    if label_smoothing:
        even = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
        losses = (1 - label_smoothing) * losses + label_smoothing * even
    counted = tf.cast(mask, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * counted), tf.reduce_sum(counted))
