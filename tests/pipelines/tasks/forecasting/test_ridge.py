"""The streamed ridge fit against scikit-learn's on all windows at once."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import Ridge

from unroll.models.series.baselines import RidgeMap
from unroll.pipelines.tasks.forecasting.simple.moments import Moments
from unroll.pipelines.tasks.forecasting.simple.ridge import RidgeFit, fit_ridge

LOOKBACK, HORIZON, CHANNELS = 24, 6, 2
MEAN, STD = np.array([10.0, -3.0]), np.array([2.0, 0.5])


def values(steps, seed=0):
    rng = np.random.default_rng(seed)
    time = np.arange(steps)[:, None]
    waves = np.sin(2 * np.pi * time / np.array([12, 8])) + 0.3 * rng.normal(size=(steps, CHANNELS))
    return MEAN + STD * waves


def batches(series, size=32):
    span = LOOKBACK + HORIZON
    windows = np.stack([series[start : start + span] for start in range(len(series) - span + 1)])
    for start in range(0, len(windows), size):
        batch = windows[start : start + size]
        covariate = np.zeros([len(batch), LOOKBACK, 1])
        yield {
            "history": np.concatenate([batch[:, :LOOKBACK], covariate], axis=2).astype(np.float32),
            "target": batch[:, LOOKBACK:].astype(np.float32),
            "mean": np.tile(MEAN, (len(batch), 1)),
            "std": np.tile(STD, (len(batch), 1)),
        }


def instances(series, centre):
    parts = list(batches(series))
    past = np.concatenate([(b["history"][..., :CHANNELS] - MEAN) / STD for b in parts]).transpose(0, 2, 1)
    ahead = np.concatenate([(b["target"] - MEAN) / STD for b in parts]).transpose(0, 2, 1)
    past, ahead = past.reshape(-1, LOOKBACK), ahead.reshape(-1, HORIZON)
    level = past[:, -1:] if centre == "last" else past.mean(axis=1, keepdims=True)
    return past - level, ahead - level


def fitted(train, validation) -> RidgeFit:
    return fit_ridge(*(Moments.of(batches(series), LOOKBACK, HORIZON) for series in (train, validation)))


def test_the_fit_is_scikit_learns():
    train, validation = values(400), values(200, seed=1)
    fit = fitted(train, validation)
    past, ahead = instances(train, fit.centre)
    reference = Ridge(alpha=fit.penalty * len(past), fit_intercept=False).fit(past, ahead)
    past, ahead = instances(validation, fit.centre)
    assert fit.validation_mse == pytest.approx(np.mean((reference.predict(past) - ahead) ** 2), rel=1e-4)
    weights = np.eye(LOOKBACK)[-1] if fit.centre == "last" else np.full(LOOKBACK, 1 / LOOKBACK)
    kernel = reference.coef_.T + np.outer(weights, 1 - reference.coef_.sum(axis=1))
    np.testing.assert_allclose(fit.kernel, kernel, atol=1e-6)


def test_no_penalty_of_the_grid_does_better_on_validation():
    train, validation = values(120), values(200, seed=1)
    fit = fitted(train, validation)
    for centre in ("last", "mean"):
        past, ahead = instances(train, centre)
        held_out, expected = instances(validation, centre)
        for penalty in 10.0 ** np.arange(-6, 2.5, 0.5):
            reference = Ridge(alpha=penalty * len(past), fit_intercept=False).fit(past, ahead)
            assert fit.validation_mse <= np.mean((reference.predict(held_out) - expected) ** 2) * (1 + 1e-5)


def test_the_map_forecasts_in_raw_units():
    fit = fitted(values(400), values(200, seed=1))
    ridge = RidgeMap(fit.kernel)
    errors = [
        (ridge(tf.constant(batch["history"][..., :CHANNELS])) - batch["target"]) / STD
        for batch in batches(values(200, seed=1))
    ]
    assert np.mean(np.concatenate(errors) ** 2) == pytest.approx(fit.validation_mse, rel=1e-4)


def test_gaps_cost_little():
    whole = values(600)
    gappy = np.where(np.random.default_rng(2).random(whole.shape) < 0.1, np.nan, whole)
    validation = values(200, seed=1)
    full = fitted(whole, validation)
    fit = fitted(gappy, validation)
    assert np.isfinite(fit.kernel).all()
    assert fit.validation_mse < 1.25 * full.validation_mse


@pytest.mark.parametrize("constant", [True, False])
def test_a_series_that_teaches_nothing_repeats_the_level(constant):
    series = np.full([100, CHANNELS], 5.0 if constant else np.nan)
    fit = fitted(series, series)
    np.testing.assert_allclose(RidgeMap(fit.kernel)(tf.fill([1, LOOKBACK, CHANNELS], 7.0)), 7.0, rtol=1e-6)
