"""Times written as text, by the form in which they are written."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unroll.monitoring.times.cells.weekday_names import is_weekday
from unroll.monitoring.times.forms.fields import MICROS, from_fields, whole_hour, whole_year
from unroll.monitoring.times.forms.month_names import month_number
from unroll.monitoring.times.forms.reading import NO_OFFSET, Reading
from unroll.monitoring.times.forms.zones import zone_offset
from unroll.monitoring.times.instants import MISSING_TIME

_WEEKDAY = r"(?:(?P<weekday>\p{L}{2,12})\.?,? +)?"
_NAME = r"(?P<n>[\p{L}\p{M}]{3,}\.?|[\p{Thai}.]{4,7})"
_HALF = r"(?: ?(?P<half>[ap])\.? ?(?:m\.?)?)?"
_CLOCK = rf"(?P<H>\d{{1,2}})(?:[:.h]?(?P<M>\d\d)(?:[:.]?(?P<S>\d\d)(?:[.,:](?P<f>\d{{1,9}}))?)?)? ?(?:h|uhr)?{_HALF}"
_ZONE = r"(?: ?(?P<zone>(?:z|utc|gmt)(?:[+-]\d{1,2}(?::?\d\d)?)?|[+-]\d\d(?::?\d\d)?(?: (?:utc|gmt))?|[a-z]{3,4}))?"
_TIME = rf"(?:(?:t|,? +|, *|[-_:]){_CLOCK}{_ZONE})?"
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th|er|º|\.)?"
_YEAR = r"(?P<y>\d{4})"
_BETWEEN = "[-/_:., ]*"
_ANY_YEAR = r"'?(?P<y>\d{4}|\d\d)"

_QUARTER = r"(?:q|qtr\.?|quarter|quartal|trimestre|trim\.?|t)"
_HALF_YEAR = r"(?:h|hj|hy|halbjahr|s|sem\.?|semestre|half)"
_TH = r"(?:\.|st|nd|rd|th|er|e|º|°)?"
_FISCAL = r"(?:fy|gj|ej) ?'?(?P<y>\d{4}|\d\d)(?:[-/]\d{2,4})?"
_TWO_YEARS = rf"{_YEAR}[-/](?:\d\d|\d{{4}})"


def _of_numbers(first: str, second: str) -> str:
    """A date with its year last."""
    return rf"{_WEEKDAY}(?P<{first}>\d{{1,2}})[-/. ](?P<{second}>\d{{1,2}})[-/. ]{_ANY_YEAR}"


PATTERNS = {
    "iso": (
        rf"{_WEEKDAY}{_YEAR}[-/. :_](?P<m>\d{{1,2}})[-/. :_](?P<d>\d{{1,2}}){_TIME}",
        rf"{_YEAR}(?P<m>\d\d)(?P<d>\d\d)[t _]{_CLOCK}{_ZONE}",
        rf"{_YEAR}m(?P<m>\d\d)d(?P<d>\d\d)",
        rf"{_YEAR}_(?P<m>\d\d)_(?P<d>\d\d)_(?P<H>\d\d)_(?P<M>\d\d)(?:_(?P<S>\d\d))?",
        rf"{_YEAR}(?:[-/._ ]|[-:]?m)(?P<m>\d{{1,2}})",
    ),
    "day_first": (_of_numbers("d", "m") + _TIME, f"{_CLOCK},? {_of_numbers('d', 'm')}"),
    "month_first": (_of_numbers("m", "d") + _TIME, f"{_CLOCK},? {_of_numbers('m', 'd')}"),
    "year_first": (rf"(?P<y>\d\d)[-/. ](?P<m>\d{{1,2}})[-/. ](?P<d>\d{{1,2}}){_TIME}",),
    "month_name": (
        rf"{_WEEKDAY}{_DAY}[-/. ]*(?:de |of )?{_NAME}[-/., ]*(?:de )?{_ANY_YEAR}{_TIME}",
        rf"{_WEEKDAY}{_NAME}[- ](?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,? +|-){_YEAR}{_TIME}",
        rf"{_WEEKDAY}{_NAME} +(?P<d>\d{{1,2}}) {_CLOCK}{_ZONE} {_YEAR}",
        rf"{_YEAR}[-/. ]*{_NAME}[-/. ]*(?P<d>\d{{1,2}})\.?{_TIME}",
        rf"{_NAME}[-/_., ]*(?:de )?{_ANY_YEAR}",
        rf"{_YEAR}[-/_:., ]*{_NAME}",
    ),
    "month_year": (rf"(?P<m>\d{{1,2}})[-/. ]{_YEAR}",),
    "quarter": (
        rf"{_YEAR}{_BETWEEN}(?:{_QUARTER}|k) ?(?P<q>[1-4])",
        rf"{_QUARTER}{_BETWEEN}(?P<q>[1-4]){_BETWEEN}{_ANY_YEAR}",
        rf"(?P<q>[1-4]){_TH} ?{_QUARTER}{_BETWEEN}(?:de )?{_ANY_YEAR}",
        r"(?P<y>\d\d)q(?P<q>[1-4])",
    ),
    "half_year": (
        rf"{_YEAR}{_BETWEEN}{_HALF_YEAR} ?(?P<h>[12])",
        rf"{_HALF_YEAR}{_BETWEEN}(?P<h>[12]){_BETWEEN}{_ANY_YEAR}",
        rf"(?P<h>[12]){_TH} ?{_HALF_YEAR}{_BETWEEN}(?:de )?{_ANY_YEAR}",
        r"(?P<y>\d\d)h(?P<h>[12])",
    ),
    "week": (
        rf"{_YEAR}[-/_, ]*(?:w|kw|wk|week)[- ]?(?P<w>\d{{1,2}})(?:-?(?P<u>[1-7]))?{_TIME}",
        rf"(?:w|kw|wk|week)[- ]?(?P<w>\d{{1,2}})[-/_, ]+{_YEAR}",
        rf"{_YEAR}[-/](?P<w>\d\d)",
        r"(?P<y>\d\d)w(?P<w>\d\d)",
    ),
    "day_of_year": (rf"{_YEAR}[-/. ]?(?P<j>\d{{3}}){_TIME}",),
    "fiscal": (
        rf"{_FISCAL}{_BETWEEN}q(?P<q>[1-4])",
        rf"q(?P<q>[1-4]){_BETWEEN}{_FISCAL}",
        rf"(?P<q>[1-4])q{_BETWEEN}{_FISCAL}",
        rf"{_FISCAL}{_BETWEEN}h(?P<h>[12])",
        rf"h(?P<h>[12]){_BETWEEN}{_FISCAL}",
        rf"q(?P<q>[1-4]){_BETWEEN}{_TWO_YEARS}",
        rf"{_TWO_YEARS}{_BETWEEN}q(?P<q>[1-4])",
        _FISCAL,
        _TWO_YEARS,
    ),
}
"""By form the patterns, the first that fits counts. Groups are named as the fields of `from_fields` are."""

_FEW, _FEWER = 1000, 4


def read_text(text: pa.Array, form: str) -> Reading:
    """Times of texts.

    Args:
        text: in small letters, blanks single and trimmed; no nulls.
        form: a key of `PATTERNS`.
    """
    found = _of_days_and_clocks(text, form) if len(text) > _FEW else None
    return _read_each(text, form) if found is None or found.wrong.any() else found


def _of_days_and_clocks(text: pa.Array, form: str) -> Reading | None:
    """Of texts such as 31.01.2024 13:00, of which there are far fewer days and times of day than texts."""
    parts = pc.split_pattern(text, " ", max_splits=1)
    if not pc.all(pc.equal(pc.list_value_length(parts), 2)).as_py():
        return None
    days, clocks = (pc.list_element(parts, place).dictionary_encode() for place in (0, 1))
    if _FEWER * (len(days.dictionary) + len(clocks.dictionary)) > len(text):
        return None
    first = f"{days.dictionary[0]} {clocks.dictionary[0]}"
    by_day = _read_each(pc.binary_join_element_wise(days.dictionary, clocks.dictionary[0], " "), form)
    by_clock = _read_each(pc.binary_join_element_wise(days.dictionary[0], clocks.dictionary, " "), form)
    day, clock = (part.indices.to_numpy(zero_copy_only=False) for part in (days, clocks))
    micros = by_day.micros[day] + by_clock.micros[clock] - _read_each(pa.array([first]), form).micros
    offsets = None if by_clock.offsets is None else by_clock.offsets[clock]
    wrong = by_day.wrong[day] | by_clock.wrong[clock]
    return Reading(micros, wrong, offsets, by_clock.written, by_day.short_years)


def _read_each(text: pa.Array, form: str) -> Reading:
    found = Reading(np.full(len(text), MISSING_TIME), np.ones(len(text), bool), np.full(len(text), NO_OFFSET, np.int32))
    for pattern in PATTERNS[form]:
        left = found.wrong.copy()
        if not left.any():
            break
        groups = pc.extract_regex(text if left.all() else text.filter(pa.array(left)), f"^{pattern}$")
        fits = groups.is_valid().to_numpy(zero_copy_only=False)
        if fits.any():
            left[left] = fits
            found = found.patched(left, _read_groups(groups if fits.all() else groups.drop_null()))
    return found


def _read_groups(groups: pa.StructArray) -> Reading:
    texts = {one.name: groups.field(one.name) for one in groups.type}
    fields = {name: _number(texts[name], "1" if name in "du" else "0") for name in "ymdqhwujHMS" if name in texts}
    wrong, short = np.zeros(len(groups), bool), False
    if "y" in texts:
        two = pc.less(pc.utf8_length(texts["y"]), 3).to_numpy(zero_copy_only=False)
        fields["y"] = np.where(two, whole_year(fields["y"]), fields["y"])
        short = bool(two.any())
    if "n" in texts:
        fields["m"] = _by_distinct(texts["n"], month_number)
    if "f" in texts:
        fields["f"] = _number(pc.utf8_slice_codeunits(pc.utf8_rpad(texts["f"], 6, "0"), 0, 6))
    if "half" in texts:
        fields["H"], wrong = whole_hour(fields["H"], texts["half"].to_numpy(zero_copy_only=False))
    if "weekday" in texts:  # "Subtotal 2026-01-31" is not a time
        named = _by_distinct(texts["weekday"], lambda word: not word or is_weekday(word))
        wrong = wrong | (named == 0)
    micros, impossible = from_fields(fields, len(groups))
    wrong = wrong | impossible
    if "zone" not in texts or pc.all(pc.equal(texts["zone"], "")).as_py():
        return Reading(np.where(wrong, MISSING_TIME, micros), wrong, short_years=short)
    offsets = _by_distinct(texts["zone"], zone_offset)
    told = offsets != NO_OFFSET
    wrong = wrong | (~told & pc.not_equal(texts["zone"], "").to_numpy(zero_copy_only=False))
    micros = np.where(wrong, MISSING_TIME, micros - np.where(told, offsets, 0) * MICROS)
    written = frozenset(zone.upper() for zone in pc.unique(texts["zone"]).to_pylist() if zone)
    return Reading(micros, wrong, offsets.astype(np.int32), written, short)


def _number(texts: pa.Array, instead: str = "0") -> np.ndarray:
    """Of digits, or what stands for a part of the pattern that is not there."""
    return pc.cast(pc.if_else(pc.equal(texts, ""), instead, texts), pa.int64()).to_numpy(zero_copy_only=False)


def _by_distinct(values: pa.Array, number: Callable[[str], int]) -> np.ndarray:
    coded = values.dictionary_encode()
    numbers = np.array([number(text) for text in coded.dictionary.to_pylist()], np.int64)
    return numbers[coded.indices.to_numpy(zero_copy_only=False)]
