"""Recurrent layers as a CPU trains them: equal to Keras's own, weights and files included."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.models.layers import recurrent
from unroll.models.layers.encoder import encoder
from unroll.models.layers.recurrence.layers import GRU, LSTM
from unroll.models.layers.recurrent import Recurrent

PAIRS = [(LSTM, keras.layers.LSTM), (GRU, keras.layers.GRU)]
KERAS = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
PADDED = [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0]]


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(7)


def both(ours, keras_own, features, time=5, units=6):
    """A layer of ours and Keras's, of equal weights that are none of them zero."""
    layers = [one(units, return_sequences=True, return_state=True) for one in (ours, keras_own)]
    for layer in layers:
        layer.build([None, None, features])
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=one.shape) * 0.4 for one in layers[1].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def trained(layer, x, first, mask, graph=True):
    """Outputs and states of a training pass, and gradients of inputs, first states and weights."""

    def run(x, *first):
        with tf.GradientTape() as tape:
            tape.watch([x, *first])
            outputs = layer(x, initial_state=list(first), mask=mask, training=True)
            loss = sum(tf.reduce_sum(tf.sin(3 * one)) for one in outputs)
        return outputs, tape.gradient(loss, [x, *first, *(one.value for one in layer.trainable_variables)])

    return (tf.function(run) if graph else run)(x, *first)


