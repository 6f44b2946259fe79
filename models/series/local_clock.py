"""A zone's clock inside a graph: constants alone, so that any server of the graph has it."""

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike


class LocalClock:
    """Local civil time of instants, from the table of a zone's transitions.

    Args:
        transitions: int64 `[K]`, Unix seconds at which the offset changes, rising.
        offsets: int64 `[K + 1]`, seconds east of UTC before the first transition and after each.

    Example:
        >>> clock = LocalClock([1_729_990_800], [7200, 3600])  # Berlin, 27 October 2024
        >>> clock.local(tf.constant([1_729_990_799, 1_729_990_800], tf.int64)).numpy() % 86_400 // 3600
        array([2, 2])
    """

    def __init__(self, transitions: ArrayLike = (), offsets: ArrayLike = (0,)):
        self.transitions = np.asarray(transitions, np.int64)
        self.offsets = np.asarray(offsets, np.int64)
        shown_before, self._shown_after = self.transitions + self.offsets[:-1], self.transitions + self.offsets[1:]
        self._shown_latest = np.maximum(shown_before, self._shown_after)

    @property
    def changes(self) -> bool:
        """Whether its offset is not always the same."""
        return len(self.transitions) > 0

    def offset(self, instants: tf.Tensor) -> tf.Tensor:
        """Seconds east of UTC at int64 Unix seconds of any shape."""
        return self._looked_up(self.transitions, instants)

    def local(self, instants: tf.Tensor) -> tf.Tensor:
        """What the clock shows, as seconds since 1970 on that clock."""
        return instants + self.offset(instants)

    def instants(self, local: tf.Tensor, *, later: bool = False) -> tf.Tensor:
        """Unix seconds at which the clock shows `local`: of a time that comes twice the earlier, unless `later`."""
        return local - self._looked_up(self._shown_after if later else self._shown_latest, local)

    def _looked_up(self, edges: np.ndarray, times: tf.Tensor) -> tf.Tensor:
        if not self.changes:
            return tf.fill(tf.shape(times), self.offsets[0])
        at = tf.searchsorted(tf.constant(edges), tf.reshape(times, [-1]), side="right")
        return tf.reshape(tf.gather(tf.constant(self.offsets), at), tf.shape(times))
