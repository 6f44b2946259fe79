"""Times as numbers."""

from dataclasses import dataclass

import numpy as np

MISSING_TIME = np.iinfo(np.int64).min
_MICROS = 1_000_000


@dataclass(frozen=True)
class Times:
    """Points in time, and the UTC offsets with which they were written.

    Args:
        micros: int64 [N]; microseconds since 1970 in UTC, or, without offsets, on the clock that the data tells;
            `MISSING_TIME` where there is none.
        offsets: int32 [N]; seconds east of UTC, 0 where there is no time. None where times have no offset.

    Example:
        >>> Times(np.array([1_500_000, MISSING_TIME])).seconds.tolist()[0]
        1
    """

    micros: np.ndarray
    offsets: np.ndarray | None = None

    @property
    def missing(self) -> np.ndarray:
        """Where there is no time, bool [N]."""
        return self.micros == MISSING_TIME

    @property
    def seconds(self) -> np.ndarray:
        """Whole seconds since 1970, int64 [N]; `MISSING_TIME` where there is none."""
        return np.where(self.missing, MISSING_TIME, self.micros // _MICROS)
