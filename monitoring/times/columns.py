"""Which part of a time each of several columns holds."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unroll.errors import UserError
from unroll.monitoring.times.cells.cells import Cells
from unroll.monitoring.times.forms.month_names import month_number
from unroll.monitoring.times.forms.reading import Reading
from unroll.monitoring.times.forms.texts import read_text

ORDER = ("y", "m", "d", "H", "M", "S")
"""Of the parts of a time, where names do not tell: year, month, day, hour, minute, second."""
_NAMES = {
    "y": "year yr yyyy yy y jahr jjjj jj annee an ano anno jaar",
    "m": "month mon mo mm m monat mois mes mese maand",
    "d": "day dd d dom tag tt jour dia giorno dag mday",
    "j": "doy dayofyear yday jday jul julian julianday ordinal tagdesjahres jourdelannee diadelano dayofyr dayno",
    "q": "quarter qtr q quartal trimestre",
    "w": "week wk w isoweek kw woche semaine semana settimana",
    "H": "hour hours hr hh h hod stunde std heure hora ora uur",
    "M": "minute minutes min mi mn minuto",
    "S": "second seconds sec ss s sekunde seconde segundo secondo",
    "clock": "hhmm hmm hhmmss hmmss hrmin hrmn hourminute timehhmm",
}
_BY_NAME = {name: part for part, names in _NAMES.items() for name in names.split()}
CALLED = {
    "y": "year",
    "q": "quarter",
    "m": "month",
    "w": "ISO week",
    "d": "day",
    "j": "day of the year",
    "H": "hour",
    "M": "minute",
    "S": "second",
    "date": "date",
    "clock": "time of day",
    "period": "number of a period",
}
"""Parts of a time in words."""
_WHOLE = (("y", "m", "d"), ("y", "m"), ("y", "q"), ("y", "w"), ("y", "j"), ("y",), ("date",))
_YEARS = (1000, 2200)
_HOURS = 25
_NUMBERED = r"^(?:he|hr|hour|h|sp|tp|p|pte|period|interval|q|qtr|quarter|stunde|std|hora|heure|ora)[ ._-]?(\d{1,3})$"
_BETWEEN = r"^(?P<first>\d\d?) ?(?:h|uhr)? ?[-\x{2013}] ?(?P<last>\d\d?) ?(?:h|uhr)?$"
_FULL_HOUR = r"^(\d\d?):00(?::00)?$"
_TWICE = r"^(?:he|hr|hour|h)?[ ._-]?(\d{1,2}) ?[abx*]$"
_PERIODS = ((46, 50), (92, 100), (138, 150), (276, 300))
"""Of days of 23 to 25 hours: half hours, quarters, tens and fives of minutes."""
_MOST_TWICE = 4  # labels of hours that come twice
_WIDEST_PART = 4  # digits
_SAMPLE = 1000
_REMEDY = "Name them in the order year, month, day, hour, minute, second, or the day's column before that of the time"
_WORKBOOK_DAY = r"^(1899-12-3[01]|1900-01-0[01])[t ]"


def parts_of(names: Sequence[str], columns: Sequence[pa.Array], where: str, *, counted: bool = False) -> list[str]:
    """What each column holds: `date`, `clock`, `period`, or one of `from_fields`' names.

    Args:
        names: of the columns.
        columns: a batch of each, not by dictionary.
        where: file and columns, for messages.
        counted: it is known that one counts the periods of days.

    Raises:
        UserError: no date can be put together from them.

    Example:
        >>> parts_of(["date", "time"], [pa.array(["2024-01-31"]), pa.array(["13:00"])], "")
        ['date', 'clock']
        >>> parts_of(["a", "b", "c"], [pa.array([2024]), pa.array([1]), pa.array([31])], "")
        ['y', 'm', 'd']
    """
    kinds = [_kind(column) for column in columns]
    if "date" not in kinds and "number" in kinds:
        kinds[kinds.index("number")] = "date"
    parts = ["clock" if kind == "number" else kind for kind in kinds]
    for place, name in enumerate(names):
        if parts[place] == "part":
            parts[place] = part_named(name) or "part"
    places = [place for place, part in enumerate(parts) if part == "part"]
    free = [part for part in (ORDER[3:] if "date" in parts else ORDER) if part not in parts]
    if len(free) < len(places) or (places and free[0] == "y" and not _inside(columns[places[0]], *_YEARS)):
        raise UserError(f"{where}: which part of a time each holds is not told. {_REMEDY}")
    for place, part in zip(places, free, strict=False):
        parts[place] = part
    if {"y", "m", "d"} & set(parts) in ({"y", "d"}, {"y", "m"}):
        place = next(place for place, part in enumerate(parts) if part in "md")
        if not _inside(columns[place], 0, 32) and _inside(columns[place], 0, 367):
            parts[place] = "j"  # more days than a month has
    if "H" in parts:
        place = parts.index("H")
        if counted or _counts_periods(columns[place]):
            parts[place] = "period"
        elif not _inside(columns[place], 0, _HOURS):
            parts[place] = "clock"  # such as 1330
    days = tuple(part for part in ("y", "q", "w", "j", "m", "d", "date") if part in parts)
    timed = not set(parts) <= set(days)
    if days not in _WHOLE or len(set(parts)) < len(parts) or (timed and days[-1] not in ("d", "j", "date")):
        held = ", ".join(CALLED[part] for part in parts)
        twice = next((part for part in parts if parts.count(part) > 1), None)
        if twice:
            same = " and ".join(repr(name) for name, part in zip(names, parts, strict=True) if part == twice)
            raise UserError(f"{where}: {same} each seem to hold a {CALLED[twice]}, so they make no time. {_REMEDY}")
        raise UserError(f"{where}: hold {held}, which do not make a time. {_REMEDY}")
    return parts


def _kind(column: pa.Array) -> str:
    """`date`, `clock`, m (a month's name), `part`, or `number`, which may be a date or a time of day."""
    if pa.types.is_time(column.type):
        return "clock"
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return "date"
    cells = Cells.of(column)
    if cells.are_numbers:
        if cells.numbers.whole is None:
            return "clock" if _inside(column, 0, 1) else "number"
        return "part" if cells.numbers.width[cells.numeric].max() <= _WIDEST_PART else "number"
    text = cells.lower.filter(pa.array(~cells.missing))
    if len(text) and all(month_number(name) for name in text.unique().to_pylist()):
        return "m"
    wrong = read_clocks(text.slice(0, _SAMPLE)).wrong
    return "clock" if 2 * wrong.sum() <= len(wrong) else "date"


def read_clocks(text: pa.Array) -> Reading:
    """Times of day, as times of the first day of 1970.

    Args:
        text: in small letters, such as 13:00, 1.30 pm or, of a workbook, 1899-12-30 13:00:00.
    """
    alone = pc.replace_substring_regex(text, _WORKBOOK_DAY, "")
    return read_text(pc.binary_join_element_wise("1970-01-01", alone, " "), "iso")


def part_named(name: str) -> str:
    """The part of a time that a column's name says; empty of other names."""
    return _BY_NAME.get(re.sub(r"[^a-z]", "", name.lower()), "")


def width_named(name: str) -> int:
    """Digits of a time of day that a column's name says, such as HHMM, at least; 0 of other names."""
    return 0 if part_named(name) != "clock" else 5 if name.lower().endswith("ss") else 3


def bare_numbers(column: pa.Array, *, counted: bool = False) -> pa.Array:
    """Numbers of hours and periods without what is around them: HE01 is 1, 0-1 is 0, and 2A, 2B, 2* and 2X are 2.

    Whole hours up to 24:00, without 00:00, are the numbers of hours as well.

    The second of two that have one number is known by its place behind the first, as in times that come twice.

    Args:
        column: of any type.
        counted: it is known that one column counts the periods of days, so that a part of a day is enough.
    """
    coded = column.dictionary_encode() if pa.types.is_string(column.type) else column
    if not pa.types.is_dictionary(coded.type) or not pa.types.is_string(coded.type.value_type):
        return column
    text = pc.utf8_lower(pc.utf8_trim_whitespace(coded.dictionary))
    there = text.filter(pc.not_equal(text, ""))
    if len(there) and pc.all(pc.match_substring_regex(there, _BETWEEN)).as_py():
        parts = pc.extract_regex(there, _BETWEEN)
        first, last = (pc.cast(parts.field(name), pa.int64()).to_numpy() for name in ("first", "last"))
        if ((last - first) % 24 == 1).all():  # else they may be UTC offsets, or days and months
            return pa.DictionaryArray.from_arrays(coded.indices, pc.replace_substring_regex(text, _BETWEEN, r"\1"))
    if len(there) and pc.all(pc.match_substring_regex(there, _FULL_HOUR)).as_py():
        hours = set(pc.replace_substring_regex(there, _FULL_HOUR, r"\1").to_pylist())
        if counted or ("24" in hours and not hours & {"0", "00"}):
            return pa.DictionaryArray.from_arrays(coded.indices, pc.replace_substring_regex(text, _FULL_HOUR, r"\1"))
    for pattern, enough in ((_NUMBERED, len(there)), (_TWICE, 1)):
        found = pc.sum(pc.match_substring_regex(there, pattern)).as_py() or 0
        if enough <= found <= max(enough, _MOST_TWICE):
            text = pc.replace_substring_regex(text, pattern, r"\1")
            coded = pa.DictionaryArray.from_arrays(coded.indices, text)
    return coded


def _counts_periods(column: pa.Array) -> bool:
    """Whether whole numbers count the parts of days: hours from 1 on, or all half hours, or shorter ones."""
    shown = Cells.of(column).numbers.present
    if not len(shown) or shown[0] not in (0, 1) or (np.diff(shown) != 1).any():
        return False
    count = int(shown[-1] - shown[0]) + 1
    hours = 23 + (shown[0] == 0) * 2
    return hours <= count <= _HOURS or any(low <= count <= high for low, high in _PERIODS)


def _inside(column: pa.Array, low: float, high: float) -> bool:
    values = Cells.of(column).numbers.present
    return bool(len(values) and values[0] >= low and values[-1] < high)
