"""Clocks that people live by: from instants to local civil time and back."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.times.cells.zone_names import meant_by, zone_called

FIRST_YEAR, LAST_YEAR = 1900, 2100
"""Transitions of zones are known from the first year on, and to the beginning of the last."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROBE = 7 * 86_400  # no zone has changed its clock and changed it back in less
_FIXED = re.compile(r"(?:UTC|GMT)? ?([+-])(\d\d?)(?::?(\d\d))?", re.IGNORECASE)


@dataclass(frozen=True)
class Clock:
    """Offsets from UTC, and when they change.

    Args:
        name: an IANA zone, `UTC`, or a fixed offset as in `UTC+05:30`; empty for times of which no zone is known,
            which are read as UTC.
        transitions: int64 [K]; Unix seconds at which the offset changes, rising.
        offsets: int64 [K + 1]; seconds east of UTC before the first transition, and after each.

    Example:
        >>> berlin = Clock.of("Europe/Berlin")
        >>> berlin.stamp(1_729_987_200), berlin.stamp(1_729_987_200 + 3600)
        ('2024-10-27T02:00:00+02:00', '2024-10-27T02:00:00+01:00')
    """

    name: str = ""
    transitions: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64), compare=False, repr=False)
    offsets: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64), compare=False, repr=False)

    @classmethod
    def of(cls, name: str) -> "Clock":
        """The clock of a name as `Clock.name` has them, in any case, or of Windows' name for a zone.

        Raises:
            UserError: there is no such zone.
        """
        fixed = _FIXED.fullmatch(name)
        if fixed:
            return cls.fixed(int(fixed[1] + "1") * (int(fixed[2]) * 3600 + int(fixed[3] or 0) * 60))
        if name in ("", "UTC"):
            return cls(name)
        name = name if name in available_timezones() else zone_called(name) or name
        if name not in available_timezones():
            near = [zone for zone in sorted(available_timezones()) if name.lower().replace(" ", "_") in zone.lower()]
            meant = [*meant_by(name), *near][:3]
            said = f" Did you mean {' or '.join(meant)}?" if meant else ""
            raise UserError(
                "configuration key data.timezone: takes a zone of the IANA database, such as Europe/Berlin, "
                f"America/New_York or UTC.{said} Received: {name!r}."
            )
        transitions, offsets = _table(name)
        return cls(name, transitions, offsets)

    @classmethod
    def fixed(cls, seconds: int) -> "Clock":
        """One that is always so many seconds east of UTC."""
        sign, minutes = "-" if seconds < 0 else "+", abs(seconds) // 60
        name = f"UTC{sign}{minutes // 60:02}:{minutes % 60:02}" if seconds else "UTC"
        return cls(name, offsets=np.array([seconds], np.int64))

    @property
    def changes(self) -> bool:
        """Whether its offset is not always the same."""
        return len(self.transitions) > 0

    def offset(self, instants: np.ndarray) -> np.ndarray:
        """Seconds east of UTC at int64 Unix seconds of any shape."""
        return self.offsets[np.searchsorted(self.transitions, instants, side="right")]

    def local(self, instants: np.ndarray) -> np.ndarray:
        """What the clock shows, as seconds since 1970 on that clock; int64 of any shape."""
        return np.asarray(instants) + self.offset(instants)

    def instants(self, local: np.ndarray, *, later: bool | np.ndarray = False) -> np.ndarray:
        """Unix seconds at which the clock shows `local`.

        A time that comes twice is the earlier one unless `later`; a time that is skipped is so long after the
        change as it is after the last time that was shown: 02:30 is 03:30.
        """
        local = np.asarray(local, np.int64)
        if not self.changes:
            return local - self.offsets[0]
        shown_before, shown_after = self.transitions + self.offsets[:-1], self.transitions + self.offsets[1:]
        segment = np.searchsorted(np.maximum(shown_before, shown_after), local, "right")
        if np.any(later):
            segment = np.where(later, np.searchsorted(shown_after, local, "right"), segment)
        return local - self.offsets[segment]

    def repeated(self, local: np.ndarray) -> np.ndarray:
        """Whether the clock shows `local` twice, as when it is set back."""
        return self._between(local, self.offsets[1:], self.offsets[:-1])

    def skipped(self, local: np.ndarray) -> np.ndarray:
        """Whether the clock never shows `local`, as when it is set forward."""
        return self._between(local, self.offsets[:-1], self.offsets[1:])

    def _between(self, local: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Whether local times lie between a change by the one offset and by the other, where that one is larger."""
        local = np.asarray(local, np.int64)
        if not self.changes:
            return np.zeros(local.shape, bool)
        begin = self.transitions + np.minimum(low, high)
        at = np.maximum(np.searchsorted(begin, local, "right") - 1, 0)
        return (local >= self.transitions[at] + low[at]) & (local < self.transitions[at] + high[at])

    def stamp(self, instant: int) -> str:
        """ISO 8601 with the offset of the moment; Z for UTC, and where no zone is known."""
        if self.name in ("", "UTC"):
            return f"{np.datetime64(int(instant), 's')}Z"
        offset = timedelta(seconds=int(self.offset(np.asarray(instant))))
        return (_EPOCH + timedelta(seconds=int(instant))).astimezone(timezone(offset)).isoformat()


@lru_cache(maxsize=1024)
def _table(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Transitions and offsets of a zone, found by looking at its offset every week."""
    first = int((datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
    last = int((datetime(LAST_YEAR, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
    return changes(name, first, last)


def known_between(name: str, first: int, last: int) -> Clock:
    """The clock of a zone, with what it did between two instants alone: much is tried in a short time."""
    return Clock(name, *changes(name, first, last))


def changes(name: str, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """The transitions of a zone between two instants, and its offsets before the first and after each."""
    zone = ZoneInfo(name)
    transitions: list[int] = []
    offsets = [offset_of(zone, first)]
    for begin in range(first, last, _PROBE):
        end = min(begin + _PROBE, last)
        while offset_of(zone, end) != offsets[-1]:
            low, high = begin, end
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset_of(zone, middle) == offsets[-1] else (low, middle)
            transitions.append(high)
            offsets.append(offset_of(zone, high))
            begin = high
    return np.array(transitions, np.int64), np.array(offsets, np.int64)


def offset_of(zone: ZoneInfo, instant: int) -> int:
    """Seconds east of UTC of a zone."""
    offset = (_EPOCH + timedelta(seconds=instant)).astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
