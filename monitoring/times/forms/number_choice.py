"""What bare numbers can mean that stand for times."""

import numpy as np

from unroll.monitoring.times.forms.fields import MICROS
from unroll.monitoring.times.forms.formats import FORMS
from unroll.monitoring.times.forms.numbers import SCALES, Numbers, read_numbers
from unroll.monitoring.times.forms.reading import readable
from unroll.monitoring.times.forms.text_choice import DAY_WITHOUT_YEAR

_DIVIDED = {
    5: ("quarter", "%y%j"),
    6: ("%Y%m", "%y%m%d", "week"),
    7: ("%Y%j", "%d%m%Y", "%m%d%Y"),
    8: ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%y%m%d%H"),
    10: ("%Y%m%d%H", "%y%m%d%H%M"),
    12: ("%Y%m%d%H%M", "%d%m%Y%H%M", "%y%m%d%H%M%S"),
    14: ("%Y%m%d%H%M%S", "%d%m%Y%H%M%S"),
    17: ("%Y%m%d%H%M%S%f",),
}
"""By the number of digits."""
_YEARS = (1600, 2200)
_PLAIN_YEARS = (1000, 2200)
_UNIX = (315_532_800, 4_102_444_800)  # 1980 to 2100, in seconds
_LABVIEW = (2_398_377_600, 4_102_444_800)  # from 1980 on, to what is 2100 for Unix
_EXCEL = (21_916, 54_789)  # 1960 to 2050
_TICKS = (624_511_296_000_000_000, 662_380_416_000_000_000)  # 1980 to 2100
_FILETIME = (119_600_064_000_000_000, 157_468_992_000_000_000)  # 1980 to 2100
_JULIAN = (2_415_020, 2_488_070)  # 1900 to 2100
_MATLAB = (693_962, 767_011)  # the same
_MODIFIED = (54_789, 69_807)  # 2008, from where on Excel's numbers are those of 2050, to 2050
_UNIX_DAYS = (10_957, 25_567)  # 2000 to 2040
_DAYS = (("excel", _EXCEL), ("unix_days", _UNIX_DAYS), ("julian", _JULIAN), ("matlab", _MATLAB))
_TWO_DIGIT_YEARS = (31, 60)  # of which none is likely
_DAY_STEPS = (1, 7, 14, 28, 29, 30, 31, 90, 91, 92, 181, 182, 183, 184, 365, 366)
_PARTS_OF_A_DAY = (24, 48, 96, 144, 288, 1440, 12, 60)
_SHORTEST_STEP = 0.2
_NEARLY_ALL = 0.9
_SIGNIFICANT = 7
_LAST_DAYS = 28  # and the first of a month: not years of two digits


def number_candidates(numbers: Numbers) -> list[str]:
    """Forms that all numbers fit, as far as their values, digits and steps tell; likelier ones first.

    Args:
        numbers: at least one is there.

    Example:
        >>> import pyarrow as pa
        >>> number_candidates(Numbers.of(pa.array(["201201", "201202", "201301"]), np.zeros(3, bool)))
        ['%Y%m']
    """
    if numbers.rounded:
        return []
    fits = _divided(numbers) if numbers.whole is not None else _with_fraction(numbers)
    fits += ["labview"] if _inside(numbers, *_LABVIEW) else []
    fits += [form for form, (low, high) in _ranges().items() if _inside(numbers, low, high)]
    fits += [form for form, span in (("ticks", _TICKS), ("filetime", _FILETIME)) if _inside(numbers, *span)]
    if _even_days(numbers):
        fits += [form for form, span in _DAYS if _inside(numbers, *span)]
    return _weighed(numbers, fits)


def nearest_division(numbers: Numbers) -> str | None:
    """How nearly all numbers can be divided into year, month and so on, where some cannot; None: in no way."""
    if numbers.whole is None:
        return None
    there = ~np.isnan(numbers.values)
    width = int(np.median(numbers.width[there]))
    shares = {form: 1 - read_numbers(numbers, form).wrong[there].mean() for form in _DIVIDED.get(width, ())}
    best = max(shares, key=lambda form: shares[form], default=None)
    return best if best and shares[best] >= _NEARLY_ALL and best[1] == "Y" else None


