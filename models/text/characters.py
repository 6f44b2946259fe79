"""Runs of characters within words, in the graph: what related words, and misspelt or unknown ones, have in common."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from unroll.models.text.unspaced import UNSPACED

LEAST, MOST = 2, 4
"""Characters of a run."""
BUCKETS = 2**18
"""That runs are hashed into; different ones may share one."""
_READ = 2000  # characters of a text, from its start: what a request costs at most
_BLANK = 0x20
_FACTOR, _PRIME = 1_000_003, 2_147_483_647


@dataclass(frozen=True)
class CharacterWeights:
    """Of `CharacterRuns`.

    Args:
        buckets: of the runs that count, ascending, int `[runs]`.
        idf: their inverse document frequencies, float32 `[runs]`.
        regression: of each run in TF-IDF, float32 `[runs, classes]`.
    """

    buckets: np.ndarray
    idf: np.ndarray
    regression: np.ndarray


def character_runs(words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Counts a text's runs of two to four characters, the blanks before and behind a word included.

    No run goes over from one word to the next, but for scripts without blanks, whose characters stand side by side.

    Args:
        words: string `[batch]`, valid UTF-8: tokens with a blank between them. The first 2,000 characters are read.

    Returns:
        For each different run of a text, in no order: the text's row, int32 `[runs]`; the run's bucket, int32; how
        often it occurs, float32.

    Example:
        >>> rows, buckets, counts = character_runs(tf.constant(["no no"]))
        >>> len(buckets), float(counts.numpy().min())  # ' n', 'no', 'o ', ' no', 'no ', ' no '
        (6, 2.0)
    """
    read = tf.strings.join([" ", tf.strings.substr(words, 0, _READ, unit="UTF8_CHAR"), " "])
    row_splits, codes = tf.raw_ops.UnicodeDecode(input=read, input_encoding="UTF-8", Tsplits=tf.int64)
    rows = tf.searchsorted(row_splits, tf.range(tf.size(codes, tf.int64)), side="right", out_type=tf.int64) - 1
    unspaced = tf.equal(tf.searchsorted(tf.constant(UNSPACED), codes, side="right") % 2, 1)
    between = tf.pad(unspaced[:-2] & unspaced[2:], [[1, 1]])[: tf.size(codes)]
    written = ~(between & tf.equal(codes, _BLANK))
    codes, rows = tf.cast(tf.boolean_mask(codes, written), tf.int64), tf.boolean_mask(rows, written)

    blank = tf.equal(codes, _BLANK)
    run, keys = codes, []
    within = ~(blank[:-1] & blank[1:])  # texts begin and end with a blank, so that no run goes over to the next one
    for size in range(LEAST, MOST + 1):
        run = (run[:-1] * _FACTOR + codes[size - 1 :]) % _PRIME
        if size > LEAST:
            within = within[:-1] & ~blank[size - 2 : -1]
        bucket = (run + size) % _PRIME % BUCKETS
        keys.append(tf.boolean_mask(rows[: tf.size(run)] * BUCKETS + bucket, within))
    different, _, counts = tf.unique_with_counts(tf.concat(keys, axis=0))
    row, bucket = tf.cast(different // BUCKETS, tf.int32), tf.cast(different % BUCKETS, tf.int32)
    return row, bucket, tf.cast(counts, tf.float32)


class CharacterRuns(tf.Module):
    """logits = sum_f x_f regression_f / |x|, with x_f = (1 + log count_f) idf_f of the runs f of a text.

    Args:
        weights: fitted ones.

    Call arguments:
        words: string `[batch]`, as `character_runs` takes them.

    Returns:
        float32 `[batch, classes]`; 0 for a text without a run that counts.
    """

    def __init__(self, weights: CharacterWeights):
        super().__init__(name="character_runs")
        both = np.concatenate([weights.regression * weights.idf[:, None], weights.idf[:, None] ** 2], axis=1)
        # a last one, which no run has, for those that do not count
        self.buckets = tf.Variable(np.append(weights.buckets, BUCKETS).astype(np.int32), trainable=False)
        self.table = tf.Variable(np.pad(both, [[0, 1], [0, 0]]).astype(np.float32), trainable=False)

    def __call__(self, words: tf.Tensor) -> tf.Tensor:
        row, bucket, count = character_runs(words)
        place = tf.searchsorted(self.buckets, bucket)
        place = tf.where(tf.equal(tf.gather(self.buckets, place), bucket), place, tf.size(self.buckets) - 1)
        found = tf.gather(self.table, place)  # [R, C + 1]
        weight = (1 + tf.math.log(count))[:, None]
        parts = tf.concat([weight * found[:, :-1], weight**2 * found[:, -1:]], axis=1)
        sums = tf.math.unsorted_segment_sum(parts, row, tf.size(words))  # [B, C + 1]
        return tf.math.divide_no_nan(sums[:, :-1], tf.sqrt(sums[:, -1:]))
