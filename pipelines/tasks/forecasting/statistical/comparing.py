"""What statistics score on the sampled windows, beside what the model scores on exactly those."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from unroll.pipelines.data.series.data import frequency_of
from unroll.pipelines.scoring.comparison import Losses
from unroll.pipelines.task import Arrays
from unroll.pipelines.tasks.forecasting.backtest import Backtest
from unroll.pipelines.tasks.forecasting.statistical.arima import arima_forecasts
from unroll.pipelines.tasks.forecasting.statistical.exponential_smoothing import smoothing_forecasts
from unroll.pipelines.tasks.forecasting.statistical.histories import LEAST
from unroll.pipelines.training.progress import Progress

METHODS = {"ets": smoothing_forecasts, "arima": arima_forecasts}
"""Forecasts of histories, given the season and the horizon, by the name of the baseline."""
_CHUNK = 256  # histories that are fitted side by side
_KEPT = ("target", "timestamp", "series", "mean", "std", "naive")


@dataclass(frozen=True)
class StatisticalScores:
    """What they scored.

    Args:
        metrics: `{"mase/ets": ...}`; none where there is nothing to fit.
        losses: of the model and of them, on the sampled windows; None where there are none.
        notes: on how many, or why on none; a sentence each.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    losses: Losses | None = None
    notes: tuple[str, ...] = ()

    def after(self, losses: Losses | None) -> Losses | None:
        """The losses of all windows, and these; without these, if they are of another metric."""
        if losses and self.losses and losses.metric == self.losses.metric:
            return losses.and_on(self.losses)
        return losses


class StatisticalBacktest:
    """Gathers the windows whose batches tell what came before them, and has them forecast at the end.

    Args:
        dataset_info: of the model.
    """

    def __init__(self, dataset_info: Mapping[str, Any]):
        self._info = dataset_info
        self._before: list[np.ndarray] = []
        self._rows: list[dict[str, Any]] = []
        self._windows = 0

    def keep(self, windows: Arrays, answer: Arrays) -> None:
        """Keeps those of a batch.

        Args:
            windows: as `Backtest.add` takes them, with `before` of `SampledWindows`; without it none is kept.
            answer: the model's, `forecast` and `quantiles`.
        """
        self._windows += len(windows["target"])
        for row, before in enumerate(windows.get("before", ())):
            if before is not None:
                self._before.append(before)
                parts = {key: windows[key][row] for key in _KEPT}
                parts["history"] = np.empty((0, self._targets), np.float32)  # of which no plot is made
                parts |= {key: answer[key][row].copy() for key in ("forecast", "quantiles")}
                self._rows.append(parts)

    @property
    def _targets(self) -> int:
        return len(self._info["targets"])

    def scored(self, progress: Progress) -> StatisticalScores:
        """Fits them to what came before each window, and scores their forecasts.

        Args:
            progress: where to show it.
        """
        if not self._rows:
            return StatisticalScores()
        histories = [before[:, target] for before in self._before for target in range(self._targets)]
        known = [row for row, one in enumerate(histories) if np.isfinite(one).sum() >= LEAST]
        forecasts = self._forecasts([histories[row] for row in known], progress)
        points = {}
        for name, found in forecasts.items():
            flat = np.full((len(histories), self._info["horizon"]), np.nan)
            flat[known] = found
            points[name] = flat.reshape(len(self._before), self._targets, -1).swapaxes(1, 2)
        windows = {key: np.stack([one[key] for one in self._rows]) for key in self._rows[0]}
        backtest = Backtest(self._info["quantiles"], self._info["targets"], frequency_of(self._info))
        backtest.add(windows, {"model": windows.pop("forecast"), **points}, windows["quantiles"])
        names = " and ".join(METHODS)
        losses = backtest.losses()
        if losses is None:
            few = f"no window has {LEAST} values before it and one in it"
            return StatisticalScores(notes=(f"{names} left out: {few}.",))
        scores = backtest.metrics()
        looked_at = np.isfinite(np.stack([*points.values()])).all(axis=(0, 2))  # [windows, targets]
        count = int(looked_at.any(axis=1).sum())
        asked = f"{count:,} of {self._windows:,} windows" if count < self._windows else ""
        if not looked_at.all():
            each = f"{looked_at.sum() / count:.3g} of {self._targets:,} targets each"
            asked = f"{count:,} of {self._windows:,} windows, {each}"
        figure = f"{losses.metric} {scores[losses.metric]:.4g}"
        where = f"{asked}, on which the model has {figure}" if asked else f"each of the {count:,} windows"
        note = f"{names} fitted anew for {where}."
        metrics = {key: value for key, value in scores.items() if "/" in key}
        return StatisticalScores(metrics, replace(losses, asked=dict.fromkeys(METHODS, asked)), (note,))

    def _forecasts(self, histories: list[np.ndarray], progress: Progress) -> dict[str, np.ndarray]:
        """Float `[histories, horizon]` by method."""
        season, horizon = self._info["season"], self._info["horizon"]
        found: dict[str, list[np.ndarray]] = {name: [np.empty((0, horizon))] for name in METHODS}
        with progress.stage(f"fitting {' and '.join(METHODS)}", total=len(METHODS) * len(histories)) as stage:
            for first in range(0, len(histories), _CHUNK):
                chunk = histories[first : first + _CHUNK]
                for name, forecasts in METHODS.items():
                    found[name].append(forecasts(chunk, season, horizon))
                    stage.advance(len(chunk))
        return {name: np.concatenate(parts) for name, parts in found.items()}
