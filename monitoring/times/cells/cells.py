"""Cells of a column of times as clean text."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unroll.monitoring.missing import MISSING
from unroll.monitoring.times.cells.eras import common_years
from unroll.monitoring.times.cells.intervals import without_ends
from unroll.monitoring.times.cells.tidying import INVISIBLE, tidied
from unroll.monitoring.times.cells.zone_names import without_zones
from unroll.monitoring.times.forms.numbers import NUMBER, Numbers

_NO_TIME = ("nat", "infinity", "-infinity", "0000-00-00", "0000-00-00 00:00:00", "00.00.0000", "00/00/0000")
_MISSING = pa.array([*MISSING, *_NO_TIME])
_HIDDEN = r"(?i)^\d+,\d+$|^/date\(|^['\x22]\d"
_THOUSANDS = r"^\d{1,3}(,\d{3})+$"


@dataclass(frozen=True)
class Cells:
    """Different cells of a column.

    Args:
        text: trimmed; "" where there is none.
        empty: bool [N]; where there is none.
        exact: they are numbers in the file, too.
        era: what was done to years that the file counts from elsewhere, in words; empty: nothing.
        zone: whose name stands behind all of them in the file; empty without one.
    """

    text: pa.Array
    empty: np.ndarray
    exact: bool = False
    era: str = ""
    zone: str = ""

    @classmethod
    def of(cls, values: pa.Array, zone: str = "") -> "Cells":
        """Cells of text or numbers, neither by dictionary nor nested; `zone` is known, for abbreviations."""
        text = values.cast(pa.string())
        if not pa.types.is_integer(values.type):
            text = pc.utf8_trim_whitespace(text)
            if not _all(pc.fill_null(pc.string_is_ascii(text), True)):
                text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, INVISIBLE, ""))
        text, zone = without_zones(without_ends(text.fill_null("")), zone)
        exact = pa.types.is_floating(values.type)
        text, era = common_years(text)
        return cls(text, pc.equal(text, "").to_numpy(zero_copy_only=False), exact, era, zone)

    @property
    def buddhist(self) -> bool:
        """Whether their years are of the Buddhist era in the file."""
        return "Buddhist" in self.era

    @cached_property
    def missing(self) -> np.ndarray:
        """Where there is no time: empty cells, and words and dates that stand for none; bool [N]."""
        return self.empty | pc.is_in(self.lower, _MISSING).to_numpy(zero_copy_only=False)

    @cached_property
    def lower(self) -> pa.Array:
        """In small letters, blanks single, of intervals the start, of what programs write around a time nothing."""
        return tidied(pc.utf8_lower(self.text))

    @cached_property
    def numeric(self) -> np.ndarray:
        """Which are numbers; bool [N]."""
        return _is_number(self._bare)

    @cached_property
    def are_numbers(self) -> bool:
        """Whether most are."""
        return bool(self.numeric.sum() * 2 > (~self.empty).sum())

    @cached_property
    def numbers(self) -> Numbers:
        """Those of the cells that are numbers."""
        return Numbers.of(self._bare, ~self.numeric, exact=self.exact)

    @cached_property
    def _bare(self) -> pa.Array:
        """As it is, unless what is written around numbers, or a decimal comma, hides some."""
        as_is = _is_number(self.text) | self.empty
        if as_is.all() or not pc.any(pc.match_substring_regex(self.text, _HIDDEN)).as_py():
            return self.text
        return self._points

    @cached_property
    def _points(self) -> pa.Array:
        """With decimal points for commas, and without what programs write around a number."""
        text = self.lower
        commas = pc.and_(pc.match_substring(text, ","), pc.invert(pc.match_substring_regex(text, _THOUSANDS)))
        return pc.replace_substring_regex(text, r"^(\d+),(\d+)$", r"\1.\2") if pc.any(commas).as_py() else text


def _is_number(text: pa.Array) -> np.ndarray:
    return pc.match_substring_regex(text, NUMBER).to_numpy(zero_copy_only=False)


def _all(mask: pa.Array) -> bool:
    return bool(pc.all(mask, min_count=0).as_py())
