"""Captioners: the same answer step by step and at once, formulas against NumPy, and that they learn."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.models.captioner import Captioner, CaptionerConfig
from unroll.models.layers.attention import AdditiveAttention
from unroll.models.layers.augmentation import augment
from unroll.models.layers.encoder import CELLS, causal_layer
from unroll.models.layers.image_encoder import Backbone, ResidualCNN, backbones
from unroll.models.layers.sequence_decoder import CONTEXTS, SequenceDecoder, SequenceDecoderConfig
from unroll.models.tokens import END, PADDING, START, Detokenizer

rng = np.random.default_rng(0)


def normal(*shape):
    return tf.constant(rng.normal(size=shape), tf.float32)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_a_step_at_a_time_is_the_whole_sequence(cell, layers):
    layer = causal_layer(cell, 8, layers)
    sequence = normal(3, 20, 5)
    whole = layer(sequence)
    state, outputs = layer.initial_state(3), []
    for t in range(20):
        output, state = layer.step(sequence[:, t], state)
        outputs.append(output)
    np.testing.assert_allclose(tf.stack(outputs, axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("context", CONTEXTS)
def test_teacher_forcing_says_what_the_steps_say(cell, context):
    decoder = SequenceDecoder(SequenceDecoderConfig(30, context, cell, units=8, layers=2, embedding=6))
    grid, ids = normal(4, 9, 7), tf.constant(rng.integers(4, 30, [4, 6]), tf.int32)
    logits, weights = decoder(grid, ids)
    assert logits.shape == (4, 6, 30)
    memory, state = decoder.start(grid)
    for t in range(6):
        one, state = decoder.step(ids[:, t], state, memory)
        np.testing.assert_allclose(one, logits[:, t], atol=1e-5)
    if context == "attention":
        np.testing.assert_allclose(tf.reduce_sum(weights, axis=-1), np.ones([4, 6]), atol=1e-5)
    else:
        assert weights.shape == (4, 6, 0)


@pytest.mark.parametrize(("context", "cell"), [("attention", "transformer"), ("initial", "mingru")])
def test_all_tokens_at_once_say_what_they_say_one_by_one(context, cell):
    decoder = SequenceDecoder(SequenceDecoderConfig(30, context, cell, units=8, layers=2, embedding=6))
    grid, ids = normal(2, 9, 7), tf.constant(rng.integers(4, 30, [2, 5]), tf.int32)
    at_once = decoder(grid, ids)
    by_steps = decoder(grid, ids, tf.constant(0.0), training=True)  # sampling is scheduled, of no token yet
    for one, other in zip(at_once, by_steps, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_karpathy_rnn_is_its_formula():
    decoder = SequenceDecoder(SequenceDecoderConfig(12, "every_step", "rnn", units=5, embedding=4))
    grid, ids = normal(2, 9, 7), tf.constant([[2, 5, 7], [2, 9, 4]])
    logits, _ = decoder(grid, ids)
    words, (picture, bias) = decoder.embedding.get_weights()[0], decoder.projection.get_weights()
    wx, wh, b = decoder.stack.stack[0].get_weights()
    image = grid.numpy().mean(axis=1)
    hidden = np.zeros([2, 5])
    for t in range(3):
        wv = picture @ wx  # W_v of h = f(W_x x + W_h h + W_v v)
        hidden = np.tanh(words[ids[:, t]] @ wx + hidden @ wh + image @ wv + bias @ wx + b)
        read = np.maximum(hidden @ decoder.readout.get_weights()[0] + decoder.readout.get_weights()[1], 0)
        expected = read @ decoder.head.get_weights()[0] + decoder.head.get_weights()[1]
        np.testing.assert_allclose(logits[:, t], expected, atol=1e-5)


def test_additive_attention_is_its_formula():
    attention = AdditiveAttention(6)
    attention.build([None, 4], [None, 9, 7])
    query, source = normal(3, 4), normal(3, 9, 7)
    context, weights = attention(query, source, attention.keys(source))
    (w, b), (u,), (v,) = (layer.get_weights() for layer in (attention.key, attention.question, attention.energy))
    energy = np.tanh(source.numpy() @ w + b + (query.numpy() @ u)[:, None]) @ v[:, 0]
    expected = np.exp(energy) / np.exp(energy).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    np.testing.assert_allclose(context, (expected[..., None] * source.numpy()).sum(axis=1), atol=1e-5)


def test_the_loss_is_smoothed_cross_entropy_and_even_attention():
    config = CaptionerConfig(vocabulary=12, size=16, filters=4, blocks=1, units=8, label_smoothing=0.1, coverage=0.5)
    model = Captioner(config)
    ids = tf.constant([[START, 4, 5, END, PADDING], [START, 6, END, PADDING, PADDING]])
    outputs = model({"pictures": normal(1, 16, 16, 3), "ids": ids, "rows": tf.constant([0, 0])})
    logits, weights = outputs["logits"].numpy().astype(np.float64), outputs["weights"].numpy()
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    said = [(0, 0, 4), (0, 1, 5), (0, 2, END), (1, 0, 6), (1, 1, END)]
    words = np.mean([-0.9 * log_p[n, t, one] - 0.1 * log_p[n, t].mean() for n, t, one in said])
    looked = [weights[0, :3].sum(axis=0), weights[1, :2].sum(axis=0)]
    expected = words + 0.5 * np.mean([np.mean((1 - one) ** 2) for one in looked])
    assert float(model.compute_loss(y=ids, y_pred=outputs)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scheduled_sampling", [False, True])
def test_it_learns_to_tell_colours_apart(scheduled_sampling):
    keras.utils.set_random_seed(0)
    config = CaptionerConfig(
        vocabulary=8, size=16, filters=4, blocks=1, units=16, embedding=8, scheduled_sampling=scheduled_sampling
    )
    model = Captioner(config)
    colours = tf.constant([[255.0, 0, 0], [0, 255, 0], [0, 0, 255]])
    which = rng.integers(0, 3, 48)
    pictures = tf.tile(tf.gather(colours, which)[:, None, None], [1, 16, 16, 1])
    captions = tf.constant([[START, 4, 5, END], [START, 4, 6, END], [START, 7, END, PADDING]])
    inputs = {"pictures": pictures, "ids": tf.gather(captions, which), "rows": tf.tile(tf.range(16), [3])}
    model.compile(keras.optimizers.Adam(0.02))
    if scheduled_sampling:
        model(inputs)
        model.own.assign(0.3)
    model.fit(inputs, inputs["ids"], batch_size=16, epochs=12, shuffle=False, verbose=0)
    assert model.evaluate(inputs, inputs["ids"], batch_size=16, verbose=0, return_dict=True)["token_error"] == 0


def test_grids_are_about_eight_positions_wide():
    for size in (32, 64, 96, 128):
        grid = ResidualCNN(size, filters=4, blocks=1)(tf.zeros([1, size, size, 3]))
        assert 6 <= grid.shape[1] == grid.shape[2] <= 12, f"{size}: {grid.shape}"


def test_a_backbone_scales_pixels_as_its_weights_expect():
    assert {"ResNet50", "MobileNetV3Small", "EfficientNetB0"} <= set(backbones())
    pictures = tf.constant(rng.uniform(0, 255, [2, 64, 64, 3]), tf.float32)
    layer = Backbone("MobileNetV2", 64, weights=None)
    expected = layer.network(pictures / 127.5 - 1)  # as keras.applications.mobilenet_v2 documents
    np.testing.assert_allclose(layer(pictures), expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"network must be one of .*ResNet50.*Received: network='Nope'"):
        Backbone("Nope", 64)


def test_augmentation_by_nothing_changes_nothing():
    pictures = tf.constant(rng.integers(0, 256, [3, 16, 16, 3]), tf.uint8)
    same = augment(pictures, tf.constant([1, 2]), shift=0.0, zoom=0.0, colour=0.0)
    np.testing.assert_allclose(same, tf.cast(pictures, tf.float32), atol=1e-3)


@pytest.mark.parametrize(("flip", "count"), [("none", 1), ("horizontal", 2), ("all", 8)])
def test_flips_are_symmetries_of_the_square(flip, count):
    picture = rng.integers(0, 256, [16, 16, 3])
    pictures = tf.constant(np.tile(picture, [200, 1, 1, 1]), tf.uint8)
    found = augment(pictures, tf.constant([3, 4]), shift=0.0, zoom=0.0, colour=0.0, flip=flip).numpy().round()
    turned = [picture, picture.swapaxes(0, 1)]
    symmetries = [one[::v, ::h] for one in turned for h in (1, -1) for v in (1, -1)]
    allowed = {"none": symmetries[:1], "horizontal": [symmetries[0], symmetries[2]], "all": symmetries}[flip]
    seen = {next(i for i, one in enumerate(allowed) if np.array_equal(one, picture)) for picture in found}
    assert len(seen) == count


def test_moves_bring_in_white():
    black = tf.zeros([50, 16, 16, 3], tf.uint8)
    moved = augment(black, tf.constant([5, 6]), shift=0.2, zoom=0.0, colour=0.0).numpy()
    assert moved.max() == 255
    assert 0.02 < (moved > 128).mean() < 0.3


def test_tokens_become_text():
    detokenizer = Detokenizer(["▁medium", "-", "dark", "▁skin"])
    ids = tf.constant([[4, 5, 6, 7, END, PADDING], [7, END, PADDING, PADDING, PADDING, PADDING]])
    assert [text.decode() for text in detokenizer(ids).numpy()] == ["medium-dark skin", "skin"]
    assert [word.decode() for word in detokenizer.tokens(ids[0]).numpy()] == ["medium", "-", "dark", "skin", "", ""]


@pytest.mark.parametrize("cell", ["gru", "tcn", "transformer"])
@pytest.mark.parametrize("context", CONTEXTS)
def test_padding_of_the_source_changes_nothing(cell, context):
    decoder = SequenceDecoder(SequenceDecoderConfig(30, context, cell, units=8, layers=2, embedding=6))
    source, ids = normal(1, 5, 7), tf.constant(rng.integers(4, 30, [1, 6]), tf.int32)
    alone, weights = decoder(source, ids)
    padded = tf.concat([tf.pad(source, [[0, 0], [0, 4], [0, 0]], constant_values=99.0), normal(1, 9, 7)], axis=0)
    mask = tf.sequence_mask([5, 9], 9)
    beside, beside_weights = decoder(padded, tf.repeat(ids, 2, axis=0), source_mask=mask)
    np.testing.assert_allclose(beside[:1], alone, atol=1e-5)
    if context == "attention":
        np.testing.assert_allclose(beside_weights[0], np.pad(weights[0], [(0, 0), (0, 4)]), atol=1e-6)
    memory, state = decoder.start(padded, mask)
    for t in range(6):
        one, state = decoder.step(tf.repeat(ids[:, t], 2), state, memory)
        np.testing.assert_allclose(one, beside[:, t], atol=1e-5)


@pytest.mark.parametrize("context", CONTEXTS)
def test_training_hides_whole_words(context):
    decoder = SequenceDecoder(SequenceDecoderConfig(30, context, "gru", units=8, embedding=6, word_dropout=0.5))
    source, ids = tf.repeat(normal(1, 5, 7), 64, axis=0), tf.fill([64, 1], 7)
    trained, served = decoder(source, ids, training=True)[0][:, 0], decoder(source, ids)[0][0, 0]
    (words,) = decoder.embedding.get_weights()
    decoder.embedding.set_weights([0 * words])
    hidden = decoder(source, ids)[0][0, 0]
    decoder.embedding.set_weights([2 * words])  # what is left counts twice, as in any dropout
    kept = decoder(source, ids)[0][0, 0]
    is_hidden = np.isclose(trained, hidden, atol=1e-5).all(axis=1)
    is_kept = np.isclose(trained, kept, atol=1e-5).all(axis=1)
    assert (is_hidden ^ is_kept).all()
    assert 10 < is_hidden.sum() < 54
    assert not np.allclose(served, hidden)


def test_a_source_of_padding_alone_has_no_weight_and_finite_gradients():
    decoder = SequenceDecoder(SequenceDecoderConfig(30, "attention", "gru", units=8, embedding=6))
    source, ids, mask = tf.Variable(normal(2, 5, 7)), tf.constant([[2, 5], [2, 6]]), tf.sequence_mask([0, 3], 5)
    with tf.GradientTape() as tape:
        logits, weights = decoder(source, ids, source_mask=mask)
        total = tf.reduce_sum(logits)
    assert (weights[0].numpy() == 0).all()
    np.testing.assert_allclose(tf.reduce_sum(weights[1], axis=-1), [1, 1], atol=1e-6)
    gradient = tf.convert_to_tensor(tape.gradient(total, source)).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[0] == 0).all()
    assert (gradient[1, 3:] == 0).all()
    assert (gradient[1, :3] != 0).all()


def test_a_context_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"context must be one of attention, initial, every_step. Received: .*'magic'"):
        SequenceDecoderConfig(30, "magic")
