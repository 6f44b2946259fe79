"""Figures of forecasts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unroll.monitoring.times.frequency import Frequency
from unroll.pipelines.scoring.plots import new_axes
from unroll.pipelines.tasks.forecasting.backtest import Backtest, ForecastWindow

_FORECAST = "tab:blue"
_MAX_CHANNELS = 8
_STYLES: dict[str, dict[str, Any]] = {
    "model": {"color": _FORECAST, "linewidth": 2.0},
    "ridge": {"color": "tab:orange", "linewidth": 1.2},
    "seasonal_naive": {"color": "tab:green", "linewidth": 1.2},
    "last_value": {"color": "tab:grey", "linewidth": 1.2},
}


def backtest_figures(backtest: Backtest) -> dict[str, Figure]:
    """Fan charts, worst windows, error and coverage by step and calibration of a backtest, by file name."""
    fans = backtest.windows(3 if len(backtest.channels) > 1 else 6)
    figures = {
        "fan_charts.png": fan_charts(fans, backtest.channels, backtest.levels, backtest.frequency),
        "error_by_step.png": error_by_step(backtest.by_step(), backtest.frequency),
        "quantile_calibration.png": quantile_calibration(backtest.levels, backtest.observed_levels()),
    }
    if covered := backtest.coverage.by_step():
        figures["coverage_by_step.png"] = coverage_by_step(covered, backtest.frequency)
    if backtest.worst:
        figures["worst_windows.png"] = worst_windows(backtest)
    return figures


def fan_charts(
    windows: Sequence[ForecastWindow], channels: Sequence[str], levels: Sequence[float], frequency: Frequency
) -> Figure:
    """History, forecast and central intervals, and the actual values where they have come.

    A column a window and a row a channel (at most 8), or with one channel a panel a window, three in a row.

    Args:
        windows: at least one.
        channels: names of the targets.
        levels: of the quantiles, rising.
        frequency: distance of two steps.
    """
    shown = min(len(channels), _MAX_CHANNELS)
    columns = min(3, len(windows)) if shown == 1 else len(windows)
    figure, panels = _panels(shown * len(windows), columns, same_times=shown > 1)
    for index, axes in enumerate(panels):
        channel, window = (0, windows[index]) if shown == 1 else (index // columns, windows[index % columns])
        _fan(axes, window, channel, levels, frequency)
        if shown == 1 or channel == 0:
            axes.set_title(_title(window, frequency), fontsize=9)
        if index % columns == 0:
            axes.set_ylabel(channels[channel])
    _legend(figure, panels[0])
    return figure


def worst_windows(backtest: Backtest) -> Figure:
    """The windows of the largest MASE, a panel each."""
    figure, panels = _panels(len(backtest.worst), min(3, len(backtest.worst)))
    for axes, worst in zip(panels, backtest.worst, strict=True):
        _fan(axes, worst.window, worst.channel, backtest.levels, backtest.frequency)
        axes.set_title(f"{_title(worst.window, backtest.frequency)}: MASE {worst.mase:.2f}", fontsize=9)
        axes.set_ylabel(backtest.channels[worst.channel])
    _legend(figure, panels[0])
    return figure


def error_by_step(rows: Sequence[Mapping[str, Any]], frequency: Frequency) -> Figure:
    """MASE by step of the horizon, of the model and its baselines; MAE where no series has a scale.

    Args:
        rows: of `Backtest.by_step`.
        frequency: distance of two steps.
    """
    metric = "mase" if any(np.isfinite(row["mase"]) for row in rows) else "mae"
    figure, axes = new_axes(f"steps ahead (1 step = {frequency.name})", metric.upper(), "Error by step of the horizon")
    for system in dict.fromkeys(row["system"] for row in rows):
        own = [row for row in rows if row["system"] == system]
        style = {"marker": "o" if len(own) == 1 else "", **_STYLES.get(system, {})}
        steps, errors = [row["step"] for row in own], [row[metric] for row in own]
        axes.plot(steps, errors, label=system.replace("_", " "), **style)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.legend()
    return figure


def coverage_by_step(rows: Sequence[Mapping[str, Any]], frequency: Frequency) -> Figure:
    """Share of the actual values inside the 80 % interval by step of the horizon.

    Args:
        rows: of `Coverage.by_step`.
        frequency: distance of two steps.
    """
    named = f"steps ahead (1 step = {frequency.name})"
    figure, axes = new_axes(named, "share inside the 80 % interval", "Coverage by step of the horizon")
    axes.axhline(0.8, color="grey", linestyle=":", label="calibrated")
    marker = "o" if len(rows) == 1 else ""
    axes.plot(
        [row["step"] for row in rows],
        [row["coverage_80"] for row in rows],
        color=_FORECAST,
        marker=marker,
        label="model",
    )
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.legend()
    return figure


def quantile_calibration(levels: Sequence[float], observed: np.ndarray) -> Figure:
    """Share of the actual values at or below each quantile; a calibrated forecast is on the diagonal."""
    figure, axes = new_axes("quantile level", "share of actual values at or below", "Calibration of the quantiles")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="calibrated")
    axes.plot(levels, observed, marker="o", color=_FORECAST, label="model")
    for level, share in zip(levels, observed, strict=True):
        axes.annotate(f"{share:.3f}", (level, share), textcoords="offset points", xytext=(8, -4), fontsize=8)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.25)
    axes.legend()
    return figure


def _panels(count: int, columns: int, same_times: bool = False) -> tuple[Figure, list[Axes]]:
    rows = -(-count // columns)
    figure = Figure(figsize=(max(6.4, 4.4 * columns), 0.6 + (4.0 if count == 1 else 2.4) * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex="col" if same_times else "none").ravel().tolist()
    for unused in panels[count:]:
        unused.set_visible(False)
    return figure, panels[:count]


def _fan(axes: Axes, window: ForecastWindow, channel: int, levels: Sequence[float], frequency: Frequency) -> None:
    past, horizon = len(window.history), len(window.forecast)
    steps = np.arange(1 - past, horizon + 1)  # 0 is the newest observed step
    if window.time is None or frequency.rate is not None:
        times = steps
        axes.set_xlabel(f"steps{f' of {frequency.name}' if frequency.rate else ''} from the newest")
    else:
        times = frequency.clock.local(frequency.advance(window.time, steps)).astype("datetime64[s]")
        locator = AutoDateLocator(minticks=3, maxticks=6)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ahead = times[past:]
    quantiles = window.quantiles[:, channel]  # [H, Q]
    for low, high in zip(range(len(levels) // 2), reversed(range(len(levels))), strict=False):
        share = f"{levels[high] - levels[low]:.0%} interval"
        axes.fill_between(ahead, quantiles[:, low], quantiles[:, high], color=_FORECAST, alpha=0.2, lw=0, label=share)
        if horizon == 1:  # which leaves no area to fill
            axes.vlines(ahead, quantiles[:, low], quantiles[:, high], color=_FORECAST, alpha=0.4, linewidth=4)
    known = window.history[:, channel]
    if window.actual is None:
        axes.plot(times[:past], known, color="black", linewidth=1, label="history")
    else:
        actual = np.concatenate([known, window.actual[:, channel]])
        axes.plot(times, actual, color="black", linewidth=1, label="actual")
    marker = "o" if horizon == 1 else ""
    axes.plot(ahead, window.forecast[:, channel], color=_FORECAST, linewidth=1.6, marker=marker, label="forecast")
    axes.axvline(times[past - 1], color="grey", linestyle=":", linewidth=1)
    axes.margins(x=0.01)
    axes.tick_params(labelsize=8)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False)


def _title(window: ForecastWindow, frequency: Frequency) -> str:
    time = "" if window.time is None else f"after {frequency.readable(window.time).removesuffix(':00')}"
    return ", ".join(part for part in (window.series, time) if part) or "forecast"
