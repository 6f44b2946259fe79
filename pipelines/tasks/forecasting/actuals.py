"""What came true after a forecast, read as training read its data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unroll.errors import UserError
from unroll.pipelines.data.records import find_files
from unroll.pipelines.data.series import data as series_data
from unroll.pipelines.data.series.columns import read_schema
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.summary import further_summary
from unroll.pipelines.tasks.forecasting.config import ForecastConfig
from unroll.pipelines.training.config import load_config
from unroll.pipelines.training.progress import Progress

Found = dict[str, tuple[np.ndarray, np.ndarray]]


def reading(section: SeriesSection, dataset_info: Mapping[str, Any]) -> dict[str, Any]:
    """What `read` must know of the training data, as JSON has it.

    Args:
        section: the keys `data.*`.
        dataset_info: of the training data.
    """
    kept = ("targets", "frequency", "timezone", "time_form", "formats")
    return {
        "task": "forecasting",
        "data": section.model_dump(mode="json"),
        "dataset_info": {key: dataset_info[key] for key in kept if key in dataset_info},
    }


def read(labels: Path, reading: Mapping[str, Any], overrides: Sequence[str] = ()) -> Found:
    """Reads a table of observed values: its columns of times, ids and targets, moved onto the grid as in training.

    Args:
        labels: the file; of a single target it may also have a column a series, named after it.
        reading: what the function of that name made.
        overrides: `data.key=value`, where the file is written otherwise than the training data.

    Returns:
        By series, Unix seconds of the steps, int64 `(t,)`, each one after the other, and values, float64
        `(t, channels)`, NaN where missing.

    Raises:
        UserError: a file that cannot be read, or lacks a column.
    """
    if foreign := [one for one in overrides if not one.startswith("data.")]:
        raise UserError(f"--set: only data.* keys apply to a report. Received: {foreign[0]!r}")
    section = load_config(ForecastConfig, overrides=overrides, base={"data": reading["data"]}).data
    info = {**reading["dataset_info"], "categories": {}, "season": 1, "series": {}}
    try:
        section, info = _fitted(section, info, labels)
        with Progress() as progress:
            data = series_data.read_further(section, info, str(labels), progress)
            progress.line(further_summary({**data.dataset_info, "unseen_series": 0}))
    except UserError as error:
        raise UserError(f"--labels: {str(error).removeprefix('--data ')}") from None
    found: Found = {}
    for row, name in enumerate(data.ids):
        values = data.values[data.offsets[row] : data.offsets[row + 1], : data.targets].astype(np.float64)
        found[name] = (data.frequency.advance(int(data.start[row]), np.arange(len(values))), values)
    return found


def _fitted(section: SeriesSection, info: dict[str, Any], labels: Path) -> tuple[SeriesSection, dict[str, Any]]:
    """What is read of such a file: no covariates, and of a single target a column a series where it has those."""
    names = read_schema(section, find_files(str(labels))[0], section.time_columns).names
    covariates = [name for name in section.past_covariates + section.future_covariates if name in names]
    wide = section.columns == "series"  # where covariates must be told from series
    changes: dict[str, Any] = {
        "past_covariates": covariates if wide else [],
        "future_covariates": [],
        "static_categories": [],
    }
    (target, *others) = section.targets or info["targets"]
    if section.series is not None and not others and section.series not in names and target not in names:
        changes |= {"series": None, "columns": "series", "targets": None}
        if target in (formats := info.get("formats", {})):
            info = {**info, "formats": dict.fromkeys(names, formats[target])}
    return section.model_copy(update=changes), info
