"""One or several networks that translate together."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import keras
import tensorflow as tf

from unroll.models.encoder_decoder.network import EncoderDecoder, EncoderDecoderConfig, Memory
from unroll.models.ensemble import averaged
from unroll.models.layers.configuration import Configured
from unroll.models.sequence_loss import token_losses
from unroll.models.tokens import END, PADDING


@dataclass(frozen=True)
class TranslatorConfig(EncoderDecoderConfig):
    """What a `Translator` is made of.

    Args:
        members: networks, alike but for their initial weights, whose probabilities are averaged.
        label_smoothing: of the loss, see `sequence_cross_entropy`.
        vocabulary, cell, units, layers, embedding, dropout, kernel_size, window, tied: of each network.
    """

    members: int = 1
    label_smoothing: float = 0.1

    @property
    def network(self) -> EncoderDecoderConfig:
        shared = (field.name for field in fields(EncoderDecoderConfig))
        return EncoderDecoderConfig(**{name: getattr(self, name) for name in shared})


class State(NamedTuple):
    """What is carried from token to token.

    Args:
        stacks: of each member, of each layer.
        looked: how much of each position of the source was looked at so far, float `[rows, positions]`.
    """

    stacks: list
    looked: tf.Tensor


@keras.saving.register_keras_serializable("unroll")
class Translator(Configured, keras.Model):
    """Says which token comes next in the translation of a source.

    The loss is the mean of the members' cross-entropies, or that which `compile` was given: a function of targets
    `[targets]` and logits `[targets, vocabulary]`. `nats` are of a target token, the end among them, unsmoothed.

    Args:
        config: see `TranslatorConfig`.

    Call arguments:
        inputs: `{"source": int32 [rows, positions], "target": int32 [rows, time]}`, padded on the right, the target
            from its start on.

    Returns:
        Of each member logits, float32 `[rows, time, vocabulary]`. The targets that `fit` takes are int32 `[rows,
        time]`, what follows each id of `target`.

    Example:
        >>> model = Translator(TranslatorConfig(vocabulary=50, units=16, embedding=8, members=2))
        >>> logits = model({"source": tf.constant([[5, 6, 3]]), "target": tf.constant([[2, 7, 8, 9]])})
        >>> len(logits), logits[0].shape
        (2, TensorShape([1, 4, 50]))
    """

    Config = TranslatorConfig

    def __init__(self, config: TranslatorConfig, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.networks = [EncoderDecoder(config.network, name=f"network_{i}") for i in range(config.members)]
        self._nats = keras.metrics.Mean(name="nats")
        self.built = True

    def build(self, inputs_shape=None):
        """Nothing is left to do: the configuration knows all shapes."""

    def call(self, inputs, training=False):
        return [network(inputs["source"], inputs["target"], training=training)[0] for network in self.networks]

    def attention(self, source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """What is looked at before each token, float `[rows, time, positions]`, the members' mean."""
        return _mean([network(source, target)[1] for network in self.networks])

    def start(self, source: tf.Tensor) -> tuple[list[Memory], State]:
        """Memory and state before the first token."""
        stacks = [network.initial_state(tf.shape(source)[0]) for network in self.networks]
        looked = tf.zeros_like(source, tf.float32)
        return [network.encode(source) for network in self.networks], State(stacks, looked)

    def step(self, ids: tf.Tensor, state: State, memory: list[Memory]) -> tuple[tf.Tensor, State]:
        """One token, for `unroll.models.decoding`.

        Args:
            ids: int32 `[rows]`.
            state: of those rows.
            memory: of those rows.

        Returns:
            Logits over the next token, float32 `[rows, vocabulary]`, and the new state.
        """
        said = [
            network.step(ids, stack, one)
            for network, stack, one in zip(self.networks, state.stacks, memory, strict=True)
        ]
        going = tf.cast((ids != END) & (ids != PADDING), tf.float32)[:, None]
        looked = state.looked + going * _mean([looks for _, looks, _ in said])
        return averaged([logits for logits, *_ in said]), State([after for *_, after in said], looked)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        counted = tf.not_equal(y, PADDING)
        if self.loss is not None:
            self._nats.update_state(token_losses(averaged(y_pred), y)[1], counted)
            targets = tf.boolean_mask(y, counted)
            return tf.reduce_mean([self.loss(targets, tf.boolean_mask(logits, counted)) for logits in y_pred])
        found = [token_losses(logits, y, self.config.label_smoothing) for logits in y_pred]
        # of several members the mean is not that of their mixture, which would cost as much again in training
        own = training or len(found) == 1
        nats = _mean([nats for _, nats in found]) if own else token_losses(averaged(y_pred), y)[1]
        self._nats.update_state(nats, counted)
        weights = tf.cast(counted, tf.float32)
        return tf.math.divide_no_nan(
            tf.reduce_sum(_mean([losses for losses, _ in found]) * weights), tf.reduce_sum(weights)
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return self.get_metrics_result()  # what the loss has counted


def _mean(tensors: list[tf.Tensor]) -> tf.Tensor:
    return tensors[0] if len(tensors) == 1 else tf.add_n(tensors) / len(tensors)
