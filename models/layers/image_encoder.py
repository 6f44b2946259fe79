"""Pictures to a grid of features."""

import inspect
import sys

import keras
import numpy as np
import tensorflow as tf

MAX_FILTERS = 256


@keras.saving.register_keras_serializable("unroll")
class ResidualCNN(keras.layers.Layer):
    """A small residual network (He et al. 2016) for training from scratch.

    A convolution of stride 2, then stages of basic blocks, each stage but the first halving the sides and doubling the
    filters (to 256 at most), until the grid's sides are about 8.

    Args:
        size: pixels of a side.
        filters: of the first stage.
        blocks: of every stage.

    Call arguments:
        pictures: float `[batch, size, size, 3]`, 0 to 255.

    Returns:
        float `[batch, side, side, features]`.

    Example:
        >>> ResidualCNN(size=64, filters=16)(tf.zeros([2, 64, 64, 3])).shape
        TensorShape([2, 8, 8, 64])
    """

    def __init__(self, size: int, filters: int = 32, blocks: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.filters = filters
        self.blocks = blocks
        stages = _stages(size)
        self.stem = [keras.layers.Conv2D(filters, 3, 2, "same", use_bias=False, name="stem"), _norm("stem_norm")]
        self.stages = [
            ResidualBlock(
                min(filters * 2**stage, MAX_FILTERS), 2 if stage and not block else 1, name=f"{stage}_{block}"
            )
            for stage in range(stages)
            for block in range(blocks)
        ]

    def build(self, shape):
        self.stem[0].build(shape)
        shape = (*self.stem[0].compute_output_shape(shape)[:3], self.filters)
        self.stem[1].build(shape)
        for block in self.stages:
            block.build(shape)
            shape = block.compute_output_shape(shape)

    def compute_output_shape(self, shape):
        shape = self.stem[0].compute_output_shape(shape)
        for block in self.stages:
            shape = block.compute_output_shape(shape)
        return shape

    def call(self, pictures, training=False):
        convolution, norm = self.stem
        hidden = tf.nn.relu(norm(convolution(pictures / 127.5 - 1), training=training))
        for block in self.stages:
            hidden = block(hidden, training=training)
        return hidden

    def get_config(self):
        return {**super().get_config(), "size": self.size, "filters": self.filters, "blocks": self.blocks}


@keras.saving.register_keras_serializable("unroll")
class ResidualBlock(keras.layers.Layer):
    """Two 3 x 3 convolutions with batch normalisation, and a path around them (He et al. 2016, figure 5, left).

    Args:
        filters: output features.
        stride: of the first convolution and of the path around.

    Call arguments:
        hidden: float `[batch, height, width, features]`.

    Returns:
        float `[batch, height / stride, width / stride, filters]`.
    """

    def __init__(self, filters: int, stride: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.stride = stride
        self.convolutions = [
            keras.layers.Conv2D(filters, 3, strides, "same", use_bias=False, kernel_initializer="he_normal", name=name)
            for strides, name in ((stride, "conv_1"), (1, "conv_2"))
        ]
        self.norms = [_norm("norm_1"), _norm("norm_2")]
        self.shortcut: keras.layers.Layer | None = None

    def build(self, shape):
        if shape[-1] != self.filters or self.stride != 1:
            self.shortcut = keras.layers.Conv2D(self.filters, 1, self.stride, "same", use_bias=False, name="shortcut")
            self.shortcut_norm = _norm("shortcut_norm")
            self.shortcut.build(shape)
            self.shortcut_norm.build(self.compute_output_shape(shape))
        self.convolutions[0].build(shape)
        for norm in self.norms:
            norm.build(self.compute_output_shape(shape))
        self.convolutions[1].build(self.compute_output_shape(shape))

    def call(self, hidden, training=False):
        around = hidden
        if self.shortcut is not None:
            around = self.shortcut_norm(self.shortcut(hidden), training=training)
        hidden = tf.nn.relu(self.norms[0](self.convolutions[0](hidden), training=training))
        return tf.nn.relu(self.norms[1](self.convolutions[1](hidden), training=training) + around)

    def compute_output_shape(self, shape):
        return (shape[0], *(side and -(-side // self.stride) for side in shape[1:3]), self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "stride": self.stride}


@keras.saving.register_keras_serializable("unroll")
class Backbone(keras.layers.Layer):
    """A network of `keras.applications`, with the scaling of pixels that its weights expect.

    Args:
        network: such as `ResNet50`, `MobileNetV3Small` or `EfficientNetB0`; see `backbones`.
        size: pixels of a side.
        weights: `imagenet`, which Keras downloads, a file of weights, or None for a random start.

    Call arguments:
        pictures: float `[batch, size, size, 3]`, 0 to 255.

    Returns:
        float `[batch, side, side, features]`.

    Raises:
        ValueError: no such network, or weights that are not its own.
    """

    def __init__(self, network: str, size: int, weights: str | None = "imagenet", **kwargs):
        super().__init__(**kwargs)
        if network not in backbones():
            raise ValueError(f"network must be one of {', '.join(backbones())}. Received: network={network!r}")
        make = getattr(keras.applications, network)
        self.network = make(include_top=False, weights=weights, input_shape=(size, size, 3))
        self.scale = sys.modules[make.__module__].preprocess_input
        self._config = {"network": network, "size": size, "weights": None}  # a copy's come with its checkpoint

    def build(self, shape):
        self.built = True

    def compute_output_shape(self, shape):
        return self.network.compute_output_shape(shape)

    def call(self, pictures, training=False):
        return self.network(self.scale(pictures), training=training)

    def get_config(self):
        return {**super().get_config(), **self._config}


def backbones() -> list[str]:
    """Names of the networks in `keras.applications`."""
    return sorted(name for name, make in vars(keras.applications).items() if inspect.isfunction(make))


def image_encoder(
    backbone: str | None, size: int, weights: str | None, filters: int, blocks: int
) -> keras.layers.Layer:
    """The encoder that a configuration names.

    Args:
        backbone: a name of `keras.applications`; None for a `ResidualCNN`.
        size: pixels of a side.
        weights: of the backbone.
        filters: of the residual network's first stage.
        blocks: of each of its stages.
    """
    if backbone is None:
        return ResidualCNN(size, filters, blocks, name="encoder")
    return Backbone(backbone, size, weights, name="encoder")


def multiply_adds(size: int, filters: int, blocks: int) -> int:
    """Multiplications of a `ResidualCNN`'s convolutions for one picture.

    Example:
        >>> multiply_adds(64, 32, 1)
        49119232
    """
    side, features = -(-size // 2), filters
    total = side**2 * 27 * filters
    for stage in range(_stages(size)):
        wider = min(filters * 2**stage, MAX_FILTERS)
        if stage:
            side = -(-side // 2)
            total += side**2 * features * wider  # the path around
        total += side**2 * 9 * wider * (features + (2 * blocks - 1) * wider)
        features = wider
    return total


def _stages(size: int) -> int:
    return max(1, round(np.log2(size / 8)))


def _norm(name: str) -> keras.layers.BatchNormalization:
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=name)