def likely(numbers: Numbers) -> tuple[str, str]:
    """What numbers may mean that no form takes for sure, in words, and how to state it."""
    shown, low, high = numbers.present, numbers.present[0], numbers.present[-1]
    if numbers.rounded:
        return "They are written with too few digits, so that times are lost. Write them whole", ""
    if numbers.whole is None and low < 0:
        return "Name the column of times with --set data.time=..., or number the rows", "data.time=null"
    steps = np.diff(shown)
    if numbers.whole is not None and 0 <= low <= 1 and (steps == 1).sum() >= 0.9 * len(steps):
        return "They seem to count rows. Number the rows instead", "data.time=null"
    if form := _yearless(numbers):
        short = numbers.width[~np.isnan(numbers.values)].min() < 4
        return ("Write all with four digits. " if short else "") + yearless(form), ""
    if 0 <= low < _PLAIN_YEARS[0] and high < _UNIX[0]:
        if len(steps) and _part_of_a_day(float(np.median(steps))):
            return "They seem to count days or hours from some start. Number the rows instead", "data.time=null"
        return "If they are seconds from a start that is not told", "data.time_format=seconds"
    if _even_days(numbers) and _inside(numbers, *_MODIFIED):
        return (
            "If they are modified Julian dates, or else Excel's day numbers (excel)",
            "data.time_format=modified_julian",
        )
    if _inside(numbers, 1, 2 * _EXCEL[1]):
        return "If they are Excel's day numbers", "data.time_format=excel"
    if high < _UNIX[0]:
        return f"If they are {FORMS['unix']}, the first of them {readable(int(low * MICROS))}", "data.time_format=unix"
    for form in ("unix", "unix_ms", "unix_us", "unix_ns"):
        if high < _UNIX[1] * float(MICROS / SCALES[form][0]):
            micros = int(low * float(SCALES[form][0]))
            first = f", the first of them {readable(micros)}" if micros < _UNIX[0] * MICROS else ""
            return f"If they are {FORMS[form]}{first}", f"data.time_format={form}"
    return "No count of seconds since 1970 is as large", ""


def yearless(form: str) -> str:
    """What to do about days whose year is not told.

    Args:
        form: of the days, such as %d%m.
    """
    return (
        f"If they are days without their year, put a column with the year before it: --set 'data.time=[year, column]' "
        f"--set 'data.time_format=%Y {form}'"
    )


def _ranges() -> dict[str, tuple[float, float]]:
    """What counts from 1970 lies between 1980 and 2100."""
    return {
        form: (_UNIX[0] * float(MICROS / SCALES[form][0]), _UNIX[1] * float(MICROS / SCALES[form][0]))
        for form in ("unix", "unix_ms", "unix_us", "unix_ns")
    }


def _inside(numbers: Numbers, low: float, high: float) -> bool:
    shown = numbers.present
    return bool(shown[0] >= low and shown[-1] < high)


def _divided(numbers: Numbers) -> list[str]:
    there = ~np.isnan(numbers.values)
    widths = np.unique(numbers.width[there])
    if list(widths) == [4]:
        if _are_weeks(numbers):
            return ["week"]
        years = ["%Y"] if _inside(numbers, *_PLAIN_YEARS) else []
        if not _fits(numbers, "%y%m"):
            return years
        return [*years, "%y%m", *([DAY_WITHOUT_YEAR] if _are_days_of_months(numbers) else [])]
    if list(widths) not in ([widths[-1]], [7, 8]):
        return []
    return [
        form
        for form in _DIVIDED.get(int(widths[-1]), ())
        if (len(widths) == 1 or form[1] in "dm") and _fits(numbers, form)
    ]


def _are_weeks(numbers: Numbers) -> bool:
    """Whether numbers such as 2552 and 2601 are years of two digits with a week: none lies between these."""
    shown = numbers.present.astype(np.int64)
    week = shown % 100
    leaps = (np.diff(shown) >= 48) & (week[:-1] >= 52) & (week[1:] <= 2)
    return bool(leaps.any() and week.min() >= 1 and week.max() <= 53)


def _are_days_of_months(numbers: Numbers) -> bool:
    """Whether numbers such as 0101 and 2610 are days with a month: in order, or first and last days among them."""
    whole = numbers.values[~np.isnan(numbers.values)].astype(np.int64)
    day, month = np.divmod(whole, 100)
    if day.min() < 1 or day.max() > 31:
        return False
    if _in_order(whole) == 1:
        return bool(day.min() <= 3 and day.max() >= _LAST_DAYS)
    return _in_order(100 * month + day) >= _NEARLY_ALL or bool(day.min() <= 3 and day.max() >= _LAST_DAYS)


