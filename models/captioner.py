"""Pictures to captions: encoder, decoder and loss."""

from dataclasses import dataclass, fields

import keras
import tensorflow as tf

from unroll.models.caption_model import CaptionModel
from unroll.models.layers.configuration import Configured
from unroll.models.layers.image_encoder import image_encoder
from unroll.models.layers.sequence_decoder import SequenceDecoder, SequenceDecoderConfig
from unroll.models.layers.transformer import WINDOW


@dataclass(frozen=True)
class CaptionerConfig:
    """What a `Captioner` is made of.

    Args:
        vocabulary: ids, the special ones included.
        size: pixels of a picture's side.
        backbone: a network of `keras.applications`; None for a residual network trained from scratch.
        weights: of the backbone: `imagenet`, a file, or None.
        filters: of the residual network's first stage.
        blocks: of each of its stages.
        grid_dropout: share of the grid's features dropped.
        context, cell, units, layers, embedding, dropout, word_dropout, kernel_size, window: of the `SequenceDecoder`.
        label_smoothing, coverage: of the loss, see `CaptionModel`.
        scheduled_sampling: trains on the model's own tokens for the share that `own` holds.
    """

    vocabulary: int
    size: int
    backbone: str | None = None
    weights: str | None = None
    filters: int = 32
    blocks: int = 2
    grid_dropout: float = 0.0
    context: str = "attention"
    cell: str = "lstm"
    units: int = 256
    layers: int = 1
    embedding: int = 128
    dropout: float = 0.0
    word_dropout: float = 0.0
    kernel_size: int = 3
    window: int = WINDOW
    label_smoothing: float = 0.0
    coverage: float = 1.0
    scheduled_sampling: bool = False

    @property
    def decoder(self) -> SequenceDecoderConfig:
        shared = (field.name for field in fields(SequenceDecoderConfig))
        return SequenceDecoderConfig(**{name: getattr(self, name) for name in shared})


@keras.saving.register_keras_serializable("unroll")
class Captioner(Configured, CaptionModel):
    """An image encoder and a `SequenceDecoder`.

    A picture is encoded once for all captions that it is trained on.

    Args:
        config: see `CaptionerConfig`.
        encoder: in place of the one that the configuration describes; from float32 `[batch, size, size, 3]` to float
            `[batch, side, side, features]`.

    Call arguments:
        inputs: a dictionary of
            `pictures`: float32 `[batch, size, size, 3]`, 0 to 255.
            `ids`: int32 `[captions, time]`, from the start to the end; padding behind.
            `rows`: int32 `[captions]`, each caption's picture.

    Returns:
        `{"logits": float32 [captions, time - 1, vocabulary], "weights": [captions, time - 1, positions]}`.
        The targets that `fit` takes are the ids themselves.

    Example:
        >>> model = Captioner(CaptionerConfig(vocabulary=50, size=64, units=32))
        >>> pictures, ids = tf.zeros([2, 64, 64, 3]), tf.ones([3, 9], tf.int32)
        >>> model({"pictures": pictures, "ids": ids, "rows": tf.constant([0, 0, 1])})["logits"].shape
        TensorShape([3, 8, 50])
    """

    Config = CaptionerConfig

    def __init__(self, config: CaptionerConfig, encoder: keras.layers.Layer | None = None, **kwargs):
        super().__init__(config.label_smoothing, config.coverage, **kwargs)
        self.config = config
        self.size = config.size
        self.has_own_encoder = encoder is not None
        self.encoder = encoder or image_encoder(
            config.backbone, config.size, config.weights, config.filters, config.blocks
        )
        self.grid_dropout = keras.layers.Dropout(config.grid_dropout, name="grid_dropout")
        self.decoder = SequenceDecoder(config.decoder, name="decoder")
        self.own = None
        if config.scheduled_sampling:
            self.own = self.add_weight(name="own", shape=(), initializer="zeros", trainable=False)
        pictures = (None, config.size, config.size, 3)
        if not self.encoder.built:
            self.encoder.build(pictures)
        self.decoder.build([None, None, self.encoder.compute_output_shape(pictures)[-1]])

    def build(self, inputs_shape=None):
        """Nothing is left to do: the configuration knows all shapes."""

    def encode(self, pictures, training=False):
        """Features of a picture's grid, row by row, float `[batch, positions, features]`."""
        grid = self.encoder(pictures, training=training)
        return tf.reshape(grid, [-1, grid.shape[1] * grid.shape[2], grid.shape[3]])  # [B, G, F]

    @staticmethod
    def pooled(memory):
        """The mean of a grid's features, float `[batch, features]`."""
        return tf.reduce_mean(memory, axis=1)

    def start(self, memory):
        """Memory and state of captions of which nothing is said; see `SequenceDecoder`."""
        return self.decoder.start(memory)

    def step(self, ids, state, memory):
        """Logits after one more id, and the state then; see `SequenceDecoder`."""
        return self.decoder.step(ids, state, memory)

    def call(self, inputs, training=False):
        grid = self.grid_dropout(self.encode(inputs["pictures"], training=training), training=training)
        grid = tf.gather(grid, inputs["rows"])  # [N, G, F]
        logits, weights = self.decoder(grid, inputs["ids"][:, :-1], self.own, training=training)
        return {"logits": logits, "weights": weights}

    def get_config(self):
        config = super().get_config()
        config["config"]["weights"] = None  # those of the checkpoint replace them
        if self.has_own_encoder:
            config["encoder"] = keras.saving.serialize_keras_object(self.encoder)
        return config

    @classmethod
    def from_config(cls, config):
        own = {"encoder": keras.saving.deserialize_keras_object(config["encoder"])} if "encoder" in config else {}
        return super().from_config({**config, **own})
