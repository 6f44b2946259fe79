"""What texts can mean that stand for times."""

import re
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unroll.monitoring.times.forms.month_names import month_number
from unroll.monitoring.times.forms.texts import PATTERNS, read_text

DAY_WITHOUT_YEAR = "day without year"
"""A candidate beside `month_name`, of what looks like Jan-12."""

SEASON = "season"
"""A candidate beside `iso` and `week`, of what looks like 2000-01."""

FISCAL = "fiscal year"
"""A candidate beside `fiscal`: when such a year begins is never told by its cells."""

_SAMPLE = 1000
_LENGTH_OF_SEASON = 7
_DOTTED = r"^\D*\d{1,2}\.\d{1,2}\.\d"
_MONTH_AND_TWO_DIGITS = re.compile(r"([^\W\d_]+)\W*(\d\d)")
_FEWER = 3  # times as many different days as years tell which is which


def text_candidates(text: pa.Array) -> tuple[list[str], str | None]:
    """Forms that all texts fit, likelier ones first, and the form that most of them fit.

    Args:
        text: in small letters, blanks single and trimmed, not empty; in the order of the rows.

    Example:
        >>> text_candidates(pa.array(["01/02/2024", "13/02/2024"]))
        (['day_first'], 'day_first')
        >>> text_candidates(pa.array(["01/02/2024", "12/02/2024"]))[0]
        ['day_first', 'month_first']
    """
    sample = text.slice(0, _SAMPLE)
    misfits = {form: int(read_text(sample, form).wrong.sum()) for form in PATTERNS}
    nearest = min(misfits, key=lambda form: misfits[form])
    found = [form for form in PATTERNS if not misfits[form]]
    if len(text) > _SAMPLE:
        found = [form for form in found if not read_text(text.slice(_SAMPLE), form).wrong.any()]
    likeliest = nearest if misfits[nearest] < len(sample) else None
    if found == ["fiscal"]:
        return ["fiscal", FISCAL], likeliest
    return _weighed(text, [form for form in found if form != "fiscal"]), likeliest


def _weighed(text: pa.Array, found: list[str]) -> list[str]:
    if "iso" in found or found == ["week"]:
        return [found[0], SEASON] if are_seasons(text) else found[:1]
    if found == ["month_name"]:
        return found + _without_year(text)
    if "day_first" in found and len(found) > 1 and pc.all(pc.match_substring_regex(text, _DOTTED)).as_py():
        return ["day_first"]
    if "year_first" in found and len(found) > 1:
        parts = pc.extract_regex(text, r"^\D*(?P<first>\d+)\D+\d+\D+(?P<last>\d+)")
        first, last = (len(pc.unique(parts.field(name))) for name in ("first", "last"))
        if last >= _FEWER * first:  # days change, years stay
            return ["year_first"]
        if first >= _FEWER * last:
            return [form for form in found if form != "year_first"]
    return found


def are_seasons(text: pa.Array) -> bool:
    """Whether texts such as 2000-01 name two years that follow each other, whatever else they may be.

    Args:
        text: without empty ones.
    """
    if not len(text) or len(text[0].as_py()) != _LENGTH_OF_SEASON:
        return False
    parts = pc.extract_regex(pc.unique(text), r"^(?P<year>\d{4})[-/](?P<next>\d\d)$")
    if parts.null_count or len(parts) < _FEWER:
        return False
    year, following = (pc.cast(parts.field(name), pa.int64()).to_numpy() for name in ("year", "next"))
    return bool(((year + 1) % 100 == following).all())


def _without_year(text: pa.Array) -> list[str]:
    """Whether texts such as Jan-12 may be days of January."""
    parts = [match.groups() for one in text.to_pylist() if (match := _MONTH_AND_TWO_DIGITS.fullmatch(one))]
    numbers = np.array([int(number) for _, number in parts])
    if not parts or numbers.min() < 1 or numbers.max() > 31:
        return []
    months = [month_number(name) for name, _ in parts]
    stay = sum(one == other for one, other in pairwise(months))
    return [DAY_WITHOUT_YEAR] if 2 * stay >= max(len(months) - 1, 1) else []
