"""A few numbers that say where a vector lies among those of the training data."""

import numpy as np
import tensorflow as tf


class PrincipalComponents(tf.Module):
    """Standardised coordinates on the directions of largest variance, and the distance from their plane.

    Args:
        vectors: float `[n, features]`, from which mean, directions and scales are taken.
        count: coordinates that are returned, the distance included.

    Example:
        >>> components = PrincipalComponents(np.random.default_rng(0).normal(size=[500, 64]), count=8)
        >>> components(tf.zeros([3, 64])).shape
        TensorShape([3, 8])
    """

    def __init__(self, vectors: np.ndarray, count: int = 8):
        super().__init__(name="principal_components")
        vectors = np.asarray(vectors, np.float64)
        mean = vectors.mean(axis=0)
        _, singular, directions = np.linalg.svd(vectors - mean, full_matrices=False)
        kept = min(count - 1, len(singular))
        scale = np.maximum(singular[:kept] / np.sqrt(len(vectors)), 1e-6)
        projection = np.zeros([vectors.shape[1], count - 1])
        projection[:, :kept] = directions[:kept].T
        rest = (vectors - mean) - (vectors - mean) @ projection @ projection.T
        self.mean = tf.constant(mean, tf.float32)
        self.projection = tf.constant(projection, tf.float32)
        self.scale = tf.constant(np.concatenate([scale, np.ones(count - 1 - kept)]), tf.float32)
        self.distance = tf.constant(max(np.sqrt(np.mean(np.sum(rest**2, axis=1))), 1e-6), tf.float32)

    def __call__(self, vectors: tf.Tensor) -> tf.Tensor:
        """float32 `[batch, features]` to `[batch, count]`: all of them have a mean square of about 1 on such data."""
        centred = tf.cast(vectors, tf.float32) - self.mean
        coordinates = centred @ self.projection  # [B, count - 1]
        rest = tf.norm(centred - coordinates @ tf.transpose(self.projection), axis=1, keepdims=True)
        return tf.concat([coordinates / self.scale, rest / self.distance], axis=1)
