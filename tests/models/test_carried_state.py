"""State that is carried from chunk to chunk, of every cell: equal to one long pass, blind to padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.models.layers.encoder import CELLS, causal_layer

rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(7)


def normal(*shape):
    return tf.constant(rng.normal(size=shape), tf.float32)


@pytest.mark.parametrize("cell", CELLS)
def test_chunks_with_carried_state_are_one_long_pass(cell):
    layer, sequence = causal_layer(cell, 6, 2), normal(3, 9, 4)
    whole, state, outputs = layer(sequence), layer.initial_state(3), []
    for chunk in tf.split(sequence, [4, 1, 4], axis=1):
        output, state = layer.steps(chunk, state)
        outputs.append(output)
    np.testing.assert_allclose(tf.concat(outputs, axis=1), whole, atol=1e-5)
    further = normal(3, 4)
    after, _ = layer.step(further, state)
    longer = layer(tf.concat([sequence, further[:, None]], axis=1))
    np.testing.assert_allclose(after, longer[:, -1], atol=1e-5, err_msg="a step goes on where a chunk ended")


@pytest.mark.parametrize("cell", CELLS)
def test_padded_steps_keep_the_state(cell):
    layer, sequence = causal_layer(cell, 6, 2), normal(3, 5, 4)
    layer(sequence)
    _, state = layer.steps(normal(3, 3, 4), layer.initial_state(3))
    lengths = [5, 2, 0]
    padded = tf.where(tf.sequence_mask(lengths, 5)[..., None], sequence, 99.0)
    outputs, after = layer.steps(padded, state, tf.constant(lengths))
    for row, length in enumerate(lengths):
        expected = [one[row : row + 1] for one in state]
        if length:
            alone, expected = layer.steps(sequence[row : row + 1, :length], expected)
            np.testing.assert_allclose(outputs[row, :length], alone[0], atol=1e-5)
        for got, want in zip(after, expected, strict=True):
            np.testing.assert_allclose(got[row], want[0], atol=1e-5, err_msg=f"row {row}")


@pytest.mark.parametrize("cell", CELLS)
def test_a_chunk_that_is_the_whole_sequence_has_its_gradients(cell):
    layer, sequence = causal_layer(cell, 5, 2), normal(2, 4, 4)
    layer(sequence)
    weights, both = layer.trainable_variables, []
    for read in (lambda: layer(sequence), lambda: layer.steps(sequence, layer.initial_state(2))[0]):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(read()))
        both.append(tape.gradient(loss, [weight.value for weight in weights]))
    for whole, chunk in zip(*both, strict=True):
        np.testing.assert_allclose(chunk, whole, atol=1e-5)
