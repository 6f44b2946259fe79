"""Which part of a time each of several columns holds."""

import re
from collections.abc import Sequence

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
}
"""Parts of a time in words."""
_WHOLE = (("y", "m", "d"), ("y", "m"), ("y", "q"), ("y", "w"), ("y", "j"), ("y",), ("date",))
_YEARS = (1000, 2200)
_HOURS = 25
_WIDEST_PART = 4  # digits
_SAMPLE = 1000
_REMEDY = "Name them in the order year, month, day, hour, minute, second, or the day's column before that of the time"
_WORKBOOK_DAY = r"^(1899-12-3[01]|1900-01-0[01])[t ]"


def parts_of(names: Sequence[str], columns: Sequence[pa.Array], where: str) -> list[str]:
    """What each column holds: `date`, `clock`, or one of `from_fields`' names.

    Args:
        names: of the columns.
        columns: a batch of each, not by dictionary.
        where: file and columns, for messages.

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
            parts[place] = _BY_NAME.get(re.sub(r"[^a-z]", "", name.lower()), "part")
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
    if "H" in parts and not _inside(columns[parts.index("H")], 0, _HOURS):
        parts[parts.index("H")] = "clock"  # such as 1330
    days = tuple(part for part in ("y", "q", "w", "j", "m", "d", "date") if part in parts)
    timed = not set(parts) <= set(days)
    if days not in _WHOLE or len(set(parts)) < len(parts) or (timed and days[-1] not in ("d", "j", "date")):
        held = ", ".join(CALLED[part] for part in parts)
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


def _inside(column: pa.Array, low: float, high: float) -> bool:
    values = Cells.of(column).numbers.present
    return bool(len(values) and values[0] >= low and values[-1] < high)
