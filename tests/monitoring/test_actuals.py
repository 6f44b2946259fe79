"""What came true finds its forecast, by time and series; and `--labels` end to end."""

import dataclasses
import io
import json
import time

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from unroll.errors import UserError
from unroll.monitoring import ReferenceProfile, SeriesFeature
from unroll.monitoring.actuals import Actuals
from unroll.monitoring.cli import app
from unroll.monitoring.report import drift_report
from unroll.monitoring.requests import Window
from unroll.monitoring.terminal import print_report
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.table import read_table
from unroll.pipelines.training.progress import Progress

HOUR = 3600
START = int(pd.Timestamp("2026-01-01", tz="UTC").timestamp())
HOURLY = SeriesFeature(("load",), 24, 48, 0, 2, seconds=HOUR, time_column="date")
METERS = dataclasses.replace(HOURLY, series_column="meter")
MONTHLY = SeriesFeature(("load",), 12, 24, 0, 2, months=1, time_column="date")


def asked(newest, names=None, horizon=2):
    inputs = {"history": np.zeros((len(newest), 4, 1), np.float32), "timestamp": np.array(newest)}
    if names:
        inputs["series"] = np.array([name.encode() for name in names], object)
    forecast = np.zeros((len(newest), horizon, 1), np.float32)
    return inputs, {"forecast": forecast, "quantiles": np.zeros((*forecast.shape, 3), np.float32)}


def match(actuals, *request):
    inputs, outputs, rows = actuals.match(*request)
    assert len(outputs["forecast"]) == len(inputs["history"]) == len(rows)
    return inputs["actual"][..., 0].tolist(), rows.tolist()


def dates(count, freq="h", start="2026-01-01"):
    return pd.date_range(start, periods=count, freq=freq)


def write(path, **columns):
    table = pd.DataFrame(columns)
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_one_series(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", date=dates(6)[::-1], load=np.arange(6.0)[::-1])
    actuals = Actuals.read(path, HOURLY)
    newest = [START, START + 3 * HOUR, START + 4 * HOUR, -1, START - 9 * HOUR, START + 60]
    assert match(actuals, *asked(newest)) == ([[1, 2], [4, 5]], [0, 1])
    assert (actuals.unmatched.untimed, actuals.unmatched.unknown) == (1, 3)
    inputs, outputs = asked([START])
    del inputs["timestamp"]
    assert match(actuals, inputs, outputs) == ([], [])
    assert actuals.unmatched.untimed == 2


def test_missing_values_stay_missing_and_half_of_them_is_enough(tmp_path):
    load = [0, 1, np.nan, np.nan, np.nan, 5]
    actuals = Actuals.read(write(tmp_path / "a.csv", date=dates(6), load=load), HOURLY)
    (first,), rows = match(actuals, *asked([START, START + HOUR]))
    assert first[0] == 1
    assert np.isnan(first[1])
    assert rows == [0]
    gone = write(tmp_path / "b.csv", date=dates(6).delete([2, 3]), load=[0, 1, 4, 5])
    assert match(Actuals.read(gone, HOURLY), *asked([START + HOUR, START + 3 * HOUR])) == ([[4, 5]], [1])


def test_several_series_long_and_wide(tmp_path):
    long = write(
        tmp_path / "long.csv", date=dates(4).repeat(2), meter=["a", "b"] * 4, load=[0, 10, 1, 11, 2, 12, 3, 13]
    )
    wide = write(tmp_path / "wide.csv", date=dates(4), a=[0, 1, 2, 3], b=[10, 11, 12, 13])
    for path in (long, wide):
        request = asked([START, START, START + HOUR, START], ["b", "a", "b", "c"])
        assert match(Actuals.read(path, METERS), *request) == ([[11, 12], [1, 2], [12, 13]], [0, 1, 2])
        assert match(Actuals.read(path, METERS), *asked([START])) == ([], []), "a series must be named"


def test_series_under_another_columns_name_are_not_taken_for_one(tmp_path):
    path = write(tmp_path / "a.csv", date=dates(4).repeat(2), town=["a", "b"] * 4, load=range(8))
    with pytest.raises(UserError, match=r"no column 'meter'\. It has: date, town, load"):
        Actuals.read(path, METERS)


def test_times_with_a_zone_as_seconds_and_by_the_month(tmp_path):
    zoned = write(tmp_path / "a.csv", date=[str(one) for one in dates(4).tz_localize("Etc/GMT-2")], load=range(4))
    assert match(Actuals.read(zoned, HOURLY), *asked([START - 2 * HOUR])) == ([[1, 2]], [0])
    seconds = write(tmp_path / "b.csv", date=START + HOUR * np.arange(4), load=range(4))
    assert match(Actuals.read(seconds, HOURLY), *asked([START])) == ([[1, 2]], [0])
    monthly = write(tmp_path / "c.csv", date=dates(5, "ME", "2025-12-31"), load=range(5))
    assert match(Actuals.read(monthly, MONTHLY), *asked([START])) == ([[2, 3]], [0])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("times", "form"),
    [
        (["2026/01/01 00:00", "2026/01/01 01:00:00", "2026-01-01T02:00"], None),
        (["20260101", "20260102", "20260103"], None),
        (["2026", "2027", "2028"], None),
        ([20260101, 20260102, 20260103], None),
        ([START + 0.0, START + 3600.0, START + 7200.0], None),
        (["01.02.2026 00:00", "01.02.2026 01:00", "01.02.2026 02:00"], "%d.%m.%Y %H:%M"),
    ],
)
def test_times_are_those_that_training_reads(tmp_path, times, form, suffix):
    path = write(tmp_path / f"a.{suffix}", date=times, load=range(3))
    with Progress().stage("reading") as stage:
        trained = read_table(SeriesSection(time="date", time_format=form), str(path), stage).times
    actuals = Actuals.read(path, dataclasses.replace(HOURLY, time_format=form))
    np.testing.assert_array_equal(actuals.series[""][0], trained)


