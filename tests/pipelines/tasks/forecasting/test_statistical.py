"""ETS beside the model: its numbers, what it costs, what it makes of odd histories, and what a run says of it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.untrained_models import prepared, untrained
from unroll.pipelines import release
from unroll.pipelines.scoring.comparison import compare
from unroll.pipelines.tasks.forecasting.statistical import arima, exponential_smoothing, sampled
from unroll.pipelines.tasks.forecasting.statistical.arima import arima_forecasts
from unroll.pipelines.tasks.forecasting.statistical.exponential_smoothing import (
    FORMS,
    fitted,
    smoothing_forecasts,
)
from unroll.pipelines.tasks.forecasting.statistical.histories import LONGEST, Histories
from unroll.pipelines.tasks.forecasting.statistical.search import EVALUATIONS
from unroll.pipelines.tasks.forecasting.statistical.smoothing_filter import Form, States, ahead, run_filter
from unroll.pipelines.training.card import Card
from unroll.pipelines.training.progress import Progress

MONTHS = np.arange(48)
SALES = np.round(100 * 1.02**MONTHS * (1 + 0.3 * np.sin(2 * np.pi * MONTHS / 12)) + 5 * np.sin(7.0 * MONTHS**2), 1)
CONSTANT = len(SALES) * (np.log(2 * np.pi) + 1)  # of the likelihood of normal errors


@pytest.mark.parametrize(
    ("form", "weights", "log_likelihood", "forecast"),
    [  # ETSModel(SALES, ...).smooth(weights) of statsmodels 0.15.0
        (Form("N", "N"), [0.3, 0, 0, 1], -238.3600004632, [202.377008, 202.377008, 202.377008]),
        (Form("A", "N"), [0.3, 0.1, 0, 1], -251.4213574585, [182.594671, 172.371142, 162.147613]),
        (Form("Ad", "A"), [0.3, 0.1, 0.2, 0.9], -204.9521687729, [224.029279, 244.715894, 251.133421]),
        (Form("N", "M", relative=True), [0.3, 0, 0.2, 1], -178.9251225789, [241.382333, 284.839157, 307.892155]),
    ],
)
def test_the_recursions_are_those_of_statsmodels(form, weights, log_likelihood, forecast) -> None:
    histories, month = Histories.of([SALES]), np.arange(12)
    unit, wave = histories.scale[0], 0.3 * np.sin(2 * np.pi * month / 12)
    season = {"N": np.zeros(1), "A": 100 * wave / unit, "M": 1 + wave}[form.season]
    trend = np.array([[2 / unit if form.trend != "N" else 0.0]])
    states = States(np.array([[100 / unit]]), trend, season[:, None, None])
    found = run_filter(histories, form, tuple(np.array([[weight]]) for weight in weights), states)
    fit = found.fit.item() + 2 * len(SALES) * np.log(unit) + CONSTANT
    assert -fit / 2 == pytest.approx(log_likelihood, abs=1e-6)
    got = ahead(form, np.array([weights[-1]]), found.states, len(SALES), 3)[0] * unit
    np.testing.assert_allclose(got, forecast, atol=1e-5)


STATSMODELS = {  # AICc and the third forecast of ETSModel(SALES, ...).fit() of statsmodels 0.15.0
    ("N", "N"): (425.62, 216.00),
    ("A", "N"): (396.71, 303.29),
    ("Ad", "N"): (393.59, 272.80),
    ("N", "A"): (375.27, 281.86),
    ("A", "A"): (376.57, 291.56),
    ("Ad", "A"): (380.82, 314.97),
    ("N", "M"): (354.69, 324.84),
    ("A", "M"): (323.86, 340.52),
    ("Ad", "M"): (333.12, 339.41),
}


def test_fits_are_about_as_good_as_those_of_statsmodels_and_choose_the_same_form() -> None:
    found = {}
    for form in FORMS:
        histories = Histories.of([SALES])
        criterion, forecasts = fitted(histories, form, 12, 3)
        found[form.trend, form.season] = criterion.item() + 2 * len(SALES) * np.log(histories.scale[0]) + CONSTANT
        aicc, third = STATSMODELS[form.trend, form.season]
        assert found[form.trend, form.season] < aicc + 10
        assert forecasts[0, 2] * histories.scale[0] == pytest.approx(third, rel=0.08)
    assert min(found, key=found.__getitem__) == min(STATSMODELS, key=STATSMODELS.__getitem__) == ("A", "M")
    _, forecasts = fitted(Histories.of([SALES]), Form("A", "M", relative=True), 12, 3)
    chosen = smoothing_forecasts([SALES], 12, 3)
    np.testing.assert_allclose(chosen, forecasts * np.abs(SALES).mean(), rtol=1e-6)


def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(size=241)


def airline() -> np.ndarray:
    """(0, 1, 1)(0, 1, 1) of season 12, as the passengers of Box & Jenkins."""
    shocks, values = noise(), np.full(241, 10.0)
    for step in range(13, 241):
        values[step] = values[step - 1] + values[step - 12] - values[step - 13] + shocks[step] - 0.4 * shocks[step - 1]
        values[step] += -0.6 * shocks[step - 12] + 0.24 * shocks[step - 13]
    return values.round(3)


@pytest.mark.parametrize(
    ("form", "season", "forecast"),
    [  # SARIMAX(...).fit().forecast(3) of statsmodels 0.15.0, with a constant where nothing is differenced but a season
        (arima.Orders(0, 1, 1, 0, 1, 1), 12, [73.6, 72.64, 71.292]),
        (arima.Orders(1, 0, 0, 0, 1, 1), 12, [74.455, 73.87, 72.907]),
        (arima.Orders(0, 1, 1), 1, [-4.011, -4.011, -4.011]),
    ],
)
def test_arima_forecasts_as_statsmodels_does(form, season, forecast) -> None:
    histories = Histories.of([airline() if season > 1 else noise().cumsum().round(3)])
    _, found = arima.fitted(histories, form, season, 3)
    np.testing.assert_allclose(found[0] * histories.scale[0], forecast, atol=0.05)


@pytest.mark.parametrize("forecasts", [smoothing_forecasts, arima_forecasts])
def test_odd_histories_are_forecast_each_for_itself(forecasts) -> None:
    gaps = SALES.copy()
    gaps[[0, 5, 17, 18, 47]] = np.nan
    odd = {
        "gaps": gaps,
        "negative": -SALES,
        "constant": np.full(30, 7.0),
        "nothing but zeros": np.zeros(20),
        "short": SALES[:9],
        "too short": np.r_[np.full(40, np.nan), SALES[:7]],
        "huge": SALES * 1e30,
    }
    together = dict(zip(odd, forecasts(list(odd.values()), 12, 4), strict=True))
    assert np.isnan(together.pop("too short")).all()
    assert all(np.isfinite(forecast).all() for forecast in together.values())
    for name in ("gaps", "short"):
        np.testing.assert_allclose(together[name], forecasts([odd[name]], 12, 4)[0], rtol=1e-6, err_msg=name)
    whole = forecasts([SALES], 12, 4)[0]
    np.testing.assert_allclose(together["gaps"], whole, rtol=0.1)
    np.testing.assert_allclose(together["huge"], whole * 1e30, rtol=1e-6)
    np.testing.assert_allclose(together["constant"], 7)
    np.testing.assert_allclose(together["nothing but zeros"], 0, atol=1e-9)


def sales(months: int, series: int = 1) -> pd.DataFrame:
    """Sales that grow, and their season with them: what a map that adds cannot follow."""
    month, rng = np.arange(months), np.random.default_rng(0)
    parts = []
    for number in range(series):
        swing = (1 + 0.4 * np.sin(2 * np.pi * month / 12 + number)) * np.exp(rng.normal(0, 0.02, months))
        time = pd.date_range("1990-01-01", periods=months, freq="MS")
        parts.append(pd.DataFrame({"time": time, "shop": f"s{number}", "sold": 100 * 1.01**month * swing}))
    return pd.concat(parts, ignore_index=True)


def settings(**model: Any) -> dict[str, Any]:
    small = {"lookback": 24, "horizon": 6, "units": 4, "members": 1, "segment": 12}
    return {"data": {"series": "shop", "targets": "sold", "season": 12}, "model": {**small, **model}}


@pytest.mark.slow
def test_a_run_that_ets_beats_says_so_and_is_held_back(tmp_path) -> None:
    task = prepared("forecasting", sales(180, 2), settings(linear=False), tmp_path)
    card = Card("sold", "forecasting", {}, {}, "data.csv", "", "run", {})
    scored = release.export(task, untrained(task), card, "data.csv", tmp_path / "export", Progress())
    card = scored.card
    assert card.held_back
    assert card.comparison["below"]
    assert "ets" in (card.comparison["baseline"], *card.comparison["others"])
    assert card.metrics["test/mase/ets"] < card.metrics["test/mase/seasonal_naive"] < card.metrics["test/mase"]
    assert card.metrics["baseline/test/mase/ets"] == card.metrics["test/mase/ets"]
    windows = card.dataset_info["windows"]["test"]["windows"]
    assert f"On the test split: ets and arima fitted anew for each of the {windows} windows." in card.notes
    assert "ets" in card.markdown()


@pytest.mark.parametrize("wide", [False, True])
def test_windows_are_evenly_chosen_as_many_as_the_steps_before_them_allow(tmp_path, monkeypatch, wide) -> None:
    monkeypatch.setattr(sampled, "STEPS", 6000)
    hours, houses = 2700, 2
    values = np.random.default_rng(0).normal(size=(hours, 20 if wide else houses)).cumsum(axis=0).round(3)
    table = pd.DataFrame(values, columns=[f"x{column}" for column in range(values.shape[1])])
    table.insert(0, "time", pd.date_range("2026-01-01", periods=hours, freq="h"))
    if not wide:
        table = table.melt("time", var_name="house", value_name="load").sort_values(["house", "time"])
    data: dict[str, Any] = {"targets": list(table.columns[1:])} if wide else {"series": "house", "targets": "load"}
    task = prepared("forecasting", table, {**settings(lookback=48), "data": {**data, "season": 24}}, tmp_path)
    assert all("before" not in batch for batch in task.held_out("", "validation"))
    before, chosen, first = [], [], 0
    for batch in task.held_out("", "test"):
        found = [row for row, one in enumerate(batch["before"]) if one is not None]
        for row in found:
            newest = batch["history"][row][-24:]
            known = np.isfinite(batch["before"][row][-24:])
            np.testing.assert_array_equal(batch["before"][row][-24:][known], newest[known])
        chosen += [first + row for row in found]
        before += [batch["before"][row] for row in found]
        first += len(batch["before"])
    looked_at = [int(np.isfinite(one).any(axis=0).sum()) for one in before]
    assert set(looked_at) == {1}
    assert {len(one) for one in before} == {LONGEST}
    assert len(before) == 16 if wide else 3 <= len(before) <= 16
    assert sum(map(len, before)) <= max(6000, 16 * LONGEST)
    assert set(np.diff(chosen)) <= {first // len(chosen), first // len(chosen) + 1}
    if wide:
        columns = {int(np.isfinite(one).any(axis=0).argmax()) for one in before}
        assert len(columns) == 16, "other targets in each window"


def test_what_a_history_costs_does_not_depend_on_its_values(monkeypatch) -> None:
    tried: list[int] = []
    inner = exponential_smoothing.run_filter

    def counted(histories: Histories, form: Form, weights: tuple[np.ndarray, ...], states: States) -> Any:
        tried.append(weights[0].shape[1])
        return inner(histories, form, weights, states)

    monkeypatch.setattr(exponential_smoothing, "run_filter", counted)
    smoothing_forecasts([SALES, SALES[:30], np.full(25, 3.0)], 12, 4)
    assert sum(tried) == len(FORMS) * (EVALUATIONS + 1)


def test_further_data_are_set_against_the_same(tmp_path) -> None:
    task = prepared("forecasting", sales(120), settings(), tmp_path)
    folder = tmp_path / "further"
    folder.mkdir()
    sales(60, 2).to_csv(folder / "more.csv", index=False)
    info = {**task.dataset_info(), "quantiles": [0.1, 0.5, 0.9]}

    def naive(batch: Any, signature: str = "") -> dict[str, np.ndarray]:
        last = np.repeat(batch["history"][:, -1:, :1], 6, axis=1)
        if signature == "baselines":
            return {"last_value": last, "seasonal_naive": last}
        return {"forecast": last, "quantiles": np.repeat(last[..., None], 3, axis=-1)}

    records = type(task).records(task.config, info, str(folder / "more.csv"), Progress())
    scored = type(task).evaluate(info, records, naive, Progress())
    assert scored.metrics["mase/ets"] < 0.5 * scored.metrics["mase/last_value"]
    assert scored.losses is not None
    compared = compare(scored.losses)
    assert compared is not None
    assert compared.below
    assert {"ets", "arima"} <= {compared.baseline, *compared.others}
    assert any(note.startswith("ets and arima fitted anew for each of the") for note in scored.notes)
