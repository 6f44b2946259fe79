"""Baselines against loops over every step."""

import numpy as np
import pytest
import tensorflow as tf

from unroll.models.series.baselines import RidgeMap, interpolate, last_value, seasonal_naive

BATCH, CHANNELS = 5, 3


def series(time, missing, seed=0):
    rng = np.random.default_rng(seed)
    history = rng.normal(size=(BATCH, time, CHANNELS)).astype(np.float32)
    history[rng.random(history.shape) < missing] = np.nan
    history[0, :, 1] = np.nan  # a channel without any observed value
    return history


def last_by_loop(values):
    known = [value for value in values if not np.isnan(value)]
    return known[-1] if known else np.nan


def seasonal_by_loop(values, horizon, season):
    forecast = []
    for step in range(horizon):
        at = len(values) + step - season
        while at >= len(values):
            at -= season
        while at >= 0 and np.isnan(values[at]):
            at -= season
        forecast.append(values[at] if at >= 0 else last_by_loop(values))
    return forecast


def by_channel(function, history):
    return np.array([[function(row[:, channel]) for channel in range(CHANNELS)] for row in history])


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("time", [1, 7, 40])
def test_last_value(time, missing):
    history = series(time, missing)
    expected = by_channel(last_by_loop, history)[:, None].repeat(4, axis=1)
    np.testing.assert_array_equal(last_value(history, 4), expected)


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.9])
@pytest.mark.parametrize(("time", "horizon", "season"), [(40, 5, 7), (40, 18, 7), (6, 9, 7), (1, 3, 7), (21, 4, 1)])
def test_seasonal_naive(time, horizon, season, missing):
    history = series(time, missing)
    expected = by_channel(lambda values: seasonal_by_loop(values, horizon, season), history).transpose(0, 2, 1)
    np.testing.assert_array_equal(seasonal_naive(history, horizon, season), expected)


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("time", [1, 40])
def test_interpolation_is_that_of_numpy(time, missing):
    def by_numpy(values):
        known = ~np.isnan(values)
        steps = np.arange(len(values))
        return np.interp(steps, steps[known], values[known]) if known.any() else values

    history = series(time, missing)
    expected = by_channel(by_numpy, history).transpose(0, 2, 1)
    np.testing.assert_allclose(interpolate(tf.constant(history)), expected, rtol=1e-5, atol=1e-6)


def affine_kernel(lookback, horizon):
    kernel = np.random.default_rng(1).normal(size=(lookback, horizon)) / lookback
    return kernel + (1 - kernel.sum(axis=0)) / lookback


def test_ridge_map_is_the_matrix_product():
    history = np.random.default_rng(0).normal(size=(BATCH, 12, CHANNELS)).astype(np.float32)
    kernel = affine_kernel(12, 4)
    expected = np.einsum("blc,lh->bhc", history, kernel)
    np.testing.assert_allclose(RidgeMap(kernel)(tf.constant(history)), expected, rtol=1e-4, atol=1e-5)


def test_ridge_map_follows_level_and_scale():
    history = np.random.default_rng(0).normal(size=(BATCH, 12, CHANNELS)).astype(np.float32)
    ridge = RidgeMap(affine_kernel(12, 4))
    moved = ridge(tf.constant(history * 1000 + 1e6)).numpy()
    np.testing.assert_allclose((moved - 1e6) / 1000, ridge(tf.constant(history)), atol=1e-3)


def test_ridge_map_reads_the_newest_steps_and_pads_a_short_history():
    history = series(30, 0.2)
    ridge = RidgeMap(affine_kernel(12, 4))
    np.testing.assert_array_equal(ridge(tf.constant(history)), ridge(tf.constant(history[:, -12:])))
    padded = np.concatenate([np.full([BATCH, 7, CHANNELS], np.nan, np.float32), history[:, -5:]], axis=1)
    np.testing.assert_array_equal(ridge(tf.constant(history[:, -5:])), ridge(tf.constant(padded)))


def test_one_graph_takes_any_length():
    @tf.function(input_signature=[tf.TensorSpec([None, None, CHANNELS])])
    def baselines(history):
        return last_value(history, 4), seasonal_naive(history, 4, 7), ridge(history)

    ridge = RidgeMap(affine_kernel(12, 4))
    for time in (1, 5, 12, 30):
        history = tf.constant(series(time, 0.2))
        eager = last_value(history, 4), seasonal_naive(history, 4, 7), ridge(history)
        for traced, expected in zip(baselines(history), eager, strict=True):
            np.testing.assert_allclose(traced, expected, rtol=1e-5, atol=1e-6)