def _in_order(values: np.ndarray) -> float:
    """The share of steps that go the same way."""
    steps = np.diff(values)
    return float(max((steps >= 0).mean(), (steps <= 0).mean())) if len(steps) else 1.0


def _yearless(numbers: Numbers) -> str:
    """A format of days with a month and no year, such as 1231 or 3112; empty of other numbers."""
    if numbers.whole is None or len(numbers.present) < 2 or numbers.present[0] < 101:
        return ""
    first, last = np.divmod(numbers.present.astype(np.int64), 100)
    for days, months, form in ((last, first, "%m%d"), (first, last, "%d%m")):
        if days.min() >= 1 and days.max() <= 31 and months.min() >= 1 and months.max() <= 12:
            return form
    return ""


def _fits(numbers: Numbers, form: str) -> bool:
    there = ~np.isnan(numbers.values)
    found = read_numbers(numbers, form)
    years = found.micros[there].astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970
    if found.wrong[there].any() or not ((years >= _YEARS[0]) & (years < _YEARS[1])).all():
        return False
    short = years % 100
    return form != "%y%j" or bool(((short < _TWO_DIGIT_YEARS[0]) | (short >= _TWO_DIGIT_YEARS[1])).all())


def _with_fraction(numbers: Numbers) -> list[str]:
    there = ~np.isnan(numbers.values)
    places, fraction = numbers.places[there], numbers.fraction[there]
    if (places == 4).all() and (numbers.width[there] <= 2).all():
        years = (fraction >= _YEARS[0]) & (fraction < _YEARS[1])
        return ["month_year"] if years.all() and _inside(numbers, 1, 13) else []
    if _inside(numbers, *_PLAIN_YEARS):
        if not _fits(numbers, "%Y.%m"):
            return ["decimal_year"]
        told = (places == 2).any() and ((fraction < 10).any() or (fraction > 9).any())
        return ["%Y.%m"] if told else ["%Y.%m", "decimal_year"]
    shown = numbers.present
    if len(shown) > 2 and 0 <= shown[0] < _PLAIN_YEARS[0] and shown[-1] < _UNIX[0]:
        step = float(np.median(np.diff(shown)))
        if step < _SHORTEST_STEP and not _part_of_a_day(step):
            return ["seconds"]
    return []


def _part_of_a_day(step: float) -> bool:
    """Whether it may be an hour or some minutes as part of a day, or minutes as part of an hour."""
    return any(abs(step * parts - 1) < 0.001 for parts in _PARTS_OF_A_DAY)


def _even_days(numbers: Numbers) -> bool:
    """Whether most steps are some that days, months or parts of a day have."""
    steps = np.diff(numbers.present)
    if not len(steps):
        return False
    step = float(np.median(steps))
    accuracy = 2 * 0.5 * 10.0**-numbers.decimals if numbers.whole is None else 0
    seconds = max(round(step * 86_400 / 60) * 60, 1)
    part = step < 1 and 86_400 % seconds == 0 and abs(step - seconds / 86_400) <= accuracy + 1e-9
    return part or (step == round(step) and int(step) in _DAY_STEPS)


def _weighed(numbers: Numbers, fits: list[str]) -> list[str]:
    """Leaves out what the other readings make unlikely."""
    shown = numbers.present
    if len(np.unique(shown // 100)) < 2 or (np.diff(shown) == 1).mean() > 0.95:  # nothing leaps from December on
        fits = [form for form in fits if form != "%y%m"]
    if "%d%m%Y" in fits or "%m%d%Y" in fits:
        fits = [form for form in fits if form != "%y%m%d%H"]
    if "%Y%m" in fits:
        fits = [form for form in fits if form != "week"]
    if "%Y%m%d%H" in fits or "%y%m%d%H%M" in fits:
        days = 100 if "%Y%m%d%H" in fits else 10_000
        if len(np.unique(shown // days)) > 1:  # seconds do not stop at the 24th hour of several days
            fits = [form for form in fits if form != "unix"]
    if "quarter" in fits and len(np.unique(shown // 10)) > 1:
        fits = ["quarter"]
    return fits
