"""Forecasting by its public interfaces: the command, the exported graph, the server."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.conftest import ROOT, unroll
from tests.serving_fixtures import Server, running_server, suggested
from tests.untrained_models import export, prepared, untrained
from unroll import serving
from unroll.api import load
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.registry import task_named
from unroll.pipelines.task import Task
from unroll.pipelines.tasks.forecasting.minimum import lowest_values, minimum_summary, minimums
from unroll.pipelines.training.card import Card
from unroll.pipelines.training.exported import Exported

L, H = 48, 12
SMALL = [
    "--set", f"model.lookback={L}", "--set", f"model.horizon={H}", "--set", "model.units=8", "--set", "model.members=2",
    "--set", "model.segment=12", "--set", "train.epochs=2", "--set", "train.learning_rate=0.01",
]  # fmt: skip


def loads(hours: int = 400, seed: int = 0) -> pd.DataFrame:
    """Two houses with a daily cycle, a plan that is known ahead, and a kind of house; long, columns as named."""
    rng = np.random.default_rng(seed)
    time = pd.date_range("2026-01-01", periods=hours, freq="h")
    parts = []
    for number, house in enumerate(["north", "south"]):
        plan = rng.integers(0, 2, hours)
        cycle = np.sin(2 * np.pi * np.arange(hours) / 24 + number)
        load = 100 * (number + 1) + 20 * cycle + 5 * plan + rng.normal(0, 1, hours)
        parts.append(pd.DataFrame({"time": time, "house": house, "load": load, "plan": plan, "kind": "ab"[number]}))
    return pd.concat(parts, ignore_index=True)


COLUMNS = ["--set", "data.series=house", "--set", "data.future_covariates=plan", "--set", "data.static_categories=kind"]


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory) -> dict:
    """What `unroll train forecasting --json` said, its `home` and its `data`."""
    folder = tmp_path_factory.mktemp("forecasting")
    loads().to_csv(folder / "loads.csv", index=False)
    done = unroll(
        "train", "forecasting", "--data", folder / "loads.csv", "--home", folder / "home", "--name", "loads", "--json",
        *COLUMNS, *SMALL,
    )  # fmt: skip
    return {**json.loads(done.stdout), "home": folder / "home", "data": folder / "loads.csv", "said": done.stderr}


@pytest.fixture(scope="module")
def exported(forecaster) -> Exported:
    return Exported(Path(forecaster["path"]))


@pytest.fixture(scope="module")
def server(forecaster) -> Iterator[Server]:
    yield from running_server(forecaster["home"])


def inputs(history: np.ndarray, **given: np.ndarray) -> dict[str, np.ndarray]:
    """All inputs of a signature, the optional ones as a server fills them in."""
    rows = len(history)
    return {
        "history": history.astype(np.float32),
        "timestamp": np.full(rows, np.iinfo(np.int64).min),
        "series": np.full(rows, b"", object),
        "future": np.full([rows, H, 1], np.nan, np.float32),
        "static": np.full([rows, 1], b"", object),
        **given,
    }


def test_metrics_stand_beside_those_of_honest_baselines(forecaster):
    names = ("mse", "mae", "mse_z", "mae_z", "mase", "smape", "wql")
    for part in ("validation", "test"):
        for system in ("", "/last_value", "/seasonal_naive", "/ridge", "/simple"):
            assert all(np.isfinite(forecaster["metrics"][f"{part}/{name}{system}"]) for name in names)
        assert 0 <= forecaster["metrics"][f"{part}/coverage_80"] <= 1
    assert forecaster["metrics"]["test/mase"] < forecaster["metrics"]["test/mase/last_value"]
    for system in ("last_value", "seasonal_naive", "ridge", "ets", "arima"):
        assert forecaster["metrics"][f"baseline/test/mase/{system}"] == forecaster["metrics"][f"test/mase/{system}"]


def test_how_much_of_each_forecast_goes_into_the_answer_is_said_and_kept(forecaster):
    shares = Card.load(Path(forecaster["path"])).dataset_info["blend"]["shares"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert set(shares) <= {"simple", "seasonal_naive", "last_value", "network"}
    assert "The forecast is " in forecaster["said"]


def test_metrics_are_those_of_every_test_window_of_the_served_model(forecaster, exported):
    table = pd.read_csv(forecaster["data"])
    errors, baseline = [], []
    for _, series in table.groupby("house"):
        values, start = series[["load", "plan"]].to_numpy(np.float32), int(len(series) * 0.8)
        seconds = pd.to_datetime(series.time).astype("datetime64[s]").astype(np.int64).to_numpy()
        origins = np.arange(start, len(series) - H + 1)
        given = {
            "timestamp": seconds[origins - 1],
            "future": np.stack([values[o : o + H, 1:] for o in origins]),
            "static": np.full([len(origins), 1], series.kind.iloc[0].encode(), object),
        }
        answer = exported.predict(inputs(np.stack([values[o - L : o] for o in origins]), **given))
        actual = np.stack([values[o : o + H, :1] for o in origins])
        errors.append(answer["forecast"] - actual)
        baseline.append(np.stack([values[o - 24 : o - 24 + H, :1] for o in origins]) - actual)
    assert forecaster["metrics"]["test/mse"] == pytest.approx(np.mean(np.concatenate(errors) ** 2.0), rel=1e-4)
    assert forecaster["metrics"]["test/mae/seasonal_naive"] == pytest.approx(
        np.abs(np.concatenate(baseline)).mean(), rel=1e-4
    )


def test_more_than_the_lookback_is_answered_as_the_newest_steps(exported):
    history = loads(60)[["load", "plan"]].to_numpy(np.float32)[None, :60]
    long, newest = exported.predict(inputs(history)), exported.predict(inputs(history[:, -L:]))
    for output in ("forecast", "quantiles"):
        np.testing.assert_array_equal(long[output], newest[output])


def test_short_histories_gaps_and_nothing_at_all(exported):
    history = loads(L)[["load", "plan"]].to_numpy(np.float32)[None, :L]
    one = exported.predict(inputs(history[:, -1:]))
    assert np.isfinite(one["forecast"]).all(), "a single step has an answer"
    assert np.abs(one["forecast"] - history[0, -1, 0]).max() < 1, "which is its level: nothing else is known"
    padded = np.concatenate([np.full([1, L - 20, 2], np.nan), history[:, -20:]], axis=1)
    np.testing.assert_allclose(
        exported.predict(inputs(history[:, -20:]))["forecast"], exported.predict(inputs(padded))["forecast"], rtol=1e-6
    )
    gap, zero, infinite = history.copy(), history.copy(), history.copy()
    gap[0, 10:20], zero[0, 10:20], infinite[0, 10:20] = np.nan, 0, np.inf
    gap, zero, infinite = (exported.predict(inputs(one))["forecast"] for one in (gap, zero, infinite))
    assert np.abs(gap - zero).max() > 1, "a missing value is not a zero"
    np.testing.assert_array_equal(gap, infinite)
    nothing = exported.predict(inputs(np.full([1, 5, 2], np.nan)))
    assert np.isnan(nothing["forecast"]).all()
    assert np.isnan(nothing["quantiles"]).all()


def test_units_do_not_matter_and_quantiles_do_not_cross(exported):
    history = loads(L)[["load", "plan"]].to_numpy(np.float32)[None, :L]
    kilo = history * [0.001, 1]
    answer, smaller = exported.predict(inputs(history)), exported.predict(inputs(kilo))
    np.testing.assert_allclose(smaller["forecast"] * 1000, answer["forecast"], rtol=1e-3)
    assert (np.diff(answer["quantiles"], axis=-1) >= 0).all()
    assert answer["quantiles"].shape == (1, H, 1, 3)


def test_the_plan_and_the_time_are_read(exported):
    history = loads(L)[["load", "plan"]].to_numpy(np.float32)[None, :L]
    noon = np.array([int(datetime(2026, 1, 3, 12, tzinfo=UTC).timestamp())])
    plans = [exported.predict(inputs(history, future=np.full([1, H, 1], plan, np.float32))) for plan in (0, 1)]
    assert np.abs(plans[0]["forecast"] - plans[1]["forecast"]).max() > 1e-3
    times = [exported.predict(inputs(history, timestamp=noon + 3600 * hour))["quantiles"] for hour in (0, 6)]
    assert np.abs(times[0] - times[1]).max() > 0  # by the network, which has a share in them


SLOW = ("rnn", "lstm", "mingru", "transformer")


@pytest.mark.parametrize("cell", [*(pytest.param(cell, marks=pytest.mark.slow) for cell in SLOW), "gru", "tcn"])
def test_a_stream_is_answered_as_its_whole_history(tmp_path, cell):
    task = on_one_series(tmp_path, cell)
    exported = export(task, untrained(task), tmp_path / "export")
    series = loads(L + 10)[["load"]].to_numpy(np.float32)[None, : L + 10].copy()
    series[0, 20:23] = np.nan
    rest = {"timestamp": np.full(1, np.iinfo(np.int64).min), "series": np.full(1, b"", object)}
    state = {"state": np.zeros([1, L, 1], np.float32), "state_length": np.zeros(1, np.int32)}
    for step in range(series.shape[1]):
        answer = exported.predict({"values": series[:, step : step + 1], **state, **rest}, "step")
        state = {name: answer[name] for name in state}
        whole = exported.predict({"history": series[:, : step + 1], **rest})
        for output in ("forecast", "quantiles"):
            np.testing.assert_allclose(answer[output], whole[output], atol=1e-4, rtol=1e-6, err_msg=f"step {step}")
    assert state["state_length"].tolist() == [L]


def test_intervals_of_a_stream_adapt_where_their_state_is_sent_back(exported):
    rng, size = np.random.default_rng(0), exported.signature("step").inputs["adaptive"].shape[1]
    values = np.zeros([1, 1, 2], np.float32)
    state = {"state": np.zeros([1, L, 2], np.float32), "state_length": np.zeros(1, np.int32)}
    sent = {"adaptive": np.zeros([1, size], np.float32)}  # as those of the state: nothing is known
    for step in range(L + 40):
        values[0, 0, 0] = 100 + 20 * np.sin(2 * np.pi * step / 24) + 30 * rng.normal()  # far wilder than in training
        adapted = exported.predict({"values": values, **state, **sent}, "step")
        fixed = exported.predict({"values": values, **state}, "step")
        state, sent = {name: adapted[name] for name in state}, {"adaptive": adapted["adaptive"]}
        np.testing.assert_array_equal(adapted["forecast"], fixed["forecast"])
        assert adapted["adaptive"].shape == (1, size)
        if step == 0:
            np.testing.assert_array_equal(adapted["quantiles"], fixed["quantiles"])
    width, before = (np.ptp(one["quantiles"][0, :, 0], axis=1) for one in (adapted, fixed))
    assert (width > 1.3 * before).all()
    begun = {**state, "state_length": np.zeros(1, np.int32)}
    again, first = (exported.predict({"values": values, **begun, **one}, "step") for one in (sent, {}))
    np.testing.assert_array_equal(again["quantiles"], first["quantiles"], err_msg="a stream that begins has no past")


def on_one_series(folder: Path, cell: str, **more: object) -> Task:
    section = {"lookback": L, "horizon": H, "units": 8, "segment": 12, "members": 1, "cell": cell, **more}
    return prepared("forecasting", loads().query("house == 'north'")[["time", "load"]], {"model": section}, folder)


def test_the_export_answers_as_the_training_model(tmp_path):
    from unroll.models.series.quantile_model import ensemble

    task = on_one_series(tmp_path, "gru", linear=False)  # with the linear path, simple forecasts are mixed in
    model = untrained(task)
    exported = export(task, model, tmp_path / "export")
    raw = next(iter(task.held_out("", "validation")))
    features, _ = next(iter(task.validation_batches()))
    scaled, _ = ensemble(model(features))
    expected = scaled * raw["std"][:, None] + raw["mean"][:, None]
    np.testing.assert_allclose(exported.predict(raw)["forecast"], expected, rtol=1e-5)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(tmp_path / "export"))
    functions = (node for function in loaded.graph_def.library.function for node in function.node_def)
    assert not [node.op for node in (*loaded.graph_def.node, *functions) if "Cudnn" in node.op]


def test_evaluate_takes_series_that_were_not_in_training(forecaster, tmp_path):
    table = loads(200, seed=5).replace({"house": {"south": "east"}, "kind": {"b": "c"}})
    table.to_csv(tmp_path / "later.csv", index=False)
    done = unroll(
        "evaluate", "loads", "--data", tmp_path / "later.csv", "--home", forecaster["home"], "--json",
    )  # fmt: skip
    assert "1 series not in the training data: east" in done.stderr
    assert "1 series with a category that the model does not know" in done.stderr
    metrics = json.loads(done.stdout)["metrics"]
    assert np.isfinite(metrics["data/mase"])
    assert np.isfinite(metrics["data/mase/ridge"])
    assert np.isfinite(metrics["data/mase/ets"])
    assert np.isfinite(metrics["data/mase/arima"])


def test_predict_sends_a_file_of_recent_steps(forecaster, tmp_path, server):
    recent = loads(100)
    recent.loc[recent.time >= "2026-01-05", "load"] = np.nan  # 4 hours of plan without a load
    recent.drop(index=[30, 31]).to_csv(tmp_path / "recent.csv", index=False)
    plot = tmp_path / "out.png"
    done = unroll(
        "predict", "loads", "--input", tmp_path / "recent.csv", "--server", server.address, "--json", "--plot", plot
    )
    document = json.loads(done.stdout)
    assert document["version"] == 1
    north, south = document["predictions"]
    assert [north["series"], south["series"]] == ["north", "south"]
    assert north["time"][0] == "2026-01-05T00:00:00Z", "the forecast begins after the last observed load"
    assert len(north["time"]) == len(north["forecast"]["load"]) == H
    assert set(north["quantiles"]["load"]) == {"0.1", "0.5", "0.9"}
    assert plot.read_bytes().startswith(b"\x89PNG")
    done = unroll("predict", "loads", "--input", "some text", "--server", server.address, check=2)
    assert "give it one file of their recent steps, with the columns time, house, load" in done.stderr


def test_serve_says_how_to_ask_a_forecaster(server):
    assert suggested(server) == ["unroll", "predict", "loads", "--input", "FILE", "--server", server.address]


def test_predict_says_what_is_wrong_with_its_input_in_its_own_options(tmp_path, server):
    (tmp_path / "folder").mkdir()
    recent = loads(60)
    files = {
        "none.csv": (None, "no such file"),
        "folder": (None, "is a folder"),
        "kind.txt": ("time,house,load\n", "unknown kind of file"),
        "header.csv": ("time,house,load,plan,kind\n", "holds no rows, only a header"),
        "town.csv": (recent.rename(columns={"house": "town"}).to_csv(index=False), "has no column 'house'"),
        "noon.csv": (recent.assign(time="noon").to_csv(index=False), "Received: 'noon'"),
        "word.csv": (recent.assign(load="much").to_csv(index=False), "Received: 'much'"),
        "latin.csv": ("time,house,load,plan,kind\n2026-01-01,caf\xe9,1,1,a\n".encode("latin-1"), "is not utf-8 text"),
    }
    for name, (content, words) in files.items():
        if content is not None:
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        done = unroll("predict", "loads", "--input", tmp_path / name, "--server", server.address, check=2)
        (error,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
        assert words in error
        assert str(tmp_path / name) in error
        assert "columns time, house, load, plan, kind" in error, "the remedy"
        assert "--data" not in error
        assert "--set" not in error
        assert ".." not in error


def test_predict_says_which_future_covariates_it_was_not_given(tmp_path, server):
    recent = loads(100)
    recent.to_csv(tmp_path / "without.csv", index=False)
    ahead = recent[(recent.house == "north") | (recent.time < "2026-01-05")]  # 4 hours of one house
    ahead.assign(load=ahead.load.where(ahead.time < "2026-01-05")).to_csv(tmp_path / "some.csv", index=False)
    more = loads(96 + H)
    more.assign(load=more.load.where(more.time < "2026-01-05")).to_csv(tmp_path / "all.csv", index=False)
    said = {
        name: unroll("predict", "loads", "--input", tmp_path / f"{name}.csv", "--server", server.address).stderr
        for name in ("without", "some", "all")
    }
    assert "plan is unknown for 12 of 12 steps of the horizon in 2 of 2 series: add rows with it." in said["without"]
    assert "plan is unknown for up to 12 of 12 steps of the horizon in 2 of 2 series" in said["some"]
    assert "unknown" not in said["all"]


def test_a_table_of_series_is_scored_into_a_file_of_its_columns(tmp_path, server):
    known = loads(96 + H)
    table = known.assign(load=known.load.where(known.time < "2026-01-05"))
    new = table[table.house == "north"].assign(house="new", kind="c")
    cold = new.tail(H).assign(house="cold", kind="b")
    pd.concat([table, new, cold]).to_csv(tmp_path / "table.csv", index=False)
    for output, read in (("out.csv", pd.read_csv), ("out.parquet", pd.read_parquet)):
        done = unroll(
            "predict", "loads", "--input", tmp_path / "table.csv", "--output", tmp_path / output, "--server",
            server.address, "--json",
        )  # fmt: skip
        assert json.loads(done.stdout) == {
            "model": "loads", "version": 1, "output": str(tmp_path / output),
            "rows": 4 * H, "unanswered": H, "empty": 0,
        }  # fmt: skip
        assert "1 series without a value to forecast from: cold. Their forecasts are empty." in done.stderr
        assert "1 series with a category that the model does not know." in done.stderr
        found = read(tmp_path / output)
        assert list(found.columns) == ["house", "time", "kind", "plan", "load", "load 0.1", "load 0.5", "load 0.9"]
        assert found["house"].tolist() == [house for house in ("north", "south", "new", "cold") for _ in range(H)]
        assert found["kind"].tolist() == [kind for kind in "abcb" for _ in range(H)], "also the unknown one"
        assert found["plan"].tolist()[:H] == known.plan[known.house == "north"].tolist()[-H:]
        assert found["load"].notna().tolist() == [True] * 3 * H + [False] * H
        assert pd.to_datetime(found["time"]).dt.tz_convert(None).tolist()[:H] == known.time.tolist()[96 : 96 + H]
        asked = json.loads(
            unroll("predict", "loads", "--input", tmp_path / "table.csv", "--server", server.address, "--json").stdout
        )["predictions"]
        assert found["load"].tolist()[H : 2 * H] == pytest.approx(asked[1]["forecast"]["load"])
        assert asked[3]["forecast"]["load"] == [None] * H


def test_clients_may_send_a_history_and_nothing_else(forecaster, exported, server):
    history = loads(L)[["load", "plan"]].to_numpy(np.float32)[None, :L]
    with serving.Client(server.address, model="loads") as client:
        answer = client.predict({"history": history})
        described = json.loads(client.predict({}, "describe")["json"].item())
        nothing = client.predict({"history": np.zeros([1, 0, 2], np.float32)})
    np.testing.assert_allclose(answer["forecast"], exported.predict(inputs(history))["forecast"], rtol=1e-5)
    assert np.isnan(nothing["forecast"]).all(), "as documented"
    assert nothing["forecast"].shape == (1, H, 1)
    assert described["lookback"] == L
    assert described["targets"] == ["load"]


def test_what_was_mended_is_said(tmp_path):
    table = loads()
    table.loc[5, "load"] = np.inf
    table = pd.concat([table.drop(index=[10, 11]), table.iloc[[20]]]).sample(frac=1, random_state=0)
    config = {"data": {"series": "house"}, "model": {"lookback": L, "horizon": H}}
    said = prepared("forecasting", table, config, tmp_path).summary()
    for words in (
        "799 rows: 2 series, 2 targets (load, plan), every 1h, season 24 steps.",
        "1 duplicate row, dropped.",
        "2 missing times, kept as missing.",
        "1 infinite value, taken as missing.",
        "Values missing: up to 0.4% of a column.",
    ):
        assert words in said
    assert "rows out of order, sorted" in said


def test_a_few_missing_values_are_not_said_to_be_none(tmp_path):
    table = _one(loads(3000))
    table.loc[7, "load"] = np.nan
    said = prepared("forecasting", table, {}, tmp_path).summary()
    assert "3,000 rows: 1 series, 1 target (load), every 1h" in said
    assert "Values missing: less than 0.1% of a column." in said


def test_every_key_of_the_data_is_documented():
    page = (ROOT / "docs" / "forecasting.md").read_text()
    assert [key for key in SeriesSection.model_fields if f"| `data.{key}` |" not in page] == []


def test_a_few_training_windows_tell_no_category(forecaster):
    (directory,) = (forecaster["home"] / "cache" / "data").iterdir()
    kind = task_named("forecasting")
    task = kind(kind.Config.model_validate(Card.load(Path(forecaster["path"])).config), directory)
    told = {
        part: np.concatenate([inputs["static"] for inputs, _ in batches.as_numpy_iterator()])
        for part, batches in {"train": task.train_batches(0), "validation": task.validation_batches()}.items()
    }
    assert 0.07 < (told["train"] == 0).mean() < 0.13
    assert (told["validation"] > 0).all()


def test_the_sample_that_stands_in_for_data_is_named(tmp_path):
    pytest.importorskip("vega_datasets")
    done = unroll("train", "forecasting", "--home", tmp_path, "--set", "model.horizon=10000", check=2)
    assert "No --data: training on the sample data, " in done.stderr
    assert "hourly temperatures of Seattle and San Francisco in 2010" in done.stderr
    assert str(tmp_path / "cache" / "samples" / "city_temperatures.csv") in done.stderr


def test_a_forecast_lines_up_and_is_not_cut(tmp_path, server, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    loads(100).to_csv(tmp_path / "recent.csv", index=False)
    said = unroll("predict", "loads", "--input", tmp_path / "recent.csv", "--server", server.address).stdout
    rows = [line for line in said.splitlines() if line.strip().startswith("2026-")]
    assert len(rows) == 2 * H
    assert all(re.search(r"\d+\.\d+  \( *\d+\.\d+ to +\d+\.\d+\)$", row.rstrip()) for row in rows)
    for series in (rows[:H], rows[H:]):
        for mark in (".", "(", "to", ")"):
            assert len({row.index(mark) for row in series}) == 1, "in one column"


def _one(table: pd.DataFrame) -> pd.DataFrame:
    return table.query("house == 'north'")[["time", "load"]]


def _zones(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(time=[f"{time}{'+01:00' if row % 2 else ''}" for row, time in enumerate(table.time)])


_TARGET = ["--set", "data.targets=load"]
BAD = {
    "a time": (lambda one: one.assign(time="noon"), [], "is not a time"),
    "zones": (_zones, [], "mixes times with a UTC offset"),
    "empty": (lambda one: one.assign(load=np.nan), _TARGET, "all are missing"),
    "one row": (lambda one: one.head(1), [], "no series has two rows"),
    "horizon": (lambda one: one, ["--set", "model.horizon=100"], "model.horizon: 100 steps are more than"),
    "column": (lambda one: one, ["--set", "data.time=date"], "has no column 'date'"),
    "levels": (lambda one: one, ["--set", "model.quantiles=[0.9,0.1]"], "model.quantiles: must rise"),
    "a word": (lambda one: one.assign(load=one.load.astype(str).where(one.index != 7, "much")), _TARGET, "'much'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, case):
    make, options, words = BAD[case]
    make(_one(loads())).to_csv(tmp_path / "bad.csv", index=False)
    home = tmp_path / "home"
    done = unroll("train", "forecasting", "--data", tmp_path / "bad.csv", "--home", home, *SMALL, *options, check=2)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert words in lines[0]
    assert "Traceback" not in done.stderr
    left = [path for path in home.rglob("*") if path.is_file()] if home.exists() else []
    assert not [path for path in left if "cache" not in path.parts], left


def test_constants_go_on_and_counts_are_not_negative(tmp_path):
    rng = np.random.default_rng(0)
    table = _one(loads()).assign(load=7.0, zero=0, profit=rng.normal(0, 5, 400), sold=rng.poisson(0.5, 400))
    table.to_csv(tmp_path / "shop.csv", index=False)
    done = unroll(
        "train", "forecasting", "--data", tmp_path / "shop.csv", "--home", tmp_path / "home", "--json", *SMALL,
        "--set", "train.epochs=1", "--set", "data.targets=[load, zero, profit, sold]",
    )  # fmt: skip
    said = " ".join(done.stderr.split())
    assert "2 targets constant in training: load, zero." in said
    assert "Forecasts of load, zero, sold are 0 at least: no value is negative (model.minimum=null" in said
    exported = Exported(Path(json.loads(done.stdout)["path"]))
    assert json.loads(exported.predict({}, "describe")["json"].item())["minimum"] == [0, 0, None, 0]
    history = table.drop(columns="time").to_numpy(np.float32)
    windows = np.stack([history[start : start + L] for start in range(0, 340, 20)])
    windows[0, 5:, 0] = np.nan
    windows[1, :, 0] += 0.25 * np.arange(L)  # which is a constant no more
    given = {name: value for name, value in inputs(windows).items() if name not in ("future", "static")}
    answer = exported.predict(given)
    constant = np.r_[0, 2 : len(windows)]
    assert (answer["forecast"][constant, :, :2] == [7, 0]).all()
    assert (answer["quantiles"][constant, :, :2] == np.array([7, 0])[:, None]).all()
    assert (answer["forecast"][1, :, 0] != 7).all()
    assert answer["quantiles"][:, :, [0, 1, 3]].min() == answer["forecast"][:, :, [0, 1, 3]].min() == 0
    assert answer["quantiles"][:, :, 2].min() < 0, "a profit may be a loss"
    assert (np.diff(answer["quantiles"], axis=-1) >= 0).all()
    empty = exported.predict({**given, "history": np.full_like(windows, np.nan)})
    assert np.isnan(empty["forecast"]).all()
    assert np.isnan(empty["quantiles"]).all()


@pytest.mark.parametrize(
    ("setting", "lowest", "expected", "said"),
    [
        ("auto", [0.0, -1.0], [0.0, None], ["Forecasts of sold are 0 at least: no value"]),
        ("auto", [0.0, 250.0], [0.0, 0.0], ["Forecasts are 0 at least: no value"]),
        ("auto", [-1.0, -2.0], [None, None], []),
        (None, [0.0, 1.0], [None, None], []),
        (0.0, [0.0, 5.0], [0.0, 0.0], []),
        (-3.5, [-4.0, 5.0], [-3.5, -3.5], ["Forecasts are -3.5 at least, by model.minimum; sold goes down to -4."]),
    ],
)
def test_the_least_forecast_is_set_or_follows_from_the_data(setting, lowest, expected, said):
    assert minimums(setting, lowest) == expected
    lines = minimum_summary(setting, lowest, ["sold", "kelvin"])
    assert len(lines) == len(said)
    assert all(line.startswith(words) for line, words in zip(lines, said, strict=True))


def test_the_lowest_values_are_of_the_targets_alone():
    values = np.array([[3, -1, -9], [np.nan, np.nan, -9], [2, 5, -9]], np.float32)
    assert lowest_values(values, 2) == [2, -1]


def test_no_limit_is_no_number(tmp_path):
    for value in ("low", ".nan", "true", "[0]"):
        done = unroll("train", "forecasting", "--data", __file__, "--set", f"model.minimum={value}", check=2)
        assert "model.minimum: takes a number, auto or null. Received: " in done.stderr


def test_mlflow_itself_loads_a_forecaster(forecaster, exported, monkeypatch):
    database = f"sqlite:///{forecaster['home']}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)  # which MLflow changes; put back afterwards
    mlflow.set_tracking_uri(database)
    mlflow.set_registry_uri(database)
    model = mlflow.pyfunc.load_model("models:/loads@champion")
    columns = {one.name: one.required for one in model.metadata.signature.inputs.inputs}
    assert columns.pop("history")
    assert columns == dict.fromkeys(["timestamp", "series", "future", "static"], False)
    assert np.isfinite(np.array(model.predict(model.input_example).forecast.tolist())).all()
    history = loads(60)[["load", "plan"]].to_numpy(np.float32)
    table = pd.DataFrame({"history": [history[:60], history[:20].tolist(), history[60:]]}, index=list("abc"))
    answered = model.predict(table)
    assert list(answered.index) == ["a", "b", "c"]
    for cells, forecast, quantiles in zip(table.history, answered.forecast, answered.quantiles, strict=True):
        expected = exported.predict(inputs(np.array(cells, np.float32)[None]))
        np.testing.assert_allclose(forecast, expected["forecast"][0], rtol=1e-5)
        np.testing.assert_allclose(quantiles, expected["quantiles"][0], rtol=1e-5)


def test_python_takes_a_frame_of_recent_steps(forecaster):
    model = load("loads", home=forecaster["home"])
    frame = loads(hours=120, seed=2)
    frame.loc[frame.groupby("house").tail(H).index, "load"] = np.nan  # of which only the plan is known
    table = model.predict(frame)
    assert list(table.columns) == ["series", "time", "load", "load 0.1", "load 0.5", "load 0.9"]
    assert list(table["series"]) == ["north"] * H + ["south"] * H
    assert table["time"].iloc[0] == frame["time"].iloc[120 - H]
    actual = loads(hours=120, seed=2).groupby("house").tail(H)["load"].to_numpy()
    assert np.abs(table["load"].to_numpy() - actual).mean() < 15
    by_time = loads(hours=120, seed=3).set_index("time")
    assert model.evaluate(by_time)["mase"] == pytest.approx(model.evaluate(by_time.reset_index())["mase"])
