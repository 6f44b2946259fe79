"""A prepared data set of series: values on a regular grid, splits in time order, scales of the training split."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.times.clock import Clock
from unroll.monitoring.times.frequency import Frequency
from unroll.pipelines.data.dataset_info import read_info, write_info
from unroll.pipelines.data.series.clock.doubtful_times import check_apart, check_calendar
from unroll.pipelines.data.series.clock.local_times import settle
from unroll.pipelines.data.series.columns import check_counts, left_out
from unroll.pipelines.data.series.few_steps import settings_that_fit
from unroll.pipelines.data.series.grid import SeriesGrid, to_grid
from unroll.pipelines.data.series.scales import Scales, series_scales, standardise
from unroll.pipelines.data.series.season import SeasonChoice, choose_season
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.shape.repeated_times import check_repeats
from unroll.pipelines.data.series.table import read_table
from unroll.pipelines.data.splits import SPLITS
from unroll.pipelines.training.progress import Progress

_NAMED_SERIES = 10_000  # the information gives scales by series up to so many
_LISTED = 10


@dataclass(frozen=True)
class SeriesData:
    """Series on one grid, in memory or mapped from a prepared folder.

    Args:
        frequency: the distance between steps.
        season: steps of the season of the seasonal naive forecast; 1 where there is none.
        ids: of the series.
        start: int64 [N]; Unix seconds of the first step.
        offsets: int64 [N + 1]; series i has rows `offsets[i]` to `offsets[i + 1]` of `values`.
        values: float32 [steps, D]; targets, past and future covariates, NaN where missing.
        static: int32 [N, S]; numbers of the categories, 0 for an unknown one.
        scales: of the targets, by series.
        bounds: by split, the ordinals (of `Frequency.ordinal`) of its first step and of the step after its last.
        dataset_info: what is known of the data set; plain JSON.
    """

    frequency: Frequency
    season: int
    ids: list[str]
    start: np.ndarray
    offsets: np.ndarray
    values: np.ndarray
    static: np.ndarray
    scales: Scales
    bounds: dict[str, tuple[int, int]]
    dataset_info: dict[str, Any]

    @property
    def targets(self) -> int:
        """C, columns of `values` that are forecast."""
        return len(self.dataset_info["targets"])

    @property
    def future_covariates(self) -> int:
        """F, the last columns of `values`."""
        return len(self.dataset_info["future_covariates"])

    def steps(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """First step and end, counted from the start of each series, of what lies in a split; int64 [N] each."""
        lengths, first = np.diff(self.offsets), self.frequency.ordinal(self.start)
        begin, end = (np.clip(bound - first, 0, lengths) for bound in self.bounds[split])
        return begin, end

    @classmethod
    def load(cls, directory: Path) -> "SeriesData":
        """Opens what `prepare` wrote; the values stay on disk until they are used."""
        dataset_info = read_info(directory)
        with np.load(directory / "series.npz") as arrays:
            scales = Scales(arrays["mean"], arrays["std"], arrays["naive"])
            start, offsets = arrays["start"], arrays["offsets"]
            static = arrays["static"]
        return cls(
            frequency_of(dataset_info),
            dataset_info["season"],
            json.loads((directory / "ids.json").read_text()),
            start,
            offsets,
            np.load(directory / "values.npy", mmap_mode="r"),
            static,
            scales,
            {split: tuple(cut["ordinals"]) for split, cut in dataset_info["splits"].items()},
            dataset_info,
        )

    def save(self, directory: Path) -> None:
        np.save(directory / "values.npy", self.values)
        np.savez(
            directory / "series.npz",
            start=self.start,
            offsets=self.offsets,
            static=self.static,
            mean=self.scales.mean,
            std=self.scales.std,
            naive=self.scales.naive,
        )
        (directory / "ids.json").write_text(json.dumps(self.ids))
        write_info(directory, self.dataset_info)


def prepare(section: SeriesSection, data: str, directory: Path, progress: Progress) -> None:
    """Reads series, puts them on a grid and writes `values.npy`, `series.npz`, `ids.json` and `dataset_info.json`.

    Args:
        section: names the columns.
        data: file, folder or glob.
        directory: an empty folder.
        progress: where to show it.

    Raises:
        UserError: data that cannot be trained on.
    """
    with progress.stage("reading rows") as stage:
        clock = Clock.of(section.timezone) if section.timezone else None
        table = read_table(section, data, stage, clock=clock)
    with progress.stage("placing them on a grid") as stage:
        settled = settle(table, clock)
        table.dataset_info["clock_told"] = settled.told
        if table.rate is None:
            check_calendar(table.times, table.codes, settled.clock)
            check_repeats(table, section, settled.clock)
        frequency = Frequency.parse(section.frequency, settled.clock) if section.frequency else None
        wide = section.columns == "series"
        grid = to_grid(table, frequency, settled.clock, wide=wide, holidays=section.holidays)
        if table.rate is None:
            check_apart(table.times)
        stage.say(f"{len(grid.ids):,} series, {grid.frequency.counted(len(grid.values))}")
    with progress.stage("scaling") as stage:
        prepared = _split(section, grid)
        stage.say(f"season {prepared.season}")
    prepared.save(directory)


def read_further(
    section: SeriesSection, dataset_info: Mapping[str, Any], data: str, progress: Progress, *, keep_empty: bool = False
) -> SeriesData:
    """Reads series for a model that is trained already, as one split called "all".

    Series unseen in training are scaled by their own rows; so are all where `dataset_info` holds no
    scales by series. Unknown categories have number 0. Both are counted in `dataset_info`.

    Args:
        section: names the columns, which may have other names than in training, in its order.
        dataset_info: of the training data.
        data: file, folder or glob.
        progress: where to show it.
        keep_empty: keeps series without a value of any target.

    Raises:
        UserError: data that cannot be read, or without the columns of the training.
    """
    columns: dict[str, Any] = {"frequency": dataset_info["frequency"]}
    if section.columns == "channels":
        columns["targets"] = section.targets or dataset_info["targets"]
    section = section.model_copy(update=columns)
    check_counts(section, dataset_info)
    frequency = frequency_of(dataset_info)
    with progress.stage("reading rows") as stage:
        table = read_table(section, data, stage, dataset_info, frequency.clock)
        table.dataset_info["clock_told"] = settle(table, frequency.clock).told
        grid = to_grid(table, frequency, frequency.clock, wide=section.columns == "series", keep_empty=keep_empty)
        stage.say(f"{len(grid.ids):,} series, {frequency.counted(len(grid.values))}")
    bounds = {"all": _span(grid)}
    known: Mapping[str, Any] = dataset_info["series"]
    own = series_scales(grid, *_steps(grid, bounds["all"]), dataset_info["season"])
    for row, name in enumerate(grid.ids):
        if name in known:
            own.mean[row], own.std[row], own.naive[row] = (known[name][key] for key in ("mean", "std", "naive"))
    static, unknown = _static(grid, dataset_info["categories"])
    unseen = [name for name in grid.ids if name not in known]
    further = {
        **_dataset_info(grid, dataset_info["season"], bounds),
        "categories": dataset_info["categories"],
        "series": {},
        "unseen_series": len(unseen),
        "unseen_series_named": unseen[:_LISTED],
        "unknown_categories": unknown,
        "static_names": {
            name: [[*names, None][code] for code in codes] for name, (names, codes) in grid.statics.items()
        },
    }
    return SeriesData(
        frequency,
        dataset_info["season"],
        grid.ids,
        grid.start,
        grid.offsets,
        grid.values,
        static,
        own,
        bounds,
        further,
    )


def frequency_of(dataset_info: Mapping[str, Any]) -> Frequency:
    """The step of a data set, on its clock."""
    return Frequency.parse(dataset_info["frequency"], Clock.of(dataset_info.get("timezone", "")))


def newest(data: SeriesData, *, history: int, horizon: int) -> dict[str, np.ndarray]:
    """What a forecast from each series' end is made from.

    A series ends at its last step with an observed target; rows after it give its future covariates. One without any
    ends before its first step.

    Args:
        data: of `read_further`.
        history: T, steps; those before a series' first are NaN.
        horizon: H, steps.

    Returns:
        `history` float32 [N, T, D], `timestamp` int64 [N] of the newest step, `future` float32 [N, H, F], `static`
        int32 [N, S].
    """
    count, width = len(data.ids), data.values.shape[1]
    known = np.full((count, history, width), np.nan, np.float32)
    future = np.full((count, horizon, data.future_covariates), np.nan, np.float32)
    timestamp = np.empty(count, np.int64)
    for row in range(count):
        values = data.values[data.offsets[row] : data.offsets[row + 1]]
        observed = ~np.isnan(values[:, : data.targets]).all(axis=1)
        end = len(values) - int(observed[::-1].argmax()) if observed.any() else 0
        part = values[max(0, end - history) : end]
        known[row, history - len(part) :] = part
        after = values[end : end + horizon, width - data.future_covariates :]
        future[row, : len(after)] = after
        timestamp[row] = data.frequency.advance(int(data.start[row]), np.array(end - 1))
    return {
        "history": known,
        "timestamp": timestamp,
        "future": future,
        "static": data.static,
    }


def _split(section: SeriesSection, grid: SeriesGrid) -> SeriesData:
    first, last = _span(grid)
    rows = [int(row) if row >= 1 else int(row * (last - first) + 1e-9) for row in section.split_rows]
    if sum(rows) > last - first or not all(rows):
        settings = settings_that_fit(last - first, last - first)
        raise UserError(
            f"configuration key data.split_rows: {section.split_rows} of a grid of {last - first} steps gives splits "
            f"of {rows} steps. Give splits of at least one step that sum to at most {last - first}"
            f"{f', as in {settings}' if settings else ', or add rows'}"
        )
    cuts = first + np.cumsum([0, *rows])
    bounds = {split: (int(cuts[i]), int(cuts[i + 1])) for i, split in enumerate(SPLITS)}
    train = _steps(grid, bounds["train"])
    _check_columns(grid, *train)
    known = _steps(grid, bounds["validation"])[1]
    choice = SeasonChoice(section.season) if section.season else choose_season(grid, train[0], known)
    season = choice.season
    scales = series_scales(grid, *train, season)
    categories = {name: names for name, (names, _) in grid.statics.items()}
    static, _ = _static(grid, categories)
    dataset_info = {**_dataset_info(grid, season, bounds), "categories": categories, "scaling": scales.info}
    dataset_info |= {"covariates": standardise(grid, *train), "season_chosen": choice.said}
    tested, tested_end = _steps(grid, bounds["test"])
    dataset_info["seasonless_series"] = int(((tested < tested_end) & (tested - grid.offsets[:-1] < season)).sum())
    dataset_info["series"] = {}
    if len(grid.ids) <= _NAMED_SERIES:
        for row, name in enumerate(grid.ids):
            dataset_info["series"][name] = scales.of(row)
    return SeriesData(
        grid.frequency, season, grid.ids, grid.start, grid.offsets, grid.values, static, scales, bounds, dataset_info
    )


def _span(grid: SeriesGrid) -> tuple[int, int]:
    first = grid.frequency.ordinal(grid.start)
    return int(first.min()), int((first + np.diff(grid.offsets)).max())


def _steps(grid: SeriesGrid, bound: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `values` of each series that lie in a split: first and end."""
    first, lengths = grid.frequency.ordinal(grid.start), np.diff(grid.offsets)
    begin, end = (grid.offsets[:-1] + np.clip(one - first, 0, lengths) for one in bound)
    return begin, end


