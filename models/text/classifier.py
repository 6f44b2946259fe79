"""Many to one: a sequence of token ids to a class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from unroll.models.layers.configuration import Configured
from unroll.models.layers.encoder import encoder
from unroll.models.layers.pooling import SequencePooling
from unroll.models.text.ngrams import NgramEvidence
from unroll.models.text.tokenizer import PADDING, UNKNOWN


def truncate_middle(ids: tf.Tensor, lengths: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Truncates long sequences to their first and last tokens; opinions stand at a text's ends.

    Args:
        ids: int32 `[batch, time]`, padded on the right.
        lengths: int32 `[batch]`.
        size: tokens kept at most, half from each end.

    Returns:
        int32 `[batch, min(time, size)]` and their lengths, int32 `[batch]`.

    Example:
        >>> truncate_middle(tf.constant([[1, 2, 3, 4, 5, 6]]), tf.constant([5]), 4)[0].numpy()
        array([[1, 2, 4, 5]], dtype=int32)
    """
    position = tf.range(tf.minimum(tf.shape(ids)[1], size))[None]  # [1, S]
    skipped = tf.maximum(lengths - size, 0)[:, None]  # [B, 1]
    position = tf.where(position >= size // 2, position + skipped, position)  # [B, S]
    return tf.gather(ids, position, batch_dims=1), tf.minimum(lengths, size)


@dataclass(frozen=True)
class TextClassifierConfig:
    """What a `TextClassifier` is made of.

    Args:
        vocabulary: number of token ids, special ones included.
        classes: number of classes.
        cell: see `unroll.models.layers.encoder.encoder`.
        units: features of each encoder layer, per direction.
        layers: encoder layers.
        members: encoders.
        embedding: features of a token.
        encoder_tokens: of a longer text, the encoders read the first and the last half of these; the linear path reads
            all.
        bidirectional: whether the encoders also read from the end.
        residual: adds each recurrent layer's input to its output.
        dropout: share of pooled features dropped.
        embedding_dropout: share of the encoder's input features dropped, the same at every timestep.
        recurrent_dropout: share of the carried state dropped.
        word_dropout: share of tokens an encoder sees as unknown in training.
        kernel_size: taps of a TCN's convolutions.
        pooling: modes of `SequencePooling`.
        ngram_buckets: of hashed pairs of tokens; 0 leaves the linear path out.
        encoder_loss: weight of the encoders' own losses.
    """

    vocabulary: int
    classes: int
    cell: str
    units: int
    layers: int = 1
    members: int = 1
    embedding: int = 64
    encoder_tokens: int = 256
    bidirectional: bool = False
    residual: bool = False
    dropout: float = 0.0
    embedding_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    word_dropout: float = 0.0
    kernel_size: int = 3
    pooling: Sequence[str] = ("mean", "max")
    ngram_buckets: int = 0
    encoder_loss: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "pooling", tuple(self.pooling))