def test_names_are_those_that_training_reads(tmp_path):
    path = write(tmp_path / "a.csv", date=dates(3).repeat(2), meter=["007", "NA"] * 3, load=range(6))
    assert list(Actuals.read(path, METERS).series) == ["007", "NA"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("time,load\n2026-01-01,1\n", "no column 'date'. It has: time, load"),
        ("date,meter\n2026-01-01,1\n", "no column 'load'"),
        ("date,meter,load\n2026-01-01,a,1\nsoon,a,1\n", "row 3, column 'date': is not a time in ISO 8601"),
        ("date,meter,load\n2026-01-01 00:00+01:00,a,1\n2026-01-02,a,1\n", "mixes times with a UTC offset"),
        ("date,meter,load\n2026-01-01,a,1\n,a,1\n", "row 3, column 'date': has no time"),
        (
            "date,meter,load\n2026-01-01,a,1\n2026-01-01,a,high\n",
            "row 3, column 'load': is not a number. Received: 'high'",
        ),
        ("", "cannot be read"),
    ],
)
def test_a_bad_file_is_a_user_error(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(UserError, match="--labels") as refused:
        Actuals.read(path, METERS)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="No such file"):
        Actuals.read(tmp_path / "none.csv", HOURLY)


@pytest.fixture(scope="module")
def home(tmp_path_factory, write_version, log_writer, predict_log):
    """A forecaster asked every hour with histories of several lengths, some without a time."""
    home = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(0)
    hours = np.arange(2000)
    load = (20 + 3 * np.sin(2 * np.pi * hours / 24) + rng.normal(size=2000) * 0.5).astype(np.float32)

    def tensors(at, steps):
        history = np.stack([load[i + 1 - steps : i + 1] for i in at])[..., None]
        forecast = history[:, -24:-18]
        quantiles = forecast[..., None] + np.array([-0.9, 0, 0.9], np.float32)
        return {"history": history}, {"forecast": forecast, "quantiles": quantiles}

    inputs, outputs = tensors(range(60, 1500), 48)
    actual = np.stack([load[i + 1 : i + 7] for i in range(60, 1500)])[..., None]
    profile = ReferenceProfile.build([HOURLY], inputs | {"actual": actual}, outputs, model="load")
    write_version(home / "store" / "load" / "1", profile)
    writer = log_writer(home / "requests" / "load")
    now = time.time_ns()
    for number, hour in enumerate(range(1600, 1720)):
        inputs, outputs = tensors([hour], 48 + number % 3 * 10)
        if number % 10:
            inputs["timestamp"] = np.array([START + HOUR * hour])
        writer.add(predict_log(inputs, outputs), now + number, 1, f"id-{number}")
    # Another signature's shapes, and a request of two rows.
    writer.add(predict_log({"history": np.zeros((1, 5))}, outputs), now + 500, 1, "flat")
    inputs, outputs = tensors([1720, 1721], 48)
    writer.add(predict_log(inputs, outputs), now + 600, 1, "two")
    stream = predict_log(inputs, outputs)
    stream.predict_log.request.model_spec.signature_name = "step"
    writer.add(stream, now + 700, 1, "stream")
    writer.close()
    write(home / "right.csv", date=dates(1720), load=load[:1720])
    write(home / "wrong.csv", date=dates(1720), load=load[:1720] + 30)
    return home


