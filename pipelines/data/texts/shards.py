"""Token ids on disk as TFRecord shards, read back as length-bucketed batches."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

_SHARD_RECORDS = 8192
_SHUFFLE_RECORDS = 16384
_BOUNDARIES = (16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 768, 1024, 1536, 2048)


class ShardWriter:
    """Writes one split of a data set, `<split>-00000.tfrecord` and on.

    Args:
        directory: where to.
        split: the files' stem.

    Attributes:
        bucket_counts: records written so far, by the bucket of length that they will be batched in.

    Example:
        >>> with ShardWriter(Path(), "train") as writer:
        ...     writer.write(np.array([5, 3, 9], np.int32), label=1, words=b"not bad !")
    """

    def __init__(self, directory: Path, split: str):
        self._stem = directory / split
        self._writer: tf.io.TFRecordWriter | None = None
        self._records = 0
        self.bucket_counts = [0] * (len(_BOUNDARIES) + 1)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *exception) -> None:
        if self._writer:
            self._writer.close()

    def write(self, tokens: np.ndarray, label: int, words: bytes = b"") -> None:
        """Adds a record: int32 token ids `[tokens]`, its class, and the tokens themselves, a blank between them."""
        if self._records % _SHARD_RECORDS == 0:
            if self._writer:
                self._writer.close()
            self._writer = tf.io.TFRecordWriter(f"{self._stem}-{self._records // _SHARD_RECORDS:05d}.tfrecord")
        features = {
            "tokens": tf.train.Feature(bytes_list=tf.train.BytesList(value=[tokens.tobytes()])),
            "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            "words": tf.train.Feature(bytes_list=tf.train.BytesList(value=[words])),
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        assert self._writer is not None
        self._writer.write(example.SerializeToString())
        self._records += 1
        self.bucket_counts[bisect_right(_BOUNDARIES, len(tokens))] += 1


def read_shards(
    directory: Path, split: str, *, batch_size: int, shuffle_seed: int | None = None, words: bool = False
) -> tf.data.Dataset:
    """Batches of records of about the same length.

    Args:
        directory: where `ShardWriter` wrote.
        split: the files' stem.
        batch_size: rows of a batch at most.
        shuffle_seed: decides the order; None keeps the order on disk.
        words: whether the tokens themselves are read, too.

    Returns:
        Dataset of (token ids, int32 `[batch, time]`, padded with 0 to the longest row of the batch; labels,
        int32 `[batch]`), and of `words`, string `[batch]`, tokens with a blank between them.
    """
    files = sorted(str(file) for file in directory.glob(f"{split}-*.tfrecord"))
    if shuffle_seed is not None:
        np.random.default_rng(shuffle_seed).shuffle(files)
    # records from many shards take turns, so that data sorted by class is not learnt a class at a time
    dataset = tf.data.Dataset.from_tensor_slices(files).interleave(tf.data.TFRecordDataset, cycle_length=16)
    if shuffle_seed is not None:
        dataset = dataset.shuffle(_SHUFFLE_RECORDS, seed=shuffle_seed)
    dataset = dataset.map(_parser(words), num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.bucket_by_sequence_length(
        lambda tokens, *_: tf.size(tokens),
        bucket_boundaries=_BOUNDARIES,
        bucket_batch_sizes=[batch_size] * (len(_BOUNDARIES) + 1),
    )
    return dataset.prefetch(tf.data.AUTOTUNE)


def read_in_order(directory: Path, split: str, *, batch_size: int) -> tf.data.Dataset:
    """Batches of records in the order in which they were written, whatever their lengths.

    Args:
        directory, split, batch_size: as of `read_shards`.

    Returns:
        As `read_shards` with `words`.
    """
    files = sorted(str(file) for file in directory.glob(f"{split}-*.tfrecord"))
    dataset = tf.data.TFRecordDataset(files).map(_parser(words=True), num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.padded_batch(batch_size, padded_shapes=([None], [], [])).prefetch(tf.data.AUTOTUNE)


def batch_count(bucket_counts: Iterable[int], batch_size: int) -> int:
    """Batches that `read_shards` makes: every bucket ends with a batch of what is left."""
    return sum(-(-count // batch_size) for count in bucket_counts)


def class_weights(counts: Iterable[int]) -> dict[int, float]:
    """Weights in inverse proportion to the classes' counts, 1 on average over the records."""
    counts = list(counts)
    return {index: sum(counts) / (len(counts) * count) for index, count in enumerate(counts)}


def _parser(words: bool) -> Callable[[tf.Tensor], tuple[tf.Tensor, ...]]:
    features = {
        "tokens": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    if words:  # which trainings have no use for: what is not named is not parsed
        features["words"] = tf.io.FixedLenFeature([], tf.string)

    @tf.autograph.experimental.do_not_convert
    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, ...]:
        example = tf.io.parse_single_example(serialized, features)
        record = tf.io.decode_raw(example["tokens"], tf.int32), tf.cast(example["label"], tf.int32)
        return (*record, example["words"]) if words else record

    return parse
