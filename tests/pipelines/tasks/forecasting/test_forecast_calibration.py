"""Conformal offsets: they make held-out coverage right on data like it."""

import numpy as np
import pytest

from unroll.pipelines.tasks.forecasting.intervals.calibration import quantile_offsets

LEVELS = [0.1, 0.5, 0.9]


def overconfident(windows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal actuals, of a scale that differs by window, with far too narrow quantiles."""
    random = np.random.default_rng(seed)
    scale = random.uniform(1, 50, (windows, 2))
    actual = random.normal(size=(windows, 12, 2)) * scale[:, None]
    quantiles = np.array([-0.2, 0.0, 0.2]) * scale[:, None, :, None] * np.ones([1, 12, 1, 1])
    return quantiles, actual, scale


def test_calibrated_intervals_cover_their_share_of_new_windows():
    quantiles, actual, scale = overconfident(20_000, seed=0)
    actual[::7, 3] = np.nan
    offsets = quantile_offsets(quantiles, actual, scale, LEVELS)
    new, truth, new_scale = overconfident(500, seed=1)
    low, _, high = np.moveaxis(new + offsets * new_scale[:, None, :, None], -1, 0)
    below = ((truth < low).mean(axis=(0, 1)), (truth > high).mean(axis=(0, 1)))
    np.testing.assert_allclose(below, 0.1, atol=0.015)
    assert (truth < new[..., 0]).mean() > 0.3
    assert (offsets[:, 1] == 0).all()


def test_few_windows_hardly_move_the_quantiles():
    actual = np.full([48, 48, 1], 6.0)  # one horizon's worth of windows
    offsets = quantile_offsets(np.zeros([48, 48, 1, 3]), actual, np.ones([48, 1]), LEVELS)
    assert offsets[0] == pytest.approx([6 / 31, 0, 6 / 31])


def test_a_channel_that_was_never_observed_is_left_alone():
    quantiles, actual, scale = overconfident(50, seed=2)
    actual[..., 1] = np.nan
    offsets = quantile_offsets(quantiles, actual, scale, LEVELS)
    assert (offsets[1] == 0).all()
    assert offsets[0, 2] > 0