def run(home, *arguments):
    return CliRunner().invoke(app, ["report", "load", "--home", str(home), *arguments])


def test_a_report_on_series(home, tmp_path):
    result = run(home, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["verdict"] == "no drift"
    assert {one["name"] for one in document["features"]} == {
        f"load/{name}" for name in ("level", "scale", "gaps", "seasonality", "forecast", "interval")
    }
    assert document["window"]["skipped"]["tensors"] == 1
    assert document["window"]["unmatched"] is None
    result = run(home, "--html", str(tmp_path / "a.html"))
    assert "load/seasonality" in result.stdout
    assert "Left out: 1 request that asked another signature than the default one." in result.stdout
    assert "independent windows" in " ".join(result.stdout.split())
    assert (tmp_path / "a.html").read_text().count("<svg") == 6


def test_no_name_or_number_is_cut_at_80_columns(home):
    report = drift_report("load", store=home / "store", requests=home / "requests", window=Window())
    longest = [
        dataclasses.replace(one, name=one.name.replace("load", "temp" * 4)) for one in report.comparison.features
    ]
    comparison = dataclasses.replace(report.comparison, features=longest)
    console = Console(width=80, file=io.StringIO())
    print_report(dataclasses.replace(report, comparison=comparison), console)
    said = console.file.getvalue()
    assert "…" not in said
    for feature in longest:
        assert feature.name in said
        assert f"{feature.p_value:.3f}" in said


def test_actuals_that_come_later(home):
    result = run(home, "--labels", str(home / "right.csv"), "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    # 12 of the 120 told no time, nor did the two rows; the file ends within 6 horizons.
    assert document["window"]["unmatched"] == {"untimed": 14, "unknown": 6}
    assert document["window"]["records"] == 122 - 14 - 6
    (coverage,) = [one for one in document["features"] if one["name"] == "load/coverage"]
    load = pd.read_csv(home / "right.csv").load.to_numpy()
    newest = [hour for number, hour in enumerate(range(1600, 1714)) if number % 10][-document["window"]["compared"] :]
    inside = [abs(load[hour + 1 : hour + 7] - load[hour - 23 : hour - 17]) <= 0.9 for hour in newest]
    assert coverage["current"]["mean"] == pytest.approx(np.mean(inside), abs=0.006)
    assert coverage["reference"]["mean"] == pytest.approx(0.8, abs=0.05)
    wrong = run(home, "--labels", str(home / "wrong.csv"))
    assert wrong.exit_code == 3, wrong.output
    assert "without a timestamp" in wrong.stdout
    document = json.loads(run(home, "--labels", str(home / "wrong.csv"), "--json").stdout)
    assert {one["name"] for one in document["features"] if one["drift"]} >= {"load/error", "load/coverage"}


def test_labels_that_match_nothing_or_no_forecaster(home, tmp_path, profile, write_version, log_writer, predict_log):
    early = write(tmp_path / "early.csv", date=dates(20), load=range(20))
    error = run(home, "--labels", str(early)).exception
    assert isinstance(error, UserError)
    assert "14 records told no timestamp, of 108 the file does not reach the end" in str(error)
    write_version(tmp_path / "store" / "load" / "1", profile)
    error = run(home, "--store", str(tmp_path / "store"), "--labels", str(early)).exception
    assert isinstance(error, UserError)
    assert "nothing that labels are compared with" in str(error)
