"""Times as files write them, to numbers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from unroll.errors import UserError
from unroll.monitoring.times.cells.cells import Cells
from unroll.monitoring.times.forms.choice import Choice, UndecidedError, read_cells
from unroll.monitoring.times.forms.formats import FORMS, named
from unroll.monitoring.times.forms.iso import read_iso
from unroll.monitoring.times.forms.native import misfit, read_native
from unroll.monitoring.times.forms.reading import NO_OFFSET, Reading
from unroll.monitoring.times.forms.text_choice import are_seasons
from unroll.monitoring.times.instants import MISSING_TIME, Times
from unroll.monitoring.times.remedies import remedy_of, zone_remedy

_NEVER = tuple(int(np.datetime64(day, "us").astype(np.int64)) for day in ("0002-01-01", "9999-12-31"))
"""First and last days that programs keep where they have none are before and behind these."""


@dataclass
class TimeParser:
    """Reads one time column, of any number of batches and files.

    Args:
        column: its name, for messages.
        format: a named form or a format as `strptime` has it, see `check_format`; None finds the form.
        prefer: the form to take where several fit, such as that of the training data.
        ahead: the column from its start, batch by batch, for where the first batch does not tell its form.
        remedy: what to do about a time that does not parse.
        zone: that is known, for abbreviations of several.

    Attributes:
        form: how the times are written; None before the first, and of timestamps.
        offsets: UTC offsets met, as they are written.
        zones: time zones of timestamps, as Parquet names them, or as cells do.
        short_years: years are written with two digits.
        era: what was done to years that are counted from elsewhere, in words.
        example: a cell that is only close to its form, and how it is read, in words; empty without one.

    Example:
        >>> parser = TimeParser("week")
        >>> parser.parse(pa.array(["2020-W53", "2021-W01"]), Path("sales.csv"), 2).seconds // 86400
        array([18624, 18631])
        >>> parser.form
        'week'
    """

    column: str
    format: str | None = None
    prefer: str | None = None
    ahead: Callable[[], Iterable[pa.Array]] | None = None
    remedy: str = (
        "Name the column of times with --set data.time=..., or how they are written, as in --set "
        "'data.time_format=%d/%m/%Y %H:%M'"
    )
    zone: str = ""
    form: str | None = field(default=None, init=False)
    offsets: set[str] = field(default_factory=set, init=False)
    zones: set[str] = field(default_factory=set, init=False)
    short_years: bool = field(default=False, init=False)
    era: str = field(default="", init=False)
    example: str = field(default="", init=False)
    _naive: str | None = field(default=None, init=False)

    @property
    def buddhist(self) -> bool:
        """Whether years are of the Buddhist era, and read as those of the common calendar."""
        return "Buddhist" in self.era

    def parse(self, values: pa.Array, file: Path, first_row: int) -> Times:
        """Converts a batch.

        Args:
            values: text, numbers, dates or timestamps, plain or by dictionary.
            file: where they come from, for messages.
            first_row: number of the first of them in the file.

        Returns:
            One time a row; without offsets where they are written without one.

        Raises:
            UserError: a time that does not parse, a form that is not told, or times with and without offset.
        """
        codes, cells = distinct(values)
        found = self._read(cells, file)
        if found.wrong.any():
            row = int(np.isin(codes, np.flatnonzero(found.wrong)).argmax())
            raise self._error(file, first_row + row, cells[int(codes[row])].as_py(), cells, found.wrong)
        # code -1 is the one appended
        offsets = None if found.offsets is None else np.append(found.offsets, np.int32(0))[codes]
        return Times(np.append(found.micros, MISSING_TIME)[codes], offsets)

    def _read(self, values: pa.Array, file: Path) -> Reading:
        """Where a cell is empty it is not wrong; either all have an offset, or there are none."""
        found = read_native(values)
        if found is None:
            if reason := misfit(values):
                raise UserError(f"{file}: column {self.column!r} {reason}")
            cells = Cells.of(values, self.zone)
            self.era = self.era or cells.era
            self.zones |= {cells.zone} - {""}
            found = self._written(cells, file)
            if found.wrong.any():
                found = replace(found, wrong=found.wrong & ~cells.missing)
        elif len(found.written):
            self.zones |= found.written
        never = ~found.wrong & ((found.micros < _NEVER[0]) | (found.micros >= _NEVER[1]))
        if never.any():
            found = replace(found, micros=np.where(never, MISSING_TIME, found.micros))
        return self._of_one_kind(found, values, file)

    def _written(self, cells: Cells, file: Path) -> Reading:
        if self.form is None:
            self.form = self.format
        if self.form is None and not cells.are_numbers and not self.prefer:
            found = read_iso(cells)
            there = cells.text if not found.wrong.any() else cells.text.filter(pa.array(~found.wrong))
            if not (found.wrong & ~cells.missing).any() and not are_seasons(there):
                self.form = "iso" if len(there) else None
                return found
        if self.form is None:
            self.form = self._find(cells, file)
        if self.form is None:
            return Reading(np.full(len(cells.text), MISSING_TIME), np.ones(len(cells.text), bool))
        return read_cells(cells, self.form)

    def _find(self, cells: Cells, file: Path) -> str | None:
        choice = Choice(self.prefer)
        choice.narrow(cells)
        if self.ahead and choice.open:
            for values in self.ahead():
                choice.narrow(Cells.of(distinct(values)[1], self.zone))
                if not choice.open:
                    break
        try:
            return choice.form() or choice.nearest
        except UndecidedError as error:
            raise UserError(f"{file}, column {self.column!r}: {error}") from None

    def _of_one_kind(self, found: Reading, values: pa.Array, file: Path) -> Reading:
        there = ~found.wrong & (found.micros != MISSING_TIME)
        offsets = np.full(len(there), NO_OFFSET) if found.offsets is None else found.offsets
        told = there & (offsets != NO_OFFSET)
        self.offsets |= found.written
        self.short_years |= found.short_years
        self.example = self.example or found.example
        if self._naive is None and not told.all() and (naive := there & ~told).any():
            self._naive = str(values[int(naive.argmax())])
        if self.offsets and self._naive is not None:
            raise UserError(
                f"{file}: column {self.column!r} mixes times with a UTC offset ({sorted(self.offsets)[0]}) and without "
                f"({self._naive}). Write all of them with their offset, or all without"
            )
        seconds = np.where(told, offsets, 0).astype(np.int32) if told.any() else None
        return Reading(found.micros, found.wrong, seconds)

    def _error(self, file: Path, row: int, value: object, values: pa.Array, wrong: np.ndarray) -> UserError:
        form = named(self.form) if self.form and self.form != "iso" else "ISO 8601 (2026-01-31 13:00)"
        form += "" if self.form else " or any form that is known"
        told = remedy_of(str(value), self.column, values.filter(pa.array(wrong)))
        if not told and self.form and (others := _other_forms(str(value).strip())):
            told = f"It is one in the form {others[0]}, so that the column mixes forms: write all times alike"
        return UserError(
            f"{file}, row {row}, column {self.column!r}: is not a time in {form}. Received: {str(value)!r}. "
            f"{told or zone_remedy(str(value)) + self.remedy}"
        )


def _other_forms(text: str) -> list[str]:
    """Forms in which a single cell is a time."""
    choice = Choice()
    choice.narrow(Cells.of(pa.array([text])))
    return [form for form in choice.forms if form in FORMS or "%" in form]


def distinct(values: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """The different values, as far as they are told apart, and for each row the number of its own; -1 for none."""
    if not pa.types.is_dictionary(values.type):
        return np.arange(len(values)), values
    return values.indices.fill_null(-1).to_numpy(zero_copy_only=False), values.dictionary
