"""Scores of forecasts over any number of windows, beside those of the baselines, in constant memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unroll.monitoring.times.frequency import Frequency
from unroll.pipelines.scoring.block_losses import BlockLosses
from unroll.pipelines.scoring.comparison import Losses
from unroll.pipelines.tasks.forecasting.intervals.coverage import Coverage

_SAMPLE = 64  # windows kept to choose the shown ones from
_WORST = 6
_NEGLIGIBLE = 0.01  # standard deviations: a mean error that is none worth speaking of
_ROUNDING = 1e-5  # standard deviations, as `unroll.models.layers.instance_norm` has it of a window's scale


@dataclass(frozen=True)
class ForecastWindow:
    """A forecast with what was known before it and, in a backtest, what came.

    Args:
        series: name of the series, empty if there is but one.
        time: Unix seconds of the newest step of the history; None if unknown.
        history: float `[time, channels]`, NaN where missing.
        forecast: float `[horizon, channels]`.
        quantiles: float `[horizon, channels, levels]`.
        actual: float `[horizon, channels]`, NaN where missing; None if it has not come yet.
    """

    series: str
    time: int | None
    history: np.ndarray
    forecast: np.ndarray
    quantiles: np.ndarray
    actual: np.ndarray | None = None


@dataclass(frozen=True)
class WorstWindow:
    """One channel of a window that was forecast badly, and its MASE."""

    window: ForecastWindow
    channel: int
    mase: float


class Backtest:
    """Accumulates errors of a model and of its baselines.

    All are scored on the same targets: those observed for which every baseline has a forecast. Averages are
    over these targets, whatever their series, channel and step:

    - `mse`, `mae`: in raw units; `mse_z`, `mae_z`: after division by the series' train standard deviation.
    - `mase`: absolute error by the in-sample mean absolute error of the seasonal naive forecast on the series'
      train split (Hyndman & Koehler 2006, "Another look at measures of forecast accuracy", section 3).
    - `smape`: 200 |y - f| / (|y| + |f|), from 0 to 200 % (Makridakis 1993); 0 where both are 0.
    - `wql`: 2 sum pinball / sum |y|, the mean over levels (GluonTS' `mean_weighted_sum_quantile_loss`). Of a
      baseline, a point forecast stands for every quantile, which for symmetric levels gives sum |y - f| / sum |y|.
      Of nothing but zeros it is 0 if all quantiles are 0, and NaN if not.
    - `coverage_80`: share of targets between the quantiles 0.1 and 0.9, of the model only.

    In the last three, which would else magnify it, a difference of at most 1e-5 of the series' train standard deviation
    is none: it is the rounding of a model in float32.

    Targets of a series whose scale is zero or unknown are left out of `mse_z` and `mae_z`, or of `mase`, and
    counted. A forecast of the model that is NaN makes its scores NaN.

    Args:
        levels: of the quantiles, rising.
        channels: names of the targets.
        frequency: distance of two steps.

    Example:
        >>> backtest = Backtest([0.1, 0.5, 0.9], ["load"], Frequency.parse("1h"))
        >>> ones = np.ones([1, 2, 1])  # [batch, horizon, channels]
        >>> windows = {"history": ones, "target": 3 * ones, "timestamp": np.array([0]), "series": np.array([b"a"])}
        >>> windows |= {"mean": ones[0, :1], "std": ones[0, :1], "naive": ones[0, :1]}
        >>> backtest.add(windows, {"model": 2 * ones, "last_value": ones}, np.stack([ones, 2 * ones, 4 * ones], -1))
        >>> backtest.metrics()["mase"], backtest.metrics()["mase/last_value"]
        (1.0, 2.0)
    """

    def __init__(self, levels: Sequence[float], channels: Sequence[str], frequency: Frequency):
        self.levels = list(levels)
        self.channels = list(channels)
        self.frequency = frequency
        self.worst: list[WorstWindow] = []
        """Windows of the largest MASE, worst first, no two of which overlap in a series' channel."""
        self.coverage = Coverage(channels)
        """Of the 80 % interval; empty where the levels have none."""
        self._systems: list[str] = []
        self._sums: dict[str, np.ndarray] = {}  # [S, H]
        self._weights: dict[str, np.ndarray] = {}  # [H]
        self._zeros = 0
        self._below = np.zeros(len(self.levels))
        self._counts = dict.fromkeys(
            ("windows", "targets", "missing", "not_forecast", "without_std", "without_scale"), 0
        )
        self._sample: list[ForecastWindow] = []
        self._stride = 1
        self._losses: BlockLosses | None = None

    def add(self, windows: Mapping[str, Any], forecasts: Mapping[str, Any], quantiles: Any) -> None:
        """Scores a batch.

        Args:
            windows: `history` `[batch, time, columns]` whose first columns are the targets, `target`
                `[batch, horizon, channels]`, NaN where missing in both, `mean`, `std` and `naive`
                `[batch, channels]`, `timestamp` int `[batch]` and `series` bytes `[batch]`, their names.
            forecasts: `model` and any baselines, each `[batch, horizon, channels]`, the same in every batch.
            quantiles: the model's, `[batch, horizon, channels, levels]`.
        """
        self._systems = self._systems or ["model", *(name for name in forecasts if name != "model")]
        actual = np.asarray(windows["target"], np.float64)
        points = np.stack([np.asarray(forecasts[name], np.float64) for name in self._systems])  # [S, B, H, C]
        quantiles = np.asarray(quantiles, np.float64)
        observed = np.isfinite(actual)
        usable = observed & np.isfinite(points[1:]).all(axis=0)
        std, scale = (np.asarray(windows[key], np.float64)[:, None] for key in ("std", "naive"))  # [B, 1, C]
        with_std, with_scale = usable & (std > 0), usable & (scale > 0)
        error = np.where(usable, points - actual, 0)
        absolute = np.abs(error)
        z = np.divide(absolute, std, out=np.zeros_like(error), where=with_std)
        scaled = np.divide(absolute, scale, out=np.zeros_like(error), where=with_scale)
        size = np.where(usable & ~(absolute <= _ROUNDING * std), np.abs(points) + np.abs(actual), 0)
        self._zeros += int((usable & (np.abs(actual) <= _ROUNDING * std)).sum())
        self._add_mean("mse", error**2, usable)
        self._add_mean("mae", absolute, usable)
        self._add_mean("mse_z", z**2, with_std)
        self._add_mean("mae_z", z, with_std)
        self._add_mean("mase", scaled, with_scale)
        self._add_mean("smape", 200 * np.divide(absolute, size, out=np.zeros_like(error), where=size != 0), usable)
        self._add_quantiles(actual, points, quantiles, usable, _ROUNDING * std, np.asarray(windows["series"]))
        self._counts["windows"] += len(actual)
        self._counts["targets"] += int(usable.sum())
        self._counts["missing"] += int((~observed).sum())
        self._counts["not_forecast"] += int((observed & ~usable).sum())
        self._counts["without_std"] += int((usable & ~with_std).sum())
        self._counts["without_scale"] += int((usable & ~with_scale).sum())
        self._keep(windows, points[0], quantiles, actual, scaled[0], with_scale)
        self._losses = self._losses or BlockLosses(self._systems)
        series, horizon = np.asarray(windows["series"]), actual.shape[1]
        blocks = self.frequency.ordinal(np.asarray(windows["timestamp"])) // horizon
        slack = np.broadcast_to(_NEGLIGIBLE * std, actual.shape)
        for metric, losses, floor, counted in (
            ("mase", scaled, np.divide(slack, scale, out=np.zeros_like(actual), where=with_scale), with_scale),
            ("mae", absolute, slack, usable),
        ):
            self._losses.add(
                metric,
                series,
                blocks,
                np.where(counted, losses, 0).sum(axis=(2, 3)),
                weights=counted.sum(axis=(1, 2)),
                negligible=np.where(counted, floor, 0).sum(axis=(1, 2)),
            )

    def losses(self) -> Losses | None:
        """MASE of the model and of each baseline by series and block of a horizon; MAE where no target has a scale."""
        return self._losses.losses(("mase", "mae")) if self._losses else None

    def metrics(self) -> dict[str, float]:
        """The model's scores by metric and each baseline's as `metric/baseline`."""
        scores = {}
        for metric, sums in self._sums.items():
            weight = self._weights[metric].sum()
            for system, total in zip(self._systems, sums.sum(axis=1), strict=False):
                scores[metric if system == "model" else f"{metric}/{system}"] = self._ratio(metric, total, weight)
        return scores

    def by_step(self) -> list[dict[str, Any]]:
        """The same scores by step of the horizon, one row a step and system: `step` from 1, `system`, the metrics."""
        rows: list[dict[str, Any]] = []
        for step in range(len(self._weights.get("mse", ()))):
            for index, system in enumerate(self._systems):
                scores = {
                    metric: self._ratio(metric, sums[index, step], self._weights[metric][step])
                    for metric, sums in self._sums.items()
                    if index < len(sums)
                }
                rows.append({"step": step + 1, "system": system, **scores})
        return rows

    def counts(self) -> dict[str, int]:
        """Windows, targets scored, targets left out as missing or without a baseline's forecast, or without a scale."""
        return dict(self._counts)

    def notes(self) -> list[str]:
        """What must be known to read the scores."""
        if not self._zeros:
            return []
        count = f"{self._zeros:,} of {self._counts['targets']:,} targets {'is' if self._zeros == 1 else 'are'} 0"
        return [f"{count}: sMAPE takes any forecast of one but 0 for 200 % wrong, so that MAE and MASE tell more."]

    def observed_levels(self) -> np.ndarray:
        """Share of the scored targets at or below each quantile, float `[levels]`; if calibrated, the levels."""
        return self._below / max(self._counts["targets"], 1)

    def windows(self, count: int) -> list[ForecastWindow]:
        """At most so many of the windows added, evenly spread."""
        chosen = np.linspace(0, len(self._sample) - 1, min(count, len(self._sample)))
        return [self._sample[index] for index in chosen.round().astype(int)]

    def _add_quantiles(
        self,
        actual: np.ndarray,
        points: np.ndarray,
        quantiles: np.ndarray,
        usable: np.ndarray,
        rounding: np.ndarray,
        series: np.ndarray,
    ) -> None:
        predicted = np.broadcast_to(points[..., None], (*points.shape, len(self.levels))).copy()  # [S, B, H, C, Q]
        predicted[0] = quantiles
        for index, level in enumerate(self.levels):
            short = actual - predicted[..., index]  # [S, B, H, C]
            short = np.where(usable & ~(np.abs(short) <= rounding), short, 0)
            loss = 2 * np.maximum(level * short, (level - 1) * short)
            self._add("wql", loss / len(self.levels), np.zeros_like(actual))
            self._below[index] += float(np.sum(usable & (actual <= quantiles[..., index])))
        self._add("wql", np.zeros_like(points), np.where(usable, np.abs(actual), 0))
        if {0.1, 0.9} <= set(self.levels):
            low, high = (quantiles[..., self.levels.index(level)] for level in (0.1, 0.9))
            inside = (low - rounding <= actual) & (actual <= high + rounding)
            self._add_mean("coverage_80", inside[None], usable)
            self.coverage.add(inside, usable, series)

    def _ratio(self, metric: str, total: float, weight: float) -> float:
        if weight:
            return float(total / weight)
        return 0.0 if metric == "wql" and total == 0 and self._counts["targets"] else float("nan")

    def _add_mean(self, metric: str, values: np.ndarray, counted: np.ndarray) -> None:
        self._add(metric, np.where(counted, values, 0), counted)

    def _add(self, metric: str, values: np.ndarray, weights: np.ndarray) -> None:
        self._sums[metric] = self._sums.get(metric, 0) + values.sum(axis=(1, 3), dtype=np.float64)  # [S, H]
        self._weights[metric] = self._weights.get(metric, 0) + weights.sum(axis=(0, 2), dtype=np.float64)

    def _keep(
        self,
        windows: Mapping[str, Any],
        forecast: np.ndarray,
        quantiles: np.ndarray,
        actual: np.ndarray,
        scaled: np.ndarray,
        counted: np.ndarray,
    ) -> None:
        """Adds to the even sample and to the worst windows."""
        batch, horizon, channels = actual.shape
        history = np.asarray(windows["history"])[:, -max(2 * horizon, 48) :, :channels]
        times, names = (np.asarray(windows[key]) for key in ("timestamp", "series"))

        def window(row: int) -> ForecastWindow:
            parts = (part[row].copy() for part in (history, forecast, quantiles, actual))  # not the whole batch
            return ForecastWindow(names[row].decode(), int(times[row]), *parts)

        seen = self._counts["windows"] - batch
        self._sample += [window(row) for row in range(-seen % self._stride, batch, self._stride)]
        while len(self._sample) > 2 * _SAMPLE:
            self._sample, self._stride = self._sample[::2], 2 * self._stride
        count = counted.sum(axis=1)  # [B, C]
        mase = np.where(2 * count >= horizon, scaled.sum(axis=1) / np.maximum(count, 1), -1).ravel()
        best = self.worst[-1].mase if len(self.worst) == _WORST else 0.0
        # neighbours of a bad window are bad too, so there have to be more candidates than places
        order = np.argsort(-mase)[: 4 * _WORST * channels]
        found = [
            WorstWindow(window(index // channels), index % channels, float(mase[index]))
            for index in order.tolist()
            if mase[index] > best
        ]
        kept: list[WorstWindow] = []
        for one in sorted([*self.worst, *found], key=lambda worst: -worst.mase):
            if not any(self._overlap(one, other, horizon) for other in kept):
                kept.append(one)
        self.worst = kept[:_WORST]

    def _overlap(self, one: WorstWindow, other: WorstWindow, horizon: int) -> bool:
        if one.window.series != other.window.series or one.channel != other.channel:
            return False
        first, second = (self.frequency.ordinal(np.array(worst.window.time)) for worst in (one, other))
        return bool(abs(int(first) - int(second)) < horizon)
