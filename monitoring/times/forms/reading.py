"""What cells are read as."""

from dataclasses import dataclass

import numpy as np

from unroll.monitoring.times.instants import MISSING_TIME

NO_OFFSET = int(np.iinfo(np.int32).min)
"""Of a time that is written without one."""


@dataclass(frozen=True)
class Reading:
    """Times of cells, in some form.

    Args:
        micros: int64 [N]; microseconds since 1970, in UTC where there is an offset; `MISSING_TIME` where it is wrong.
        wrong: bool [N]; which are not times in that form, empty cells among them.
        offsets: int32 [N]; seconds east of UTC, `NO_OFFSET` where none is written. None: nowhere.
        written: the offsets as they are written.
        short_years: years are written with two digits.
        example: a cell that is only close to the form, and how it is read, in words.
    """

    micros: np.ndarray
    wrong: np.ndarray
    offsets: np.ndarray | None = None
    written: frozenset[str] = frozenset()
    short_years: bool = False
    example: str = ""

    @classmethod
    def of(cls, micros: np.ndarray, wrong: np.ndarray) -> "Reading":
        """Without offsets."""
        return cls(np.where(wrong, MISSING_TIME, micros), wrong)

    def patched(self, at: np.ndarray, other: "Reading") -> "Reading":
        """With other readings of some cells.

        Args:
            at: bool [N]; which cells.
            other: of those alone.
        """
        micros, wrong = self.micros.copy(), self.wrong.copy()
        micros[at], wrong[at] = other.micros, other.wrong
        offsets = self.offsets
        if offsets is not None or other.offsets is not None:
            offsets = np.full(len(micros), NO_OFFSET, np.int32) if offsets is None else offsets.copy()
            offsets[at] = NO_OFFSET if other.offsets is None else other.offsets
        short, example = self.short_years or other.short_years, self.example or other.example
        return Reading(micros, wrong, offsets, self.written | other.written, short, example)


def readable(micros: int) -> str:
    """A time as people read it."""
    return str(np.datetime64(int(micros), "us").astype("datetime64[s]")).replace("T", " ").removesuffix(" 00:00:00")
