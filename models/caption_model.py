"""What all captioners are trained and scored by: logits of the next token."""

import keras
import tensorflow as tf

from unroll.models.sequence_loss import sequence_cross_entropy
from unroll.models.tokens import PADDING


class CaptionModel(keras.Model):
    """A model that returns `{"logits": [captions, time - 1, vocabulary], "weights": [captions, time - 1, positions]}`.

    The targets are the ids, int32 `[captions, time]`, from the start to the end, padded. The loss is a cross-entropy,
    or that which `compile` was given: a function of the ids behind the start and of the logits.

    Args:
        label_smoothing: of the loss, see `sequence_cross_entropy`.
        coverage: weight of the mean over positions of (1 - sum over tokens of attention)^2, for every position to be
            looked at (Xu et al. 2015, eq. 14); without weights there is none.
    """

    def __init__(self, label_smoothing: float = 0.0, coverage: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing
        self.coverage = coverage
        self.scores = {name: keras.metrics.Mean(name=name) for name in ("log_loss", "token_error")}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        targets, mask = _targets(y)
        if self.loss is not None:
            loss = tf.reduce_mean(self.loss(targets, y_pred["logits"]))
        else:
            loss = sequence_cross_entropy(y_pred["logits"], targets, mask, self.label_smoothing)
        if self.coverage and y_pred["weights"].shape[-1]:
            said = tf.cast(mask, tf.float32)[..., None]
            looked = tf.reduce_sum(tf.cast(y_pred["weights"], tf.float32) * said, axis=1)  # [N, P]
            uneven = tf.reduce_mean(tf.square(1 - looked), axis=1)
            loss += self.coverage * tf.reduce_mean(uneven)
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        targets, mask = _targets(y)
        logits = y_pred["logits"]
        self.scores["log_loss"].update_state(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits), mask)
        wrong = tf.not_equal(tf.argmax(logits, axis=-1, output_type=tf.int32), targets)
        self.scores["token_error"].update_state(wrong, mask)
        return self.get_metrics_result()


def _targets(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What each step should say, int32 `[captions, time - 1]`, and whether it should say anything."""
    targets = ids[:, 1:]
    return targets, targets != PADDING
