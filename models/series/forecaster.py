"""Many to many: the past of a series to quantiles of its future."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from unroll.models.layers.configuration import Configured
from unroll.models.layers.encoder import encoder
from unroll.models.layers.instance_norm import window_statistics
from unroll.models.quantiles import around_median
from unroll.models.series.quantile_model import QuantileModel


@dataclass(frozen=True)
class ForecasterConfig:
    """What a `Forecaster` is made of.

    Args:
        horizon: timesteps that are forecast.
        lookback: timesteps that are read.
        channels: target channels.
        quantiles: levels, sorted, 0.5 among them.
        cell: see `unroll.models.layers.encoder.encoder`.
        units: features of every layer.
        layers: encoder layers.
        members: models whose forecasts are averaged.
        segment: timesteps that the encoder reads, and the decoder writes, in one step.
        linear: adds a direct linear map from the lookback to the horizon; `set_linear` gives it.
        dropout: share of features dropped on the inputs of every layer and on the decoder's output.
        kernel_size: taps of a TCN's convolutions.
        covariates: features known besides the targets, calendar features included.
        categories: vocabulary size of each static category.

    Raises:
        ValueError: an argument out of its range.
    """

    horizon: int
    lookback: int
    channels: int = 1
    quantiles: Sequence[float] = (0.1, 0.5, 0.9)
    cell: str = "gru"
    units: int = 64
    layers: int = 1
    members: int = 1
    segment: int = 24
    linear: bool = True
    dropout: float = 0.0
    kernel_size: int = 3
    covariates: int = 0
    categories: Sequence[int] = ()

    def __post_init__(self):
        levels = tuple(float(level) for level in self.quantiles)
        if levels != tuple(sorted(set(levels))) or 0.5 not in levels or levels[0] <= 0 or levels[-1] >= 1:
            raise ValueError(f"quantiles must rise between 0 and 1, 0.5 among them. Received: quantiles={list(levels)}")
        for name in ("horizon", "lookback", "channels", "members", "segment"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {name}={getattr(self, name)}")
        object.__setattr__(self, "quantiles", levels)
        object.__setattr__(self, "categories", tuple(self.categories))


@keras.saving.register_keras_serializable("unroll")
class ForecastPath(Configured, keras.layers.Layer):
    """One member of a `Forecaster`: encoder and decoder over segments, beside a linear map.

    As in SegRNN (Lin et al. 2023, arXiv:2308.11200) a step of the encoder reads, and one of the decoder
    writes, a segment of consecutive timesteps. The decoder reads the encoder's last output, the
    segment's position and the covariates that are known of it, so no forecast is fed back.

    Args:
        config: see `ForecasterConfig`.

    Call arguments:
        values: float32 `[windows, lookback]`, normalised, 0 where missing.
        observed: float32 `[windows, lookback]`, 1 or 0.
        past: float32 `[batch, lookback, features]`; windows = batch * channels.
        future: float32 `[batch, horizon, features]`.
        static: int32 `[batch, categories]`.
        base: float32 `[windows, horizon]`, what the forecast is added to.

    Returns:
        The point forecast, float32 `[windows, horizon]`, and quantiles `[windows, horizon, levels]`.
    """

    Config = ForecasterConfig

    def __init__(self, config: ForecasterConfig, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.config = config
        units, covariates = config.units, config.covariates
        self.steps = -(-config.horizon // config.segment)
        self.values_in = keras.layers.Dense(units, name="values_in")
        self.past_in = keras.layers.Dense(units, use_bias=False, name="past_in") if covariates else None
        self.future_in = keras.layers.Dense(units, use_bias=False, name="future_in") if covariates else None
        self.identities = [
            keras.layers.Embedding(size, units, embeddings_initializer="zeros", name=f"identity_{i}")
            for i, size in enumerate([config.channels, *config.categories])
        ]
        self.encoder = encoder(
            config.cell,
            units,
            config.layers,
            dropout=config.dropout,
            kernel_size=config.kernel_size,
            window=-(-config.lookback // config.segment),
        )
        self.position = keras.layers.Embedding(self.steps, units, name="position")
        self.decoder = encoder(
            config.cell,
            units,
            dropout=config.dropout,
            kernel_size=config.kernel_size,
            window=self.steps,
            name="decoder",
        )
        self.dropout = keras.layers.Dropout(config.dropout, name="dropout")
        # at the start the forecast is the base alone
        self.head = keras.layers.Dense(
            config.segment * (len(config.quantiles) + 1), kernel_initializer="zeros", name="head", dtype="float32"
        )

    def build(self, values_shape=None):
        config = self.config
        for identity in self.identities:
            identity.build()
        self.values_in.build([None, None, 2 * config.segment])
        if self.past_in is not None:
            self.past_in.build([None, None, 2 * config.covariates * config.segment])
        self.encoder.build([None, None, config.units])
        self.position.build()
        if self.future_in is not None:
            self.future_in.build([None, None, 2 * config.covariates * config.segment])
        self.decoder.build([None, None, 2 * config.units])
        self.head.build([None, None, config.units])

    def call(self, values, observed, past, future, static, base, training=False):
        identity = self._identity(static)  # [N, 1, U]
        read = tf.stack([values, observed], axis=-1)
        hidden = self.values_in(self._segments(read, pad_left=True))  # [N, n, U]
        if self.past_in is not None:
            hidden += self._per_channel(self.past_in(self._segments(past, pad_left=True)))
        hidden = tf.nn.relu(hidden + tf.cast(identity, hidden.dtype))
        hidden = self._run(self.encoder, hidden, training)
        context = self.dropout(hidden[:, -1:], training=training)  # [N, 1, U]

        write = self.position(tf.range(self.steps))[None] + tf.cast(identity, context.dtype)  # [N, m, U]
        if self.future_in is not None:
            write += self._per_channel(self.future_in(self._segments(future, pad_left=False)))
        write = tf.concat([tf.repeat(context, self.steps, axis=1), tf.cast(write, context.dtype)], axis=-1)
        hidden = self.dropout(self._run(self.decoder, write, training), training=training)  # [N, m, U]
        width = len(self.config.quantiles) + 1
        out = tf.reshape(self.head(hidden), [-1, self.steps * self.config.segment, width])
        out = out[:, : self.config.horizon]  # [N, H, Q + 1]

        forecast = base + out[..., 0]
        return forecast, around_median(forecast + out[..., 1], tf.nn.softplus(out[..., 2:]), self.config.quantiles)

    def _segments(self, sequence: tf.Tensor, pad_left: bool) -> tf.Tensor:
        """float `[rows, time, F]` to `[rows, time / segment, segment * F]`, filled up with zeros."""
        time, features = sequence.shape[1:]
        padding = -time % self.config.segment
        sequence = tf.pad(sequence, [[0, 0], [padding, 0] if pad_left else [0, padding], [0, 0]])
        return tf.reshape(sequence, [-1, (time + padding) // self.config.segment, self.config.segment * features])

    def _per_channel(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.repeat(rows, self.config.channels, axis=0)

    def _identity(self, static: tf.Tensor) -> tf.Tensor:
        rows = tf.shape(static)[0]
        channel = tf.tile(self.identities[0](tf.range(self.config.channels)), [rows, 1])  # [N, U]
        for i, embedding in enumerate(self.identities[1:]):
            channel += self._per_channel(embedding(static[:, i]))
        return channel[:, None]

    def _run(self, layer: keras.layers.Layer, sequence: tf.Tensor, training: bool) -> tf.Tensor:
        lengths = tf.fill([tf.shape(sequence)[0]], sequence.shape[1])
        return layer(sequence, lengths, training=training)


@keras.saving.register_keras_serializable("unroll")
class Forecaster(Configured, QuantileModel):
    """Forecasts every target channel of a window by itself, with weights that all channels share.

    A window is normalised by its own observed steps and the forecast is put back (`instance_norm`), so
    that for a > 0 the forecast of a * history + b is a * forecast + b. Missing steps are told to the
    model, never filled in as values. Members are alike but for their start (a deep ensemble,
    Lakshminarayanan et al. 2017) and each has a loss of its own; metrics are those of their average.

    Args:
        config: see `ForecasterConfig`.

    Call arguments:
        inputs: a dictionary of
            `history`: float32 `[batch, lookback, channels]`, NaN where missing.
            `covariates`: float32 `[batch, lookback + horizon, covariates]`, NaN where unknown; left out
                if there are none.
            `static`: int32 `[batch, categories]`; left out if there are none.
            `base`: float32 `[batch, horizon, channels]`, a forecast in the units of the history that the members add
                to; where it is left out it is that of the linear path, or the window's mean.

    Returns:
        `{"forecast": [batch, members, horizon, channels], "quantiles": [batch, members, horizon,
        channels, levels]}`, float32, in the units of the history. NaN for a channel of which the window
        holds no observed step. The targets that `fit` takes are float32 `[batch, horizon, channels]`,
        NaN where missing.

    Example:
        >>> model = Forecaster(ForecasterConfig(horizon=24, lookback=96, channels=2))
        >>> model({"history": tf.random.normal([4, 96, 2])})["quantiles"].shape
        TensorShape([4, 1, 24, 2, 3])
    """

    Config = ForecasterConfig

    def __init__(self, config: ForecasterConfig, **kwargs):
        super().__init__(config.quantiles, **{"dtype": "float32", **kwargs})
        self.config = config
        self.paths = [ForecastPath(config, name=f"member_{member}") for member in range(config.members)]
        self.linear = None
        if config.linear:
            self.linear = keras.layers.Dense(config.horizon, use_bias=False, name="linear", dtype="float32")
            self.linear.build([None, config.lookback])
            self.linear.trainable = False
            self.set_linear(np.full([config.lookback, config.horizon], 1 / config.lookback))
        for path in self.paths:
            path.build()

    def build(self, inputs_shape=None):
        """Nothing is left to do: the configuration knows all shapes."""

    def set_linear(self, kernel: ArrayLike) -> None:
        """Gives the linear path its map, which training leaves as it is.

        A closed-form fit is a better map than gradient descent finds, and members that begin from it learn what it
        cannot tell.

        Args:
            kernel: float `[lookback, horizon]`, columns summing to one, such as a ridge regression fits.
        """
        if self.linear is None:
            raise ValueError("the model has no linear path. Received: linear=False")
        self.linear.set_weights([kernel])

    def call(self, inputs, training=False):
        history = tf.convert_to_tensor(inputs["history"])
        rows = tf.shape(history)[0]
        history = tf.reshape(tf.transpose(history, [0, 2, 1]), [-1, self.config.lookback])  # [B * C, L]
        mean, scale = window_statistics(history)  # [N, 1]
        missing = tf.math.is_nan(history)
        observed = tf.cast(~missing, tf.float32)
        values = tf.where(missing, 0.0, (history - mean) / scale)
        base = self._base(inputs.get("base"), values, mean, scale)  # [N, H]
        past, future = self._covariates(inputs.get("covariates"), rows)
        static = inputs.get("static", tf.zeros([rows, 0], tf.int32))

        forecasts, quantiles = zip(
            *(path(values, observed, past, future, static, base, training=training) for path in self.paths), strict=True
        )
        empty = tf.reduce_all(missing, axis=1)[:, None, None]
        forecast = tf.stack(forecasts, axis=1) * scale[:, None] + mean[:, None]  # [N, M, H]
        forecast = tf.where(empty, float("nan"), forecast)
        quantile = tf.stack(quantiles, axis=1) * scale[:, None, None] + mean[:, None, None]  # [N, M, H, Q]
        quantile = tf.where(empty[..., None], float("nan"), quantile)
        return {"forecast": self._by_channel(forecast), "quantiles": self._by_channel(quantile)}

    def _base(self, given: tf.Tensor | None, values: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        if given is not None:
            rows = tf.reshape(tf.transpose(given, [0, 2, 1]), [-1, self.config.horizon])
            return tf.where(tf.math.is_finite(rows), (rows - mean) / scale, 0.0)
        return self.linear(values) if self.linear is not None else tf.zeros([1, self.config.horizon])

    def _covariates(self, covariates: tf.Tensor | None, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Values, 0 where unknown, and whether they are known, over lookback and horizon."""
        if covariates is None:
            covariates = tf.fill(
                [rows, self.config.lookback + self.config.horizon, self.config.covariates], float("nan")
            )
        unknown = tf.math.is_nan(covariates)
        features = tf.concat([tf.where(unknown, 0.0, covariates), tf.cast(~unknown, tf.float32)], axis=-1)
        features = tf.ensure_shape(
            features, [None, self.config.lookback + self.config.horizon, 2 * self.config.covariates]
        )
        return features[:, : self.config.lookback], features[:, self.config.lookback :]

    def _by_channel(self, windows: tf.Tensor) -> tf.Tensor:
        """`[batch * channels, members, horizon, ...]` to `[batch, members, horizon, channels, ...]`."""
        rest = list(windows.shape[3:])
        split = tf.reshape(windows, [-1, self.config.channels, len(self.paths), self.config.horizon, *rest])
        return tf.transpose(split, [0, 2, 3, 1, *range(4, 4 + len(rest))])
