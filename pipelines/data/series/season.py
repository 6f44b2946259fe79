"""Which season a data set has, by what forecasts it best where nothing was looked at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unroll.pipelines.data.series.few_steps import usual_horizon
from unroll.pipelines.data.series.grid import SeriesGrid

_SERIES = 100  # that are looked at
_STEPS = 20_000  # of each of their targets, the newest
_ORIGINS = 500  # of a target
_BLOCKS = 8
_RECENT = (3, 8)  # seasons that a profile is the mean of, of the longest and of a short one
_PROMINENCE = 0.1  # by which a peak of the autocorrelation stands above the trough before it
_SIGNIFICANT = 2.5  # standard errors of an autocorrelation without any
_HIGH = 0.7  # of the highest peak: a shorter season that the longer one may be several of
_ERRORS = (1.0, 2.0)  # standard errors that a season of the calendar is better by, and one that was searched for
_FLOOR = 1e-3  # spreads: errors below are alike
_SMALLEST = 1e-6  # of the level: a spread below is float32's rounding


@dataclass(frozen=True)
class SeasonChoice:
    """A season, and why it is that.

    Args:
        season: steps; 1 for none.
        said: a line on it; empty where there was nothing to choose from.
    """

    season: int
    said: str = ""


def choose_season(grid: SeriesGrid, begin: np.ndarray, end: np.ndarray) -> SeasonChoice:
    """The season whose forecasts have the least error on blocks of time that they have not seen.

    Compared are the seasons that go with the frequency, the one at the highest peak of the autocorrelation, and none.
    Of those that are better by no more than chance it is the shortest; of one of the calendar half the doubt is enough.

    Args:
        grid: the series.
        begin: of each series' training rows in `grid.values`.
        end: of its validation rows.
    """
    targets = list(_targets(grid, begin, end))
    longest = max(map(len, targets), default=0)
    calendar = [season for season in grid.frequency.seasons if 2 * season < longest]
    found = [season for season in _searched(targets, longest // 4) if not _is_multiple(season, calendar)]
    seasons = [1, *sorted({*calendar, *found})]
    if len(seasons) == 1:
        return SeasonChoice(1)
    horizon = max(1, min(usual_horizon(grid.frequency)[0], longest // 8))
    losses, weights = _losses(targets, seasons, horizon)
    if not len(weights):
        return SeasonChoice(1)
    means = losses @ weights
    least = int(means.argmin())
    apart = losses - losses[least]
    error = np.sqrt((apart - (apart @ weights)[:, None]) ** 2 @ weights / max(len(weights) - 1, 1))
    margin = np.full(len(seasons), _ERRORS[seasons[least] not in calendar])
    margin[0] *= 0.5 if seasons[least] in calendar else 1  # the calendar speaks for its seasons already
    chosen = int(np.flatnonzero(apart @ weights <= margin * error + _SMALLEST)[0])
    return SeasonChoice(seasons[chosen], _said(seasons, chosen, means, len(weights), found))


def _said(seasons: Sequence[int], chosen: int, means: np.ndarray, blocks: int, found: Sequence[int]) -> str:
    others = ", ".join(str(season) for season in seasons[1:])
    if not chosen:
        return f"No season: one of {others} steps forecasts no better, by {blocks} held-out blocks (data.season)."
    gain = f"{1 - np.exp(means[chosen] - means[0]):.0%}".replace("%", " %")
    how = ", found in the data" if seasons[chosen] in found else ""
    rest = [season for season in seasons[1:] if season != seasons[chosen]]
    tried = f"; {', '.join(map(str, rest))} tried too" if rest else ""
    return (
        f"Season {seasons[chosen]} steps{how}: {gain} less error than without on {blocks} held-out blocks{tried} "
        "(data.season)."
    )


def _targets(grid: SeriesGrid, begin: np.ndarray, end: np.ndarray) -> Iterator[np.ndarray]:
    """Of some series each target, float64 in units of its spread, without those that do not vary."""
    longest = np.argsort(begin - end, kind="stable")
    for row in longest[: _SERIES * max(1, len(longest) // _SERIES) : max(1, len(longest) // _SERIES)]:
        values = grid.values[max(begin[row], end[row] - _STEPS) : end[row], : len(grid.roles.targets)]
        for column in values.T.astype(np.float64):
            if not np.isfinite(column).any():
                continue
            middle = np.nanmean(column)
            spread = np.nanmean(np.abs(column - middle))
            if spread > _SMALLEST * abs(middle):
                yield (column - middle) / spread


def _searched(targets: Sequence[np.ndarray], most: int) -> list[int]:
    """The seasons at the highest peak of the mean autocorrelation, and at the first that is about as high; or none."""
    most = min(most, _STEPS // 4)
    total, count = np.zeros(most + 1), 0
    for values in targets:
        if len(values) > 2 * most > 0:
            steps = np.arange(len(values))
            known = np.isfinite(values)
            slope, level = np.polyfit(steps[known], values[known], 1) if known.sum() > 2 else (0.0, 0.0)
            left = np.where(known, values - level - slope * steps, 0)
            power = np.abs(np.fft.rfft(left, 2 * len(left))) ** 2
            products = np.fft.irfft(power)[: most + 1]
            total += products / max(products[0], 1e-12) * len(left) / (len(left) - np.arange(most + 1))
            count += 1
    if not count or most < 3:
        return []
    mean = total / count
    inner = np.arange(2, most)
    trough = np.minimum.accumulate(mean)[inner]
    high = max(_PROMINENCE, _SIGNIFICANT / np.sqrt(max(map(len, targets))))
    summit = (mean[inner] > mean[inner - 1]) & (mean[inner] >= mean[inner + 1])
    peaks = inner[summit & (mean[inner] - trough > _PROMINENCE) & (mean[inner] > high)]
    if not len(peaks):
        return []
    height = mean[peaks]
    return sorted({int(peaks[height.argmax()]), int(peaks[(height > _HIGH * height.max()).argmax()])})


def _is_multiple(season: int, calendar: Sequence[int]) -> bool:
    """Whether a season is one or several of the calendar's, as near as a peak can tell."""
    return any(abs(season - max(1, round(season / one)) * one) <= max(1, 0.02 * season) for one in calendar)


