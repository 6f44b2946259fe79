"""Recent steps of one or many series to a forecasting model."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from unroll.errors import UserError
from unroll.pipelines.asking import Answer
from unroll.pipelines.asking.output import open_output
from unroll.pipelines.asking.row_question import Tally
from unroll.pipelines.data.records import find_files
from unroll.pipelines.data.series import data as series_data
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.summary import further_summary
from unroll.pipelines.tasks.forecasting.config import ForecastConfig
from unroll.pipelines.terminal import FigureTable, aligned
from unroll.pipelines.training.config import load_config
from unroll.pipelines.training.progress import Progress
from unroll.serving.client.client import Client, Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INPUT = "series"
_REQUEST_BYTES = 4 << 20
_REQUEST_ROWS = 64
_SETTING = re.compile(rf"\bdata\.({'|'.join(SeriesSection.model_fields)})\b")
_SHOWN = 3  # series on the terminal; --json has them all


def ask(client: Client, description: Mapping[str, Any], inputs: Sequence[str]) -> Answer:
    """Sends the newest steps that a table holds of each series.

    Args:
        client: of the model.
        description: what the model says of itself: columns, frequency, lookback, horizon, quantiles.
        inputs: one file with the columns of the training data; rows after the last observed targets give the
            covariates that are known of the horizon.

    Raises:
        UserError: no such file, or one that does not fit the model.
        ServingError: the server refused the request or did not answer.
    """
    with Progress() as progress:
        data, newest = _newest(client, description, inputs, progress)
    answers = [answer for _, answer in _answers(client, data, newest)]
    forecast, quantiles = (np.concatenate([one[key] for one in answers]) for key in ("forecast", "quantiles"))
    frequency, ahead = series_data.frequency_of(description), 1 + np.arange(description["horizon"])
    predictions = []
    for row, name in enumerate(data.ids):
        times = frequency.advance(int(newest["timestamp"][row]), ahead)
        stamps = [frequency.stamp(int(time)) for time in times]
        predictions.append(_prediction(name, stamps, forecast[row], quantiles[row], description))

    def figure() -> "Figure":
        from unroll.pipelines.tasks.forecasting.backtest import ForecastWindow
        from unroll.pipelines.tasks.forecasting.plots import fan_charts

        shown = 6 if len(description["targets"]) == 1 else 3
        windows = [
            ForecastWindow(
                name,
                int(newest["timestamp"][row]),
                newest["history"][row, -max(48, 3 * len(ahead)) :, : len(description["targets"])],
                forecast[row],
                quantiles[row],
            )
            for row, name in enumerate(data.ids[:shown])
        ]
        return fan_charts(windows, description["targets"], description["quantiles"], frequency)

    title = f"{client.model}, version {answers[0].version}"
    return Answer(answers[0].version, predictions, _tables(title, predictions), figure)


def write(client: Client, description: Mapping[str, Any], inputs: Sequence[str], output: Path) -> Tally:
    """Writes the forecasts of all series: a row a series and step, in the columns of the table that was read.

    Args:
        client, description, inputs: as of `ask`.
        output: CSV, TSV, JSONL or Parquet, which is there when it is whole.

    Raises:
        UserError: no such file, one that does not fit the model, or no series with anything to forecast from.
        ServingError: the server refused a request or did not answer.
    """
    section, tally = _section(description), Tally()
    frequency, ahead = series_data.frequency_of(description), 1 + np.arange(description["horizon"])
    with Progress() as progress:
        data, newest = _newest(client, description, inputs, progress)
        with progress.stage("predicting", total=len(data.ids)) as stage, open_output(output, {}) as writer:
            for part, answer in _answers(client, data, newest):
                tally.version = answer.version
                for row in range(part.start, part.stop):
                    times = frequency.advance(int(newest["timestamp"][row]), ahead)
                    forecast, quantiles = (answer[key][row - part.start] for key in ("forecast", "quantiles"))
                    stamps = [frequency.stamp(int(time)) for time in times]
                    prediction = _prediction(data.ids[row], stamps, forecast, quantiles, description)
                    writer.write(_table_rows(section, prediction, _known(section, data, newest, row)))
                    tally.rows += len(times)
                stage.advance(part.stop - part.start)
        empty = np.isnan(newest["history"][:, :, : data.targets]).all(axis=(1, 2))
        tally.unanswered = int(empty.sum()) * len(ahead)
    return tally


def _known(
    section: SeriesSection, data: series_data.SeriesData, newest: Mapping[str, np.ndarray], row: int
) -> dict[str, list[Any]]:
    """What the table says of a series' horizon, by column: its categories, and its future covariates."""
    horizon = newest["future"].shape[1]
    known: dict[str, list[Any]] = {}
    for name in section.static_categories:
        known[name] = [data.dataset_info["static_names"][name][row]] * horizon
    for column, name in enumerate(section.future_covariates):
        known[name] = _numbers(newest["future"][row, :, column])
    return known


