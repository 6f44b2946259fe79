"""Does a window of requests look like the reference? One honest alarm a window.

Testing every feature by itself cries wolf: twenty tests at p < .05 find something on most clean windows. Here
a window has one statistic, the largest of its features' statistics, each standardised by its mean and
standard deviation over clean windows of the same size; it is compared with the same maximum on those clean
windows.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from monitoring.features import Values
from monitoring.profile import ReferenceProfile
from monitoring.variables import Tokens, take

CLEAN_WINDOWS = 500
LEVEL = 0.01
MIN_RECORDS = 30
MAX_MOVERS = 8
MOVER_DEVIATIONS = 4.5  # one of a thousand tokens goes so far by chance in less than 1 in 100 windows

Movers = tuple[tuple[str, float, float], ...]
"""Tokens with the share of texts that hold them: in the reference, in the window."""


@dataclass(frozen=True)
class Feature:
    """One variable's part in a comparison.

    Args:
        name: e.g. `text/length`.
        kind: `numeric`, `categorical` or `tokens`.
        statistic: distance between window and reference; see the variable's `statistic`.
        standardised: the same in standard deviations above its mean over clean windows.
        p_value: adjusted for the number of variables (Westfall & Young 1993, single-step maxT).
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
        compared: how many of them were compared: a window larger than half the reference is subsampled.
        reference_records: records in the reference.
        level: the stated rate of false alarms.
        p_value: conformal, (1 + clean windows at least as far off) / (1 + clean windows); None where the
            window or the reference is too small to tell.
        features: the variables, largest deviation first.
    """

    records: int
    compared: int
    reference_records: int
    level: float
    p_value: float | None
    features: tuple[Feature, ...] = ()

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

    Args:
        profile: the version's reference profile.
        values: the window's values, from `profile.measure`.
        keys: n request ids; they decide which records stand for a window that is too large.
        level: rate of false alarms, at least 1 / (`CLEAN_WINDOWS` + 1).

    Returns:
        The comparison; without a p-value, and so without an alarm, for fewer than `MIN_RECORDS` records.
    """
    n = min(len(keys), profile.records // 2)
    if n < MIN_RECORDS:
        return Comparison(len(keys), n, profile.records, level, None)
    if n < len(keys):
        rows = sample(keys, n)
        values = {name: take(value, rows) for name, value in values.items()}

    names = list(profile.variables)
    window = {
        name: variable.indicators(variable.encode(values[name])).mean(axis=0)  # type: ignore[arg-type]
        for name, variable in profile.variables.items()
    }
    now = np.array([profile.variables[name].statistic(window[name], profile.means[name]) for name in names])
    clean = _clean_statistics(profile, n)
    centre, spread = clean.mean(axis=0), np.maximum(clean.std(axis=0), 1e-9)
    standardised = (now - centre) / spread
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
    return Comparison(len(keys), n, profile.records, level, features[0].p_value, tuple(features))


def sample(keys: Sequence[str], n: int) -> np.ndarray:
    """Rows of at most n of the keys, ascending: those whose hash is smallest, in whatever order they come."""
    hashes = [hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys]
    return np.sort(np.argsort(hashes, kind="stable")[:n])


@lru_cache(maxsize=4)
def _clean_statistics(profile: ReferenceProfile, n: int) -> np.ndarray:
    """Each variable's statistic on clean windows of n records, `(CLEAN_WINDOWS, variables)`.

    The draws are the same for the same sizes, so that a report repeats.
    """
    rng = np.random.default_rng(0)
    draws = np.zeros((CLEAN_WINDOWS, profile.records), np.float32)
    for draw in draws:
        draw[rng.permutation(profile.records)[:n]] = 1
    columns = []
    for name, variable in profile.variables.items():
        reference = variable.indicators(profile.codes[name])
        # Counts below 2**24 are exact in float32, whose product is the faster one.
        inside = (draws @ reference.astype(np.float32)).astype(np.float64)
        outside = reference.sum(axis=0) - inside
        columns.append(variable.statistic(inside / n, outside / (profile.records - n)))
    return np.stack(columns, axis=1)


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
