"""A split as contiguous streams, a chunk of each in every batch: what truncated backpropagation through time reads."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from unroll.models.tokens import END, PADDING, START
from unroll.pipelines.tasks.language.corpus.data import Split

_LONG = 10  # chunks; a document of fewer is cut from its first unit on in every epoch


@dataclass(frozen=True)
class Streams:
    """How a split is cut.

    A document is cut into chunks. Only the last is shorter, so that no state is carried over padding. All chunks in
    their order are dealt out to streams in equal runs, so that a stream holds the end of one document, some whole ones
    and the beginning of another; its state begins anew with each document, and where the stream begins.

    Args:
        split: the ids.
        count: of the streams.
        chunk: targets of a stream in a batch at most.
        running: whether the pieces are one text, that no start and no end belongs to. What a stream begins with is
            then marked as a start, so that the model knows what it is to be asked to go on from nothing.
    """

    split: Split
    count: int
    chunk: int
    running: bool

    def steps(self) -> int:
        """Batches of an epoch, within one for each long document of a stream."""
        return -(-int(np.sum(-(-self._sizes() // self.chunk))) // self.count)

    def filled(self) -> float:
        """The share of what is read that is text, and not padding behind short documents or in streams without any."""
        return float(self._sizes().sum() / (self.steps() * self.count * self.chunk))

    def batches(self, seed: tuple[int, int] | None) -> tf.data.Dataset:
        """Batches as `Autoregressive` takes them, with the targets.

        Args:
            seed: of the order of documents, and of where the first chunk of each long one begins; None: in their
                order, each from its first unit on.
        """
        chunks = self._chunks(seed)
        steps = -(-len(chunks[0]) // self.count)
        rows = tf.TensorSpec([self.count, self.chunk], tf.int32)
        read = tf.data.Dataset.from_generator(
            lambda: self._batches(steps, *chunks),
            output_signature=({"ids": rows, "begins": tf.TensorSpec([self.count], tf.bool)}, rows),
        )
        # a data set that runs out has Keras count one more batch of so many rows, and perhaps one more step
        return read.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)

    def _batches(
        self, steps: int, piece: np.ndarray, first: np.ndarray, length: np.ndarray, begins: np.ndarray
    ) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        padding = steps * self.count - len(piece)
        grid = np.pad(np.arange(len(piece)), (0, padding), constant_values=-1).reshape(self.count, steps)
        sizes, starts = self._sizes(), self.split.ends - np.diff(self.split.ends, prepend=0)
        places = np.arange(self.chunk)
        for step in range(steps):
            row = grid[:, step]
            here, new = piece[row], begins[row] | (step == 0)
            at = first[row][:, None] + places  # of the targets in their document
            valid = places < np.where(row < 0, 0, length[row])[:, None]
            written = valid & (at < sizes[here][:, None] - (not self.running))
            targets = np.where(valid, END, PADDING)
            targets[written] = self.split.ids[(starts[here][:, None] + at)[written]]
            follows = valid & (at > 0)
            if self.running:
                follows[:, 0] &= ~new
            ids = np.where(valid, START, PADDING)
            ids[follows] = self.split.ids[(starts[here][:, None] + at - 1)[follows]]
            yield {"ids": ids.astype(np.int32), "begins": new}, targets.astype(np.int32)

    def _chunks(self, seed: tuple[int, int] | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of each chunk its piece, the place of its first target in that, how many it has, and whether it begins."""
        sizes = self._sizes()
        order, opening = np.arange(len(sizes)), np.zeros(len(sizes), np.int64)
        if seed is not None:
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(sizes))
            opening = np.where(sizes > _LONG * self.chunk, rng.integers(0, self.chunk, len(sizes)), 0)
        # what stands before the offset comes last: no chunk but the last of its kind is then shorter
        piece = np.repeat(order, 2)
        start = np.stack([opening, np.zeros_like(opening)], axis=1)[order].reshape(-1)
        size = np.stack([sizes - opening, opening], axis=1)[order].reshape(-1)
        counts = -(-size // self.chunk)
        number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        first = np.repeat(start, counts) + number * self.chunk
        length = np.minimum(self.chunk, np.repeat(start + size, counts) - first)
        return np.repeat(piece, counts), first, length, number == 0

    def _sizes(self) -> np.ndarray:
        """Targets of each piece: its units, and the end of a document."""
        return np.diff(self.split.ends, prepend=0) + (not self.running)
