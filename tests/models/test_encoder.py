"""Encoders: against NumPy recurrences, and blind to padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.models.layers.encoder import CELLS, causal_layer, encoder
from unroll.models.layers.mingru import MinGRU
from unroll.models.layers.recurrent import Recurrent
from unroll.models.layers.tcn import TCN, CausalConv1D


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(7)


def sequences(batch, time, features):
    return np.random.default_rng(1).normal(size=(batch, time, features)).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_step(x, state, kernel, recurrent, bias):
    return np.tanh(x @ kernel + state @ recurrent + bias)


def numpy_rnn(x, layer):
    weights = [np.asarray(w) for w in layer.get_weights()]
    state, states = np.zeros((len(x), weights[1].shape[0])), []
    for t in range(x.shape[1]):
        state = rnn_step(x[:, t], state, *weights)
        states.append(state)
    return np.stack(states, axis=1)


def numpy_lstm(x, layer):
    kernel, recurrent, bias = layer.get_weights()
    units = recurrent.shape[0]
    h, c, states = np.zeros((len(x), units)), np.zeros((len(x), units)), []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.stack(states, axis=1)


def numpy_gru(x, layer):
    kernel, recurrent, bias = layer.get_weights()
    units = recurrent.shape[0]
    h, states = np.zeros((len(x), units)), []
    for t in range(x.shape[1]):
        xz, xr, xh = np.split(x[:, t] @ kernel + bias[0], 3, axis=1)
        hz, hr, hh = np.split(h @ recurrent + bias[1], 3, axis=1)
        z, r = sigmoid(xz + hz), sigmoid(xr + hr)
        h = z * h + (1 - z) * np.tanh(xh + r * hh)
        states.append(h)
    return np.stack(states, axis=1)


def numpy_mingru(x, layer):
    """In closed form, as the paper's parallel mode: h_t is the sum over s of z_s g_s (1 - z_(s+1)) ... (1 - z_t)."""
    kernel, bias = layer.get_weights()
    gate, candidate = np.split(x.astype(np.float64) @ kernel + bias, 2, axis=2)
    gate = sigmoid(gate)
    return np.stack(
        [
            sum(gate[:, s] * candidate[:, s] * np.prod(1 - gate[:, s + 1 : t + 1], axis=1) for s in range(t + 1))
            for t in range(x.shape[1])
        ],
        axis=1,
    )


NUMPY = {"rnn": numpy_rnn, "lstm": numpy_lstm, "gru": numpy_gru, "mingru": numpy_mingru}


@pytest.mark.parametrize(("cell", "reference"), NUMPY.items())
def test_recurrent_cells_follow_their_equations(cell, reference):
    x = sequences(3, 6, 4)
    recurrent = Recurrent(cell, units=5)
    got = recurrent(tf.constant(x)).numpy()
    np.testing.assert_allclose(got, reference(x, recurrent.stack[0]), atol=1e-5)