def _check_columns(grid: SeriesGrid, begin: np.ndarray, end: np.ndarray) -> None:
    seen = np.zeros(grid.values.shape[1], bool)
    for one, other in zip(begin, end, strict=True):
        seen |= ~np.isnan(grid.values[one:other]).all(axis=0)
    names = [*grid.roles.numbers]
    if not seen.all():
        column = names[int((~seen).argmax())]
        raise UserError(
            f"column {column!r} has no value in the train split. {left_out(grid.roles, column)}, or give the train "
            "split more with data.split_rows"
        )


def _static(grid: SeriesGrid, categories: Mapping[str, list[str]]) -> tuple[np.ndarray, int]:
    """Numbers of the series' categories, from 1; 0 where unknown or none, and how many have an unknown one."""
    static, unknown = np.zeros((len(grid.ids), len(categories)), np.int32), 0
    for column, (name, names) in enumerate(categories.items()):
        numbers = {category: number for number, category in enumerate(names, 1)}
        found, codes = grid.statics[name]
        translated = np.array([*(numbers.get(category, 0) for category in found), 0], np.int32)
        static[:, column] = translated[codes]
        unknown += int(((codes >= 0) & (static[:, column] == 0)).sum())
    return static, unknown


def _dataset_info(grid: SeriesGrid, season: int, bounds: dict[str, tuple[int, int]]) -> dict[str, Any]:
    missing = np.isnan(grid.values).mean(axis=0, dtype=np.float64)
    return {
        **grid.dataset_info,
        "frequency": grid.frequency.name,
        "timezone": grid.frequency.clock.name,
        "season": season,
        "series_count": len(grid.ids),
        "steps": len(grid.values),
        "targets": grid.roles.targets,
        "past_covariates": grid.roles.past_covariates,
        "future_covariates": grid.roles.future_covariates,
        "missing_share": dict(zip(grid.roles.numbers, missing.round(6).tolist(), strict=True)),
        "splits": {
            split: {
                "ordinals": [begin, end],
                "steps": end - begin,
                "from": grid.frequency.readable(grid.frequency.floor(begin)),
                "before": grid.frequency.readable(grid.frequency.floor(end)),
            }
            for split, (begin, end) in bounds.items()
        },
    }
