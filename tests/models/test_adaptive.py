"""Intervals that adapt: against a loop over every forecast, and on streams whose variance changes."""

import numpy as np
import pytest
import tensorflow as tf

from unroll.models.series.adaptive import AdaptiveQuantiles

HORIZON, LEVELS = 6, [0.1, 0.5, 0.9]
STEPS = (1, 2, 4, 6)


def answer(adaptive: AdaptiveQuantiles, state: tf.Tensor, values: np.ndarray, width: np.ndarray) -> tuple:
    """A forecast of the newest value at every step, with quantiles as far away as `width` `[batch, channels]` says."""
    came = adaptive.observed(state, tf.constant(values, tf.float32))
    forecast = tf.repeat(tf.constant(values[:, -1:], tf.float32), HORIZON, axis=1)
    quantiles = forecast[..., None] + width[:, None, :, None] * tf.constant([-1.0, 0.0, 1.0])
    return forecast, *adaptive.answered(came, forecast, quantiles)


def by_loop(series: np.ndarray, rate: float) -> np.ndarray:
    """Quantiles `[time, horizon, 3]` of one channel by the formula, with every forecast kept."""
    widths = {(step, side): 0.0 for step in STEPS for side in (-1, 1)}
    answers: list[np.ndarray] = []
    for now, value in enumerate(series):
        for step, side in widths:
            if now >= step and np.isfinite(value):
                limit = answers[now - step][step - 1, 1 + side]
                beyond = value < limit if side < 0 else value > limit
                widths[step, side] += rate / np.sqrt(step) * (beyond - 0.1)
        logs = np.log(np.arange(1, HORIZON + 1))
        factor = {side: np.exp(np.interp(logs, np.log(STEPS), [widths[s, side] for s in STEPS])) for side in (-1, 1)}
        middle = np.full(HORIZON, value)
        answers.append(np.stack([middle - factor[-1], middle, middle + factor[1]], axis=1))
    return np.array(answers)


def test_each_quantile_follows_the_formula_of_what_came_of_it():
    series = np.random.default_rng(0).normal(size=40).cumsum()
    adaptive = AdaptiveQuantiles(HORIZON, 1, LEVELS, rate=0.1)
    state, expected = tf.fill([1, adaptive.state_size], np.nan), by_loop(series, 0.1)
    for now, value in enumerate(series):
        _, quantiles, state = answer(adaptive, state, np.array([[[value]]]), np.ones([1, 1]))
        np.testing.assert_allclose(quantiles[0, :, 0], expected[now], rtol=1e-4, atol=1e-4)


def test_streams_and_channels_of_a_batch_do_not_mix():
    rng = np.random.default_rng(1)
    series = rng.normal(size=(2, 30, 2)).cumsum(axis=1)
    adaptive, alone = AdaptiveQuantiles(HORIZON, 2, LEVELS, rate=0.1), AdaptiveQuantiles(HORIZON, 1, LEVELS, rate=0.1)
    together = tf.fill([2, adaptive.state_size], np.nan)
    states = [tf.fill([1, alone.state_size], np.nan)] * 4
    for now in range(30):
        _, both, together = answer(adaptive, together, series[:, now : now + 1], np.ones([2, 2]))
        for place in range(4):
            row, channel = divmod(place, 2)
            one = series[row : row + 1, now : now + 1, channel : channel + 1]
            _, quantiles, states[place] = answer(alone, states[place], one, np.ones([1, 1]))
            np.testing.assert_allclose(both[row, :, channel], quantiles[0, :, 0], rtol=1e-5)


def test_several_values_at_once_count_as_one_after_another_without_forecasts_between():
    adaptive = AdaptiveQuantiles(HORIZON, 1, LEVELS, rate=0.1)
    _, _, state = answer(adaptive, tf.fill([1, adaptive.state_size], np.nan), np.zeros([1, 1, 1]), np.ones([1, 1]))
    together = adaptive.observed(state, tf.constant([[[5.0], [0.0], [np.nan], [-5.0]]]))
    one = state
    for value in (5.0, 0.0, np.nan, -5.0):
        one = adaptive.observed(one, tf.constant([[[value]]]))
    np.testing.assert_array_equal(together, one)
    widths = together.numpy().reshape(HORIZON + 1, len(STEPS), 2)[0]
    inside, beyond = -0.01, 0.09  # times the rate's share of the step
    np.testing.assert_allclose(widths[0], [inside, beyond], atol=1e-6)  # 5 was above, a step ahead
    np.testing.assert_allclose(widths[1], np.array([inside, inside]) / np.sqrt(2), atol=1e-6)  # 0 was inside
    np.testing.assert_allclose(widths[2], np.array([beyond, inside]) / 2, atol=1e-6)  # -5 was below, four ahead


@pytest.mark.parametrize("factor", [3.0, 1 / 3])
def test_coverage_comes_back_after_the_variance_changes(factor):
    rng, streams, change = np.random.default_rng(2), 40, 100
    adaptive = AdaptiveQuantiles(HORIZON, 1, LEVELS)
    state = tf.fill([streams, adaptive.state_size], np.nan)
    step = tf.function(lambda state, values: answer_of_zero(adaptive, state, values))
    covered = {"with": [], "without": []}
    limits = None
    for now in range(350):
        values = rng.normal(size=(streams, 1, 1)) * (factor if now >= change else 1)
        if limits is not None:
            covered["with"].append(((limits[..., 0] <= values) & (values <= limits[..., 2])).mean())
            covered["without"].append((np.abs(values) <= 1.2816).mean())
        quantiles, state = step(state, tf.constant(values, tf.float32))
        limits = quantiles.numpy()[:, :1]
    late = {name: np.mean(shares[-150:]) for name, shares in covered.items()}
    assert abs(np.mean(covered["with"][:change]) - 0.8) < 0.03
    assert abs(late["with"] - 0.8) < 0.04
    assert abs(late["without"] - 0.8) > 0.15


def answer_of_zero(adaptive: AdaptiveQuantiles, state: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Noise is forecast as 0, with the quantiles of a deviation of 1."""
    forecast = tf.zeros([tf.shape(values)[0], HORIZON, 1])
    quantiles = forecast[..., None] + tf.constant([-1.2816, 0.0, 1.2816])
    return adaptive.answered(adaptive.observed(state, values), forecast, quantiles)


def test_the_median_alone_does_not_adapt():
    adaptive = AdaptiveQuantiles(HORIZON, 1, [0.5])
    assert adaptive.state_size == 0
    state, forecast = tf.zeros([2, 0]), tf.ones([2, HORIZON, 1])
    quantiles, after = adaptive.answered(adaptive.observed(state, tf.ones([2, 1, 1])), forecast, forecast[..., None])
    np.testing.assert_array_equal(quantiles, forecast[..., None])
    assert after.shape == (2, 0)
