"""Times of rows, from one column or put together from several."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unroll.errors import UserError
from unroll.monitoring.times.cells.cells import Cells
from unroll.monitoring.times.clock import Clock
from unroll.monitoring.times.columns import CALLED, bare_numbers, parts_of, read_clocks, width_named
from unroll.monitoring.times.forms.fields import DAY, from_fields, whole_year
from unroll.monitoring.times.forms.formats import named
from unroll.monitoring.times.forms.month_names import month_number
from unroll.monitoring.times.forms.reading import NO_OFFSET, Reading
from unroll.monitoring.times.forms.strptime import is_divided
from unroll.monitoring.times.instants import MISSING_TIME, Times
from unroll.monitoring.times.parser import TimeParser, distinct
from unroll.monitoring.times.periods import find_periods, written


class RowParser:
    """Reads the times of rows, of any number of batches and files.

    Args:
        columns: that hold them: one; or a day and a time of day; or year, month, day, hour and so on.
        format: as `TimeParser` takes it, of the one column, or of the day's; one of `strptime` of all their cells,
            with blanks between.
        ahead: the columns from their start, batch by batch.
        clock: that is named, by which days begin; it tells the hours of days on which clocks change.
        prefer: the form of the training data, see `form`.
        options: of `TimeParser`.

    Example:
        >>> parser = RowParser(["day", "hour"])
        >>> parser.parse([pa.array(["2024-01-31"]), pa.array([24])], Path("load.csv"), 2).micros.astype("M8[us]")
        array(['2024-02-01T00:00:00.000000'], dtype='datetime64[us]')
    """

    def __init__(
        self,
        columns: Sequence[str],
        format: str | None = None,
        *,
        ahead: Callable[[], Iterable[Sequence[pa.Array]]] | None = None,
        clock: Clock | None = None,
        prefer: str | None = None,
        **options: Any,
    ):
        self._columns = list(columns)
        self._parts: list[str] = []
        self._width = 0
        self._joined = len(self._columns) > 1 and format is not None and "%" in format and not is_divided(format)
        self._ahead = ahead
        self._clock_named = clock
        days, self._periods = written(prefer)
        self._parser = TimeParser(
            " ".join(columns) if self._joined else self._columns[0],
            format,
            days,
            ahead=ahead and self._of_days,
            zone=clock.name if clock else "",
            **options,
        )

    @property
    def form(self) -> str | None:
        """How the times, or the days, are written; None where that need not be found. With periods, if they count."""
        return self._periods.beside(self._parser.form) if self._periods else self._parser.form

    @property
    def offsets(self) -> set[str]:
        """UTC offsets met, as they are written."""
        return self._parser.offsets

    @property
    def zones(self) -> set[str]:
        """Time zones of timestamps, as Parquet names them."""
        return self._parser.zones

    @property
    def told(self) -> list[str]:
        """What was found out, in lines for the run's output."""
        lines = []
        if self._parts:
            named_parts = (f"{name} ({CALLED[part]})" for name, part in zip(self._columns, self._parts, strict=True))
            lines.append(f"Times are put together from {', '.join(named_parts)}.")
            if self._periods:
                column = self._columns[self._parts.index("period")]
                lines.append(f"{column} counts {self._periods.told(self._clock_named)}.")
        form = self._parser.form
        if form and form != "iso":
            whose = f"Days in {self._parser.column}" if "date" in self._parts else "Times"
            lines.append(f"{whose} are read in {named(form)}: --set data.time_format={form} states it.")
        if self._parser.example:
            lines.append(f"Times are close to ISO 8601: {self._parser.example}.")
        if self._parser.short_years:
            lines.append("Years of two digits are 1941 to 2040.")
        if self._parser.era:
            lines.append(self._parser.era)
        return lines

    def parse(self, columns: Sequence[pa.Array], file: Path, first_row: int) -> Times:
        """Converts a batch.

        Args:
            columns: text, numbers, dates, timestamps or times of day, plain or by dictionary, as many as there are
                names.
            file: where they come from, for messages.
            first_row: number of the first of them in the file.

        Returns:
            One time a row, missing where a cell is; without offsets where they are written without one.

        Raises:
            UserError: as `TimeParser.parse`, or columns that do not make a time.
        """
        if len(columns) == 1:
            return self._parser.parse(columns[0], file, first_row)
        if self._joined:
            texts = [_plain(column).cast(pa.string()) for column in columns]
            return self._parser.parse(pc.binary_join_element_wise(*texts, " ").dictionary_encode(), file, first_row)
        counted = self._periods is not None or "period" in self._parts
        columns = [bare_numbers(column, counted=counted) for column in columns]
        where = f"{file}, columns {', '.join(repr(name) for name in self._columns)}"
        if not self._parts:
            values = [distinct(column)[1] for column in columns]
            self._parts = parts_of(self._columns, values, where, counted=self._periods is not None)
            self._parser.column = self._columns[self._parts.index("date")] if "date" in self._parts else ""
            self._width = max(map(width_named, self._columns))
            if "period" in self._parts and self._periods is None:
                self._find_periods(columns, file, first_row, where)
        micros, offsets, missing, wrong, fields = self._days(columns, file, first_row, where)
        clock = fields.pop("clock", 0)
        if self._periods and "period" in fields:
            numbers = fields.pop("period")
            micros, offsets, impossible = self._periods.read(micros, numbers, self._clock_named)
            wrong |= ~missing & impossible
        if wrong.any():
            row = int(wrong.argmax())
            cells = ", ".join(str(column[row].as_py()) for column in columns)
            raise UserError(f"{where}, row {first_row + row}: do not make a time. Received: {cells}. Fix the row")
        return Times(np.where(missing, MISSING_TIME, micros + clock), offsets)

    def _days(
        self, columns: Sequence[pa.Array], file: Path, first_row: int, where: str
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Microseconds without times of day and periods, offsets, which are missing, which wrong, and these parts."""
        days, offsets = np.zeros(len(columns[0]), np.int64), None
        missing = np.zeros(len(days), bool)
        fields: dict[str, np.ndarray] = {}
        wrong = np.zeros(len(days), bool)
        blank = []
        for part, column in zip(self._parts, columns, strict=True):
            if part == "date":
                found = self._parser.parse(column, file, first_row)
                days, offsets, missing = found.micros, found.offsets, missing | found.missing
                blank.append(found.missing)
                self._check_days(found, where)
                continue
            codes, values = distinct(column)
            read = self._clock(values) if part == "clock" else _field(values, part)
            if part == "y":
                self._parser.era = self._parser.era or Cells.of(values).era
            fields[part] = np.append(read.micros, MISSING_TIME)[codes]
            gone = fields[part] == MISSING_TIME
            wrong |= np.append(read.wrong, False)[codes]
            missing |= gone
            blank.append(gone)
            fields[part] = np.where(gone, 1, fields[part])
            if read.offsets is not None and (read.offsets != NO_OFFSET).any():
                self._parser.offsets |= read.written
                offsets = np.append(read.offsets, np.int32(0))[codes]
        _check_blanks(self._columns, np.array(blank), where)
        later: dict[str, np.ndarray] = {part: fields.pop(part) for part in ("clock", "period") if part in fields}
        micros, impossible = from_fields(fields, len(days))
        return np.where(missing, 0, days) + micros, offsets, missing, wrong | (impossible & ~missing), later

    def _find_periods(self, columns: Sequence[pa.Array], file: Path, first_row: int, where: str) -> None:
        def rows() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for batch in self._ahead() if self._ahead else [columns]:
                bare = [bare_numbers(column, counted=True) for column in batch]
                micros, _, missing, wrong, fields = self._days(bare, file, first_row, where)
                there = ~(missing | wrong)
                yield micros[there], fields["period"][there]

        self._periods = find_periods(rows(), self._clock_named, where)

    def _of_days(self) -> Iterator[pa.Array]:
        assert self._ahead is not None
        place = self._parts.index("date") if self._parts else 0
        return (columns[place] for columns in self._ahead())

    def _check_days(self, days: Times, where: str) -> None:
        local = days.micros + (0 if days.offsets is None else days.offsets.astype(np.int64) * 10**6)
        if (local[~days.missing] % DAY).any():
            raise UserError(
                f"{where}: {self._parser.column!r} has times of day already. Leave the others out: --set "
                f"data.time={self._parser.column}"
            )

    def _clock(self, values: pa.Array) -> Reading:
        """Microseconds after midnight."""
        if pa.types.is_time(values.type):
            micros = pc.cast(pc.cast(values, pa.time64("us"), safe=False), pa.int64())
            return Reading(micros.fill_null(MISSING_TIME).to_numpy(zero_copy_only=False), np.zeros(len(values), bool))
        cells = Cells.of(values)
        if cells.are_numbers and (cells.numbers.whole is not None or (cells.numbers.present < 1).all()):
            found = self._digits(cells)
        else:
            found = read_clocks(cells.lower)
        return _but_missing(found, cells)

    def _digits(self, cells: Cells) -> Reading:
        """Of hours, 1330, 133000, or parts of a day as workbooks have them."""
        numbers = cells.numbers
        if numbers.whole is None:
            return Reading(np.round(np.nan_to_num(numbers.values) * 86_400).astype(np.int64) * 10**6, ~cells.numeric)
        self._width = self._width or int(numbers.width[cells.numeric].max())
        left, fields = numbers.whole, {}
        for name in ("S", "M")[2 - (self._width - 1) // 2 :]:
            left, fields[name] = np.divmod(left, 100)
        micros, wrong = from_fields({**fields, "H": left}, len(left))
        return Reading(micros, wrong | ~cells.numeric)


def _check_blanks(columns: Sequence[str], blank: np.ndarray, where: str) -> None:
    """Refuses a column that is blank in most rows that have the other parts, as below merged cells."""
    for name, alone in zip(columns, blank & (blank.sum(axis=0) == 1), strict=True):
        if 2 * alone.sum() > len(alone) > 2:
            raise UserError(
                f"{where}: {name!r} is blank in {alone.sum():,} of {len(alone):,} rows that have the other parts of a "
                "time. If it stands only in the first of several rows, as in merged cells, fill it down to the others"
            )


def _field(values: pa.Array, part: str) -> Reading:
    """Numbers of a part of a time."""
    cells = Cells.of(values)
    if part == "m" and not cells.are_numbers:
        numbers = np.array([month_number(name) for name in cells.lower.to_pylist()], np.int64)
        return _but_missing(Reading(numbers, numbers == 0), cells)
    whole = cells.numbers.whole
    if whole is None:
        return _but_missing(Reading(np.zeros(len(values), np.int64), np.ones(len(values), bool)), cells)
    if part == "y":
        whole = np.where(cells.numbers.width <= 2, whole_year(whole), whole)
    return _but_missing(Reading(whole, ~cells.numeric), cells)


def _but_missing(found: Reading, cells: Cells) -> Reading:
    gone = cells.missing
    return Reading(np.where(gone, MISSING_TIME, found.micros), found.wrong & ~gone, found.offsets, found.written)


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
