"""Windows against loops over a pandas table."""

import numpy as np
import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.pipelines.data.series.data import SeriesData, prepare, read_further
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.window_index import WindowIndex
from unroll.pipelines.data.series.windows import windows
from unroll.pipelines.training.progress import Progress

LENGTHS = {"long": 120, "gaps": 90, "late": 35, "short": 12, "one": 1}
SECTION = SeriesSection(
    series="id", targets=["x", "y"], past_covariates="p", future_covariates="f", static_categories="kind"
)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    tables = []
    for name, length in LENGTHS.items():
        times = pd.date_range("2024-01-05 23:00" if name == "late" else "2024-01-01", periods=120, freq="h")[:length]
        values = pd.DataFrame(rng.normal(size=(length, 4)).astype(np.float32), columns=list("xypf"))
        tables.append(values.assign(time=times, id=name, kind="even" if length % 2 == 0 else "odd"))
    return pd.concat(tables, ignore_index=True).query(
        "not (id == 'gaps' and 30 <= time.dt.hour + 24 * time.dt.day < 34)"
    )


@pytest.fixture(scope="module")
def data(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    table.to_parquet(folder / "data.parquet", index=False)
    prepare(SECTION, str(folder / "data.parquet"), folder, Progress())
    return SeriesData.load(folder)


def expected(table, data, split, lookback, horizon, history, stride):
    """Windows of a split, by plain loops."""
    span = data.dataset_info["splits"][split]
    found = []
    for number, name in enumerate(data.ids):
        own = table[table.id == name].set_index("time")
        rows, kind = (
            own[["x", "y", "p", "f"]].asfreq("h"),
            data.dataset_info["categories"]["kind"].index(own.kind.iloc[0]) + 1,
        )
        before = int((rows.index < span["from"]).sum())
        end = int((rows.index < span["before"]).sum())
        first = before
        if not before:
            first = lookback if end >= lookback + horizon else max(1, (end - horizon) // 2)
        for origin in range(first, end - horizon + 1, stride):
            past = rows.iloc[max(0, origin - history) : origin].to_numpy()
            ahead = rows.iloc[origin : origin + horizon]
            padding = np.full((history - len(past), 4), np.nan)
            found.append(
                {
                    "history": np.concatenate([padding, past]).astype(np.float32),
                    "target": ahead[["x", "y"]].to_numpy(np.float32),
                    "future": ahead[["f"]].to_numpy(np.float32),
                    "timestamp": int(rows.index[origin - 1].timestamp()),
                    "series": number,
                    "static": np.array([kind]),
                    "mean": data.scales.mean[number],
                    "std": data.scales.std[number],
                    "naive": data.scales.naive[number],
                }
            )  # fmt: skip
    return found


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize(("lookback", "horizon", "history", "stride"), [(16, 4, 16, 1), (24, 3, 40, 5), (5, 6, 2, 1)])
def test_windows_are_those_of_plain_loops(table, data, split, lookback, horizon, history, stride):
    reference = expected(table, data, split, lookback, horizon, history, stride)
    batches = list(
        windows(
            data, split, lookback=lookback, horizon=horizon, history=history, stride=stride, batch_size=7
        ).as_numpy_iterator()
    )
    index = WindowIndex.of(data, split, lookback=lookback, horizon=horizon, stride=stride)
    assert index.count == len(reference) == sum(len(batch["series"]) for batch in batches)
    assert all(len(batch["series"]) == 7 for batch in batches[:-1])
    for key in reference[0]:
        found = np.concatenate([batch[key] for batch in batches])
        np.testing.assert_array_equal(found, np.stack([window[key] for window in reference]), err_msg=key)


def epoch(data, seed, number):
    batches = windows(data, "train", lookback=8, horizon=2, batch_size=16, shuffle=(seed, number))
    return [(int(a), int(b)) for one in batches for a, b in zip(one["series"], one["timestamp"], strict=True)]


def test_an_epoch_has_every_window_once_in_an_order_of_its_own(data):
    ordered = [
        (int(a), int(b))
        for one in windows(data, "train", lookback=8, horizon=2, batch_size=16)
        for a, b in zip(one["series"], one["timestamp"], strict=True)
    ]
    first = epoch(data, 0, 0)
    assert sorted(first) == sorted(ordered)
    assert len(set(first)) == len(first)
    assert first == epoch(data, 0, 0)
    orders = [ordered, first, epoch(data, 0, 1), epoch(data, 1, 0)]
    assert all(a != b for number, a in enumerate(orders) for b in orders[:number])
    ranks = np.array([ordered.index(window) for window in first])
    assert abs(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1]) < 0.3, "the order should tell nothing of the time"


def test_all_windows_of_further_data(table, data, tmp_path):
    recent = table[table.id == "long"].tail(40)
    recent.to_csv(tmp_path / "recent.csv", index=False)
    further = read_further(SECTION, data.dataset_info, str(tmp_path / "recent.csv"), Progress())
    batches = list(windows(further, "all", lookback=16, horizon=4, batch_size=64))
    assert sum(len(batch["series"]) for batch in batches) == 40 - 16 - 4 + 1
    np.testing.assert_array_equal(batches[0]["target"][-1], recent[["x", "y"]].tail(4).to_numpy(np.float32))
    assert set(batches[0]["series"].numpy()) == {further.ids.index("long")}


def test_further_data_may_call_its_columns_otherwise(table, data, tmp_path):
    recent = table[table.id == "long"].tail(40)
    recent.rename(columns={"x": "load", "y": "heat", "p": "wind"}).to_csv(tmp_path / "recent.csv", index=False)
    renamed = SECTION.model_copy(update={"targets": ["load", "heat"], "past_covariates": ["wind"]})
    further = read_further(renamed, data.dataset_info, str(tmp_path / "recent.csv"), Progress())
    np.testing.assert_array_equal(further.values, recent[list("xypf")].to_numpy(np.float32))


@pytest.mark.parametrize(
    ("key", "names"), [("targets", ["x"]), ("past_covariates", []), ("future_covariates", ["f", "p"])]
)
def test_further_data_has_as_many_columns_of_a_kind(table, data, tmp_path, key, names):
    table.to_csv(tmp_path / "recent.csv", index=False)
    with pytest.raises(
        UserError, match=f"data.{key}: the model was trained with {2 if key == 'targets' else 1} "
    ) as told:
        read_further(
            SECTION.model_copy(update={key: names}), data.dataset_info, str(tmp_path / "recent.csv"), Progress()
        )
    assert "\n" not in str(told.value)


def test_months_are_counted_by_the_calendar(tmp_path):
    times = pd.date_range("2010-01-31", periods=100, freq="ME")
    pd.DataFrame({"time": times, "x": np.arange(100.0)}).to_csv(tmp_path / "data.csv", index=False)
    prepare(SeriesSection(), str(tmp_path / "data.csv"), tmp_path, Progress())
    batch = next(iter(windows(SeriesData.load(tmp_path), "train", lookback=12, horizon=3, batch_size=100)))
    newest = batch["history"][:, -1, 0].numpy().astype(int)
    np.testing.assert_array_equal(batch["timestamp"], times.as_unit("s").astype(np.int64)[newest])
