"""Times written as bare numbers, by what the numbers count or how their digits are divided."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unroll.monitoring.times.forms.decimal_years import read_decimal_years
from unroll.monitoring.times.forms.fields import DAY, MICROS, from_fields, whole_year
from unroll.monitoring.times.forms.reading import Reading

_EXCEL_EPOCH = -25_569 * DAY  # 1899-12-30, so that its numbers are right from March 1900 on
_LABVIEW_EPOCH = -24_107 * DAY  # 1904
_TICKS_EPOCH = -719_162 * DAY  # the first of January of the year 1
_FILETIME_EPOCH = -134_774 * DAY  # 1601
_JULIAN_EPOCH = -(2_440_587 * DAY + DAY // 2)  # noon of a day 4713 years before the common calendar's first
_MODIFIED_EPOCH = -40_587 * DAY  # 1858-11-17
_MATLAB_EPOCH = -719_529 * DAY  # of a year 0
SCALES = {
    "unix": (Fraction(MICROS), 0),
    "unix_ms": (Fraction(1000), 0),
    "unix_us": (Fraction(1), 0),
    "unix_ns": (Fraction(1, 1000), 0),
    "unix_days": (Fraction(DAY), 0),
    "labview": (Fraction(MICROS), _LABVIEW_EPOCH),
    "seconds": (Fraction(MICROS), 0),
    "ticks": (Fraction(1, 10), _TICKS_EPOCH),
    "filetime": (Fraction(1, 10), _FILETIME_EPOCH),
    "excel": (Fraction(DAY), _EXCEL_EPOCH),
    "julian": (Fraction(DAY), _JULIAN_EPOCH),
    "modified_julian": (Fraction(DAY), _MODIFIED_EPOCH),
    "matlab": (Fraction(DAY), _MATLAB_EPOCH),
}
"""Microseconds of one, and the time of nought."""
_ABSOLUTE = ("unix", "unix_ms", "unix_us", "unix_ns", "labview")  # which count in UTC, wherever a clock stood

_WIDTH = {"Y": 4, "y": 2, "m": 2, "d": 2, "j": 3, "H": 2, "M": 2, "S": 2, "f": 3, "q": 1, "w": 2}
_DIVIDED = {"quarter": "Yq", "week": "Yw", "iso": "Ymd", "day_of_year": "Yj"}
DIGITS_TOO = tuple(_DIVIDED)
"""Forms of text that can be digits alone as well."""
_ROUND = (DAY, 3600 * MICROS, 60 * MICROS, MICROS, 1000, 1)
_LIMIT = 1 << 62
_SIGNIFICANT = 7  # digits that programs show of a number by default, with an exponent where it has more


@dataclass(frozen=True)
class Numbers:
    """Cells that are numbers.

    Args:
        values: float64 [N]; NaN where missing.
        whole: int64 [N], exact; None where one has a fraction. 0 where missing.
        width: int64 [N]; digits before the point, leading zeros among them.
        fraction: int64 [N]; the digits after the point as a number, up to nine of them.
        places: int64 [N]; how many they are.
        rounded: all are written with an exponent and hold too few digits for a time.
    """

    values: np.ndarray
    whole: np.ndarray | None
    width: np.ndarray
    fraction: np.ndarray
    places: np.ndarray
    rounded: bool

    @property
    def decimals(self) -> int:
        """Digits after the point, of those that have most."""
        return int(self.places.max(initial=0))

    @property
    def present(self) -> np.ndarray:
        """The values that are there, each once, ascending."""
        return np.unique(self.values[~np.isnan(self.values)])

    @classmethod
    def of(cls, text: pa.Array, missing: np.ndarray, *, exact: bool = False) -> "Numbers":
        """Numbers as they are written, such as 44562, 2012.083 and 1.7e9.

        Args:
            text: matches `NUMBER` where it is not missing.
            missing: bool [N].
            exact: they were numbers before they were text, so that no digit was left out.
        """
        shown = pc.if_else(pa.array(missing), "0", text) if missing.any() else text
        if pc.all(pc.match_substring_regex(shown, r"^\d{1,18}$")).as_py():
            whole = pc.cast(shown, pa.int64()).to_numpy(zero_copy_only=False)
            width = pc.utf8_length(shown).to_numpy(zero_copy_only=False).astype(np.int64)
            none = np.zeros(len(whole), np.int64)
            return cls(np.where(missing, np.nan, whole), whole, width, none, none, False)
        values = pc.cast(shown, pa.float64()).to_numpy(zero_copy_only=False)
        integral = pc.replace_substring_regex(shown, r"^\+|\.0*$", "")
        plain = pc.match_substring_regex(integral, r"^-?\d{1,18}$").to_numpy(zero_copy_only=False)
        whole = None
        if plain.all():
            whole = pc.cast(integral, pa.int64()).to_numpy(zero_copy_only=False)
        elif (values == np.round(values)).all() and (np.abs(values) < 2**63).all():
            whole = values.astype(np.int64)
        parts = pc.extract_regex(shown, r"^[+-]?(?P<whole>\d*)(?:\.(?P<fraction>\d*))?(?P<exponent>[eE].*)?")
        width, places = (
            pc.utf8_length(parts.field(name)).to_numpy(zero_copy_only=False).astype(np.int64)
            for name in ("whole", "fraction")
        )
        cut = pc.utf8_slice_codeunits(parts.field("fraction"), 0, 9)
        fraction = pc.cast(pc.if_else(pc.equal(cut, ""), "0", cut), pa.int64()).to_numpy(zero_copy_only=False)
        powers = pc.not_equal(parts.field("exponent"), "").to_numpy(zero_copy_only=False)
        written = width + places
        if whole is not None and powers.any():
            digits = np.array([len(str(abs(one))) for one in whole], np.int64)
            width, places = np.where(powers, digits, width), np.where(powers, 0, places)
        rounded = not exact and powers.any() and (powers | missing).all() and written[~missing].max() <= _SIGNIFICANT
        return cls(np.where(missing, np.nan, values), whole, width, fraction, places, bool(rounded))


NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def read_numbers(numbers: Numbers, form: str) -> Reading:
    """Times of numbers.

    Args:
        numbers: of N cells.
        form: a key of `SCALES`, `decimal_year`, `quarter`, `week`, %Y.%m, or directives of `strptime` without
            anything between them, such as %Y%m.
    """
    missing = np.isnan(numbers.values)
    if form == "decimal_year":
        micros, wrong = read_decimal_years(np.where(missing, 1970, numbers.values), numbers.decimals)
    elif form in SCALES:
        micros, wrong = _scaled(numbers, form)
    elif form == "%Y.%m":
        micros, wrong = _year_and_month(numbers)
    elif numbers.whole is None:
        micros, wrong = np.zeros(len(missing), np.int64), np.ones(len(missing), bool)
    else:
        names = _DIVIDED.get(form, form.replace("%", ""))
        if form == "week" and numbers.width.max(initial=0) == _WIDTH["y"] + _WIDTH["w"]:
            names = "yw"
        micros, wrong = _divided(numbers, names)
    found = replace(Reading.of(micros, missing | wrong), short_years="%y" in form)
    return replace(found, offsets=np.zeros(len(missing), np.int32)) if form in _ABSOLUTE else found


def _scaled(numbers: Numbers, form: str) -> tuple[np.ndarray, np.ndarray]:
    one, nought = SCALES[form]
    wrong = ~(np.abs(numbers.values) * float(one) < _LIMIT)
    if numbers.whole is not None:
        whole = np.where(wrong, 0, numbers.whole)
        return whole * one.numerator // one.denominator + nought, wrong
    exact = np.where(wrong, 0, numbers.values)
    micros = np.round(exact * float(one)).astype(np.int64)
    if one == DAY:
        micros = _rounded(micros, 0.5 * 10.0**-numbers.decimals * DAY)
    return micros + nought, wrong


def _rounded(micros: np.ndarray, accuracy: float) -> np.ndarray:
    """To the coarsest unit that all of them lie on, as far as their digits tell."""
    for unit in _ROUND:
        nearest = (micros + unit // 2) // unit * unit
        if (np.abs(nearest - micros) <= accuracy + 10).all():  # ten for what a float64 of days loses
            return nearest
    return micros


def _divided(numbers: Numbers, names: str) -> tuple[np.ndarray, np.ndarray]:
    assert numbers.whole is not None
    most = sum(_WIDTH[name] for name in names)
    left = numbers.whole
    lost = 0 if names[0] == "Y" else 1  # leading zeros
    wrong = (left < 0) | (numbers.width > most) | (numbers.width < most - lost)
    fields = {}
    for name in reversed(names):
        left, fields[name] = np.divmod(left, 10 ** _WIDTH[name])
    wrong |= left > 0
    if "f" in fields:
        fields["f"] *= 1000
    if "y" in fields:
        fields["y"] = whole_year(fields["y"])
    if "Y" in fields:
        fields["y"] = fields.pop("Y")
    micros, impossible = from_fields(fields, len(wrong))
    return micros, wrong | impossible


def _year_and_month(numbers: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Of 1871.01 to 1871.12; of numbers that lost a zero, 1871.1 is October."""
    fraction, places = numbers.fraction, numbers.places
    padded = ((places == 2) & (fraction < 10)).any()
    unpadded = not padded and ((places == 1) & (fraction > 1)).any()
    month = np.where((places == 1) & (not unpadded), 10 * fraction, fraction)
    year = np.nan_to_num(numbers.values).astype(np.int64)
    micros, wrong = from_fields({"y": year, "m": month}, len(year))
    return micros, wrong | (places > 2)
