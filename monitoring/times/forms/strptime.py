"""Times in a format of `strptime`."""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unroll.monitoring.times.cells.cells import Cells
from unroll.monitoring.times.forms.fields import CENTURY, DAY
from unroll.monitoring.times.forms.iso import parse_text, with_offsets
from unroll.monitoring.times.forms.reading import Reading
from unroll.monitoring.times.instants import MISSING_TIME

_AFTER_SHORT_YEARS = int(np.datetime64("2041", "us").astype(np.int64))
_END_OF_DAY = r"(^|[^\d:.])24((?:[:.h]?00){0,2})($|[^\d:.])"


def is_divided(form: str) -> bool:
    """Whether a format divides the digits of a number, such as 202601, and nothing else.

    Example:
        >>> is_divided("%Y%m"), is_divided("%Y-%m")
        (True, False)
    """
    return bool(re.fullmatch(r"(%[YymdjHMS])+(%f)?", form)) or form == "%Y.%m"


def read_strptime(cells: Cells, form: str) -> Reading:
    """Times of cells in a format; 24:00 is the end of the day."""
    found = parse_text(cells.text, form)
    late = found.wrong & pc.match_substring_regex(cells.text, _END_OF_DAY).to_numpy(zero_copy_only=False)
    if late.any():
        midnight = pc.replace_substring_regex(cells.text.filter(pa.array(late)), _END_OF_DAY, r"\100\2\3")
        morning = parse_text(midnight, form)
        found = found.patched(late, Reading.of(morning.micros + DAY, morning.wrong))
    if "%y" in form:
        ahead = ~found.wrong & (found.micros >= _AFTER_SHORT_YEARS)
        found = Reading(np.where(ahead, found.micros - CENTURY, found.micros), found.wrong)
    if "%z" in form:
        found = with_offsets(cells.text, found.micros, found.wrong)
    return replace(found, micros=np.where(found.wrong, MISSING_TIME, found.micros), short_years="%y" in form)
