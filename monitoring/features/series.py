"""A window of a series and the forecast for it, as a handful of numbers a channel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from unroll.monitoring.features.sources import OfRecords, Tensors

if TYPE_CHECKING:
    from unroll.monitoring.actuals import Actuals
    from unroll.monitoring.times.frequency import Frequency

ACTUAL = "actual"
"""Name of the values that came true, `(n, horizon, channels)`, among a feature's inputs."""
MAX_CHANNELS = 20
_ROWS = 256  # at once: windows may be long


@dataclass(frozen=True)
class SeriesFeature(OfRecords):
    """The newest steps of a series, the forecast for the next ones, and what came true where that is known.

    Args:
        channels: names of the targets: the first columns of `history`, and all of `forecast`.
        season: steps of a season.
        lookback: steps that are looked at, the newest ones of a history.
        lower: index of the lower end of the central 80 % interval among the quantiles.
        upper: index of its upper end.
        frequency: a step, as `unroll.monitoring.times.frequency` names it; empty in profiles that know `seconds` and
            `months` only.
        timezone: by whose clock steps of days and more are counted; empty for UTC.
        seconds: of a step; 0 where a step is some calendar months.
        months: of a step; 0 where it is some seconds.
        time_column: the column of times in a file of actuals, or the several that hold them.
        time_format: of that column, as `data.time_format` states it; None where its cells tell.
        time_form: in which the training data had its times, which counts where a file's cells can be read in several.
        series_column: the column of series' names there; None for one series, or one a column.
        reading: what the task's module `actuals` must know to read such a file as training read its data, and the
            task's name; empty in older profiles, of which the columns above are all that is known.
        history: name of the input of raw values, `(n, steps, columns)`, NaN where missing.
        timestamp: name of the optional input of each newest step's Unix seconds, `(n,)`; negative: not told.
        series: name of the optional input of series' names, `(n,)`.
        forecast: name of the output `(n, horizon, channels)`.
        quantiles: name of the output `(n, horizon, channels, quantiles)`.

    Example:
        >>> feature = SeriesFeature(("load",), season=24, lookback=336, lower=1, upper=7, time_column="date")
        >>> feature.channels
        ('load',)
    """

    kind: ClassVar[str] = "series"
    number: ClassVar[str] = "magnitude"
    channels: tuple[str, ...]
    season: int
    lookback: int
    lower: int
    upper: int
    frequency: str = ""
    timezone: str = ""
    seconds: int = 0
    months: int = 0
    time_column: str | tuple[str, ...] = "time"
    time_format: str | None = None
    time_form: str | None = None
    series_column: str | None = None
    reading: dict[str, Any] = field(default_factory=dict, hash=False)
    history: str = "history"
    timestamp: str = "timestamp"
    series: str = "series"
    forecast: str = "forecast"
    quantiles: str = "quantiles"

    @property
    def time_columns(self) -> tuple[str, ...]:
        return (self.time_column,) if isinstance(self.time_column, str) else self.time_column

    @property
    def step(self) -> "Frequency":
        """From a timestep to the next, on the series' clock."""
        from unroll.monitoring.times.clock import Clock
        from unroll.monitoring.times.frequency import Frequency

        if not self.frequency:
            return Frequency(seconds=self.seconds, months=self.months)
        return Frequency.parse(self.frequency, Clock.of(self.timezone))

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.history,)

    @property
    def optional_inputs(self) -> tuple[str, ...]:
        return (self.timestamp, self.series)

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.forecast, self.quantiles)

    @property
    def shared_steps(self) -> int:  # type: ignore[override]
        return self.lookback

    def in_order(self, inputs: Mapping[str, np.ndarray], n: int) -> np.ndarray:
        """By timestamp; without one they are in order already."""
        return np.argsort(inputs[self.timestamp], kind="stable") if self.timestamp in inputs else np.arange(n)

    def actuals(self, labels: Path, overrides: Sequence[str] = ()) -> "Actuals":
        from unroll.monitoring.actuals import Actuals

        return Actuals.read(labels, self, overrides)

    def measure(self, inputs: Tensors, outputs: Tensors, vocabulary: Mapping[str, int]) -> dict[str, np.ndarray]:
        """Values of each channel's variables, float32 `(n,)`; of more than `MAX_CHANNELS` their means.

        `level` and `scale`: mean and standard deviation of the observed steps, raw units. `gaps`: share of
        steps missing, to the nearest 5 %. `seasonality`: see `seasonal_strength`; not where `lookback` is
        shorter than two seasons. `forecast`: mean of the forecast less the level. `interval`: mean width of the
        80 % interval. With `actual` among the inputs also `error`, the mean absolute error, and `coverage`, the
        share of steps inside the interval. Forecast, interval and error are in units of the window's scale.

        Raises:
            ValueError: tensors of other ranks or with too few columns.
        """
        tensors = self.tensors(inputs, outputs)
        parts = [
            self._measure(*(tensor[start : start + _ROWS] for tensor in tensors))
            for start in range(0, len(tensors[0]), _ROWS)
        ]
        values = {name: np.concatenate([part[name] for part in parts]).astype(np.float32) for name in parts[0]}
        if len(self.channels) > MAX_CHANNELS:
            return {name: _mean(value, np.isfinite(value), axis=1).astype(np.float32) for name, value in values.items()}
        return {
            f"{channel}/{name}": value[:, column]
            for column, channel in enumerate(self.channels)
            for name, value in values.items()
        }

    def tensors(self, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """History, forecast, quantiles and, where it is there, what came true.

        Raises:
            ValueError: tensors of other ranks or with too few columns.
        """
        found = [inputs[self.history], outputs[self.forecast], outputs[self.quantiles]]
        if ACTUAL in inputs:
            found.append(inputs[ACTUAL])
        shapes = [tensor.shape for tensor in found]
        history, forecast, quantiles = shapes[:3]
        count = len(self.channels)
        if (
            [len(shape) for shape in shapes] != [3, 3, 4, 3][: len(shapes)]
            or history[2] < count
            or min(history[:2]) < 1
            or forecast[2] != count
            or quantiles[:3] != forecast
            or quantiles[3] <= max(self.lower, self.upper)
            or any(actual != forecast for actual in shapes[3:])
        ):
            raise ValueError(f"History, forecast, quantiles, actuals do not fit {count} channels. Received: {shapes}")
        return found

    def _measure(
        self, history: np.ndarray, forecast: np.ndarray, quantiles: np.ndarray, actual: np.ndarray | None = None
    ) -> dict[str, Any]:
        window = history[:, -self.lookback :, : len(self.channels)].astype(np.float64)
        there = np.isfinite(window)
        level = _mean(window, there)
        scale = np.sqrt(_mean((window - level[:, None]) ** 2, there))
        low, high = quantiles[..., self.lower], quantiles[..., self.upper]
        values = {"level": level, "scale": scale, "gaps": np.round(20 * (1 - there.mean(axis=1))) / 20}
        if self.lookback >= 2 * self.season > 2:
            values["seasonality"] = seasonal_strength(window, self.season)
        with np.errstate(divide="ignore", invalid="ignore"):  # a constant window has no scale
            values["forecast"] = (forecast.mean(axis=1) - level) / scale
            values["interval"] = (high - low).mean(axis=1) / scale
            if actual is not None:
                known = np.isfinite(actual)
                values["error"] = _mean(np.abs(forecast - actual), known) / scale
                values["coverage"] = _mean(((low <= actual) & (actual <= high)).astype(np.float64), known)
        return values


def seasonal_strength(windows: np.ndarray, season: int) -> np.ndarray:
    """How much of what is not trend is season: `max(0, 1 - Var(remainder) / Var(seasonal + remainder))`.

    Wang, Smith and Hyndman 2006; Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 4.3.
    In place of STL: the trend is a straight line and each season's own mean, the seasonal part the mean of what
    is left at each position in the season.

    Args:
        windows: `(n, steps, channels)`, NaN where missing; the newest whole seasons are looked at.
        season: steps of a season.

    Returns:
        `(n, channels)`, between 0 and 1; 0 for a constant window, NaN for less than two seasons.
    """
    n, steps, channels = windows.shape
    seasons = steps // season
    if seasons < 2:
        return np.full((n, channels), np.nan)
    values = windows[:, steps - seasons * season :]
    there = np.isfinite(values)
    at = np.where(there, np.arange(seasons * season)[:, None], np.nan)
    at = at - _mean(at, there)[:, None]
    centred = values - _mean(values, there)[:, None]
    with np.errstate(invalid="ignore"):
        slope = _mean(at * centred, there) / _mean(at**2, there)
    detrended = (centred - slope[:, None] * at).reshape(n, seasons, season, channels)
    there = there.reshape(detrended.shape)
    detrended = detrended - _mean(detrended, there, axis=2)[:, :, None]
    remainder = detrended - _mean(detrended, there, axis=1)[:, None]
    left, both = (_mean(part**2, there, axis=(1, 2)) for part in (remainder, detrended))
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = np.maximum(1 - left / both, 0)
    # Rounding leaves a trace of a constant window, or of a straight line.
    negligible = both <= 1e-12 * _mean(np.square(values), there.reshape(values.shape))
    return np.where(negligible, 0.0, strength)


def _mean(values: np.ndarray, there: np.ndarray, axis: int | tuple[int, ...] = 1) -> np.ndarray:
    """The mean of the values that are there, NaN where none is."""
    with np.errstate(invalid="ignore"):
        return np.where(there, values, 0).sum(axis=axis) / there.sum(axis=axis)