def _table_rows(
    section: SeriesSection, prediction: Mapping[str, Any], known: Mapping[str, Sequence[Any]]
) -> list[dict[str, Any]]:
    """A row a step; the forecast under the target's name, and its quantiles behind it, as `target 0.9`."""
    time = section.time if isinstance(section.time, str) else "time"
    given = [time, section.series or "series", *known]
    names = {key: key if key not in given else f"predicted_{key}" for key in prediction["forecast"]}
    columns: dict[str, Sequence[Any]] = {
        **({section.series or "series": [prediction["series"]] * len(prediction["time"])} if _named(section) else {}),
        time: prediction["time"],
        **known,
    }
    for target, forecast in prediction["forecast"].items():
        columns[names[target]] = forecast
        columns |= {f"{names[target]} {level}": values for level, values in prediction["quantiles"][target].items()}
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _named(section: SeriesSection) -> bool:
    return section.series is not None or section.columns == "series"


def rows(predictions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a series and step: `series`, `time`, and of each target its forecast and its quantiles, as `target 0.9`."""
    return [
        {
            "series": one["series"],
            "time": _time(time),
            **{
                key: values[step]
                for target, forecast in one["forecast"].items()
                for key, values in [
                    (target, forecast),
                    *((f"{target} {level}", quantile) for level, quantile in one["quantiles"][target].items()),
                ]
            },
        }
        for one in predictions
        for step, time in enumerate(one["time"])
    ]


def _section(description: Mapping[str, Any]) -> SeriesSection:
    return load_config(ForecastConfig, base={"data": description["data"]}).data


def _newest(
    client: Client, description: Mapping[str, Any], inputs: Sequence[str], progress: Progress
) -> tuple[series_data.SeriesData, dict[str, np.ndarray]]:
    """The series of a table, and of each what a forecast from its end is made from."""
    section = _section(description)
    columns = [*section.time_columns, *([section.series] if section.series else [])]
    columns += section.targets or description["targets"]
    columns += section.past_covariates + section.future_covariates + section.static_categories
    remedy = (
        f"{client.model} forecasts series: give it one file of their recent steps, with the columns "
        f"{', '.join(columns)}, as in --input recent.csv"
    )
    data = _read(section, description, inputs, remedy, progress)
    progress.line(further_summary({**data.dataset_info, "unseen_series": 0}))
    newest = series_data.newest(data, history=description["lookback"], horizon=description["horizon"])
    for line in _unknown(newest["future"], description["future_covariates"]):
        progress.line(line)
    return data, newest


def _time(stamp: str) -> Any:
    """A time as a table holds it: what has an offset or is a number stays as it is written."""
    return np.datetime64(stamp.removesuffix("Z")) if stamp.endswith("Z") else stamp


def _read(
    section: SeriesSection, description: Mapping[str, Any], inputs: Sequence[str], remedy: str, progress: Progress
) -> series_data.SeriesData:
    if len(inputs) != 1:
        raise UserError(f"{remedy}. Received: {', '.join(inputs) or 'nothing'}")
    (given,) = inputs
    if not Path(given).is_file():
        raise UserError(f"--input {given}: {'is a folder' if Path(given).is_dir() else 'no such file'}. {remedy}")
    try:
        find_files(given)  # refuses a file of an unknown kind
        return series_data.read_further(section, {**description, "series": {}}, given, progress, keep_empty=True)
    except UserError as error:
        # a trained model's settings are what they are, so what is left to fix is the file
        problem, *advice = re.split(r"(?<=\.) (?=[A-Z])", str(error).replace("--data ", "--input ", 1))
        kept = [sentence.rstrip(".") for sentence in (problem, *(one for one in advice if not _SETTING.search(one)))]
        raise UserError(f"{'. '.join(kept)}. {remedy}") from None


def _unknown(future: np.ndarray, covariates: Sequence[str]) -> Iterator[str]:
    """Says which covariates float `[series, horizon, covariates]` are missing."""
    series, horizon, _ = future.shape
    for name, missing in zip(covariates, np.isnan(future).sum(axis=1).T, strict=True):
        if missing.any():
            most, alike = missing.max(), len(set(missing[missing > 0])) == 1
            where = f" in {np.count_nonzero(missing)} of {series} series" if series > 1 else ""
            yield (
                f"{name} is unknown for {'' if alike else 'up to '}{most} of {horizon} steps of the horizon{where}: "
                "add rows with it."
            )


def _answers(
    client: Client, data: series_data.SeriesData, newest: Mapping[str, np.ndarray]
) -> Iterator[tuple[slice, Prediction]]:
    """Series, and the answer about them, in requests that a server with default limits takes; of one version."""
    version = None
    size = newest["history"][0].nbytes
    rows = max(1, min(_REQUEST_ROWS, _REQUEST_BYTES // size))
    categories = [["", *names] for names in data.dataset_info["categories"].values()]
    for start in range(0, len(data.ids), rows):
        part = slice(start, min(start + rows, len(data.ids)))
        request: dict[str, Any] = {key: newest[key][part] for key in ("history", "timestamp")}
        request["series"] = data.ids[part]
        if newest["future"].shape[2]:
            request["future"] = newest["future"][part]
        if categories:
            request["static"] = [
                [names[number] for names, number in zip(categories, numbers, strict=True)]
                for numbers in newest["static"][part]
            ]
        answer = client.predict(request, version=version)
        version = answer.version
        yield part, answer


def _prediction(
    series: str, times: Sequence[str], forecast: np.ndarray, quantiles: np.ndarray, description: Mapping[str, Any]
) -> dict[str, Any]:
    targets, levels = description["targets"], description["quantiles"]
    return {
        "series": series or None,
        "time": list(times),
        "forecast": {target: _numbers(forecast[:, column]) for column, target in enumerate(targets)},
        "quantiles": {
            target: {f"{level:g}": _numbers(quantiles[:, column, i]) for i, level in enumerate(levels)}
            for column, target in enumerate(targets)
        },
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    """JSON has no NaN: what cannot be forecast, since nothing of it was observed, is null."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _short(stamp: str) -> str:
    return re.sub(r":00Z$|:00(?=[+-]\d\d:\d\d$)", "", stamp.replace("T", " "))


def _clock(stamps: Sequence[str]) -> str:
    """What stands above a column of times."""
    if "T" not in stamps[0]:
        return "seconds" if any("." in stamp for stamp in stamps) else "step"
    return "time (UTC)" if stamps[0].endswith("Z") else "time"


def _tables(title: str, predictions: Sequence[Mapping[str, Any]]) -> RenderableType:
    tables: list[RenderableType] = []
    for prediction in predictions[:_SHOWN]:
        name = f"{title}: {prediction['series']}" if prediction["series"] else title
        columns = [[_short(time) for time in prediction["time"]]]
        for target, forecast in prediction["forecast"].items():
            levels, steps = list(prediction["quantiles"][target].values()), len(forecast)
            texts = aligned([*forecast, *levels[0], *levels[-1]])
            intervals = zip(texts[:steps], texts[steps : 2 * steps], texts[2 * steps :], strict=True)
            columns.append([f"{point}  ({low} to {high})" for point, low, high in intervals])
        tables.append(
            FigureTable(name, [_clock(prediction["time"]), *prediction["forecast"]], list(zip(*columns, strict=True)))
        )
    names = list(next(iter(predictions[0]["quantiles"].values())))
    note = f"In brackets: the quantiles {names[0]} and {names[-1]}."
    if len(predictions) > _SHOWN:
        note += f" {len(predictions) - _SHOWN} more series: --json has them all."
    return Group(*tables, Text(note))
