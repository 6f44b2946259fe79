"""The simple forecast's effects of covariates that are known up to now, and of categories."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.untrained_models import export, prepared, untrained
from unroll.pipelines.task import Task
from unroll.pipelines.tasks.forecasting.simple.fitting import SimpleFit
from unroll.pipelines.tasks.forecasting.windows.feed import Feed

LATE = 3  # steps after which the wind is felt
HORIZON = 3
STEPS = 300


def mills() -> pd.DataFrame:
    """Days of four mills: each runs by the wind of three days before, and on market days one kind more, one less."""
    rng, tables = np.random.default_rng(0), []
    for number in range(4):
        wind, market = rng.normal(size=STEPS), (rng.random(STEPS) < 0.3).astype(int)
        late = np.maximum(np.roll(wind, LATE), 0)
        kind = "ab"[number % 2]
        load = 50 + 10 * number + 3 * late + (2 if kind == "a" else -2) * market + 0.3 * rng.normal(size=STEPS)
        table = {"time": pd.date_range("2026-01-01", periods=STEPS, freq="D"), "mill": f"mill {number}", "load": load}
        table |= {"wind": wind, "noise": rng.normal(size=STEPS), "market": market}
        tables.append(pd.DataFrame({**table, "kind": kind, "colour": "rg"[number // 2]}))
    return pd.concat(tables)


def task(folder: Path, past: list[str], static: list[str]) -> Task:
    data = {"targets": ["load"], "series": "mill", "future_covariates": ["market"], "past_covariates": past}
    model = {"lookback": 14, "horizon": HORIZON, "units": 2, "members": 1, "calendar": False}
    section = {"data": {**data, "static_categories": static, "season": 1}, "model": model}
    return prepared("forecasting", mills(), section, folder)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return task(tmp_path_factory.mktemp("told"), ["wind", "noise"], ["colour", "kind"])


@pytest.fixture(scope="module")
def untold(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return task(tmp_path_factory.mktemp("untold"), ["noise"], ["colour"])


def error(feed: Feed, fit: SimpleFit) -> float:
    """Mean absolute error of the simple forecast on the test split, in raw units."""
    errors = []
    for window in feed.aligned("test", 64):
        inputs, target = feed.pair(window)
        errors.append(np.abs(fit.path(inputs) - target) * window["std"][:, None])
    return float(np.concatenate(errors).mean())


def least_squares_error(lookback: int = 14) -> float:
    """That of least squares from the same history, with the terms that the mills were made of."""
    rows: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for _, mill in mills().groupby("mill"):
        load, late = mill["load"].to_numpy(), np.maximum(mill["wind"].to_numpy(), 0)
        market = mill["market"].to_numpy() * np.where(mill["kind"] == "a", 1, -1)
        for at in range(lookback, STEPS - HORIZON + 1):
            past, mean = slice(at - lookback, at), load[at - lookback : at].mean()
            one = [
                load[past] - mean,
                late[past],
                market[past],
                market[at : at + HORIZON],
                load[at : at + HORIZON] - mean,
            ]
            part = "train" if at + HORIZON <= 0.7 * STEPS else "test" if at >= 0.8 * STEPS else None
            if part:
                rows[part].append(np.concatenate([np.ones(1), *one]))
    (train, ahead), (test, actual) = (np.split(np.stack(one), [-HORIZON], axis=1) for one in rows.values())
    return float(np.abs(test @ np.linalg.lstsq(train, ahead, rcond=None)[0] - actual).mean())


def test_what_only_the_past_of_a_covariate_and_a_category_tell_is_found(told: Task, untold: Task) -> None:
    fit, without = told._simple, untold._simple
    assert "the past of wind" in fit.said
    assert "kind" in fit.said
    found = error(told._feed, fit)
    assert found < 0.5 * error(untold._feed, without)
    assert found < 3 * least_squares_error()  # which knew what bends, and what the level is without it


def test_noise_and_categories_that_tell_nothing_are_left_out(told: Task, untold: Task) -> None:
    for fit in (told._simple, untold._simple):
        assert "noise" not in fit.said
        assert "colour" not in fit.said


def test_who_sends_neither_has_the_forecast_of_what_is_left(told: Task) -> None:
    feed, fit = told._feed, told._simple
    inputs, _ = feed.pair(next(iter(feed.aligned("test", 8))))
    covariates = inputs["covariates"].numpy()
    covariates[:, :, :2] = np.nan  # no past ones
    assert np.isfinite(fit.path({**inputs, "covariates": tf.constant(covariates)})).all()
    covariates[:] = np.nan
    bare = {**inputs, "covariates": tf.constant(covariates), "static": tf.zeros_like(inputs["static"])}
    alone = fit.path.history_map(inputs["history"])
    assert np.abs(fit.path(bare) - alone).max() < 0.3 * np.abs(fit.path(inputs) - alone).max()
    gap = inputs["covariates"].numpy()
    gap[:, 5:7, 0] = np.nan
    assert np.abs(fit.path({**inputs, "covariates": tf.constant(gap)}) - fit.path(inputs)).mean() < 0.3


def test_the_exported_graph_has_them(told: Task, tmp_path: Path) -> None:
    exported = export(told, untrained(told), tmp_path / "1")
    table = mills()
    rows = table[table["mill"] == "mill 1"]
    history = rows[["load", "wind", "noise", "market"]].to_numpy(np.float32)[None, 200:214]
    market = rows[["market"]].to_numpy(np.float32)[None, 214 : 214 + HORIZON]
    given = {"history": history, "future": market, "static": np.array([[b"g", b"b"]], object)}
    told_all = exported.predict(given, "baselines")["simple"]
    load = rows["load"].to_numpy()[214 : 214 + HORIZON]
    bare = exported.predict({"history": history}, "baselines")["simple"]
    assert np.abs(told_all[0, :, 0] - load).mean() < 1
    assert np.isfinite(bare).all()
    other = exported.predict({**given, "static": np.array([[b"g", b"a"]], object)}, "baselines")["simple"]
    assert not np.allclose(other, told_all)
    both = {name: np.concatenate([array, array]) for name, array in given.items()}
    np.testing.assert_allclose(exported.predict(both, "baselines")["simple"][1:], told_all, rtol=1e-5)
