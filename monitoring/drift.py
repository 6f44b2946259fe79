"""Does a window of requests look like the reference? One honest alarm a window.

Testing every feature by itself cries wolf: twenty tests at p < .05 find something on most clean windows. Here
a window has one statistic, the largest of its features' statistics, each standardised by its mean and
standard deviation over clean windows of the same size; it is compared with the same maximum on those clean
windows.

How clean windows are drawn depends on what the records have to do with one another; see `unroll.monitoring.windows`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from unroll.monitoring.features import Values
from unroll.monitoring.profile import ReferenceProfile
from unroll.monitoring.variables import Tokens, take
from unroll.monitoring.windows import Independent

LEVEL = 0.01
MAX_MOVERS = 8
MOVER_DEVIATIONS = 4.5  # one of a thousand tokens goes so far by chance in less than 1 in 100 windows

Movers = tuple[tuple[str, float, float], ...]
"""Tokens with the share of texts that hold them: in the reference, in the window."""


@dataclass(frozen=True)
class Feature:
    """One variable's part in a comparison.

    Args:
        name: e.g. `text/length`.
        kind: `numeric`, `magnitude`, `categorical` or `tokens`.
        statistic: distance between window and reference; see the variable's `statistic`.
        standardised: the same in standard deviations above its mean over clean windows.
        p_value: adjusted for the number of variables (Westfall & Young 1993, single-step maxT; for series
            Bonferroni).
        drift: whether `p_value` is at most the alarm level.
        reference: summary of the reference, for people.
        current: the same of the window.
        rose: tokens that more texts hold than in the reference, as (token, reference share, current share);
            only where the variable drifts, since among a thousand tokens some always move.
        fell: tokens that fewer texts hold.
    """

    name: str
    kind: str
    statistic: float
    standardised: float
    p_value: float
    drift: bool
    reference: dict[str, Any]
    current: dict[str, Any]
    rose: Movers = ()
    fell: Movers = ()


@dataclass(frozen=True)
class Comparison:
    """The outcome for one window.

    Args:
        records: records in the window.
        compared: how many of them were compared, at most `windows.largest`.
        reference_records: records in the reference.
        level: the stated rate of false alarms.
        p_value: conformal, (1 + clean windows at least as far off) / (1 + clean windows), or, for series, of
            Student's t; None where the window or the reference is too small to tell.
        windows: how clean windows were drawn.
        features: the variables, largest deviation first.
    """

    records: int
    compared: int
    reference_records: int
    level: float
    p_value: float | None
    windows: Independent
    features: tuple[Feature, ...] = ()

    @property
    def runs(self) -> int | None:
        """Of a series, how many runs the reference holds that can be taken as independent."""
        return self.windows.runs(self.compared)

    @property
    def drift(self) -> bool:
        return self.p_value is not None and self.p_value <= self.level


def compare(
    profile: ReferenceProfile, values: Mapping[str, Values], keys: Sequence[str], *, level: float = LEVEL
) -> Comparison:
    """Compares a window of n records with the reference.

    Clean windows are the first records of shuffled reference records against the rest of them. The guarantee
    (a clean window alarms at most at the rate `level`) holds for exchangeable records; requests that come in
    runs of the same kind weaken it. The window itself is compared with the whole reference, which is less
    noisy than the rest of it: the alarm errs on the quiet side.

    Where records come in clusters, these are exchangeable and records are not. Clean windows are then n records drawn
    from a random half of the clusters, compared with the other half. Of K clusters alike in size, two halves differ
    by 2 / K + 2 / K of the variance between clusters, requests from k further ones and the whole reference by
    1 / k + 1 / K. So the rate holds, as far as variances decide it, for requests scattered over at least a third as
    many clusters as the reference has. Requests that come cluster by cluster alarm more often.

    For series, clean windows are runs of consecutive records against the rest. Of these, m lie as far apart as
    a run and its history are long, and the rate rests on their statistics being about normal: a variable's
    p-value is that of its statistic against a prediction interval for one more run, Student's t with m - 1
    degrees of freedom, times the number of variables. Variables that were not measured, since what came true is
    not known, are left out.

    Args:
        profile: the version's reference profile.
        values: the window's values, from `profile.measure`; of a series the newest record first.
        keys: n request ids; they decide which records stand for a window that is too large.
        level: rate of false alarms, at least 1 / (`CLEAN_WINDOWS` + 1).

    Returns:
        The comparison; without a p-value, and so without an alarm, for fewer than `MIN_RECORDS` records, or a
        reference of fewer than `MIN_RUNS` independent runs, or of clusters worth fewer than `MIN_CLUSTERS`.
    """
    rule = profile.windows
    n = min(len(keys), rule.largest)
    if not rule.enough(n):
        return Comparison(len(keys), n, profile.records, level, None, rule)
    if n < len(keys):
        rows = rule.sample(keys, n)
        values = {name: take(value, rows) for name, value in values.items()}

    names = tuple(name for name in profile.variables if name in values)
    window = {
        name: profile.variables[name].indicators(profile.variables[name].encode(values[name])).mean(axis=0)  # type: ignore[arg-type]
        for name in names
    }
    now = np.array([profile.variables[name].statistic(window[name], profile.means[name]) for name in names])
    clean = _clean_statistics(profile, names, n)
    floor = np.array([profile.variables[name].floor / n for name in names])
    clean = np.maximum(clean, floor)
    centre, spread = clean.mean(axis=0), np.maximum(clean.std(axis=0), np.maximum(floor, 1e-9))
    standardised = (np.maximum(now, floor) - centre) / spread
    p_values = rule.p_values(standardised, (clean - centre) / spread, n)

    features = []
    for column in np.argsort(-standardised, kind="stable"):
        name, drift = names[column], bool(p_values[column] <= level)
        variable = profile.variables[name]
        rose: Movers = ()
        fell: Movers = ()
        if drift and isinstance(variable, Tokens):
            noise = math.sqrt(1 / n + 1 / profile.records) / 2
            rose, fell = _movers(variable, window[name], profile.means[name], noise)
        features.append(
            Feature(
                name=name,
                kind=variable.kind,
                statistic=float(now[column]),
                standardised=float(standardised[column]),
                p_value=float(p_values[column]),
                drift=drift,
                reference=profile.summaries[name],
                current=variable.summary(values[name]),  # type: ignore[arg-type]
                rose=rose,
                fell=fell,
            )
        )
    return Comparison(len(keys), n, profile.records, level, features[0].p_value, rule, tuple(features))


@lru_cache(maxsize=4)
def _clean_statistics(profile: ReferenceProfile, names: tuple[str, ...], n: int) -> np.ndarray:
    """Each variable's statistic on clean windows of n records, `(clean windows, variables)`.

    The draws are the same for the same sizes, so that a report repeats.
    """
    indicators = {name: partial(profile.variables[name].indicators, profile.codes[name]) for name in names}
    means = profile.windows.draw(indicators, n)
    return np.stack([profile.variables[name].statistic(window, rest) for name, window, rest in means], axis=1)


def _movers(variable: Tokens, window: np.ndarray, reference: np.ndarray, noise: float) -> tuple[Movers, Movers]:
    """The tokens that moved most, up and down, on the scale where chance moves all of them alike.

    The arcsine of a share's root has the standard deviation 1 / (2 sqrt(n)) whatever the share; `noise` is
    that of a difference.
    """
    moved = (np.arcsin(np.sqrt(window)) - np.arcsin(np.sqrt(reference))) / noise
    order = np.argsort(moved)

    def rows(columns: np.ndarray) -> Movers:
        return tuple(
            (variable.tokens[i], round(float(reference[i]), 4), round(float(window[i]), 4))
            for i in columns
            if abs(moved[i]) > MOVER_DEVIATIONS
        )

    rose, fell = order[::-1][:MAX_MOVERS], order[:MAX_MOVERS]
    return rows(rose[moved[rose] > 0]), rows(fell[moved[fell] < 0])
