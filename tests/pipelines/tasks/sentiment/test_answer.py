"""What answers a text is said, also where there is no simple path."""

import pytest

from tests.conftest import reviews
from tests.untrained_models import prepared, untrained
from unroll.pipelines.tasks.sentiment.simple_path import too_large


@pytest.mark.parametrize(
    ("buckets", "said"),
    [
        (0, ""),
        (2**24, "The network answers alone: a simple path would have 33,554,"),
    ],
)
def test_a_simple_path_that_would_be_too_large_is_left_out_and_it_is_said(tmp_path, buckets, said):
    section = {"units": 4, "embedding": 4, "members": 1, "ngram_buckets": buckets}
    task = prepared("sentiment", reviews(100), {"model": section}, tmp_path)
    found = task.answer(untrained(task))
    assert found.simple is None
    assert found.said.startswith(said)
    assert bool(found.said) == bool(said)


def test_its_weights_are_told_and_how_many_there_may_be():
    said = "The network answers alone: a simple path would have 33,554,632 weights, of 25,000,000 at most."
    assert too_large(vocabulary=100, buckets=2**24, classes=2).startswith(said)
    assert not too_large(vocabulary=100, buckets=0, classes=2)
