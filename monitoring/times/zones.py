"""Which time zone the UTC offsets of a table come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.times.clock import Clock, changes, offset_of

_DAY = 86_400
KNOWN = (
    "Europe/Berlin", "Europe/London", "Europe/Helsinki", "Europe/Lisbon", "Europe/Dublin", "Europe/Chisinau",
    "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Anchorage",
    "America/Halifax", "America/St_Johns", "America/Phoenix", "America/Mexico_City", "America/Sao_Paulo",
    "America/Santiago", "America/Havana", "Pacific/Honolulu", "Asia/Jerusalem", "Asia/Tehran", "Asia/Beirut",
    "Asia/Tokyo", "Asia/Kolkata", "Asia/Shanghai", "Africa/Cairo", "Africa/Casablanca", "Australia/Sydney",
    "Australia/Adelaide", "Australia/Lord_Howe", "Australia/Brisbane", "Australia/Perth", "Pacific/Auckland",
    "Pacific/Chatham",
)  # fmt: skip
"""Of zones that fit alike, the one that most people know comes first."""


@dataclass(frozen=True)
class LearntClock:
    """The clock that a table was written by.

    Args:
        clock: its clock.
        told: how it was found, in words; empty where nothing had to be inferred.
    """

    clock: Clock
    told: str = ""


def learn_clock(instants: np.ndarray, offsets: np.ndarray, names: Sequence[str] = ()) -> LearntClock:
    """The zone whose offsets are those that times were written with.

    Args:
        instants: int64 Unix seconds of the rows.
        offsets: int32 seconds east of UTC that each was written with.
        names: of zones that the file itself tells; of a single one it is the clock.

    Raises:
        UserError: no zone has these offsets at these times.
    """
    if len(names) == 1 and (names[0] == "UTC" or names[0] in available_timezones()):
        return LearntClock(Clock.of("UTC" if names[0] in ("Etc/UTC", "Z") else names[0]))
    if len(offsets) == 0 or offsets.min() == offsets.max():
        clock = Clock.fixed(int(offsets[0]) if len(offsets) else 0)
        told = f"All times have the UTC offset {clock.name.removeprefix('UTC')}: the clock is taken never to change. "
        remedy = "If it does, name its zone, as in --set data.timezone=Europe/Berlin."
        return LearntClock(clock, told + remedy if clock.name != "UTC" else "")
    fitting = fitting_zones(instants, offsets)
    if not fitting:
        one, other = (_called(offset) for offset in (offsets.min(), offsets.max()))
        raise UserError(
            f"times have UTC offsets from {one} to {other}, which no one time zone has at these times: series lie in "
            "several zones, or offsets are wrong. Name the zone whose calendar counts for all of them, as in --set "
            "data.timezone=Europe/Berlin, or --set data.timezone=UTC for none"
        )
    others = f" {len(fitting) - 1} more have the same offsets at these times." if len(fitting) > 1 else ""
    told = f"Time zone learnt from the UTC offsets: {fitting[0]}.{others} Another is named with --set data.timezone=..."
    return LearntClock(Clock.of(fitting[0]), told)


def fitting_zones(instants: np.ndarray, offsets: np.ndarray) -> list[str]:
    """Names of the zones that have these offsets at these instants, the likeliest first.

    Args:
        instants: int64 Unix seconds, in any order.
        offsets: seconds east of UTC, of the same length.
    """
    order = np.argsort(instants, kind="stable")
    instants, offsets = instants[order], offsets[order]
    ends = np.flatnonzero(np.diff(offsets))
    edges = sorted({0, len(instants) - 1, *ends.tolist(), *(ends + 1).tolist()})
    if len(edges) > 4000:  # offsets alternate: they are of several zones
        return []
    fitting = [name for name in _zones() if _agrees(name, instants[edges], offsets[edges])]
    fitting = [name for name in fitting if _agrees_throughout(name, instants, offsets, ends)]
    return sorted(fitting, key=lambda name: _rank(name, fitting))


def _agrees(name: str, instants: np.ndarray, offsets: np.ndarray) -> bool:
    zone = ZoneInfo(name)
    return all(offset_of(zone, int(at)) == offset for at, offset in zip(instants, offsets, strict=True))


def _agrees_throughout(name: str, instants: np.ndarray, offsets: np.ndarray, ends: np.ndarray) -> bool:
    """Whether all rows have the zone's offset: it is enough to look where either changes."""
    transitions, expected = changes(name, int(instants[0]), int(instants[-1]) + 1)
    after = np.searchsorted(instants, transitions)
    points = np.concatenate([[0], ends + 1, after[after < len(instants)]])
    return bool((expected[np.searchsorted(transitions, instants[points], side="right")] == offsets[points]).all())


def _rank(name: str, fitting: list[str]) -> tuple[int, int, str]:
    """Known zones come first, then those whose clock goes on as that of most others that fit."""
    known = KNOWN.index(name) if name in KNOWN else len(KNOWN)
    alike = sum(_ahead(other) == _ahead(name) for other in fitting) if known == len(KNOWN) else 0
    return known, -alike, name


@lru_cache(maxsize=1024)
def _ahead(name: str) -> tuple[int, ...]:
    """Its offsets in the middle of every month of a coming year."""
    zone = ZoneInfo(name)
    return tuple(offset_of(zone, 2_051_222_400 + month * 30 * _DAY) for month in range(12))  # 2035


@lru_cache(maxsize=1)
def _zones() -> list[str]:
    """Zones by city; what else the database holds are their other names."""
    regions = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
    return sorted(name for name in available_timezones() if name.split("/")[0] in regions)


def _called(offset: int) -> str:
    return Clock.fixed(int(offset)).name.removeprefix("UTC") or "+00:00"