def assert_equal(got, expected):
    for one, other in zip(tf.nest.flatten(got), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mask", [None, PADDED], ids=["whole", "padded"])
@pytest.mark.parametrize(("ours", "keras_own"), PAIRS)
def test_outputs_states_and_gradients_are_those_of_keras(ours, keras_own, mask):
    layer, other = both(ours, keras_own, features=4)
    rng = np.random.default_rng(2)
    x = tf.constant(rng.normal(size=(5, 5, 4)), tf.float32)
    first = [tf.constant(rng.normal(size=(5, 6)), tf.float32) for _ in layer.get_initial_state(5)]
    mask = mask and tf.constant(mask) > 0
    assert_equal(trained(layer, x, first, mask), trained(other, x, first, mask))


@pytest.mark.parametrize(("ours", "keras_own"), PAIRS)
def test_what_is_dropped_of_the_state_is_dropped_for_all_timesteps_and_gates(ours, keras_own):
    units = 3
    layer = ours(units, recurrent_dropout=0.5, return_sequences=True, return_state=True)
    other = keras_own(units, return_sequences=True, return_state=True)
    for one in (layer, other):
        one.build([None, None, 2])
    rng = np.random.default_rng(5)
    weights = [rng.normal(size=one.shape) for one in other.get_weights()]
    layer.set_weights(weights)
    x = tf.constant(rng.normal(size=(1, 4, 2)), tf.float32)
    first = [tf.constant(rng.normal(size=(1, units)), tf.float32) for _ in layer.get_initial_state(1)]
    expected = {}
    for kept in itertools.product((0.0, 2.0), repeat=units):  # for one row, to drop of h is to drop rows of weights
        scale = np.array(kept, np.float32)[:, None]
        other.set_weights([weights[0], scale * weights[1], weights[2]])
        outputs, gradients = trained(other, x, first, None, graph=False)
        gradients[-2] *= scale
        expected[kept] = [outputs, gradients]
    met = set()
    for _ in range(20):
        got = trained(layer, x, first, None, graph=False)
        (kept,) = [kept for kept, (outputs, _) in expected.items() if np.allclose(got[0][0], outputs[0], atol=1e-5)]
        assert_equal(got, expected[kept])
        met.add(kept)
    assert len(met) > 2
    assert_equal(layer(x), layer(x))  # what serves drops nothing


@pytest.mark.parametrize(("ours", "keras_own"), PAIRS)
def test_one_timestep_and_a_pass_without_a_graph_are_those_of_keras(ours, keras_own):
    layer, other = both(ours, keras_own, features=2)
    x = tf.constant(np.random.default_rng(3).normal(size=(2, 1, 2)), tf.float32)
    first = [tf.fill([2, 6], 0.3) for _ in layer.get_initial_state(2)]
    assert_equal(trained(layer, x, first, None, graph=False), trained(other, x, first, None, graph=False))


@pytest.mark.parametrize(("ours", "keras_own"), PAIRS)
@pytest.mark.parametrize("shapes", [((1, None, 2), (None, 6)), ((None, None, 2), (1, 6)), ((1, None, 2), None)])
def test_that_there_is_one_row_may_be_known_of_some_and_not_of_others(ours, keras_own, shapes):
    layer, other = both(ours, keras_own, features=2)
    x = tf.constant(np.random.default_rng(6).normal(size=(1, 4, 2)), tf.float32)
    first = [] if shapes[1] is None else [tf.fill([1, 6], 0.3) for _ in layer.get_initial_state(1)]
    signature = [tf.TensorSpec(shapes[0]), *(tf.TensorSpec(shapes[1]) for _ in first)]

    @tf.function(input_signature=signature)
    def trained(x, *first):
        return layer(x, initial_state=list(first) or None, training=True)

    assert_equal(trained(x, *first), other(x, initial_state=first or None, training=True))


@pytest.fixture
def old_cells(monkeypatch):
    """Makes what `make` says of Keras's own layers, as this package did before it had some of its own."""

    def made(make):
        with monkeypatch.context() as patched:
            patched.setattr(recurrent, "CELLS", KERAS)
            return make()

    return made


def test_the_reversed_direction_of_an_encoder_trains_as_keras_does(old_cells):
    x, lengths = tf.constant(np.random.default_rng(4).normal(size=(3, 4, 4)), tf.float32), tf.constant([4, 2, 1])
    layers = encoder("gru", 5, bidirectional=True), old_cells(lambda: encoder("gru", 5, bidirectional=True))
    for layer in layers:
        layer.build(x.shape)
    layers[0].set_weights(layers[1].get_weights())

    @tf.function
    def trained(x):
        results = []
        for layer in layers:
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(tf.sin(3 * layer(x, lengths, training=True)))
            results.append((loss, tape.gradient(loss, [x, *(one.value for one in layer.trainable_variables)])))
        return results

    assert_equal(*trained(x))


@pytest.mark.parametrize("cell", KERAS)
def test_files_of_weights_that_keras_layers_wrote_are_read(cell, old_cells, tmp_path):
    old, new = (
        keras.Sequential([make(lambda: Recurrent(cell, 5, 2, name="stack"))], name="one")
        for make in (old_cells, lambda make: make())
    )
    for model in (old, new):
        model.build([None, None, 4])
    old.save_weights(tmp_path / "old.weights.h5")
    new.load_weights(tmp_path / "old.weights.h5")
    assert [one.path for one in new.weights] == [one.path for one in old.weights]
    for one, other in zip(new.get_weights(), old.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("cell", KERAS)
def test_answers_are_those_of_keras(cell, old_cells):
    layers = Recurrent(cell, 5, 2), old_cells(lambda: Recurrent(cell, 5, 2))
    for layer in layers:
        layer.build([None, None, 4])
    rng = np.random.default_rng(8)
    weights = [rng.normal(size=one.shape) for one in layers[0].get_weights()]
    x = tf.constant(rng.normal(size=(2, 3, 4)), tf.float32)
    for layer in layers:
        layer.set_weights(weights)
    assert_equal(*(layer(x) for layer in layers))
    assert_equal(*(layer.step(x[:, 0], [one + 0.2 for one in layer.initial_state(2)]) for layer in layers))


@pytest.fixture
def without_keras_loop(monkeypatch):
    def refuse(*arguments, **kwargs):
        raise AssertionError("Keras's loop")

    monkeypatch.setattr(keras.layers.LSTM, "inner_loop", refuse)


def test_a_cpu_trains_by_our_loop_and_a_gpu_by_that_of_keras(without_keras_loop, monkeypatch):
    layer, x = LSTM(3), tf.zeros([2, 1, 4])
    assert layer(x, training=True).shape == (2, 3)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    with pytest.raises(AssertionError, match="Keras's loop"):
        layer(x, training=True)


def test_what_is_served_and_half_precision_are_left_to_keras(without_keras_loop):
    for make, training in ((lambda: LSTM(3), False), (lambda: LSTM(3, dtype="mixed_float16"), True)):
        with pytest.raises(AssertionError, match="Keras's loop"):
            make()(tf.zeros([2, 1, 4]), training=training)