@keras.saving.register_keras_serializable("unroll")
class TextEncoder(Configured, keras.layers.Layer):
    """Reads tokens in order: embedding, encoder, pooling, class scores.

    Args:
        config: see `TextClassifierConfig`.

    Call arguments:
        ids: int32 `[batch, time]`, padded on the right with 0.
        lengths: int32 `[batch]`.

    Returns:
        logits, float32 `[batch, classes]`.
    """

    Config = TextClassifierConfig

    def __init__(self, config: TextClassifierConfig, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.seeds = keras.random.SeedGenerator()
        self.embedding = keras.layers.Embedding(config.vocabulary, config.embedding, name="embedding")
        self.encoder = encoder(
            config.cell,
            config.units,
            config.layers,
            bidirectional=config.bidirectional,
            dropout=config.embedding_dropout,
            recurrent_dropout=config.recurrent_dropout,
            residual=config.residual,
            kernel_size=config.kernel_size,
            window=config.encoder_tokens,
        )
        self.pooling = SequencePooling(config.pooling, name="pooling")
        self.dropout = keras.layers.Dropout(config.dropout, name="dropout")
        self.head = keras.layers.Dense(config.classes, name="head", dtype="float32")

    def build(self, ids_shape=None, lengths_shape=None):
        features = self.encoder.features
        self.embedding.build()
        self.encoder.build([None, None, self.config.embedding])
        self.pooling.build([None, None, features])
        self.head.build([None, features * len(self.config.pooling)])

    def call(self, ids, lengths, training=False):
        if training and self.config.word_dropout:
            dropped = keras.random.uniform(tf.shape(ids), seed=self.seeds) < self.config.word_dropout
            ids = tf.where(dropped & (ids != PADDING), UNKNOWN, ids)
        return self.classify(self.embedding(ids), lengths, training=training)

    def classify(self, embedded: tf.Tensor, lengths: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The logits of embedded tokens, float `[batch, time, embedding]`."""
        hidden = self.encoder(embedded, lengths, training=training)  # [B, T, U * directions]
        return self.head(self.dropout(self.pooling(hidden, lengths), training=training))


@keras.saving.register_keras_serializable("unroll")
class TextClassifier(Configured, keras.Model):
    """Encoders that read the tokens in order, beside a linear path that weighs tokens and pairs.

    The encoders are alike but for their start (a deep ensemble, Lakshminarayanan et al. 2017). In training
    each has a loss of its own beside that of the sum, without which the quicker linear path would leave
    them nothing to learn from; metrics are those of the sum.

    Args:
        config: see `TextClassifierConfig`.

    Call arguments:
        ids: int32 `[batch, time]`, padded on the right with 0; no row without a token.

    Returns:
        `{"encoders": float [batch, members, classes], "evidence": float [batch, classes]}`, logits; the
        second only with a linear path.

    Example:
        >>> model = TextClassifier(TextClassifierConfig(vocabulary=100, classes=2, cell="gru", units=8))
        >>> model(tf.constant([[4, 9, 3, 0]]))["encoders"].shape
        TensorShape([1, 1, 2])
    """

    Config = TextClassifierConfig

    def __init__(self, config: TextClassifierConfig, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.encoders = [TextEncoder(config, name=f"encoder_{member}") for member in range(config.members)]
        self.evidence = None
        if config.ngram_buckets:
            self.evidence = NgramEvidence(
                config.vocabulary, config.ngram_buckets, config.classes, name="evidence", dtype="float32"
            )
        for one in self.encoders:
            one.build()
        if self.evidence is not None:
            self.evidence.build([None, None])

    def build(self, ids_shape=None):
        """Nothing is left to do: the configuration knows all shapes."""

    def call(self, ids, training=False):
        lengths = token_counts(ids)
        ends, ends_lengths = truncate_middle(ids, lengths, self.config.encoder_tokens)
        members = [encoder(ends, ends_lengths, training=training) for encoder in self.encoders]
        paths = {"encoders": tf.stack(members, axis=1)}  # [B, M, C]
        if self.evidence is not None:
            paths["evidence"] = self.evidence(ids, lengths)  # [B, C]
        return paths

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, total(y_pred), sample_weight, training)
        if self.evidence is None and len(self.encoders) == 1:
            return loss
        members = tf.unstack(y_pred["encoders"], axis=1)
        own = [super(TextClassifier, self).compute_loss(x, y, one, sample_weight, training) for one in members]
        return loss + self.config.encoder_loss * tf.add_n(own)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, total(y_pred), sample_weight)


def paths(outputs: Any) -> Mapping[str, Any]:
    """The paths of any classifier: those of a `TextClassifier`; logits `[batch, classes]` are of one encoder."""
    return outputs if isinstance(outputs, Mapping) else {"encoders": outputs[:, None]}


def total(paths: Mapping[str, tf.Tensor], weights: Sequence[float] = (1.0, 1.0)) -> tf.Tensor:
    """The logits `[batch, classes]` of a `TextClassifier`: its encoders' mean plus the linear path.

    Args:
        paths: what the classifier returned.
        weights: of the encoders' mean and of the linear path.
    """
    logits = weights[0] * tf.reduce_mean(paths["encoders"], axis=1)
    return logits + weights[1] * paths["evidence"] if "evidence" in paths else logits


def token_counts(ids: tf.Tensor) -> tf.Tensor:
    """Lengths of right-padded rows of ids, int32 `[batch]`."""
    return tf.math.count_nonzero(ids, axis=1, dtype=tf.int32)
