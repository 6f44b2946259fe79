"""What `data.time_format` can say: a form of time by its name, or a format as `strptime` has it."""

import re
from datetime import UTC, datetime

FORMS = {
    "iso": "ISO 8601, as in 2026-01-31, 2026-01-31 13:00 or 2026-01",
    "day_first": "day before month, as in 31.01.2026 13:00 or 31/1/26",
    "month_first": "month before day, as in 01/31/2026 1:00 PM or 1-31-26",
    "year_first": "years of two digits first, as in 26-01-31",
    "month_name": "month by its name, as in 31 Jan 2026, January 2026 or Jan-26",
    "month_year": "month before year, as in 01/2026",
    "quarter": "quarters, as in 2026Q1, Q1 2026 or 20261",
    "half_year": "halves of years, as in 2026H1, 2026-S1 or H1 2026",
    "fiscal": "fiscal years and their parts, as in FY26Q1, FY2026 or 2025/26, read as the calendar's of that number",
    "week": "ISO weeks, as in 2026-W05, 2026W05-1 or 202605",
    "day_of_year": "day of the year, as in 2026-031",
    "unix": "seconds since 1970 in UTC",
    "unix_ms": "milliseconds since 1970 in UTC",
    "unix_us": "microseconds since 1970 in UTC",
    "unix_ns": "nanoseconds since 1970 in UTC",
    "unix_days": "days since 1970",
    "labview": "seconds since 1904 in UTC, as LabVIEW and old Macs count",
    "ticks": "ticks of .NET, ten million a second since the year 1",
    "filetime": "ticks of Windows' file times, ten million a second since 1601",
    "excel": "Excel's day numbers, as in 46053.5",
    "julian": "Julian dates, as in 2461071.5",
    "modified_julian": "modified Julian dates, as in 61071.5",
    "matlab": "MATLAB's day numbers, as in 740013.5",
    "decimal_year": "years with a fraction, as in 2026.083",
    "seconds": "seconds from a start that is not told",
}
"""Named forms, and what each is."""

_SAMPLE = datetime(2024, 11, 25, 13, 14, 15, 123456, UTC)
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
_KNOWN = set("YymdbBHIMSfpzjGVuUWaAw%")
_YEAR, _DAY = set("YyG"), set("dj")
_CLOCK = set("HIMSf")


def named(text: str) -> str:
    """A format in words, for messages.

    Example:
        >>> named("excel"), named("%d/%m/%Y")
        ("the form excel (Excel's day numbers, as in 46053.5)", "the format '%d/%m/%Y'")
    """
    return f"the form {text} ({FORMS[text]})" if text in FORMS else f"the format {text!r}"


def check_format(text: object) -> str:
    """Refuses what is neither a named form nor a format by which a time can be read.

    Args:
        text: the value of `data.time_format`.

    Raises:
        ValueError: says what is wrong with it.

    Example:
        >>> check_format("%d/%m/%Y %H:%M")
        '%d/%m/%Y %H:%M'
    """
    if not isinstance(text, str):
        raise ValueError("takes one format, which all times have")
    if text in FORMS:
        return text
    directives = _DIRECTIVE.findall(text)
    if not directives:
        raise ValueError(f"takes a format such as '%d/%m/%Y %H:%M', or one of {', '.join(FORMS)}")
    for directive in directives:
        if directive not in _KNOWN:
            raise ValueError(f"%{directive} is not known. {_instead(directive)}")
        if directive != "%" and directives.count(directive) > 1:
            raise ValueError(f"has %{directive} twice. Give one format, which all times have")
    there = set(directives)
    if not there & _YEAR:
        raise ValueError("lacks the year: %Y, or %y for two digits. Where it has a column of its own: "
                         "data.time=[year,month,day]")  # fmt: skip
    if "d" in there and not there & set("mbB"):
        raise ValueError("has the day without the month: %m, or %b for its name")
    if there & _CLOCK and not (there & _DAY or there & set("VUW")):
        raise ValueError("has a time of day without the day: %d")
    if there & set("UW") and not there & set("uwaA"):
        raise ValueError("has the week without the day of the week: %u. For ISO weeks alone take week")
    if "p" in there and "H" in there:
        raise ValueError("has %p beside %H, which counts to 24. Write %I for the hour of a clock of 12")
    if "I" in there and "p" not in there:
        raise ValueError("has %I, the hour of a clock of 12, without %p for AM or PM. Write %H for a clock of 24")
    try:
        datetime.strptime(_SAMPLE.strftime(text), text)
    except (ValueError, re.error) as error:
        raise ValueError(f"is not a format by which times can be read ({error})") from None
    return text


def _instead(directive: str) -> str:
    if directive == "Z":
        return "A zone's name can mean several. Write its letters, as in '%Y-%m-%d %H:%M UTC', or %z for +01:00"
    if directive in set("-#_0^E"):
        return "%d, %m, %H and the like take one digit as well as two"
    if directive in set("cxXDTRF"):
        return "Write it out, as in %d/%m/%Y %H:%M:%S"
    if directive == "s":
        return "For seconds since 1970 take unix"
    return "Known are %Y %y %m %b %B %d %j %H %I %p %M %S %f %z %G %V %u"
