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
    losses, _ = token_losses(tf.cast(logits, tf.float32), targets, label_smoothing)
    counted = tf.cast(mask, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * counted), tf.reduce_sum(counted))


def token_losses(logits: tf.Tensor, targets: tf.Tensor, label_smoothing: float = 0.0) -> tuple[tf.Tensor, tf.Tensor]:
    """Each token's loss as `sequence_cross_entropy` has it, and its cross-entropy in nats, which has no gradient.

    Logits of large vocabularies are read and written as rarely as it goes: that is what takes time beside the products
    that they come from.

    Args:
        logits: float32 `[..., V]`.
        targets: int `[...]`, ids.
        label_smoothing: as of `sequence_cross_entropy`.

    Returns:
        float32 `[...]` both.
    """
    size = tf.shape(logits)[-1]
    losses, nats = _token_losses(tf.reshape(logits, [-1, size]), tf.reshape(targets, [-1]), label_smoothing)
    return tf.reshape(losses, tf.shape(targets)), tf.reshape(nats, tf.shape(targets))


def _token_losses(logits: tf.Tensor, targets: tf.Tensor, smoothing: float) -> tuple[tf.Tensor, tf.Tensor]:
    @tf.custom_gradient
    def losses_of(logits):
        nats, gradient = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=targets)
        # (1 - e) (log Z - x) + e (log Z - mean) = log Z - x + e (x - mean)
        said = tf.gather(logits, targets, batch_dims=1)
        losses = nats + smoothing * (said - tf.reduce_mean(logits, axis=1)) if smoothing else nats

        def back(upstream, _):
            if not smoothing:
                return gradient * upstream[:, None]
            even = (gradient - smoothing / tf.cast(tf.shape(logits)[1], tf.float32)) * upstream[:, None]
            place = tf.stack([tf.range(tf.shape(targets)[0]), tf.cast(targets, tf.int32)], axis=1)
            return tf.tensor_scatter_nd_add(even, place, smoothing * upstream)

        return (losses, nats), back

    return losses_of(logits)
