"""The recursions of exponential smoothing, for many histories and many parameters at once."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from unroll.pipelines.tasks.forecasting.statistical.histories import Histories

_FIRST = 10  # values that tell the first level and trend where there is no season
_SEASONS = 4  # at most that tell the first state of a season


@dataclass(frozen=True)
class Form:
    """A form of Hyndman, Koehler, Ord & Snyder 2008, "Forecasting with exponential smoothing", table 2.2.

    Args:
        trend: none, additive, or additive and damped.
        season: none, additive, or multiplicative.
        relative: whether errors are relative to the forecast (multiplicative) and not additive.
    """

    trend: Literal["N", "A", "Ad"]
    season: Literal["N", "A", "M"]
    relative: bool = False

    @property
    def parameters(self) -> int:
        """Smoothing parameters: of the level, the trend, the season, and the damping."""
        return 1 + {"N": 0, "A": 1, "Ad": 2}[self.trend] + (self.season != "N")

    def degrees(self, season: int) -> int:
        """Numbers that are estimated: parameters, first states and the variance of the errors."""
        return self.parameters + 2 + (self.trend != "N") + (season - 1 if self.season != "N" else 0)

    def weights(self, cube: np.ndarray) -> tuple[np.ndarray, ...]:
        """Smoothing weights of level, trend and season, and the damping, of points in the unit cube.

        The squares look closer at small weights, which differ more. All lie where the usual bounds have them:
        a trend changes less than the level, and level and season not by more than the error.

        Args:
            cube: float `[..., parameters]`, from 0 to 1.
        """
        parts = list(np.moveaxis(cube, -1, 0))
        alpha = 1e-4 + (1 - 2e-4) * parts.pop(0) ** 2
        beta = alpha * parts.pop(0) ** 2 if self.trend != "N" else np.zeros_like(alpha)
        gamma = (1 - alpha) * parts.pop(0) ** 2 if self.season != "N" else np.zeros_like(alpha)
        phi = 0.8 + 0.18 * parts.pop(0) if self.trend == "Ad" else np.ones_like(alpha)
        return alpha, beta, gamma, phi


@dataclass(frozen=True)
class States:
    """Where histories stand: before their first step, or after their last.

    Args:
        level: float `[histories, candidates]`.
        trend: likewise.
        season: float `[season, histories, candidates]`, by step modulo the season.
    """

    level: np.ndarray
    trend: np.ndarray
    season: np.ndarray

    @classmethod
    def first(cls, histories: Histories, form: Form, season: int) -> "States":
        """Rough ones, from a line and the mean deviations of the seasons from it in what comes first."""
        values, starts = histories.values, histories.starts
        steps, count = values.shape
        period = season if form.season != "N" else 1
        whole = np.minimum(_SEASONS, histories.counts // period) * period if period > 1 else 0
        used = np.maximum(_FIRST, whole)  # of each history
        shown = int(np.max(used))
        rows = starts + np.arange(shown)[:, None]
        inside = (rows < steps) & (np.arange(shown)[:, None] < used)
        part = np.where(inside, values[np.minimum(rows, steps - 1), np.arange(count)], np.nan)
        seen = np.isfinite(part)
        time = np.where(seen, np.arange(1.0, shown + 1)[:, None], np.nan)
        middle, mean = np.nanmean(time, axis=0), np.nanmean(part, axis=0)
        spread = np.nansum((time - middle) ** 2, axis=0)
        slope = np.nansum((time - middle) * (part - mean), axis=0) / np.maximum(spread, 1e-12)
        slope = np.where(spread > 0, slope, 0.0) * (form.trend != "N" or period > 1)
        line = mean + slope * (np.arange(1.0, shown + 1)[:, None] - middle)
        figure = np.full((period, count), 0.0 if form.season != "M" else 1.0)
        if period > 1:
            deviation = part / np.maximum(line, 1e-3) if form.season == "M" else part - line
            for place in range(period):
                chosen = np.where(rows % period == place, deviation, np.nan)
                known = np.isfinite(chosen).any(axis=0)
                figure[place, known] = np.nanmean(chosen[:, known], axis=0)
            if form.season == "M":
                figure = np.maximum(figure / figure.mean(axis=0), 1e-2)
            else:
                figure -= figure.mean(axis=0)
        level = mean - slope * middle if form.trend != "N" else mean
        trend = slope * (form.trend != "N")
        return cls(level[:, None], trend[:, None], figure[:, :, None])


@dataclass(frozen=True)
class Filtered:
    """What a filter found.

    Args:
        fit: float `[histories, candidates]`, minus twice the log likelihood, but for a constant.
        states: after the last step.
    """

    fit: np.ndarray
    states: States


def run_filter(
    histories: Histories, form: Form, weights: tuple[np.ndarray, ...], states: States, *, backwards: bool = False
) -> Filtered:
    """Smooths histories; where a value is missing, the forecast of one step stands for it.

    Args:
        histories: N.
        form: of the recursion.
        weights: of `Form.weights`, float `[N, candidates]` or `[1, candidates]`.
        states: before the first step, whose last axis may be 1; or, backwards, after the last.
        backwards: through time.
    """
    values, active = histories.values, histories.active
    shape = np.broadcast_shapes(weights[0].shape, states.level.shape)
    alpha, beta, gamma, phi = (np.broadcast_to(one, shape) for one in weights)
    level, trend = (np.broadcast_to(one, shape).copy() for one in (states.level, states.trend))
    season = np.broadcast_to(states.season, (len(states.season), *shape)).copy()
    squares, logarithms = np.zeros(shape), np.zeros(shape)
    sloped, seasonal, product = form.trend != "N", form.season != "N", form.season == "M"
    observed = np.isfinite(values)
    complete = [bool(row[:count].all()) for row, count in zip(observed, active, strict=True)]
    filled = np.where(observed, values, 0.0)
    with np.errstate(all="ignore"):  # what overflows is no candidate
        for step in range(len(values) - 1, -1, -1) if backwards else range(len(values)):
            count = int(active[step])
            base, place = level[:count], step % len(season)
            if sloped:
                damped = phi[:count] * trend[:count]
                base = base + damped
            forecast = base
            if seasonal:
                known = season[place, :count]
                forecast = base * known if product else base + known
            error = filled[step, :count, None] - forecast
            if not complete[step]:
                error *= observed[step, :count, None]
            if form.relative:
                squares[:count] += (error / forecast) ** 2
                logarithms[:count] += np.log(forecast) * observed[step, :count, None]
            else:
                squares[:count] += error * error
            scaled = error / known if product else error
            level[:count] = base + alpha[:count] * scaled
            if sloped:
                trend[:count] = damped + beta[:count] * scaled
            if seasonal:
                season[place, :count] += gamma[:count] * (error / base if product else error)
        number = histories.counts[:, None]
        fit = number * np.log(np.maximum(squares / number, 1e-20)) + 2 * logarithms
    return Filtered(np.where(np.isfinite(fit), fit, np.inf), States(level, trend, season))


def backcast(histories: Histories, form: Form, weights: tuple[np.ndarray, ...], states: States) -> States:
    """First states from smoothing forwards and then backwards through time.

    Args:
        histories: N.
        form: of the recursion.
        weights: float `[N, 1]`.
        states: first ones to begin with, whose last axis is 1.
    """
    last = run_filter(histories, form, weights, states).states
    turned = replace(last, trend=-last.trend)
    first = run_filter(histories, form, weights, turned, backwards=True).states
    return replace(first, level=first.level + weights[3] * first.trend, trend=-first.trend)


def ahead(form: Form, phi: np.ndarray, states: States, steps: int, horizon: int) -> np.ndarray:
    """Forecasts from the last states.

    Args:
        form: of the recursion.
        phi: float `[N]`, the damping.
        states: after `steps` steps, of one candidate each.
        steps: of the histories.
        horizon: H.

    Returns:
        Float `[N, H]`.
    """
    powers = np.cumsum(phi[:, None] ** np.arange(1, horizon + 1), axis=1)
    line = states.level + powers * states.trend
    if form.season == "N":
        return line
    season = states.season[(steps + np.arange(horizon)) % len(states.season), :, 0].T
    return line * season if form.season == "M" else line + season
