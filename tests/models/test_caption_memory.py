"""Captions of known pictures beside those that a captioner writes."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.test_decoding import LENGTH, Toy
from unroll.models.caption_memory import (
    Blend,
    CaptionMemory,
    Neighbours,
    PictureKeys,
    candidates,
    field_averages,
    ranked,
)
from unroll.models.decoding import beam_search, score_sequences
from unroll.models.tokens import PADDING, SPECIAL_IDS, START


@pytest.fixture(scope="module")
def written():
    """A toy, and what a search of it finds."""
    toy = Toy(rows=3)
    return toy, beam_search(*toy.asked(), tf.fill([3, 1], START), LENGTH, SPECIAL_IDS, beams=4)


def test_given_sequences_are_as_likely_as_the_search_found_them(written):
    toy, found = written

    def step(ids, state, memory):  # rows of the toy, each asked several times
        total = (state + ids) % 5
        return tf.gather_nd(memory["table"], tf.stack([tf.range(tf.shape(ids)[0]), ids, total], axis=1)), total

    _, state, memory = toy.asked()
    memory = {"table": memory["table"]}
    ids = tf.pad(found.ids, [[0, 0], [0, 0], [0, 2]], constant_values=PADDING)
    likely = score_sequences(step, state, memory, tf.fill([3, 1], START), ids, SPECIAL_IDS)
    np.testing.assert_allclose(likely, found.log_probability, atol=1e-4)


def test_weights_lead_from_the_network_to_the_neighbours(written):
    _, found = written
    own = found.ids[:, 2:3, :]  # which the network finds less likely
    other = tf.constant([[[7, 7, 7, 3]]] * 3)
    ids = tf.concat([tf.pad(own, [[0, 0], [0, 0], [0, 4 - own.shape[2]]]), other], axis=1)
    both = candidates(found, Neighbours(ids, tf.constant([[1.0, 5.0]] * 3)), tf.fill([3, 2], -50.0))
    distances = tf.constant([[1.0, 5.0]] * 3)

    def best(network, neighbours):
        return ranked(both, distances, Blend(network, neighbours, 1.0), 0.0)[:, 0].numpy().tolist()

    assert best(1.0, 0.0) == [0, 0, 0]
    assert best(0.01, 1.0) == [2, 2, 2], "written by the network, and a neighbour's"
    assert best(0.0, 1.0) == [2, 2, 2]


def test_a_caption_is_answered_once(written):
    _, found = written
    twice = tf.pad(found.ids, [[0, 0], [0, 0], [0, LENGTH - found.ids.shape[2]]])[:, :2]
    both = candidates(found, Neighbours(twice, tf.zeros([3, 2])), found.log_probability[:, :2])
    order = ranked(both, tf.zeros([3, 2]), Blend(1.0, 1.0, 1.0), 0.0)
    assert {tuple(sorted(row[-2:])) for row in order.numpy().tolist()} == {(4, 5)}


def test_what_differs_decides_who_is_near():
    rng = np.random.default_rng(0)
    looks, features = rng.normal(size=[60, 12]), 100 * rng.normal(size=[60, 3])
    keys = PictureKeys({"looks": looks, "features": features})
    memory = CaptionMemory(keys({"looks": looks, "features": features}).numpy(), np.arange(60)[:, None], count=5)
    asked = {"looks": looks[7:9] + 0.01, "features": features[7:9]}
    found = memory(keys(asked))
    assert found.ids[:, 0, 0].numpy().tolist() == [7, 8]
    assert (np.diff(found.distances) >= 0).all()
    assert (found.distances[:, 1].numpy() > 0.05).all(), "the next one is about one unit away, whatever the scales are"


@pytest.mark.parametrize("size", [16, 24, 10])
def test_fields_are_means_of_their_pixels(size):
    pixels = np.random.default_rng(0).integers(0, 256, [2, size, size, 3]).astype(np.uint8)
    fine = np.repeat(np.repeat(pixels, 4, axis=1), 4, axis=2).astype(float)  # of which a field holds whole ones
    wide = fine.shape[1] // 4
    expected = fine.reshape(2, 4, wide, 4, wide, 3).mean(axis=(2, 4)).reshape(2, -1)
    np.testing.assert_allclose(field_averages(tf.constant(pixels), 4), expected, rtol=1e-4)
