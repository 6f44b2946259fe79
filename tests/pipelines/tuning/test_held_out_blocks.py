"""Parts of the validation split: together all of its rows, none of them twice."""

import numpy as np
import pytest
import tensorflow as tf

from unroll.pipelines.training.batch_blocks import block
from unroll.pipelines.tuning.held_out_blocks import CHECKING, CHOOSING


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("rows", [1, 7, 50, 333])
def test_the_blocks_are_all_rows_once(rows: int, in_order: bool) -> None:
    numbers = tf.data.Dataset.range(rows)
    batches = numbers.map(lambda n: ({"x": n, "two": tf.stack([n, n])}, n)).batch(16)
    seen = []
    for begin, end in (CHOOSING, *CHECKING):
        for inputs, targets in block(batches, begin, end, in_order=in_order):
            assert len(targets)
            np.testing.assert_array_equal(inputs["two"][:, 1], targets)
            seen += list(targets.numpy())
    assert sorted(seen) == list(range(rows))


def test_in_order_the_part_that_chooses_is_before_the_others() -> None:
    batches = tf.data.Dataset.range(100).batch(16)
    chosen = np.concatenate(list(block(batches, *CHOOSING, in_order=True).as_numpy_iterator()))
    np.testing.assert_array_equal(chosen, range(50))


def test_else_each_batch_gives_a_part() -> None:
    lengths = tf.data.Dataset.from_tensor_slices([3] * 16 + [500] * 16).batch(16)  # sorted by length, as texts are
    for part in (CHOOSING, CHECKING[0]):
        kept = np.concatenate(list(block(lengths, *part, in_order=False).as_numpy_iterator()))
        assert set(kept) == {3, 500}
