"""The simple forecast: smoothing, ridge regression and the effects of covariates, in closed form."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.untrained_models import prepared
from unroll.models.series.baselines import RidgeMap
from unroll.models.series.outliers import without_outliers
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.simple.fitting import Refitted, SimpleFit, fit_simple
from unroll.pipelines.tasks.forecasting.simple.history_map import HistoryMap, fit_history_map
from unroll.pipelines.tasks.forecasting.simple.moments import Blocks, Moments
from unroll.pipelines.tasks.forecasting.simple.plain_maps import plain_maps
from unroll.pipelines.tasks.forecasting.simple.smoothing import smoothing_kernel
from unroll.pipelines.tasks.forecasting.task import Forecasting
from unroll.pipelines.tasks.forecasting.windows.feed import Feed


def demand(days: int = 120) -> pd.DataFrame:
    """Every three hours: heated below 15 degrees and cooled above 22, and less of all on days off, at random."""
    rng = np.random.default_rng(0)
    steps = 8 * days
    off = np.repeat(rng.random(days) < 0.3, 8)
    temperature = 18 + 8 * np.sin(2 * np.pi * np.arange(steps) / 8) + np.repeat(4 * rng.normal(size=days), 8)
    load = 100 + 3 * np.maximum(15 - temperature, 0) + 2 * np.maximum(temperature - 22, 0)
    load = load - 25 * off * (np.arange(steps) % 8 > 2) + rng.normal(size=steps)
    time = pd.date_range("2026-01-01", periods=steps, freq="3h")
    return pd.DataFrame({"time": time, "load": load, "temperature": temperature, "off": off.astype(int)})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Feed, SimpleFit]:
    config = {
        "data": {"future_covariates": ["temperature", "off"], "targets": ["load"]},
        "model": {"lookback": 56, "horizon": 8},
    }
    feed = prepared("forecasting", demand(), config, tmp_path_factory.mktemp("demand"))._feed
    return feed, fit_simple(feed)


def errors(feed: Feed, fit: SimpleFit | Refitted, **given: tf.Tensor) -> tuple[float, float]:
    """Mean absolute errors of the simple forecast and of the ridge map on the test split."""
    simple, ridge = [], []
    for window in feed.aligned("test", 64):
        inputs, target = feed.pair(window)
        inputs |= given
        simple.append(np.abs(fit.path(inputs) - target))
        ridge.append(np.abs(fit.ridge(inputs["history"]) - target))
    return float(np.concatenate(simple).mean()), float(np.concatenate(ridge).mean())


def test_hinges_and_hours_by_kind_of_day_are_found(fitted: tuple[Feed, SimpleFit]) -> None:
    feed, fit = fitted
    simple, ridge = errors(feed, fit)
    assert simple < 0.4 * ridge
    assert "covariates and calendar take " in fit.said


def test_without_its_covariates_it_goes_on_as_the_history_has_it(fitted: tuple[Feed, SimpleFit]) -> None:
    feed, fit = fitted
    inputs, _ = feed.pair(next(iter(feed.aligned("test", 8))))
    unknown = {**inputs, "covariates": tf.fill(inputs["covariates"].shape, float("nan"))}
    alone = SimplePath(fit.path.history_map, None, fit.path.log_map, fit.path.log_share)
    np.testing.assert_allclose(fit.path(unknown), alone(inputs), atol=1e-5)
    gap = inputs["covariates"].numpy()
    gap[:, 10:14, 0] = np.nan  # a few hours of the past are filled in
    assert np.abs(fit.path({**inputs, "covariates": tf.constant(gap)}) - fit.path(inputs)).max() < 0.5


def test_level_and_scale_do_not_matter(fitted: tuple[Feed, SimpleFit]) -> None:
    feed, fit = fitted
    inputs, _ = feed.pair(next(iter(feed.aligned("test", 8))))
    path = SimplePath(fit.path.history_map, fit.path.effect)  # of logarithms the level matters
    moved = {**inputs, "history": 50 * inputs["history"] + 1000}
    np.testing.assert_allclose(path(moved), 50 * path(inputs) + 1000, rtol=1e-4)


def test_covariates_of_noise_are_left_out(tmp_path) -> None:
    rng = np.random.default_rng(1)
    steps = 300
    table = pd.DataFrame({"time": pd.date_range("2026-01-01", periods=steps, freq="D"), "load": rng.normal(size=steps)})
    table["noise"] = rng.normal(size=steps)
    config = {
        "data": {"future_covariates": ["noise"], "targets": ["load"]},
        "model": {"lookback": 28, "horizon": 7},
    }
    feed = prepared("forecasting", table, config, tmp_path)._feed
    simple, ridge = errors(feed, fit_simple(feed))
    assert simple < 1.03 * ridge


def test_a_smoothing_map_is_holt_winters() -> None:
    rng = np.random.default_rng(0)
    history, season, level, seasonal = rng.normal(size=20), 4, 0.3, 0.2
    now = history[:season].mean()
    seasons = list(history[:season] - now)
    for step in range(season, 20):
        before, last = seasons[step % season], now
        now = level * (history[step] - before) + (1 - level) * now
        # what is left of the error after the level has followed it goes to the season
        seasons[step % season] = before + seasonal * (1 - level) * (history[step] - before - last)
    expected = [now + seasons[(20 + ahead) % season] for ahead in range(6)]
    kernel = smoothing_kernel(20, 6, level=level, seasonal=seasonal, season=season)
    np.testing.assert_allclose(history @ kernel, expected)


@pytest.mark.parametrize(("lookback", "season"), [(24, 12), (13, 12), (5, 4), (2, 1), (1, 1)])
def test_every_plain_map_follows_the_level(lookback: int, season: int) -> None:
    for name, kernel in plain_maps(lookback, 5, [season]):
        np.testing.assert_allclose(kernel.sum(axis=0), 1, err_msg=name)


def history_map(series: np.ndarray, lookback: int, horizon: int, season: int) -> HistoryMap:
    """Fitted on all but the last fifth, which is its validation split."""
    starts = np.arange(len(series) - lookback - horizon + 1)
    windows = np.stack([series[start : start + lookback + horizon] for start in starts])[..., None]
    cut = int(0.8 * len(series))
    blocks, held_out = Blocks(lookback, cut, 4, lookback, horizon), []
    for start, window in zip(starts, windows, strict=True):
        batch = {"history": window[None, :lookback], "target": window[None, lookback:]}
        batch |= {"mean": np.full([1, 1], series.mean()), "std": np.full([1, 1], series.std())}
        newest = start + lookback - 1
        if newest + horizon < cut:
            blocks.add(np.array([newest]), batch)
        elif newest + 1 >= cut:
            held_out.append(batch)
    return fit_history_map(blocks, Moments.of(held_out, lookback, horizon), [season])


@pytest.mark.parametrize("kind", ["walk", "season"])
def test_short_series_are_forecast_about_as_well_as_the_best_plain_method(kind: str) -> None:
    steps, lookback, horizon, ratios = 120, 24, 6, []
    for seed in range(6):  # what looks best on so few steps is chance in any one of them
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=steps + 1000)
        if kind == "walk":
            series, plain = np.cumsum(noise), smoothing_kernel(lookback, horizon, level=1.0)
        else:
            series = np.tile(5 * rng.normal(size=12), 100)[: len(noise)] + np.cumsum(0.3 * noise)
            plain = smoothing_kernel(lookback, horizon, level=0.0, seasonal=1.0, season=12)
        found = history_map(series[:steps], lookback, horizon, season=12)
        starts = np.arange(steps, steps + 900)
        past = np.stack([series[start : start + lookback] for start in starts])
        ahead = np.stack([series[start + lookback : start + lookback + horizon] for start in starts])
        ratios.append(np.abs(past @ found.kernel - ahead).mean() / np.abs(past @ plain - ahead).mean())
        forecast = RidgeMap(found.kernel)(tf.constant(past[..., None], tf.float32))[..., 0]
        np.testing.assert_allclose(forecast, past @ found.kernel, rtol=1e-3, atol=1e-3)
    assert np.mean(ratios) < (1.06 if kind == "walk" else 0.85)


def monthly(months: int = 150) -> pd.DataFrame:
    """Grows by changing shares, and swings by shares of its level."""
    rng, month = np.random.default_rng(3), np.arange(months)
    level = 50 * np.exp(0.01 * month + np.cumsum(0.03 * rng.normal(size=months)))
    swing = 0.4 * np.sin(2 * np.pi * month / 12) + 0.3 * (month % 12 == 3)
    values = level * np.exp(swing + 0.03 * rng.normal(size=months))
    return pd.DataFrame({"time": pd.date_range("2001-01-01", periods=months, freq="MS"), "load": values})


MONTHLY = {"model": {"lookback": 36, "horizon": 12, "calendar": False}}


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Feed, SimpleFit]:
    feed = prepared("forecasting", monthly(), MONTHLY, tmp_path_factory.mktemp("monthly"))._feed
    return feed, fit_simple(feed)


def test_seasons_that_grow_with_the_level_are_forecast_by_logarithms(growing: tuple[Feed, SimpleFit]) -> None:
    feed, fit = growing
    assert fit.path.log_share > 0
    assert "of logarithms" in fit.said
    simple, ridge = errors(feed, fit)
    assert simple < 0.9 * ridge
    window = next(iter(feed.aligned("test", 4)))
    scaled, _ = feed.pair(window)
    forecast = fit.path(scaled) * scaled["unit"] + scaled["origin"]
    np.testing.assert_allclose(fit.path({"history": window["history"]}), forecast, rtol=1e-4)  # as it is served


def test_a_history_with_a_zero_or_with_gaps_has_a_forecast_of_its_values(growing: tuple[Feed, SimpleFit]) -> None:
    feed, fit = growing
    history = next(iter(feed.aligned("test", 1)))["history"].numpy()
    zero, gap = history.copy(), history.copy()
    zero[:, 5], gap[:, 5:7] = 0, np.nan
    np.testing.assert_allclose(fit.path({"history": zero}), fit.path.history_map(zero))
    whole = fit.path({"history": history}).numpy()
    np.testing.assert_allclose(fit.path({"history": gap}), whole, rtol=0.2)
    np.testing.assert_allclose(fit.path({"history": 1e6 * history}), 1e6 * whole, rtol=1e-3)


def test_values_that_are_not_all_positive_have_no_logarithms(tmp_path) -> None:
    table = monthly()
    table.loc[20, "load"] = 0.0
    fit = fit_simple(prepared("forecasting", table, MONTHLY, tmp_path)._feed)
    assert fit.path.log_map is None
    assert "logarithms" not in fit.said


def test_blocks_of_the_training_split_are_forecast_by_maps_that_have_not_seen_them(
    fitted: tuple[Feed, SimpleFit],
) -> None:
    feed, fit = fitted
    begin, end = feed.data.bounds["train"]
    edges = [bound for one in fit.held_out for bound in one.bounds]
    assert edges == sorted(edges)
    assert begin < edges[0]
    assert edges[-1] == end
    kernels = [one.path.history_map.kernel.numpy() for one in fit.held_out]
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels) > 1


def turning(steps: int = 400) -> pd.DataFrame:
    """Whose steps follow one another for seven tenths of the time, and answer one another from then on."""
    rng, values = np.random.default_rng(0), np.zeros(steps)
    for step in range(1, steps):
        values[step] = (0.8 if step < 0.7 * steps else -0.8) * values[step - 1] + rng.normal()
    return pd.DataFrame({"time": pd.date_range("2026-01-01", periods=steps, freq="D"), "load": values})


TURNING = {"model": {"lookback": 6, "horizon": 2, "calendar": False, "units": 2, "members": 1}}


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Forecasting:
    return prepared("forecasting", turning(), TURNING, tmp_path_factory.mktemp("turning"))


def test_what_was_chosen_is_fitted_again_to_the_validation_split(turned: Forecasting) -> None:
    feed, fit = turned._feed, turned._simple
    before, again = errors(feed, fit), errors(feed, fit.refitted)
    assert again[0] < 0.98 * before[0]  # the simple forecast
    assert again[1] < before[1]  # the ridge regression beside it
    assert "its maps are refit on train and validation rows" in fit.said
    bounds = {"known": (feed.data.bounds["train"][0], feed.data.bounds["validation"][1])}
    known = replace(feed, data=replace(feed.data, bounds=bounds)).count("known")
    across = feed.across("train", "validation").count("across")
    assert feed.count("train") + feed.count("validation") + across == known, "windows over their border count too"


def test_the_test_split_is_not_touched(turned: Forecasting) -> None:
    values = turned._feed.data.values.copy()
    values[-80:] = 1e6
    other = fit_simple(replace(turned._feed, data=replace(turned._feed.data, values=values))).refitted
    for mine, theirs in (
        (turned._simple.refitted.path.history_map, other.path.history_map),
        (turned._simple.refitted.ridge, other.ridge),
    ):
        np.testing.assert_array_equal(mine.kernel, theirs.kernel)


def test_the_validation_split_is_scored_by_what_has_not_learnt_it(turned: Forecasting) -> None:
    servable = turned.servable(turned.build())
    assert servable.predict_validation is not None
    batch = next(turned.held_out("", "validation"))
    scored = servable.predict_validation(batch, "baselines")
    served = servable.signatures["baselines"](history=tf.constant(batch["history"], tf.float32))
    inputs = {"history": tf.constant(batch["history"], tf.float32)}
    for fit, answer in ((turned._simple, scored), (turned._simple.refitted, served)):
        np.testing.assert_allclose(answer["simple"], fit.path(inputs), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(answer["ridge"], fit.ridge(inputs["history"]), rtol=1e-4, atol=1e-4)
    forecast = servable.predict_validation(batch)["forecast"]
    assert np.abs(forecast - scored["simple"]).max() < np.abs(forecast - served["simple"].numpy()).max()


def test_a_network_that_adds_noise_is_worse_than_nothing(turned: Forecasting) -> None:
    noise, rng = turned.build(), np.random.default_rng(0)
    # large, and not added to what it begins with: small noise on a network of two units now and then helps a little
    noise.set_weights([10 * rng.normal(size=weight.shape) for weight in noise.get_weights()])
    gain = turned.contribution(noise)
    assert gain is not None
    assert gain < -0.02
    assert turned.contribution(turned.build()) == 0, "it begins as the simple forecast"


def disturbed(kind: str, days: int = 280) -> pd.DataFrame:
    """Days of a season that hardly changes, and what goes wrong with them, or is always so."""
    rng = np.random.default_rng(0)
    values = 100 + 3 * np.sin(2 * np.pi * np.arange(days) / 7) + 0.5 * rng.normal(size=days)
    events = np.array([35, 66, 112, 149, 197, 238])  # the last one within the test split
    if kind == "strike":  # for two days
        values[events], values[events + 1] = 0, 0
    elif kind == "sensor error":
        values[events] = 999
    elif kind == "market day":  # each week, which is no outlier
        values[::7] += 200
    return pd.DataFrame({"time": pd.date_range("2026-01-01", periods=days, freq="D"), "load": values})


@pytest.mark.parametrize("kind", ["strike", "sensor error", "market day"])
def test_what_went_wrong_is_not_carried_on(tmp_path, kind: str) -> None:
    section = {"model": {"lookback": 28, "horizon": 7, "calendar": False}}
    feed = prepared("forecasting", disturbed(kind), section, tmp_path)._feed
    fit = fit_simple(feed)
    wrong = kind in ("strike", "sensor error")
    assert fit.path.cut_outliers == wrong
    assert ("cutting outliers that are over saves" in fit.said) == wrong
    if wrong:
        uncut = SimplePath(fit.path.history_map, fit.path.effect, fit.path.log_map, fit.path.log_share)
        ratios = []
        for window in feed.aligned("test", 64):
            inputs, target = feed.pair(window)
            calm = np.abs(target).max(axis=(1, 2)) < 1  # nothing goes wrong within the horizon
            ratios.append([np.abs(one(inputs) - target)[calm].mean() for one in (fit.path, uncut)])
        cut, without = np.mean(ratios, axis=0)
        assert cut < 0.8 * without


def test_outliers_that_last_up_to_now_or_come_often_are_kept() -> None:
    calm = [1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0, 2.0]
    gap = float("nan")
    for history, expected in (
        ([*calm, 99.0, *calm], None),
        ([*calm, gap, -99.0, gap, *calm], None),
        ([*calm, *calm, 99.0, 99.0], [*calm, *calm, 99.0, 99.0]),
        ([*calm, *calm, 99.0, gap], [*calm, *calm, 99.0, gap]),
        ([0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 5.0, 0.0], [0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 5.0, 0.0]),
        ([gap, gap, gap], [gap, gap, gap]),
        ([5.0], [5.0]),
    ):
        found = without_outliers(tf.constant(history)[None, :, None]).numpy().ravel()
        if expected is None:
            assert np.nanmax(np.abs(found)) < 15
            assert np.isnan(found).sum() == np.isnan(history).sum()
        else:
            np.testing.assert_array_equal(found, np.array(expected, np.float32))
