"""Does a window of requests look like the reference? One honest alarm a window.

Testing every feature by itself cries wolf: twenty tests at p < .05 find something on most clean windows. Here
a window has one statistic, the largest of its features' statistics, each standardised by its mean and
standard deviation over clean windows of the same size; it is compared with the same maximum on those clean
windows.

Clean windows of texts are drawn at random. Records that belong together, scans of a patient, frames of a video, are
more alike than those of others, so live traffic, whose patients are others, differs from the reference by more than
records drawn from it do. There, a clean window is drawn from one half of the reference's clusters and compared with the
other half.

A series asks for yet more: requests that follow one another in time share most of their history, so a window of them
differs from the reference however healthy it is. There, clean windows are runs of consecutive reference records. A
reference holds only a handful that share no step, too few to count those that are farther off; their mean and standard
deviation give a prediction interval for one more.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from unroll.monitoring.features import Values
from unroll.monitoring.profile import ReferenceProfile
from unroll.monitoring.variables import Tokens, take

CLEAN_WINDOWS = 500
LEVEL = 0.01
MIN_RECORDS = 30
FEWEST_CLUSTERS = 20  # alike in size; halves of fewer do not tell how unlike further ones may be
FEWEST_RUNS = 3  # of a series, below which nobody can tell what is usual
RUN_SHARE = 50  # a run is at most one in so many of a series' reference records
MIN_RUNS = 5  # with fewer, Student's t would let nothing through; with these, large changes
MAX_MOVERS = 8
MOVER_DEVIATIONS = 4.5  # one of a thousand tokens goes so far by chance in less than 1 in 100 windows

Means = Iterator[tuple[str, np.ndarray, np.ndarray]]
"""A variable, mean indicator vectors of its clean windows, and of the records that each is compared with."""

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
        compared: how many of them were compared, at most `largest_window`.
        reference_records: records in the reference.
        level: the stated rate of false alarms.
        p_value: conformal, (1 + clean windows at least as far off) / (1 + clean windows), or, for series, of
            Student's t; None where the window or the reference is too small to tell.
        features: the variables, largest deviation first.
        runs: of a series, how many runs the reference holds that can be taken as independent.
    """

    records: int
    compared: int
    reference_records: int
    level: float
    p_value: float | None
    features: tuple[Feature, ...] = ()
    runs: int | None = None

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
        reference of fewer than `FEWEST_RUNS` independent runs, or of clusters worth fewer than `FEWEST_CLUSTERS`.
    """
    n = min(len(keys), largest_window(profile))
    if n < MIN_RECORDS or (profile.clusters is not None and _alike(profile.clusters) < FEWEST_CLUSTERS):
        return Comparison(len(keys), n, profile.records, level, None)
    runs = profile.records // (2 * (n + profile.series.lookback)) if profile.series else None
    if runs is not None and runs < FEWEST_RUNS:
        return Comparison(len(keys), n, profile.records, level, None, runs=runs)
    if n < len(keys):
        rows = np.arange(n) if profile.series else sample(keys, n)
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
    if runs is not None:
        freedom = max(runs, MIN_RUNS) - 1
        t = standardised * math.sqrt(freedom / (freedom + 2))
        p_values = np.array([min(1, len(names) * _student_tail(value, freedom)) for value in t])
    else:
        clean_maxima = ((clean - centre) / spread).max(axis=1)
        # A tie in exact arithmetic must count as one after rounding as well.
        at_least = (clean_maxima[:, None] >= standardised - 1e-9).sum(axis=0)
        p_values = (1 + at_least) / (1 + CLEAN_WINDOWS)

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
    return Comparison(len(keys), n, profile.records, level, features[0].p_value, tuple(features), runs)


def largest_window(profile: ReferenceProfile) -> int:
    """Records that can be compared: half the reference; of a series' one run, or `MIN_RECORDS`."""
    half = profile.records // 2
    return min(half, max(profile.records // RUN_SHARE, MIN_RECORDS)) if profile.series else half


def sample(keys: Sequence[str], n: int) -> np.ndarray:
    """Rows of at most n of the keys, ascending: those whose hash is smallest, in whatever order they come."""
    hashes = [hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys]
    return np.sort(np.argsort(hashes, kind="stable")[:n])


@lru_cache(maxsize=4)
def _clean_statistics(profile: ReferenceProfile, names: tuple[str, ...], n: int) -> np.ndarray:
    """Each variable's statistic on clean windows of n records, `(clean windows, variables)`.

    The draws are the same for the same sizes, so that a report repeats.
    """
    draw = _runs if profile.series else _halves if profile.clusters is not None else _draws
    statistics = [profile.variables[name].statistic(window, rest) for name, window, rest in draw(profile, names, n)]
    return np.stack(statistics, axis=1)


def _draws(profile: ReferenceProfile, names: tuple[str, ...], n: int) -> Means:
    rng = np.random.default_rng(0)
    draws = np.zeros((CLEAN_WINDOWS, profile.records), np.float32)
    for draw in draws:
        draw[rng.permutation(profile.records)[:n]] = 1
    for name in names:
        reference = profile.variables[name].indicators(profile.codes[name])
        inside = _sums(draws, reference)
        yield name, inside / n, (reference.sum(axis=0) - inside) / (profile.records - n)


def _halves(profile: ReferenceProfile, names: tuple[str, ...], n: int) -> Means:
    """The records of a random half of the clusters against the other half; a cluster in the middle is cut."""
    assert profile.clusters is not None
    rng = np.random.default_rng(0)
    half = profile.records // 2
    windows = np.zeros((CLEAN_WINDOWS, profile.records), np.float32)
    others = np.zeros_like(windows)
    for window, other in zip(windows, others, strict=True):
        places = rng.permutation(profile.clusters.max() + 1).astype(np.uint16)  # 16 bits are sorted by counting
        order = places[profile.clusters].argsort(kind="stable")
        window[rng.permutation(order[:half])[:n]] = 1
        other[order[half:]] = 1
    for name in names:
        reference = profile.variables[name].indicators(profile.codes[name])
        yield name, _sums(windows, reference) / n, _sums(others, reference) / (profile.records - half)


def _alike(clusters: np.ndarray) -> float:
    """How many clusters alike in size make a mean vary as much as these: 1 / sum of squared shares (Kish 1965)."""
    return len(clusters) ** 2 / float((np.bincount(clusters) ** 2).sum())


def _sums(draws: np.ndarray, indicators: np.ndarray) -> np.ndarray:
    # Counts below 2**24 are exact in float32, whose product is the faster one.
    return (draws @ indicators.astype(np.float32)).astype(np.float64)


def _runs(profile: ReferenceProfile, names: tuple[str, ...], n: int) -> Means:
    last = profile.records - n
    starts = np.linspace(0, last, min(CLEAN_WINDOWS, last + 1)).astype(int)
    for name in names:
        reference = profile.variables[name].indicators(profile.codes[name])
        before = np.zeros((profile.records + 1, reference.shape[1]), np.int32)
        np.cumsum(reference, axis=0, out=before[1:])
        inside = before[starts + n] - before[starts]
        yield name, inside / n, (before[-1] - inside) / (profile.records - n)


def _student_tail(t: float, freedom: int) -> float:
    """The probability that Student's t exceeds a value (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for step in range(2 + odd, freedom, 2):
        term *= cosine**2 * (step - 1) / step
        total += term
    inside = math.sin(angle) * total
    return (1 - (2 / math.pi * (angle + inside) if odd else inside)) / 2


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