def _losses(targets: Sequence[np.ndarray], seasons: Sequence[int], horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the mean absolute errors `[seasons, blocks]` of each season's best forecast, and blocks' weights.

    In logarithms no single event, such as a flood, outweighs all other blocks.
    """
    variants = [[np.zeros(_BLOCKS) for _ in _forecasts(np.zeros(2), np.array([0]), 1, one, seasons)] for one in seasons]
    counts = np.zeros(_BLOCKS)
    for values in targets:
        first, last = len(values) // 2, len(values) - horizon - 1
        if first > last or first < min(seasons[1:]):
            continue
        origins = np.unique(np.linspace(first, last, min(_ORIGINS, last - first + 1)).astype(int))
        blocks = min(_BLOCKS, max(1, len(values) // (2 * horizon)))
        block = (origins - first) * blocks // (last - first + 1)
        actual = values[origins[:, None] + 1 + np.arange(horizon)]  # [O, H]
        forecasts = [list(_forecasts(values, origins, horizon, season, seasons)) for season in seasons]
        usable = np.isfinite(actual)
        for several in forecasts:
            usable &= np.isfinite(several).all(axis=0)
        counts += np.bincount(block, usable.sum(axis=1), _BLOCKS)
        for sums, several in zip(variants, forecasts, strict=True):
            for total, forecast in zip(sums, several, strict=True):
                errors = np.where(usable, np.abs(actual - forecast), 0)
                total += np.bincount(block, errors.sum(axis=1), _BLOCKS)
    seen = counts > 0
    weights = counts[seen] / max(counts.sum(), 1)
    losses = [[np.log(sums[seen] / counts[seen] + _FLOOR) for sums in several] for several in variants]
    return np.array([min(several, key=weights.dot) for several in losses]), weights


def _forecasts(
    values: np.ndarray, origins: np.ndarray, horizon: int, season: int, seasons: Sequence[int]
) -> Iterator[np.ndarray]:
    """Plain forecasts `[origins, horizon]` from the values up to each origin.

    With a season: its last values, the mean of those of the last few, and how these lay about the level and about the
    value of their time, about those of now. Without: the last value, the mean of as many as the shortest season has,
    and the drift over the longest.
    """
    ahead = np.arange(1, horizon + 1)
    filled = _filled(values)
    if season == 1:
        now = filled[origins][:, None]
        short, long = min(seasons[1:], default=1), max(seasons)
        back = np.minimum(origins, long)
        drift = (filled[origins] - filled[origins - back]) / np.maximum(back, 1)
        yield np.repeat(now, horizon, axis=1)
        yield np.repeat(_mean_before(filled, origins, short)[:, None], horizon, axis=1)
        yield now + drift[:, None] * ahead
        return
    before = np.array([-(-step // season) for step in ahead])  # seasons back to the same place in one that is known
    profile, levels, points = [], [], []
    for more in range(int(np.clip(max(seasons) // season, *_RECENT))):
        back = season * (before + more)
        at = origins[:, None] + ahead - back
        there = at >= 0
        profile.append(np.where(there, filled[np.maximum(at, 0)], np.nan))
        level = np.stack([_mean_before(filled, origins - one, season) for one in back], axis=1)
        levels.append(np.where(there & (origins[:, None] - back >= season - 1), level, np.nan))
        points.append(np.where(origins[:, None] >= back, filled[np.maximum(origins[:, None] - back, 0)], np.nan))
    mean = _nanmean(profile)
    yield profile[0]
    yield mean
    for now, then in ((_mean_before(filled, origins, season), levels), (filled[origins], points)):
        around = now[:, None] + _nanmean([one - level for one, level in zip(profile, then, strict=True)])
        yield np.where(np.isfinite(around), around, mean)


def _nanmean(parts: Sequence[np.ndarray]) -> np.ndarray:
    known = np.isfinite(parts)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, parts, 0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _mean_before(values: np.ndarray, ends: np.ndarray, width: int) -> np.ndarray:
    """Mean of the `width` values up to each end, or of as many as there are."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.clip(ends, 0, len(values) - 1)
    begins = np.maximum(ends + 1 - width, 0)
    return (sums[ends + 1] - sums[begins]) / (ends + 1 - begins)


def _filled(values: np.ndarray) -> np.ndarray:
    """Missing values are the last ones before them, or the first."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros_like(values)
    newest = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    return values[np.where(newest < 0, int(known.argmax()), newest)]
