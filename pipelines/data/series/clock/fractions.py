"""Times with fractions of a second, and tables without a time: steps by their numbers."""

from dataclasses import dataclass

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.times.frequency import Frequency
from unroll.monitoring.times.inference import typical_step

_SECOND = 1_000_000  # microseconds
_CLOSE = 1e-3  # by which a rate may miss a whole one
_NEAR = 0.25  # of a step, by which a time may miss its own
_MOST = 0.99  # of the rows, of which that must be so


@dataclass(frozen=True)
class Counted:
    """Times as whole numbers.

    Args:
        times: int64; Unix seconds, or numbers of steps where there is a rate.
        rate: steps a second; 0 where that is not known. None for Unix seconds.
        rounded: how many had a fraction that was taken off.
    """

    times: np.ndarray
    rate: float | None = None
    rounded: int = 0


def whole_seconds(micros: np.ndarray, codes: np.ndarray, frequency: str | None) -> Counted:
    """Seconds, or, where rows are less than a second apart, steps.

    Args:
        micros: int64 microseconds since 1970.
        codes: the series of each.
        frequency: that is named; None finds the rate of steps that are shorter than a second.

    Raises:
        UserError: fractions of a second that fit no rate, or not the step that is named.
    """
    named = Frequency.parse(frequency) if frequency else None
    rate = named.rate if named is not None else None
    if rate is None:
        fractions = int(np.count_nonzero(micros % _SECOND))
        if not fractions:
            return Counted(micros // _SECOND)
        rounded = (micros + _SECOND // 2) // _SECOND
        own = micros[codes == codes[0]]
        if named is not None:
            distinct, kept = len(np.unique(own)), len(np.unique(rounded[codes == codes[0]]))
            if distinct > 1.5 * kept:
                raise UserError(
                    f"{distinct} times with fractions of a second fall on {kept} seconds: steps of data.frequency="
                    f"{frequency} are too long. Leave it out to have the rate found, or name it, as in --set "
                    "data.frequency=256Hz"
                )
            return Counted(rounded, rounded=fractions)
        distances = np.diff(np.unique(own))
        if len(distances) == 0 or typical_step(distances) > 0.9 * _SECOND:
            return Counted(rounded, rounded=fractions)
        rate = _rate(distances)
    if not rate:
        raise UserError("configuration key data.frequency: a step without a length is for data.time=null. Leave it out")
    first = int(micros.min())
    steps = (micros - first) * (rate / _SECOND)
    numbers = np.round(steps)
    if (np.abs(steps - numbers) <= _NEAR).mean() < _MOST:
        raise UserError(
            f"times with fractions of a second do not lie {rate:g} a second. Name how many do, as in --set "
            "data.frequency=256Hz, or a step that they are rounded to, as in --set data.frequency=1s"
        )
    return Counted(numbers.astype(np.int64) + round(first * (rate / _SECOND)), rate)


def numbered(codes: np.ndarray, rate: float | None) -> Counted:
    """The number of each row in its series, in the order of the rows.

    Args:
        codes: the series of each.
        rate: rows a second; None where that is not known.
    """
    order = np.argsort(codes, kind="stable")
    begins = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    numbers = np.empty(len(codes), np.int64)
    numbers[order] = np.arange(len(codes)) - begins[codes[order]]
    return Counted(numbers, rate or 0.0)


def _rate(distances: np.ndarray) -> float:
    """Steps a second of distances in microseconds, most of which are one step."""
    typical = typical_step(distances)
    if not (distances % typical).any():
        return _SECOND / typical
    rate = _SECOND * float(np.maximum(np.round(distances / typical), 1).sum() / distances.sum())
    for digits, close in ((0, _CLOSE), (2, _CLOSE / 100)):
        if abs(rate - round(rate, digits)) <= close * rate and round(rate, digits):
            return float(round(rate, digits))
    return rate
