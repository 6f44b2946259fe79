"""What answers a text is said, also where there is no simple path."""

from pathlib import Path

import numpy as np
import pytest

from unroll.pipelines.tasks.sentiment import answer


@pytest.mark.parametrize(
    ("buckets", "said"),
    [
        (0, ""),
        (2**24, "The network answers alone: a simple path would have 33,554,632 weights, of 25,000,000 at most."),
    ],
)
def test_a_simple_path_that_would_be_too_large_is_left_out_and_it_is_said(monkeypatch, buckets, said):
    logits, labels = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 0.0]]), np.array([0, 1, 0])
    monkeypatch.setattr(answer, "_network", lambda model, directory: ([logits], labels))
    network: object = None  # is not asked: its logits are above
    found = answer.fit_answer(network, Path(), texts=9, vocabulary=100, buckets=buckets, classes=2)  # type: ignore[arg-type]
    assert found.simple is None
    assert found.said.startswith(said)
    assert bool(found.said) == bool(said)
