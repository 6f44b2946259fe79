"""A model of what comes next, trained in chunks: what it carries, what it learns from, what it does not keep."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.models.autoregressive import Autoregressive, AutoregressiveConfig
from unroll.models.layers.encoder import CELLS
from unroll.models.sequence_loss import sequence_cross_entropy
from unroll.models.tokens import UNKNOWN

SIZE = 9
ids = np.random.default_rng(0).integers(4, SIZE, (2, 12)).astype(np.int32)


def model_of(cell: str, members: int = 1) -> Autoregressive:
    keras.utils.set_random_seed(7)
    characters = [0] * 4 + [1] * (SIZE - 4)
    return Autoregressive(
        AutoregressiveConfig(characters, streams=2, embedding=4, cell=cell, units=6, layers=2, members=members)
    )


def chunk(begin: int, end: int, *begins: bool) -> dict[str, tf.Tensor]:
    return {"ids": tf.constant(ids[:, begin:end]), "begins": tf.constant(begins)}


def whole_pass(model: Autoregressive, rows: np.ndarray, member: int = 0) -> tf.Tensor:
    network = model.networks[member]
    return network.head(network.stack(network.embedding(rows)))


@pytest.mark.parametrize("cell", CELLS)
def test_chunks_are_one_long_pass_until_something_begins(cell):
    model = model_of(cell)
    read = [chunk(0, 5, True, True), chunk(5, 7, False, False), chunk(7, 12, False, True)]
    parts = [model(one)[0] for one in read]
    np.testing.assert_allclose(tf.concat(parts, axis=1)[0], whole_pass(model, ids[:1])[0], atol=1e-5)
    np.testing.assert_allclose(tf.concat(parts[:2], axis=1)[1], whole_pass(model, ids[1:, :7])[0], atol=1e-5)
    np.testing.assert_allclose(parts[2][1], whole_pass(model, ids[1:, 7:])[0], atol=1e-5, err_msg="from nothing on")


@pytest.mark.parametrize("cell", ["lstm", "transformer"])  # tests/models/test_carried_state.py asks every cell's stack
def test_a_chunk_that_is_the_whole_text_has_the_gradients_of_full_backpropagation(cell):
    model, both = model_of(cell), []
    model.compile()
    targets = tf.constant(np.roll(ids, -1, axis=1))
    for read in (lambda: whole_pass(model, ids)[None], lambda: model(chunk(0, 12, True, True), training=True)):
        with tf.GradientTape() as tape:
            loss = model.compute_loss(y=targets, y_pred=read())
        both.append(tape.gradient(loss, [weight.value for weight in model.trainable_variables]))
    for full, truncated in zip(*both, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(truncated), tf.convert_to_tensor(full), atol=1e-5)


def test_no_gradient_passes_from_chunk_to_chunk():
    model = model_of("lstm")
    model(chunk(0, 6, True, True))
    with tf.GradientTape() as tape:
        read = model.networks[0].embedding(ids[:, :6])  # of the chunk before
        tape.watch(read)
        loss = tf.reduce_sum(model(chunk(6, 12, False, False)))
    assert tape.gradient(loss, read) is None


def test_a_step_goes_on_where_chunks_end():
    model = model_of("gru")
    logits, state = model.steps(tf.constant(ids[:, :11]), model.initial_state(2))
    after, _ = model.step(tf.constant(ids[:, 11]), state)
    np.testing.assert_allclose(after, whole_pass(model, ids)[:, -1], atol=1e-5)
    np.testing.assert_allclose(logits, whole_pass(model, ids)[:, :-1], atol=1e-5)


def test_members_learn_alone_and_answer_with_the_mean_of_their_probabilities():
    model = model_of("lstm", members=2)
    model.compile()
    targets = tf.constant(np.roll(ids, -1, axis=1))
    own = tf.stack([whole_pass(model, ids, member) for member in range(2)])
    assert not np.allclose(*own)
    np.testing.assert_allclose(model(chunk(0, 12, True, True)), own, atol=1e-5)
    alone = [sequence_cross_entropy(one, targets, tf.ones_like(targets, tf.bool)) for one in own]
    assert float(model.compute_loss(y=targets, y_pred=own)) == pytest.approx(float(np.mean(alone)), rel=1e-5)
    mean = tf.reduce_mean(tf.nn.softmax(own), axis=0)
    logits, state = model.steps(tf.constant(ids[:, :11]), model.initial_state(2))
    np.testing.assert_allclose(tf.nn.softmax(logits), mean[:, :11], atol=1e-5)
    np.testing.assert_allclose(tf.nn.softmax(model.step(tf.constant(ids[:, 11]), state)[0]), mean[:, 11], atol=1e-5)
    lost = -np.log(np.take_along_axis(mean.numpy(), targets.numpy()[..., None], axis=2))
    metrics = model.compute_metrics(None, targets, own)
    assert float(metrics["nats_per_character"]) == pytest.approx(lost.mean(), rel=1e-5)


def test_loss_and_metric_count_what_they_should():
    model = model_of("rnn")
    model.compile()
    targets = tf.constant([[4, 3, 0], [1, 5, 6]])  # a character and an end; an unknown one and two characters
    logits = tf.constant(np.random.default_rng(1).normal(size=(2, 3, SIZE)), tf.float32)
    losses = -tf.nn.log_softmax(logits).numpy()
    one = losses[0, 0, 4], losses[1, 1, 5], losses[1, 2, 6]
    metrics = model.compute_metrics(None, targets, logits[None])
    assert float(metrics["nats_per_character"]) == pytest.approx(np.mean(one), rel=1e-5)
    every = [*one, losses[0, 1, 3], losses[1, 0, 1]]
    assert float(model.compute_loss(y=targets, y_pred=logits[None])) == pytest.approx(np.mean(every), rel=1e-5)
    mask = tf.not_equal(targets, 0)
    assert float(sequence_cross_entropy(logits, targets, mask)) == pytest.approx(np.mean(every), rel=1e-5)


def test_what_training_never_shows_says_nothing():
    model = model_of("lstm")
    np.testing.assert_array_equal(model.networks[0].embedding(tf.constant([UNKNOWN])), np.zeros((1, 4)))


def test_the_kept_state_is_no_weight(tmp_path):
    model = model_of("transformer")
    before = whole_pass(model, ids).numpy()
    model(chunk(0, 6, True, True))
    assert all(6 in weight.shape or SIZE in weight.shape or 4 in weight.shape for weight in model.weights)
    assert not any(weight.shape[:1] == (2,) for weight in model.weights)
    model.save(tmp_path / "model.keras")
    read = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(whole_pass(read, ids), before, atol=1e-6)
    np.testing.assert_allclose(
        read(chunk(0, 6, False, False))[0], before[:, :6], atol=1e-5, err_msg="begins with nothing"
    )
