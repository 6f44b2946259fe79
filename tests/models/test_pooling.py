import numpy as np
import pytest
import tensorflow as tf

from unroll.models.layers.pooling import SequencePooling

X = np.array([[[1.0, -5.0], [3.0, -1.0], [9.0, 9.0]], [[2.0, 2.0], [4.0, 0.0], [6.0, 1.0]]], np.float32)
LENGTHS = np.array([2, 3], np.int32)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("last", [[3, -1], [6, 1]]),
        ("mean", [[2, -3], [4, 1]]),
        ("max", [[3, -1], [6, 2]]),
    ],
)
def test_pooling_sees_valid_timesteps_only(mode, expected):
    np.testing.assert_allclose(SequencePooling([mode])(X, LENGTHS), expected, rtol=1e-6)


def test_attention_is_the_softmax_weighted_mean_of_valid_timesteps():
    layer = SequencePooling(["attention"])
    got = layer(X, LENGTHS).numpy()
    (kernel, bias), (query,) = layer.projection.get_weights(), layer.query.get_weights()
    for row, length in enumerate(LENGTHS):
        steps = X[row, :length]
        scores = (np.tanh(steps @ kernel + bias) @ query)[:, 0]
        weights = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(got[row], weights @ steps, rtol=1e-5)


@pytest.mark.parametrize("mode", ["last", "mean", "max", "attention"])
def test_more_padding_changes_nothing(mode):
    layer = SequencePooling([mode])
    padded = np.pad(X, [(0, 0), (0, 5), (0, 0)], constant_values=77)
    np.testing.assert_allclose(layer(padded, LENGTHS), layer(X, LENGTHS), rtol=1e-5)


def test_modes_are_concatenated_in_order():
    both = SequencePooling(["max", "mean"])(X, LENGTHS)
    np.testing.assert_allclose(both, [[3, -1, 2, -3], [6, 2, 4, 1]])


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"modes must be some of last, mean, max, attention.*\['sum'\]"):
        SequencePooling(["sum"])


def test_gradients_are_finite_with_padding():
    x = tf.Variable(X)
    for mode in ("last", "mean", "max", "attention"):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(SequencePooling([mode])(x, LENGTHS))
        gradient = tf.convert_to_tensor(tape.gradient(total, x)).numpy()
        assert np.isfinite(gradient).all(), mode
        assert (gradient[0, 2] == 0).all(), f"{mode}: padding must get no gradient"
