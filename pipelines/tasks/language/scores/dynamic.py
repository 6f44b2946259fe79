"""Dynamic evaluation: a model that goes on learning from what it has read is scored on what comes next.

Krause et al. 2017, "Dynamic evaluation of neural sequence models" (arXiv:1709.07432), with gradients scaled by the root
mean square that they have on the train split, and a pull towards the trained weights.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from unroll.models.autoregressive import Autoregressive
from unroll.models.tokens import PADDING
from unroll.pipelines.training.progress import Progress

SEGMENT = 40
"""Units that are read between two steps of learning."""
_RATES = (0.0, 1e-4, 3e-4, 1e-3)
_PULL = 0.02  # share of the way back to the trained weights, at each step
_SAMPLE = 100  # segments of the train split, for the size of gradients
_TRIED = 500  # segments of the validation split, on which a rate is chosen
_SCORED = 5000  # segments of the test split
_EPSILON = 1e-8


class _Lost(NamedTuple):
    nats: float
    characters: float

    @property
    def mean(self) -> float:
        return self.nats / max(1.0, self.characters)


def dynamic_scores(
    model: Autoregressive, segments: Callable[[str], tf.data.Dataset], progress: Progress
) -> dict[str, float]:
    """Nats a character on the begin of the test split, with weights that follow what is read; they are put back.

    Args:
        model: trained.
        segments: a split as one stream, as `Autoregressive` takes it.
        progress: where to say what was gained.
    """
    learner = _Learner(model)
    try:
        with progress.stage("dynamic evaluation") as stage:
            learner.measure(islice(segments("train"), _SAMPLE))
            tried = [learner.read(islice(segments("validation"), _TRIED), rate).mean for rate in _RATES]
            rate = _RATES[int(np.argmin(tried))]
            stage.say(f"rate {rate:g}")
            fixed = learner.read(islice(segments("test"), _SCORED), 0.0)
            found = learner.read(islice(segments("test"), _SCORED), rate) if rate else fixed
    finally:
        learner.reset()
    progress.line(
        f"Dynamic evaluation: {found.mean:.3f} nats a character on the first {found.characters:,.0f} characters of the "
        f"test split, where fixed weights have {fixed.mean:.3f}; rate {rate:g}, chosen on the validation split."
    )
    return {"test/nats_per_character/dynamic": found.mean, "test/nats_per_character/fixed": fixed.mean}


class _Learner:
    """A model whose weights follow what it reads.

    Args:
        model: trained; `reset` puts its weights back.
    """

    def __init__(self, model: Autoregressive):
        self._model = model
        self._weights = [weight.value for weight in model.trainable_variables]
        self._trained = [tf.identity(weight) for weight in self._weights]
        self._scale = [tf.Variable(tf.zeros_like(weight), trainable=False) for weight in self._weights]
        self._sizes = tf.constant(list(model.config.characters), tf.float32)
        self._step = tf.function(self._segment, reduce_retracing=True)

    def reset(self) -> None:
        """Weights as they were trained."""
        for weight, trained in zip(self._weights, self._trained, strict=True):
            weight.assign(trained)

    def measure(self, segments: Iterator) -> None:
        """Learns how large gradients are, from segments of the train split."""
        squares, count = [tf.zeros_like(weight) for weight in self._weights], 0
        state = self._model.initial_state(1)
        for inputs, targets in segments:
            *_, state, gradients = self._step(inputs["ids"], targets, self._before(inputs, state))
            squares = [total + gradient**2 for total, gradient in zip(squares, gradients, strict=True)]
            count += 1
        for scale, total in zip(self._scale, squares, strict=True):
            root = tf.sqrt(total / max(1, count))
            # weights that hardly ever had a gradient would jump at their first one
            scale.assign(1 / (root + tf.reduce_mean(root) + _EPSILON))

    def read(self, segments: Iterator, rate: float) -> _Lost:
        """What is lost on segments, from the trained weights on, which learn from each before the next is read."""
        self.reset()
        lost, state = _Lost(0.0, 0.0), self._model.initial_state(1)
        for inputs, targets in segments:
            nats, characters, state, gradients = self._step(inputs["ids"], targets, self._before(inputs, state))
            lost = _Lost(lost.nats + float(nats), lost.characters + float(characters))
            if rate:
                self._learn(gradients, tf.constant(rate))
        return lost

    def _before(self, inputs: dict, state: list[tf.Tensor]) -> list[tf.Tensor]:
        return self._model.initial_state(1) if inputs["begins"][0] else state

    def _segment(self, ids: tf.Tensor, targets: tf.Tensor, state: list[tf.Tensor]) -> tuple:
        """Nats and known characters of a segment, the state after it, and the gradients of its loss."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._weights)
            logits, after = self._model.steps(ids, state)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
            loss = tf.reduce_sum(tf.where(targets == PADDING, 0.0, losses))
        gradients = [
            tf.convert_to_tensor(gradient)
            for gradient in tape.gradient(loss, self._weights, unconnected_gradients="zero")
        ]
        characters = tf.gather(self._sizes, targets)
        return tf.reduce_sum(tf.where(characters > 0, losses, 0.0)), tf.reduce_sum(characters), after, gradients

    @tf.function
    def _learn(self, gradients: list[tf.Tensor], rate: tf.Tensor) -> None:
        for weight, trained, scale, gradient in zip(self._weights, self._trained, self._scale, gradients, strict=True):
            weight.assign(weight - rate * gradient * scale + _PULL * (trained - weight))