@pytest.mark.parametrize("time", [1, 16, 19])
def test_the_gradient_of_a_minimal_gru_is_that_of_its_cell_in_a_loop(time):
    x, first = tf.constant(sequences(2, time, 4)), tf.constant(sequences(2, 1, 5)[:, 0])
    mask = tf.constant(np.arange(time) % 3 != 1)[None] & tf.constant([[True], [True]])
    layer = MinGRU(5, return_sequences=True)
    layer.build(x.shape)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, first])
        outputs, hidden = [], first
        for t in range(time):
            after, _ = layer.cell(x[:, t], [hidden])
            hidden = tf.where(mask[:, t, None], after, hidden)
            outputs.append(hidden)
        expected = tf.reduce_sum(tf.sin(tf.stack(outputs, axis=1)))
        got = tf.reduce_sum(tf.sin(layer(x, initial_state=first, mask=mask)))
    assert float(got) == pytest.approx(float(expected), abs=1e-5)
    inputs = [x, first, *(weight.value for weight in layer.trainable_variables)]
    for one, other in zip(tape.gradient(got, inputs), tape.gradient(expected, inputs), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_recurrent_dropout_of_a_minimal_gru_never_loses_what_it_holds():
    layer = MinGRU(64, recurrent_dropout=0.5, return_sequences=True)
    x, first = tf.constant(sequences(1, 3, 4)), tf.ones([1, 64])
    layer(x)
    kept = np.cumprod(1 - layer.cell.gate_and_candidate(x)[0].numpy(), axis=1)
    outputs = layer(x, initial_state=first, training=True).numpy()
    alone = np.isclose(outputs, kept, atol=1e-6)
    assert 10 < alone[0, 0].sum() < 54, "of a dropped feature the old state is left, less what the gate let go"
    assert (alone == alone[:, :1]).all(), "the same features at every timestep"


def test_residual_adds_the_input_where_shapes_agree():
    x = sequences(2, 4, 3)
    plain, residual = Recurrent("gru", 3, 2), Recurrent("gru", 3, 2, residual=True)
    plain(tf.constant(x)), residual(tf.constant(x))
    residual.set_weights(plain.get_weights())
    first = numpy_gru(x, plain.stack[0]) + x
    expected = numpy_gru(first, plain.stack[1]) + first
    np.testing.assert_allclose(residual(tf.constant(x)).numpy(), expected, atol=1e-5)


def test_variational_dropout_drops_the_same_features_at_every_timestep():
    x = tf.ones([4, 9, 32])
    seen = Recurrent("gru", 8, dropout=0.5).dropouts[0](x, training=True).numpy()
    dropped = seen == 0
    assert dropped.any()
    assert not dropped.all()
    assert (dropped == dropped[:, :1]).all()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_and_batch_mates_change_nothing(cell, bidirectional):
    layer = encoder(cell, units=6, layers=2, bidirectional=bidirectional, kernel_size=3)
    alone = sequences(1, 5, 4)
    padded = np.full((2, 17, 4), 99.0, np.float32)  # what stands in the padding must not matter
    padded[0, :5] = alone[0]
    padded[1] = sequences(2, 17, 4)[1]
    expected = layer(tf.constant(alone), tf.constant([5])).numpy()[0]
    got = layer(tf.constant(padded), tf.constant([5, 17])).numpy()[0, :5]
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_one_timestep_is_a_sequence_and_a_row_of_padding_is_no_harm(cell, bidirectional):
    layer = encoder(cell, units=6, layers=2, bidirectional=bidirectional, window=3)
    x = sequences(3, 5, 4)
    for training in (False, True):
        got = layer(tf.constant(x), tf.constant([1, 0, 5]), training=training).numpy()
        assert np.isfinite(got).all()
        for row, length in ((0, 1), (2, 5)):
            alone = layer(tf.constant(x[row : row + 1, :length]), tf.constant([length]), training=training)
            np.testing.assert_allclose(got[row, :length], alone[0], atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_in_half_precision_steps_are_the_whole_pass(cell):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer, x = causal_layer(cell, 6, 2, window=3), tf.constant(sequences(2, 5, 4), tf.float16)
        whole, state = layer(x, training=True), layer.initial_state(2)
        for t in range(5):
            output, after = layer.step(x[:, t], state)
            assert [one.dtype for one in after] == [one.dtype for one in state], (
                "a stream goes on with what it was given"
            )
            np.testing.assert_allclose(output, whole[:, t], atol=0.02)
            state = after
    finally:
        keras.config.set_dtype_policy("float32")
    assert whole.dtype == tf.float16


@pytest.mark.parametrize("cell", CELLS)
def test_a_bidirectional_encoder_hears_the_last_valid_step_at_the_first(cell):
    layer = encoder(cell, units=6, layers=3, bidirectional=True)
    x = sequences(1, 6, 4)
    changed = x.copy()
    changed[0, 3] += 1
    lengths = tf.constant([4])
    first, other = (layer(tf.constant(v), lengths).numpy()[0, 0] for v in (x, changed))
    forward = layer.features - 6  # none of a Transformer, which has no directions
    assert np.abs(first[forward:] - other[forward:]).max() > 1e-4, "the backward half must depend on step 3"
    np.testing.assert_allclose(first[:forward], other[:forward], atol=1e-6, err_msg="the forward half must not")


@pytest.mark.parametrize("cell", CELLS)
def test_an_encoder_survives_saving(cell, tmp_path):
    inputs = keras.Input([None, 4]), keras.Input([], dtype="int32")
    model = keras.Model(inputs, encoder(cell, units=3, bidirectional=True)(*inputs))
    x = tf.constant(sequences(2, 5, 4)), tf.constant([5, 2])
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(reloaded(x), model(x), atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_a_seed_decides_start_and_dropout_and_variables_hold_where_it_stands(cell):
    x, lengths, runs = tf.constant(sequences(2, 3, 4)), tf.constant([3, 2]), []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        layer = encoder(cell, 8, 2, dropout=0.4, recurrent_dropout=0.2)
        first = layer(x, lengths, training=True).numpy()
        checkpoint = [variable.numpy() for variable in layer.variables]
        runs.append((first, layer(x, lengths, training=True).numpy()))
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(runs[0][0] - runs[0][1]).max() > 1e-3, "each step drops others"
    for variable, value in zip(layer.variables, checkpoint, strict=True):
        variable.assign(value)
    resumed = layer(x, lengths, training=True).numpy()
    np.testing.assert_array_equal(resumed, runs[0][1], err_msg="a resumed run drops what it would have dropped")


@pytest.mark.parametrize("cell", CELLS)
def test_what_does_not_train_draws_nothing(cell):
    layer = encoder(cell, 8, 2, dropout=0.4, recurrent_dropout=0.2)
    layer.build([None, None, 4])
    graph = tf.function(lambda x: layer(x, tf.fill(tf.shape(x)[:1], 2))).get_concrete_function(tf.zeros([2, 3, 4]))
    assert {one.ref() for one in graph.variables} == {one.value.ref() for one in layer.weights}


def test_causal_convolution_follows_its_sum():
    x = sequences(2, 9, 3)
    layer = CausalConv1D(filters=4, kernel_size=3, dilation=2)
    layer(tf.constant(x))
    layer.scale.assign(np.array([0.5, 1.0, 2.0, 3.0]))
    direction, scale, bias = np.asarray(layer.direction), np.asarray(layer.scale), np.asarray(layer.bias)
    kernel = direction * scale / np.sqrt((direction**2).sum(axis=(0, 1)))
    expected = np.zeros((2, 9, 4))
    for t in range(9):
        for tap in range(3):
            source = t - (2 - tap) * 2
            if source >= 0:
                expected[:, t] += x[:, source] @ kernel[tap]
    np.testing.assert_allclose(layer(tf.constant(x)).numpy(), expected + bias, atol=1e-5)


def test_weight_normalisation_starts_as_a_plain_convolution():
    x = sequences(2, 9, 3)
    layer = CausalConv1D(filters=4, kernel_size=3)
    got = layer(tf.constant(x))
    plain = tf.nn.conv1d(np.pad(x, [(0, 0), (2, 0), (0, 0)]), layer.direction, 1, "VALID")
    np.testing.assert_allclose(got, plain, atol=1e-5)


@pytest.mark.parametrize(("layers", "kernel_size"), [(1, 2), (2, 3), (3, 3), (4, 2)])
def test_receptive_field_is_what_the_gradient_reaches(layers, kernel_size):
    tcn = TCN(units=4, layers=layers, kernel_size=kernel_size)
    x = tf.Variable(sequences(1, tcn.receptive_field + 10, 4))
    with tf.GradientTape() as tape:
        # every weight positive, so that no path is cut by a ReLU
        tcn(x)
        tcn.set_weights([np.abs(w) + 0.1 for w in tcn.get_weights()])
        last = tf.reduce_sum(tcn(tf.abs(x))[:, -1])
    reached = np.flatnonzero(np.abs(tape.gradient(last, x).numpy()).sum(axis=(0, 2)))
    assert len(reached) == tcn.receptive_field
    assert reached[0] == x.shape[1] - tcn.receptive_field


def test_an_unknown_cell_is_refused_by_name():
    known = "rnn, lstm, gru, mingru, tcn, transformer"
    with pytest.raises(ValueError, match=rf"cell must be one of {known}\. Received: cell='gur'"):
        encoder("gur", 4)
