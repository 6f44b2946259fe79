"""What goes on inside a trained model: how far gradients reach back, and what features follow in a text."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from unroll.models.autoregressive import Network
from unroll.models.tokens import PADDING, START
from unroll.pipelines.scoring.plots import gradient_by_timestep
from unroll.pipelines.tasks.language.scores.plots import activity_map

_SHOWN = 4  # features
_LAG = 10  # units, over which a feature that follows something stays alike


def gradients_in_a_chunk(network: Network, ids: tf.Tensor, targets: tf.Tensor) -> Figure | None:
    """The gradient of the loss on a chunk's last target, by each unit before it; None where no chunk is full.

    Args:
        network: trained.
        ids: int32 `[streams, time]`, read from nothing on.
        targets: int32 `[streams, time]`.
    """
    full = targets[:, -1] != PADDING
    ids, targets = tf.boolean_mask(ids, full), tf.boolean_mask(targets, full)
    if not len(ids):
        return None
    embedded = network.embedding(ids)
    with tf.GradientTape() as tape:
        tape.watch(embedded)
        hidden, _ = network.stack.steps(embedded, network.initial_state(len(ids)))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets[:, -1], network.head(hidden[:, -1]))
    norms = tf.norm(tape.gradient(losses, embedded), axis=-1).numpy()  # [streams, time]
    return gradient_by_timestep(list(norms))


def features_of_a_text(network: Network, ids: np.ndarray, pieces: Sequence[str]) -> Figure:
    """The features of the stack that change most slowly as a text is read, among those that change at all.

    Args:
        network: trained.
        ids: int `[units]`, of the text.
        pieces: the text of each id.
    """
    read = tf.constant(np.concatenate([[START], ids]).astype(np.int32))[None]
    hidden, _ = network.stack.steps(network.embedding(read), network.initial_state(1))
    activity = hidden[0, 1:].numpy().astype(np.float64)  # [units, features]
    centred = activity - activity.mean(axis=0)
    variance = np.mean(centred**2, axis=0) + 1e-12
    alike = np.mean(centred[_LAG:] * centred[:-_LAG], axis=0) / variance
    alike[variance < np.median(variance)] = -np.inf
    chosen = np.argsort(-alike)[:_SHOWN]
    return activity_map([pieces[one] for one in ids], activity[:, chosen], [f"Feature {one}" for one in chosen])
