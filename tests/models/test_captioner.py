"""Captioners: the same answer step by step and at once, formulas against NumPy, and that they learn."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.attention import AdditiveAttention
from models.augmentation import augment
from models.caption_decoder import CONDITIONINGS, CaptionDecoder
from models.captioner import Captioner
from models.encoder import CELLS, causal_layer
from models.image_encoder import Backbone, ResidualCNN, backbones
from models.pieces import END, PADDING, START, Detokenizer

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
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_teacher_forcing_says_what_the_steps_say(cell, conditioning):
    decoder = CaptionDecoder(30, conditioning, cell, units=8, layers=2, embedding=6)
    grid, ids = normal(4, 9, 7), tf.constant(rng.integers(4, 30, [4, 6]), tf.int32)
    logits, weights = decoder(grid, ids)
    assert logits.shape == (4, 6, 30)
    memory, state = decoder.start(grid)
    for t in range(6):
        one, state = decoder.step(ids[:, t], state, memory)
        np.testing.assert_allclose(one, logits[:, t], atol=1e-5)
    if conditioning == "attention":
        np.testing.assert_allclose(tf.reduce_sum(weights, axis=-1), np.ones([4, 6]), atol=1e-5)
    else:
        assert weights.shape == (4, 6, 0)


def test_the_karpathy_rnn_is_its_formula():
    decoder = CaptionDecoder(12, "karpathy", "rnn", units=5, embedding=4)
    grid, ids = normal(2, 9, 7), tf.constant([[2, 5, 7], [2, 9, 4]])
    logits, _ = decoder(grid, ids)
    words, (picture, bias) = decoder.words.get_weights()[0], decoder.picture.get_weights()
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
    query, places = normal(3, 4), normal(3, 9, 7)
    context, weights = attention(query, places, attention.keys(places))
    (w, b), (u,), (v,) = (layer.get_weights() for layer in (attention.key, attention.question, attention.energy))
    energy = np.tanh(places.numpy() @ w + b + (query.numpy() @ u)[:, None]) @ v[:, 0]
    expected = np.exp(energy) / np.exp(energy).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    np.testing.assert_allclose(context, (expected[..., None] * places.numpy()).sum(axis=1), atol=1e-5)


def test_the_loss_is_smoothed_cross_entropy_and_even_attention():
    model = Captioner(vocabulary=12, size=16, filters=4, blocks=1, units=8, label_smoothing=0.1, coverage=0.5)
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
    model = Captioner(
        vocabulary=8, size=16, filters=4, blocks=1, units=16, embedding=8, scheduled_sampling=scheduled_sampling
    )
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


def test_grids_are_about_eight_places_wide():
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


def test_pieces_become_text():
    detokenizer = Detokenizer(["▁medium", "-", "dark", "▁skin"])
    ids = tf.constant([[4, 5, 6, 7, END, PADDING], [7, END, PADDING, PADDING, PADDING, PADDING]])
    assert [text.decode() for text in detokenizer(ids).numpy()] == ["medium-dark skin", "skin"]
    assert [word.decode() for word in detokenizer.words(ids[0]).numpy()] == ["medium", "-", "dark", "skin", "", ""]
