"""Streams hold every unit of every document once, in order, and begin anew where a document does."""

import itertools

import numpy as np
import pytest

from unroll.models.tokens import END, PADDING, START
from unroll.pipelines.tasks.language.corpus.data import Split
from unroll.pipelines.tasks.language.corpus.streams import Streams


def split(*sizes: int) -> Split:
    """Documents of so many units, each unit with a number of its own."""
    return Split(np.arange(10, 10 + sum(sizes), dtype=np.uint16), np.cumsum(sizes))


def batches(streams: Streams, seed=None):
    return [
        ({key: one.numpy() for key, one in inputs.items()}, targets.numpy())
        for inputs, targets in streams.batches(seed)
    ]


def continued(read: list, count: int) -> list[list[tuple[int, int]]]:
    """Pairs of what stands before and what follows, of each stretch that is read with one state."""
    found = []
    for stream in range(count):
        for inputs, targets in read:
            ids, row = inputs["ids"][stream], targets[stream]
            if inputs["begins"][stream]:
                found.append([])
            found[-1] += [(int(a), int(b)) for a, b in zip(ids, row, strict=True) if b != PADDING]
            assert not row[np.argmin(row != PADDING) :].any() or row.all(), "padding stands on the right"
    return [one for one in found if one]


@pytest.mark.parametrize("seed", [None, (0, 0), (0, 1)])
def test_documents_are_read_whole_with_one_state_unless_a_stream_ends(seed) -> None:
    sizes = (1, 7, 3, 64, 5, 5, 2)
    streams = Streams(split(*sizes), count=2, chunk=5, running=False)
    read = batches(streams, seed)
    assert abs(len(read) - streams.steps()) <= 1
    stretches = continued(read, 2)
    targets = [b for stretch in stretches for _, b in stretch]
    assert sorted(one for one in targets if one != END) == list(range(10, 10 + sum(sizes))), "each once"
    assert targets.count(END) == len(sizes)
    for stretch in stretches:
        for (_, before), (after, _) in itertools.pairwise(stretch):
            assert before == after, "what was foreseen is read next"
        assert all(b != END for _, b in stretch[:-1])
    firsts = {10 + int(one) for one in np.cumsum([0, *sizes[:-1]])}
    assert {b for stretch in stretches for a, b in stretch if a == START} == firsts, "a document's own start"


def test_chunks_of_a_stream_go_on_and_end_elsewhere_in_each_epoch() -> None:
    streams = Streams(split(1000), count=4, chunk=10, running=True)
    ends = []
    for epoch in (0, 1, 0):
        read = batches(streams, (7, epoch))
        stretches = continued(read, 4)
        assert sorted(b for stretch in stretches for _, b in stretch) == list(range(10, 1010))
        assert all(stretch[0][0] == START for stretch in stretches), "a running text begins anywhere"
        assert 4 <= len(stretches) <= 5, "four streams, and what stands before the offset"
        assert max(map(len, stretches)) >= 240
        ends.append(sorted(int(targets[row].max()) for _, targets in read for row in range(4)))
    assert ends[0] == ends[2] != ends[1]


def test_more_streams_than_there_is_text_for() -> None:
    streams = Streams(split(3, 2), count=6, chunk=4, running=False)
    read = batches(streams)
    assert len(read) == 1
    assert streams.filled() == 7 / 24
    assert [int(np.count_nonzero(row)) for row in read[0][1]] == [4, 3, 0, 0, 0, 0]
