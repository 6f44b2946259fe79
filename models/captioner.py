"""Pictures to captions: encoder, decoder and loss."""

import keras
import tensorflow as tf

from models.caption_decoder import CaptionDecoder
from models.image_encoder import image_encoder
from models.pieces import PADDING


@keras.saving.register_keras_serializable("unroll")
class Captioner(keras.Model):
    """An image encoder and a `CaptionDecoder`.

    A picture is encoded once for all captions that it is trained on.

    Args:
        vocabulary: ids, the reserved ones included.
        size: pixels of a picture's side.
        backbone: a network of `keras.applications`; None for a residual network trained from scratch.
        weights: of the backbone: `imagenet`, a file, or None.
        filters: of the residual network's first stage.
        blocks: of each of its stages.
        grid_dropout: share of the grid's features dropped.
        conditioning, cell, units, layers, embedding, dropout, kernel_size, use_cudnn: of the `CaptionDecoder`.
        label_smoothing: share of a word's probability that is spread over all words (Szegedy et al. 2016, section 7).
        coverage: weight of the mean over places of (1 - sum over words of attention)^2, for every place to be looked at
            (Xu et al. 2015, eq. 14); without attention there is none.
        scheduled_sampling: trains on the model's own words for the share that `own` holds.

    Call arguments:
        inputs: a dictionary of
            `pictures`: float32 `[batch, size, size, 3]`, 0 to 255.
            `ids`: int32 `[captions, time]`, from the start to the end; padding behind.
            `rows`: int32 `[captions]`, each caption's picture.

    Returns:
        `{"logits": float32 [captions, time - 1, vocabulary], "weights": [captions, time - 1, places]}`.
        The targets that `fit` takes are the ids themselves.

    Example:
        >>> model = Captioner(vocabulary=50, size=64, units=32)
        >>> pictures, ids = tf.zeros([2, 64, 64, 3]), tf.ones([3, 9], tf.int32)
        >>> model({"pictures": pictures, "ids": ids, "rows": tf.constant([0, 0, 1])})["logits"].shape
        TensorShape([3, 8, 50])
    """

    def __init__(
        self,
        vocabulary: int,
        size: int,
        *,
        backbone: str | None = None,
        weights: str | None = None,
        filters: int = 32,
        blocks: int = 2,
        grid_dropout: float = 0.0,
        conditioning: str = "attention",
        cell: str = "lstm",
        units: int = 256,
        layers: int = 1,
        embedding: int = 128,
        dropout: float = 0.0,
        kernel_size: int = 3,
        label_smoothing: float = 0.0,
        coverage: float = 1.0,
        scheduled_sampling: bool = False,
        use_cudnn: bool | str = "auto",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.size = size
        self.encoder = image_encoder(backbone, size, weights, filters, blocks)
        self.grid_dropout = keras.layers.Dropout(grid_dropout, name="grid_dropout")
        self.decoder = CaptionDecoder(
            vocabulary, conditioning, cell, units, layers, embedding, dropout, kernel_size, use_cudnn, name="decoder"
        )
        self.label_smoothing = label_smoothing
        self.coverage = coverage
        self.own = None
        if scheduled_sampling:
            self.own = self.add_weight(name="own", shape=(), initializer="zeros", trainable=False)
        self.scores = {name: keras.metrics.Mean(name=name) for name in ("log_loss", "token_error")}
        self._config = {
            "vocabulary": vocabulary,
            "size": size,
            "backbone": backbone,
            "weights": None,  # those of the checkpoint replace them
            "filters": filters,
            "blocks": blocks,
            "grid_dropout": grid_dropout,
            "conditioning": conditioning,
            "cell": cell,
            "units": units,
            "layers": layers,
            "embedding": embedding,
            "dropout": dropout,
            "kernel_size": kernel_size,
            "label_smoothing": label_smoothing,
            "coverage": coverage,
            "scheduled_sampling": scheduled_sampling,
        }

    def encode(self, pictures, training=False):
        """Features of a picture's places, row by row, float `[batch, places, features]`."""
        grid = self.encoder(pictures, training=training)
        return tf.reshape(grid, [-1, grid.shape[1] * grid.shape[2], grid.shape[3]])  # [B, G, F]

    def call(self, inputs, training=False):
        grid = self.grid_dropout(self.encode(inputs["pictures"], training=training), training=training)
        grid = tf.gather(grid, inputs["rows"])  # [N, G, F]
        logits, weights = self.decoder(grid, inputs["ids"][:, :-1], self.own, training=training)
        return {"logits": logits, "weights": weights}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        targets, there = _targets(y)
        logits = y_pred["logits"]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)  # [N, T]
        if self.label_smoothing:
            even = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * even
        loss = tf.reduce_sum(losses * there) / tf.reduce_sum(there)
        if self.coverage and y_pred["weights"].shape[-1]:
            looked = tf.reduce_sum(tf.cast(y_pred["weights"], tf.float32) * there[..., None], axis=1)  # [N, P]
            uneven = tf.reduce_mean(tf.square(1 - looked), axis=1)
            loss += self.coverage * tf.reduce_mean(uneven)
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        targets, there = _targets(y)
        logits = y_pred["logits"]
        self.scores["log_loss"].update_state(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits), there)
        wrong = tf.not_equal(tf.argmax(logits, axis=-1, output_type=tf.int32), targets)
        self.scores["token_error"].update_state(wrong, there)
        return self.get_metrics_result()

    def get_config(self):
        return {**super().get_config(), **self._config}


def _targets(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What each step should say, int32 `[captions, time - 1]`, and 1 where it should say anything."""
    targets = ids[:, 1:]
    return targets, tf.cast(targets != PADDING, tf.float32)
