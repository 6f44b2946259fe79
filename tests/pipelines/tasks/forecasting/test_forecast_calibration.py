"""Intervals from held-out blocks: they cover on data like it, and few blocks do not mislead them."""

import numpy as np
import pytest
import tensorflow as tf

from unroll.models.series.intervals import Spread, error_scale
from unroll.pipelines.tasks.forecasting.intervals.calibration import Block, calibrate

LEVELS = [0.1, 0.5, 0.9]
HORIZON = 12


def block(windows: int, seed: int, size: float = 1.0, bias: float = 0.0, channels: int = 2) -> Block:
    """Errors that grow with the root of the step, and are thrice as large in the second channel."""
    growing = np.sqrt(np.arange(1, HORIZON + 1))[:, None] * (np.array([1.0, 3.0])[:channels])
    errors = np.random.default_rng(seed).normal(size=(windows, HORIZON, channels)) * size + bias
    return Block(errors * growing, np.arange(windows))


def network(errors: np.ndarray, spread: float = 0.2) -> np.ndarray:
    """Errors of quantiles that are all at one distance from the forecast, by default far too near."""
    return errors[..., None] - spread * np.array([-1.0, 0.0, 1.0])


def covered(spread: Spread, errors: np.ndarray) -> np.ndarray:
    """Share inside of 10 to 90 %, of errors without a network's part: `[horizon, channels]`."""
    return ((spread.errors[..., 0] <= errors) & (errors <= spread.errors[..., 2])).mean(axis=0)


def test_intervals_cover_their_share_of_new_windows_at_every_step_of_every_channel():
    held_out = block(20_000, seed=0)
    held_out.errors[::7, 3] = np.nan
    calibration = calibrate(held_out, network(held_out.errors), held_out, [], LEVELS)
    np.testing.assert_allclose(covered(calibration.spread, block(5000, seed=1).errors), 0.8, atol=0.03)
    assert (calibration.spread.errors[..., 1] == 0).all()
    assert calibration.spread.share == 0, "a network whose intervals are alike at all steps has no part"


def test_a_network_that_knows_when_errors_are_large_shapes_the_intervals():
    rng = np.random.default_rng(0)
    size = np.where(rng.random([3000, 1, 1]) < 0.5, 1.0, 5.0)
    errors = rng.normal(size=(3000, HORIZON, 1)) * size
    known = errors[..., None] - 0.5 * size[..., None] * np.array([-1.28, 0.0, 1.28])
    held_out = Block(errors, np.arange(3000))
    assert calibrate(held_out, known, held_out, [], LEVELS).spread.share > 0.5
    few = Block(errors[:HORIZON], np.arange(HORIZON))
    assert calibrate(few, known[:HORIZON], few, [], LEVELS).spread.share < 0.2, "one season does not tell"


def test_the_bias_of_one_season_does_not_turn_the_interval():
    season = block(HORIZON, seed=3, bias=1.5)  # nearly all values above the forecast
    spread = calibrate(season, network(season.errors), season, [], LEVELS).spread
    low, high = spread.errors[..., 0], spread.errors[..., 2]
    assert (low < -0.4 * high).all()
    assert covered(spread, block(500, seed=4, bias=-0.5).errors).mean() > 0.7


def test_a_calm_validation_split_is_widened_by_what_came_before():
    calm = block(2 * HORIZON, seed=0, size=0.4)
    before = [block(2 * HORIZON, seed=seed) for seed in (1, 2)]
    alone = calibrate(calm, network(calm.errors), calm, [], LEVELS)
    both = calibrate(calm, network(calm.errors), calm, before, LEVELS)
    assert alone.widened == 1
    assert 1.2 < both.widened < 2.5
    new = block(500, seed=5, size=0.8).errors
    assert abs(covered(both.spread, new).mean() - 0.8) < abs(covered(alone.spread, new).mean() - 0.8)
    assert f"{both.widened:.2f} times" in both.said
    assert "3 held-out blocks" in both.said


def test_a_wild_validation_split_counts_more_than_a_calm_past():
    wild = block(2 * HORIZON, seed=0, size=3.0)
    calibration = calibrate(wild, network(wild.errors), wild, [block(2 * HORIZON, seed=1, size=0.5)], LEVELS)
    assert 0.5 <= calibration.widened < 1
    assert covered(calibration.spread, block(500, seed=5, size=3.0).errors).mean() > 0.55


def test_a_block_unlike_all_others_does_not_decide():
    usual, strange = block(2 * HORIZON, seed=0), block(2 * HORIZON, seed=1, size=50.0)
    calibration = calibrate(usual, network(usual.errors), usual, [strange, block(2 * HORIZON, seed=2)], LEVELS)
    assert calibration.widened < 3


def test_a_channel_that_was_never_observed_has_the_intervals_of_the_others():
    held_out = block(50, seed=2)
    held_out.errors[..., 1] = np.nan
    spread = calibrate(held_out, network(held_out.errors), held_out, [], LEVELS).spread
    np.testing.assert_allclose(spread.errors[:, 1], spread.errors[:, 0], rtol=0.3)
    assert np.isfinite(spread.offsets).all()


