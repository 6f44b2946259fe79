"""The signatures of an exported forecaster."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from unroll.models.checks import checked, first_of
from unroll.models.series.adaptive import AdaptiveQuantiles
from unroll.models.series.baselines import RidgeMap, last_value, seasonal_naive
from unroll.models.series.calendar import UNKNOWN_TIME
from unroll.models.series.raw_forecaster import RawForecaster
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.task import Arrays, Servable
from unroll.pipelines.training.signature import signature

Tensors = dict[str, tf.Tensor]


def forecast_signatures(
    forecaster: RawForecaster,
    ridge: RidgeMap,
    simple: SimplePath,
    season: int,
    columns: int,
    description: Mapping[str, Any],
) -> Servable:
    """What a forecaster is served by.

    - `serving_default`: `history` float32 `[B, T, D]` to `forecast` `[B, H, C]` and `quantiles` `[B, H, C, Q]`.
      Optional: `timestamp` int64 `[B]` (Unix seconds of the newest step, for the calendar), `series` string `[B]` (a
      name, by which monitoring finds what came true; the forecast does not depend on it) and, for a model that has
      them, `future` float32 `[B, H, F]` and `static` string `[B, S]`.
    - `step`: the same from `values`, the new timesteps (usually one), and the `state` `[B, L, D]` and `state_length`
      int32 `[B]` that the last answer held; zeros at the start of a stream. Instance normalisation looks at the
      whole window, so the state is the window: a step costs the same however long the stream is, and answers as
      the whole history would. Who sends back `adaptive` `[B, A]` too, left out at the start of a stream, has intervals
      that adapt to what came of the forecasts before: `unroll.models.series.adaptive`.
    - `baselines`: `last_value`, `seasonal_naive`, `ridge` and `simple` `[B, H, C]`. `timestamp`, `future` and `static`
      are for the calendar, the covariates and the categories of `simple`; where the local clock changes, `timestamp`
      keeps all at their hour.
    - `describe`: a `json` string that says what the model takes.

    Args:
        forecaster: trained.
        ridge: fitted.
        simple: fitted.
        season: steps, of the seasonal naive forecast.
        columns: D, of a history.
        description: what `describe` says.
    """
    features, categories = forecaster.features, len(forecaster.tables)
    intervals = AdaptiveQuantiles(features.horizon, features.targets, description["quantiles"])
    unadapted = tf.fill([1, intervals.state_size], math.nan)
    history = tf.TensorSpec([None, None, columns], tf.float32, name="history")
    optional = {"timestamp": tf.constant([UNKNOWN_TIME], tf.int64), "series": tf.constant([""])}
    if features.future:
        optional["future"] = tf.fill([1, features.horizon, features.future], math.nan)
    if categories:
        optional["static"] = tf.fill([1, categories], "")
    missing = {"future": tf.zeros([1, features.horizon, 0]), "static": tf.fill([1, 0], "")} | optional

    def forecast(history: tf.Tensor, **given: tf.Tensor) -> Tensors:
        inputs = missing | given
        return forecaster(history, inputs["timestamp"], inputs["future"], inputs["static"])

    def step(
        values: tf.Tensor,
        state: tf.Tensor,
        state_length: tf.Tensor,
        adaptive: tf.Tensor = unadapted,
        **given: tf.Tensor,
    ) -> Tensors:
        lookback = features.lookback
        wrong = (state_length < 0) | (state_length > lookback)
        said = f"Input 'state_length': expected 0 to {lookback}, received "
        state_length = checked(
            state_length,
            ~tf.reduce_any(wrong),
            lambda: tf.strings.join([said, first_of(tf.strings.as_string(state_length), wrong), "."]),
        )
        held = tf.range(lookback) >= lookback - state_length[:, None]  # [B, L]
        known = tf.concat([tf.where(held[..., None], state, math.nan), values], axis=1)  # [B, L + T, D]
        newest = forecaster.newest(known)
        length = tf.minimum(state_length + tf.shape(values)[1], lookback)
        answer = forecast(newest, **given)
        begun = (state_length > 0)[:, None] & tf.math.is_finite(adaptive)
        targets = tf.where(tf.math.is_finite(values), values, math.nan)[:, :, : features.targets]
        came = intervals.observed(tf.where(begun, adaptive, math.nan), targets)
        quantiles, adaptive = intervals.answered(came, answer["forecast"], answer["quantiles"])
        answer |= {"quantiles": forecaster.at_least(quantiles), "adaptive": adaptive}
        return {**answer, "state": newest, "state_length": length}

    def baselines(history: tf.Tensor, **given: tf.Tensor) -> Tensors:
        targets = tf.where(tf.math.is_finite(history), history, math.nan)[:, :, : features.targets]

        def by_season(targets: tf.Tensor, shift: tf.Tensor | int = 0) -> Tensors:
            return {"seasonal_naive": seasonal_naive(targets, features.horizon, season), "ridge": ridge(targets)}

        if features.changes is None:
            seasonal = by_season(targets)
        else:
            timestamp = tf.broadcast_to(given.get("timestamp", optional["timestamp"]), [tf.shape(history)[0]])
            seasonal = features.changes.forecast(by_season, targets, timestamp, features.horizon)
        inputs = missing | given
        named = {"last_value": last_value(targets, features.horizon), **seasonal}
        if simple.effect is None and features.changes is None:
            return {**named, "simple": simple({"history": targets})}
        return {
            **named,
            "simple": forecaster.expert(simple, history, inputs["timestamp"], inputs["future"], inputs["static"]),
        }

    named = {"history": _names(description, "targets", "past_covariates", "future_covariates")}
    named |= {"values": named["history"], "state": named["history"]}
    named |= {"future": _names(description, "future_covariates"), "static": _names(description, "categories")}
    values = tf.TensorSpec([None, None, columns], tf.float32, name="values")
    state = tf.TensorSpec([None, features.lookback, columns], tf.float32, name="state")
    length = tf.TensorSpec([None], tf.int32, name="state_length")
    forecaster.ridge, forecaster.simple = ridge, simple
    clock = {"timestamp": optional["timestamp"]} if features.changes is not None else {}
    if simple.effect is not None:
        clock |= {name: optional[name] for name in ("timestamp", "future", "static") if name in optional}
    signatures = {
        "serving_default": signature(forecast, [history], optional, named),
        "step": signature(step, [values, state, length], {**optional, "adaptive": unadapted}, named),
        "baselines": signature(baselines, [history], clock, named),
        "describe": signature(lambda: {"json": tf.constant(json.dumps(description))}),
    }
    return Servable(forecaster, signatures, _warmup(forecaster, columns, optional, clock, unadapted))


def _names(description: Mapping[str, Any], *kinds: str) -> list[str]:
    return [name for kind in kinds for name in description[kind]]


def _warmup(
    forecaster: RawForecaster, columns: int, optional: Tensors, clock: Tensors, unadapted: tf.Tensor
) -> list[tuple[str, Arrays]]:
    lookback = forecaster.features.lookback
    history = np.sin(np.arange(lookback, dtype=np.float32))[None, :, None].repeat(columns, axis=2)
    rest = {name: value.numpy() for name, value in optional.items()}
    state = {"state": np.zeros([1, lookback, columns], np.float32), "state_length": np.zeros([1], np.int32)}
    state["adaptive"] = unadapted.numpy()
    return [
        ("serving_default", {"history": history, **rest}),
        ("step", {"values": history[:, :1], **state, **rest}),
        ("baselines", {"history": history, **{name: value.numpy() for name, value in clock.items()}}),
    ]
