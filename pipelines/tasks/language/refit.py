"""Learns the validation split, too, once all was chosen by it: the newest of a running text."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from unroll.models.autoregressive import Autoregressive
from unroll.pipelines.tasks.language.corpus.data import Split
from unroll.pipelines.tasks.language.corpus.streams import Streams

_NEWEST = 1_000_000  # units that are learnt at most
_TRIED = 60_000  # of them, by the halves of which it is chosen how
_LEAST = 2_000  # units, below which nothing can be told
_RATES = (3e-4, 1e-3)
_PASSES = 12  # at most: it ends with the first that is no better than the one before
_WORTHWHILE = 0.002  # of the loss


def learn_validation(model: Autoregressive, split: Split, *, chunk: int, running: bool, clip_norm: float) -> str:
    """Goes on with the training on the validation split.

    How fast, and how often it is read, is what loses least on the second half of its newest units after the first half
    was learnt so; it is left alone where that gains next to nothing. All rows are streams as in training, with dropout.

    Args:
        model: trained and compiled; its weights change.
        split: of the validation.
        chunk: units of a stream in a step.
        running: whether it is one text.
        clip_norm: largest global norm of a gradient.

    Returns:
        What was decided, in a line; empty where there is too little to decide by.
    """
    if len(split.ids) < _LEAST:
        return ""

    def read(first: int, last: int) -> Streams:
        return Streams(split.part(first, last), model.config.streams, chunk, running)

    end = len(split.ids)
    begin = end - min(end, _TRIED)
    middle = (begin + end) // 2
    learner, judge = _Learner(model, clip_norm), read(middle, end)
    untouched = _loss(model, judge)
    found: dict[tuple[float, int], float] = {}
    for rate in _RATES:
        learner.reset(rate)
        before = untouched
        for number in range(_PASSES):
            learner.learn(read(begin, middle), number)
            found[rate, number + 1] = loss = _loss(model, judge)
            if loss >= before:
                break
            before = loss
    rate, passes = min(found, key=lambda one: found[one])
    gain = 1 - found[rate, passes] / untouched if untouched else 0.0  # where no character of it is known
    learner.reset(rate)
    if gain < _WORTHWHILE:
        return "The validation split is not learnt: its first half tells next to nothing of its second."
    for number in range(passes):
        learner.learn(read(max(0, end - _NEWEST), end), number)
    times = {1: "once", 2: "twice"}.get(passes, f"{passes} times")
    return (
        f"The validation split is learnt, too, read {times} at a rate of {rate:g}: after its first half that loses "
        f"{100 * gain:.1f} % less on its second."
    )


class _Learner:
    """A model whose training goes on.

    Args:
        model: `reset` puts its weights back.
        clip_norm: largest global norm of a gradient.
    """

    def __init__(self, model: Autoregressive, clip_norm: float):
        self._model = model
        self._trained = model.get_weights()
        self._optimizer = keras.optimizers.Adam(_RATES[0], global_clipnorm=clip_norm)
        self._optimizer.build(model.trainable_variables)
        self._begun = [variable.numpy() for variable in self._optimizer.variables]

    def reset(self, rate: float) -> None:
        """Weights as they were, and an optimizer that has seen nothing."""
        self._model.set_weights(self._trained)
        for variable, begun in zip(self._optimizer.variables, self._begun, strict=True):
            variable.assign(begun)
        self._optimizer.learning_rate = rate

    def learn(self, streams: Streams, number: int) -> None:
        """One pass, cut and dropped by its number."""
        for inputs, targets in streams.batches((number, 0)):
            self._step(inputs, targets)

    @tf.function(autograph=False)
    def _step(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor) -> None:
        weights = self._model.trainable_variables
        with tf.GradientTape() as tape:
            loss = self._model.compute_loss(inputs, targets, self._model(inputs, training=True))
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        self._optimizer.apply(gradients, weights)


def _loss(model: Autoregressive, streams: Streams) -> float:
    return float(model.evaluate(streams.batches(None), verbose=0, return_dict=True)["nats_per_character"])
