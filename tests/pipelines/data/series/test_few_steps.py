"""Too few rows for a window in every split: what the refusal names can be pasted, and has windows."""

import re
import shlex

import numpy as np
import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.pipelines.data.series.data import SeriesData, prepare
from unroll.pipelines.data.series.window_index import check_windows
from unroll.pipelines.tasks.forecasting.config import ForecastConfig
from unroll.pipelines.training.config import load_config
from unroll.pipelines.training.progress import Progress


def windows(folder, table, settings):
    """Windows by split, with these options of a command line."""
    table.to_csv(folder / "data.csv", index=False)
    config = load_config(ForecastConfig, None, settings)
    directory = folder / "prepared"
    directory.mkdir(exist_ok=True)
    prepare(config.data, str(folder / "data.csv"), directory, Progress())
    data = SeriesData.load(directory)
    lookback, horizon = config.model.lookback or 336, config.model.horizon or 24
    return config, check_windows(data, lookback=lookback, horizon=horizon)


def months(rows, series=1):
    times = pd.date_range("2023-01-01", periods=rows, freq="MS").strftime("%Y-%m")
    names = [f"s{one}" for one in range(series) for _ in times]
    return pd.DataFrame({"time": [*times] * series, "id": names, "x": np.arange(float(rows * series))})


def uneven():
    """Series of which only one is long enough."""
    long, short = months(40, 1), months(6, 2)
    short["id"] = short["id"] + "b"
    return pd.concat([long, short])


SITUATIONS = {
    "fifteen months": (months(15), [], 3),
    "five months": (months(5), [], 1),
    "four months": (months(4), [], 1),
    "twenty months, a year ahead": (months(20), ["model.horizon=12"], 5),
    "sixty months, a year ahead": (months(60), ["model.horizon=12"], 12),
    "several series": (months(30, 3), ["model.horizon=24"], 7),
    "uneven series": (uneven(), ["model.horizon=12"], 10),
    "own splits": (months(40), ["data.split_rows=[30, 2, 8]", "model.horizon=6"], 6),
    "own splits too long": (months(40), ["data.split_rows=[30, 8, 8]", "model.horizon=6"], 10),
    "a short train split": (months(200), ["data.split_rows=[10, 95, 95]", "model.horizon=20"], 20),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_the_refusal_names_can_be_pasted(tmp_path, name):
    table, settings, horizon = SITUATIONS[name]
    settings = ["data.series=id", *settings]
    with pytest.raises(UserError) as refused:
        windows(tmp_path, table, settings)
    line = re.search(r", as in (--set .+)$", str(refused.value))[1]
    pasted = [word for word in shlex.split(line) if word != "--set"]
    config, found = windows(tmp_path, table, [*settings, *pasted])
    assert config.model.horizon == horizon
    assert all(split["windows"] for split in found.values())


def test_three_rows_are_too_few_for_any(tmp_path):
    with pytest.raises(UserError, match=r"or add rows$"):
        windows(tmp_path, months(3), ["data.series=id"])