def test_a_validation_split_without_values_has_the_intervals_of_what_came_before():
    nothing, before = block(20, seed=0), block(200, seed=1)
    nothing.errors[:] = np.nan
    calibration = calibrate(nothing, network(nothing.errors), nothing, [before], LEVELS)
    assert abs(covered(calibration.spread, block(500, seed=5).errors).mean() - 0.8) < 0.07


@pytest.mark.parametrize("levels", [[0.05, 0.25, 0.5, 0.75, 0.95], [0.5]])
def test_all_levels_are_calibrated(levels):
    held_out = block(5000, seed=0)
    quantiles = np.repeat(held_out.errors[..., None], len(levels), axis=-1)
    spread, new = calibrate(held_out, quantiles, held_out, [], levels).spread, block(3000, seed=1).errors
    below = (new[..., None] <= spread.errors).mean(axis=0)
    np.testing.assert_allclose(below, np.broadcast_to(levels, below.shape), atol=0.03)


def test_without_any_value_the_network_answers_alone():
    nothing = block(20, seed=0)
    nothing.errors[:] = np.nan
    spread = calibrate(nothing, network(nothing.errors), nothing, [], LEVELS).spread
    assert spread.share == 1
    assert not spread.offsets.any()


def test_errors_are_measured_by_the_window():
    calm = tf.constant(np.sin(np.arange(48)).reshape(1, 48, 1), tf.float32)
    scale = error_scale(calm, HORIZON)
    np.testing.assert_allclose(error_scale(7 * calm + 100, HORIZON), 7 * scale, rtol=1e-4)
    gap = tf.where(tf.range(48)[None, :, None] % 9 == 3, np.nan, calm)
    np.testing.assert_allclose(error_scale(gap, HORIZON), scale, rtol=0.1)
    assert (error_scale(tf.fill([1, 48, 1], np.nan), HORIZON) > 0).numpy().all()
    assert (error_scale(tf.fill([1, 1, 1], 5.0), HORIZON) > 0).numpy().all()


@pytest.mark.parametrize("unit", [1.0, 1e12, 1e-6])
def test_errors_are_larger_after_steps_became_larger_and_under_a_season_only_by_what_is_not_season(unit):
    noise = np.random.default_rng(0).normal(size=(1, 48, 1))
    wild = tf.constant(unit * np.where(np.arange(48)[:, None] < 36, 1.0, 3.0) * noise, tf.float32)
    assert 1.2 < float((error_scale(wild, HORIZON) / error_scale(wild[:, ::-1], HORIZON)).numpy().item()) < 3
    season = tf.constant(unit * (noise + 10 * np.sin(np.arange(48) * np.pi / 2)[:, None]), tf.float32)
    assert (error_scale(season, HORIZON, season=4) < 0.8 * error_scale(season, HORIZON)).numpy().all()
    for too_long in (1, 25, 400):
        np.testing.assert_array_equal(error_scale(season, HORIZON, too_long), error_scale(season, HORIZON))


@pytest.mark.parametrize("ending", ["still", "unknown"])
def test_newest_steps_that_stand_still_or_are_unknown_do_not_make_errors_vanish(ending):
    noise = np.random.default_rng(0).normal(size=(1, 48, 1)).astype(np.float32)
    usual = float(error_scale(tf.constant(noise), HORIZON)[0, 0, 0])
    noise[:, 36:] = 0.0 if ending == "still" else np.nan
    assert 0.3 < float(error_scale(tf.constant(noise), HORIZON)[0, 0, 0]) / usual < 1.3


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_quantiles_stand_around_the_forecast_and_follow_the_unit(share):
    history = tf.constant(np.sin(np.arange(48)).reshape(1, 48, 1), tf.float32)
    forecast = tf.ones([1, 2, 1])
    quantiles = forecast[..., None] + tf.constant([-0.5, 0.1, 0.5])
    errors = np.array([[[-1.0, 0.0, 2.0]], [[-2.0, 0.0, 3.0]]])
    spread = Spread(errors, np.array([[-0.1, 0.0, 0.1]]), 1.5, share)
    got = spread(forecast, quantiles, history)
    scale = float(error_scale(history, len(errors))[0, 0, 0])
    apart = 1.5 * (np.array([-0.5, 0.1, 0.5]) + np.array([-0.1, 0.0, 0.1]) * scale)
    np.testing.assert_allclose(got[0, :, 0], 1 + share * apart + (1 - share) * errors[:, 0] * scale, rtol=1e-5)
    np.testing.assert_allclose(spread(7 * forecast, 7 * quantiles, 7 * history), 7 * got, rtol=1e-4)
    crossing = Spread(errors[..., ::-1], np.zeros([1, 3]), share=0.0)(forecast, quantiles, history)
    assert (np.diff(crossing, axis=-1) >= 0).all()
    assert np.isnan(spread(forecast * np.nan, quantiles, history)).all()
