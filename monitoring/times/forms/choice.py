"""Which form a column of times is written in, from all of its cells."""

import numpy as np
import pyarrow as pa

from unroll.monitoring.times.cells.cells import Cells
from unroll.monitoring.times.forms.iso import read_iso
from unroll.monitoring.times.forms.number_choice import likely, nearest_division, number_candidates, yearless
from unroll.monitoring.times.forms.numbers import DIGITS_TOO, read_numbers
from unroll.monitoring.times.forms.reading import Reading, readable
from unroll.monitoring.times.forms.strptime import is_divided, read_strptime
from unroll.monitoring.times.forms.text_choice import DAY_WITHOUT_YEAR, FISCAL, SEASON, text_candidates
from unroll.monitoring.times.forms.texts import PATTERNS, read_text


class UndecidedError(Exception):
    """Says what cells may mean, and how to state it."""


class Choice:
    """Forms that are left after some batches of a column.

    Args:
        prefer: a form that counts wherever all cells fit it, as that of the data that a model was trained on.

    Attributes:
        nearest: the form that most cells of the first batch fit, where no form fits all.
    """

    def __init__(self, prefer: str | None = None):
        self.nearest: str | None = None
        self._prefer = prefer
        self._left: list[str] | None = None
        self._seen: Cells | None = None
        self._example: str | None = None

    @property
    def open(self) -> bool:
        """Whether further cells may tell more."""
        return self._left is not None and len(self._left) > 1 and self._prefer not in self._left

    @property
    def forms(self) -> list[str]:
        """Those that are left, likelier ones first."""
        return self._left or []

    def narrow(self, cells: Cells) -> None:
        """Keeps the forms that these cells fit, too; where none is left, those of the batches before."""
        there = ~cells.missing
        if not there.any():
            return
        if cells.are_numbers:
            found = number_candidates(cells.numbers)
            self.nearest = self.nearest or nearest_division(cells.numbers)
        else:
            found, nearest = text_candidates(cells.lower.filter(pa.array(there)))
            self.nearest = self.nearest or nearest
        if self._prefer and self._prefer not in found and not read_cells(cells, self._prefer).wrong[there].any():
            found = [self._prefer]
        if self._left is None:
            self._left, self._seen = found, cells
        else:
            self._left = [form for form in self._left if form in found] or self._left
        if self._example is None and len(self._left) > 1:
            self._example = _either(cells, self._left)

    def form(self) -> str | None:
        """The form; None where no batch held a time, or none fits.

        Raises:
            UndecidedError: several fit, or numbers may be anything.
        """
        if self._left is None or self._seen is None:
            return None
        if self._prefer in self._left:
            return self._prefer
        if len(self._left) > 1 and self._example:
            raise UndecidedError(self._example)
        if not self._left and not self.nearest and self._seen.are_numbers:
            words, setting = likely(self._seen.numbers)
            shown = self._seen.numbers.present
            state = f": --set {setting}" if setting else ""
            state += "; else number the rows: --set data.time=null" if "time_format" in setting else ""
            raise UndecidedError(f"holds numbers from {shown[0]:.15g} to {shown[-1]:.15g}, not times. {words}{state}")
        return self._left[0] if self._left else None


def read_cells(cells: Cells, form: str) -> Reading:
    """Times of cells.

    Args:
        cells: of a column.
        form: a named one, or a format as `strptime` has it.
    """
    if form == "iso" and not cells.are_numbers:
        return read_iso(cells)
    if form in PATTERNS and not (form in DIGITS_TOO and cells.are_numbers):
        return read_text(cells.lower, form)
    if "%" in form and not is_divided(form):
        return read_strptime(cells, form)
    return read_numbers(cells.numbers, form)


def _either(cells: Cells, forms: list[str]) -> str | None:
    """How the forms read a cell differently, and how to state the one with the shortest gaps; None: all alike."""
    there = ~cells.missing
    if DAY_WITHOUT_YEAR in forms:
        example = cells.text.filter(pa.array(there))[0].as_py()
        if cells.are_numbers:
            return (
                f"may hold days with a month, or months of a year of two digits: {example!r}. {yearless('%d%m')}. If "
                "they are months: --set data.time_format=%y%m"
            )
        return (
            f"may hold months of a year of two digits, or days without their year: {example!r}. If they are months, "
            "state it with --set data.time_format=month_name, else write the year"
        )
    if FISCAL in forms:
        example = cells.text.filter(pa.array(there))[0].as_py()
        return (
            f"holds fiscal years, or parts of them, whose beginning is not told: {example!r}. To read them as the "
            "calendar's of that number: --set data.time_format=fiscal"
        )
    if SEASON in forms:
        return (
            f"may hold {'months' if forms[0] == 'iso' else 'weeks'}, or years that follow each other: "
            f"{cells.text.filter(pa.array(there))[0].as_py()!r}. State the first, as in --set "
            f"data.time_format={forms[0]}, or the second, as in --set data.time_format=fiscal"
        )
    read = {form: read_cells(cells, form).micros for form in forms}
    first = read[forms[0]]
    differ = np.flatnonzero(there & np.any([micros != first for micros in read.values()], axis=0))
    if not len(differ):
        return None
    forms = sorted(forms, key=lambda form: np.diff(np.unique(read[form][there])).max(initial=0))
    said = " or ".join(f"{readable(read[form][differ[0]])} ({form})" for form in forms)
    example = cells.text[int(differ[0])].as_py()
    return f"{example!r} can be {said}. State which, as in --set data.time_format={forms[0]}"
