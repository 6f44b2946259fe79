"""Any Keras model that says the next token, as a captioner."""

from typing import Any

import keras
import tensorflow as tf

from unroll.models.caption_model import CaptionModel
from unroll.models.layers.named_inputs import by_name
from unroll.models.tokens import PADDING


@keras.saving.register_keras_serializable("unroll")
class OwnCaptioner(CaptionModel):
    """A captioner around a model that knows nothing of search.

    A search asks the model about the whole caption so far for every further token: its state is the caption.

    Args:
        model: from `ids` int32 `[captions, time]` and `memory`, what the encoder returned, or `pictures`, to logits
            `[captions, time, vocabulary]`; those of a step may depend on ids up to there alone.
        encoder: from float32 `[batch, size, size, 3]`, 0 to 255, to the memory, float `[batch, ...]`; None: the
            pictures are the memory, and read anew for every token.
        size: pixels of a picture's side.
        max_length: ids of a caption at most, start and end included.
        label_smoothing: of the loss.

    Call arguments:
        inputs: those of `unroll.models.captioner.Captioner`.

    Returns:
        What a `Captioner` without attention returns.

    Example:
        >>> pictures, ids = keras.Input([32, 32, 3], name="pictures"), keras.Input([None], dtype="int32", name="ids")
        >>> looked = keras.layers.Dense(8)(keras.layers.GlobalAveragePooling2D()(pictures))
        >>> said = keras.layers.GRU(8, return_sequences=True)(keras.layers.Embedding(50, 8)(ids), initial_state=looked)
        >>> model = OwnCaptioner(keras.Model([pictures, ids], keras.layers.Dense(50)(said)), size=32, max_length=12)
        >>> rows = tf.constant([0, 0, 1])  # of each caption's picture
        >>> given = {"pictures": tf.zeros([2, 32, 32, 3]), "ids": tf.ones([3, 9], tf.int32), "rows": rows}
        >>> model(given)["logits"].shape
        TensorShape([3, 8, 50])
    """

    own = None  # no scheduled sampling

    def __init__(
        self,
        model: keras.Model,
        encoder: keras.Model | None = None,
        *,
        size: int,
        max_length: int,
        label_smoothing: float = 0.0,
        **kwargs,
    ):
        super().__init__(label_smoothing, **{"dtype": "float32", **kwargs})
        self.model = model
        self.encoder = encoder
        self.size = size
        self.max_length = max_length

    def build(self, inputs_shape=None):
        """Nothing is left to do: the models are built."""

    def encode(self, pictures, training=False):
        """The memory, float `[batch, ...]`."""
        return pictures if self.encoder is None else self.encoder(pictures, training=training)

    @staticmethod
    def pooled(memory):
        """The mean of the memory over all but its features, float `[batch, features]`."""
        return tf.reduce_mean(memory, axis=list(range(1, len(memory.shape) - 1)))

    def decode(self, memory, ids, training=False):
        """Logits of what comes next, float32 `[captions, time, vocabulary]`."""
        offered = {"memory" if self.encoder is not None else "pictures": memory, "ids": ids}
        return tf.cast(self.model(by_name(self.model, offered), training=training), tf.float32)

    def call(self, inputs, training=False):
        memory = tf.gather(self.encode(inputs["pictures"], training=training), inputs["rows"])
        logits = self.decode(memory, inputs["ids"][:, :-1], training=training)
        shape = tf.shape(logits)
        return {"logits": logits, "weights": tf.ensure_shape(tf.zeros([shape[0], shape[1], 0]), [None, None, 0])}

    def start(self, memory):
        """Memory and state of captions of which nothing is said."""
        rows = tf.shape(memory)[0]
        return memory, (tf.fill([rows, self.max_length], PADDING), tf.zeros([rows], tf.int32))

    def step(self, ids, state, memory):
        """Logits `[captions, vocabulary]` after one more id, int32 `[captions]`, and the state then."""
        said, length = state
        said = tf.where(tf.range(self.max_length) == length[:, None], ids[:, None], said)
        logits = self.decode(memory, said[:, : tf.reduce_max(length) + 1])
        return tf.gather(logits, length, batch_dims=1), (said, length + 1)

    def get_config(self) -> dict[str, Any]:
        encoder = None if self.encoder is None else keras.saving.serialize_keras_object(self.encoder)
        return {
            **super().get_config(),
            "model": keras.saving.serialize_keras_object(self.model),
            "encoder": encoder,
            "size": self.size,
            "max_length": self.max_length,
            "label_smoothing": self.label_smoothing,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "OwnCaptioner":
        parts = config.pop("model"), config.pop("encoder")
        model, encoder = (part and keras.saving.deserialize_keras_object(part) for part in parts)
        return cls(model, encoder, **config)
