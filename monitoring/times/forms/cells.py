"""Cells of a column of times as clean text."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unroll.monitoring.missing import MISSING
from unroll.monitoring.times.forms.numbers import NUMBER, Numbers

_NO_TIME = ("nat", "infinity", "-infinity", "0000-00-00", "0000-00-00 00:00:00", "00.00.0000", "00/00/0000")
_MISSING = pa.array([*MISSING, *_NO_TIME])
_INVISIBLE = r"[\x{feff}\x{200b}-\x{200f}\x{2060}]"
_BLANKS = r"[\s\x{a0}\x{2007}\x{202f}\x{3000}]+"
_START = r"^(\S.*\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:z| ?\(?[a-z]{3,4}\)?)?)(?: (?:-|\x{2013}|to|bis) |/)\S.*\d:\d\d.*$"
_TIDIED = (
    (r"\s\s|[^\x00-\x7f]|\t", _BLANKS, " "),
    (r"\]$", r"\[[\w/+-]+\]$", ""),  # Java's names of zones, behind an offset
    (r"^/date\(", r"^/date\((-?\d+)(?:[+-]\d{4})?\)/$", r"\1"),  # JSON of .NET
    (r"^['\x22]|['\x22]$", r"^['\x22]|['\x22]$", ""),
    (r"\)$", r"([+-]\d\d:?\d\d) \(.*\)$", r"\1"),  # JavaScript
    (r"\)$", r"\(([a-z]{3,4})\)$", r"\1"),
    (r"noon$", r"(?:12 ?)?noon$", "12:00 pm"),
    (r"midnight$", r"(?:12 ?)?midnight$", "12:00 am"),
    (r":\d\d.*(?: |/).*:\d\d", _START, r"\1"),
)
"""What to look for, and what to write instead of what."""
_EAST_ASIAN = (
    (r"(上午|오전) ?([\d:]+)", r"\2 am"),
    (r"(下午|오후) ?([\d:]+)", r"\2 pm"),
    (r"[年년] ?", "-"),
    (r"[月월] ?(\d)", r"-\1"),
    (r"[日일] ?", " "),
    (r"[时時시点分분] ?(\d)", r":\1"),
    (r"[月월时時시点分분秒초]", ""),
)
_UNTIDY = "|".join(mark for mark, _, _ in _TIDIED)
_HIDDEN = r"(?i)^\d+,\d+$|^/date\("
_THOUSANDS = r"^\d{1,3}(,\d{3})+$"


@dataclass(frozen=True)
class Cells:
    """Different cells of a column.

    Args:
        text: trimmed; "" where there is none.
        empty: bool [N]; where there is none.
        exact: they are numbers in the file, too.
    """

    text: pa.Array
    empty: np.ndarray
    exact: bool = False

    @classmethod
    def of(cls, values: pa.Array) -> "Cells":
        """Cells of text or numbers, neither by dictionary nor nested."""
        text = values.cast(pa.string())
        if not pa.types.is_integer(values.type):
            text = pc.utf8_trim_whitespace(text)
            if not _all(pc.fill_null(pc.string_is_ascii(text), True)):
                text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, _INVISIBLE, ""))
        text = text.fill_null("")
        exact = pa.types.is_floating(values.type)
        return cls(text, pc.equal(text, "").to_numpy(zero_copy_only=False), exact)

    @cached_property
    def missing(self) -> np.ndarray:
        """Where there is no time: empty cells, and words and dates that stand for none; bool [N]."""
        return self.empty | pc.is_in(self.lower, _MISSING).to_numpy(zero_copy_only=False)

    @cached_property
    def lower(self) -> pa.Array:
        """In small letters, blanks single, of intervals the start, of what programs write around a time nothing."""
        text = pc.utf8_lower(self.text)
        if not pc.any(pc.match_substring_regex(text, _UNTIDY)).as_py():
            return text
        for mark, pattern, instead in _TIDIED:
            if pc.any(pc.match_substring_regex(text, mark)).as_py():
                text = pc.replace_substring_regex(text, pattern, instead)
        if pc.any(pc.match_substring_regex(text, r"\d ?[年년月월时時시点]|[午오]")).as_py():
            for pattern, instead in _EAST_ASIAN:
                text = pc.replace_substring_regex(text, pattern, instead)
            text = pc.utf8_trim_whitespace(text)
        return text

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
