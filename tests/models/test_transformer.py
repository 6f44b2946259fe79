"""The Transformer: its formula in NumPy, and a cache that answers a stream as its whole past."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.models.layers.encoder import encoder
from unroll.models.layers.rotary import PERIOD, rotation
from unroll.models.layers.transformer import Transformer, head_sizes

rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(7)


@pytest.fixture
def half_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


def normal(*shape):
    return tf.constant(rng.normal(size=shape), tf.float32)


def normalised(x, scale):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6) * scale


def turned(x):
    """Rotary positions as the multiplication of complex numbers."""
    half = x.shape[-1] // 2
    angles = np.arange(x.shape[0])[:, None, None] * 10_000 ** (-np.arange(half) / half)
    turned = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angles)
    return np.concatenate([turned.real, turned.imag], axis=-1)


def numpy_transformer(x, layer, sees):
    """Of one sequence `[time, features]`; `sees(query, key)` says which positions attend to which."""
    (kernel, bias), (last,) = layer.entry.get_weights(), layer.norm.get_weights()
    x = x.astype(np.float64) @ kernel + bias
    time = len(x)
    for block in layer.blocks:
        scales = [norm.get_weights()[0] for norm in block.norms]
        read = normalised(x, scales[0]) @ block.projection.get_weights()[0]
        q, k, v = read.reshape(time, 3, block.heads, block.width).swapaxes(0, 1)
        q, k = turned(q), turned(k)
        attended = np.zeros_like(v)
        for t in range(time):
            seen = [s for s in range(time) if sees(t, s)]
            for head in range(block.heads):
                weights = np.exp(k[seen, head] @ q[t, head] / np.sqrt(block.width))
                attended[t, head] = weights / weights.sum() @ v[seen, head]
        x = x + attended.reshape(time, -1) @ block.joined.get_weights()[0]
        gate, value = np.split(normalised(x, scales[1]) @ block.gated.get_weights()[0], 2, axis=-1)
        x = x + (gate / (1 + np.exp(-gate)) * value) @ block.written.get_weights()[0]
    return normalised(x, last)


@pytest.mark.parametrize("window", [256, 3])
def test_a_causal_one_is_its_formula(window):
    layer, x = Transformer(40, 2, window=window), normal(2, 7, 5)
    got = layer(x).numpy()
    for row in range(2):
        expected = numpy_transformer(x[row].numpy(), layer, lambda t, s: t - window < s <= t)
        np.testing.assert_allclose(got[row], expected, atol=1e-4)


def test_a_bidirectional_one_sees_all_that_is_valid_and_nothing_else():
    layer, x = encoder("transformer", 32, 2, bidirectional=True), normal(2, 7, 5)
    got = layer(x, tf.constant([7, 4])).numpy()
    for row, length in enumerate([7, 4]):
        expected = numpy_transformer(x[row, :length].numpy(), layer, lambda t, s: True)
        np.testing.assert_allclose(got[row, :length], expected, atol=1e-4)
    assert np.isfinite(layer(x, tf.constant([0, 7])).numpy()).all(), "a row of padding alone"


def test_a_stream_longer_than_the_window_is_answered_as_its_whole_past():
    layer, x = Transformer(12, 2, window=4), normal(3, 13, 5)
    whole, state = layer(x), layer.initial_state(3)
    for t in range(6):
        output, state = layer.step(x[:, t], state)
        np.testing.assert_allclose(output, whole[:, t], atol=1e-4, err_msg=f"step {t}")
    outputs, after = layer.steps(x[:, 6:], state)
    np.testing.assert_allclose(outputs, whole[:, 6:], atol=1e-4)
    assert [one.shape for one in after] == [one.shape for one in state] == [(3, 1, 4, 12)] * 4 + [(3,)]


def test_a_stream_of_years_is_answered_as_a_young_one():
    layer, x = Transformer(32, 2, window=8), normal(1, 24, 5)
    young = layer.steps(x[:, :16], layer.initial_state(1))[1]
    late = 8 * 10**11 - 24  # a multiple of the window, as the places in the ring ask for
    old = layer.steps(x[:, :16], [*layer.initial_state(1)[:-1], tf.constant([late], tf.int64)])[1]
    for step in range(16, 24):
        expected, young = layer.step(x[:, step], young)
        got, old = layer.step(x[:, step], old)
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_what_a_ring_that_begins_late_never_held_is_not_attended_to():
    layer = Transformer(16, window=8)
    x = normal(1, 3, 5)
    layer(x)
    garbage = [tf.fill(one.shape, 1e3) for one in layer.initial_state(1)[:-1]]
    state = [*garbage, tf.zeros([1], tf.int64)]
    np.testing.assert_allclose(layer.steps(x, state)[0], layer(x), atol=1e-5)
    np.testing.assert_allclose(layer.step(x[:, 0], state)[0], layer(x)[:, 0], atol=1e-5)


def test_angles_are_those_of_the_paper_and_come_again():
    cosines, sines = rotation(tf.range(100), 16)
    angles = np.arange(100)[:, None] * 10_000 ** (-np.arange(8) / 8)
    np.testing.assert_allclose(cosines, np.cos(angles), atol=1e-3)
    np.testing.assert_allclose(sines, np.sin(angles), atol=1e-3)
    later = rotation(tf.range(100, dtype=tf.int64) + 10**6 * PERIOD, 16)
    np.testing.assert_array_equal(later[0], cosines)


@pytest.mark.parametrize("units", [1, 2, 7, 15, 16, 17, 31, 48, 63, 64, 100, 127, 255, 256, 257, 300, 512, 1000, 4096])
def test_any_number_of_units_has_heads(units):
    heads, width = head_sizes(units)
    assert width % 2 == 0, "features are turned in pairs"
    assert units <= heads * width < units + 2 * heads
    assert units < 16 or 16 <= width <= 64


def test_an_odd_number_of_units_is_a_layer():
    assert Transformer(7)(normal(2, 3, 4)).shape == (2, 3, 7)


def test_softmax_is_computed_in_float32_where_the_rest_is_not(half_precision):
    half, x = Transformer(32, 2), normal(2, 9, 5)
    got = half(x)
    assert got.dtype == tf.float16
    output, state = half.step(tf.cast(x[:, 0], tf.float16), half.initial_state(2))
    np.testing.assert_allclose(output, got[:, 0], atol=0.02)
    assert state[0].dtype == tf.float16
    graph = tf.function(half).get_concrete_function(tf.TensorSpec([None, None, 5], tf.float16)).graph
    assert {op.get_attr("T") for op in graph.get_operations() if op.type == "Softmax"} == {tf.float32}
    keras.config.set_dtype_policy("float32")
    exact = Transformer(32, 2)
    exact(x)
    exact.set_weights(half.get_weights())
    np.testing.assert_allclose(got, exact(x), atol=0.02)


def test_what_cannot_be_is_refused_by_name():
    with pytest.raises(ValueError, match=r"window must be at least 1\. Received: window=0"):
        Transformer(8, window=0)
    with pytest.raises(ValueError, match=r"has no steps\. Received: causal=False"):
        Transformer(8, causal=False).initial_state(1)
