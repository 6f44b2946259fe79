"""Rows of series, held as numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from unroll.errors import UserError
from unroll.monitoring.tables.files.text_source import check_encoding
from unroll.monitoring.tables.notes import Notes
from unroll.monitoring.tables.number_format import NumberFormat
from unroll.monitoring.tables.sentinels import masked, repeated_extremes
from unroll.monitoring.times.clock import Clock
from unroll.monitoring.times.row_parser import RowParser
from unroll.pipelines.data.records import find_files
from unroll.pipelines.data.series.clock.fractions import numbered, whole_seconds
from unroll.pipelines.data.series.columns import Roles, find_roles
from unroll.pipelines.data.series.rows import read_batches, read_times
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.training.progress import Stage


@dataclass
class SeriesTable:
    """All rows of the files, in their order; rows without time or series id are left out.

    Args:
        roles: names the columns of `values`.
        ids: of the series, by code; one empty name for a wide table.
        codes: int32 [rows]; the row's series.
        times: int64 [rows]; Unix seconds, or steps, where `rate` is given.
        values: float32 [rows, D]; NaN is missing.
        statics: by column: category names, and int32 [series] numbers of them, -1 where there is none.
        dataset_info: what was met: rows, incomplete_rows, infinite, time_form, utc_offsets, static_conflicts,
            ignored_columns, formats of numbers, and notes on the form of the files.
        offsets: int32 [rows]; seconds east of UTC that times were written with; None where they have none.
        zones: that the files name.
        rate: steps a second, of times that are counted in steps; 0 where rows are numbered. None for Unix seconds.
    """

    roles: Roles
    ids: list[str]
    codes: np.ndarray
    times: np.ndarray
    values: np.ndarray
    statics: dict[str, tuple[list[str], np.ndarray]]
    dataset_info: dict[str, object]
    offsets: np.ndarray | None = None
    zones: tuple[str, ...] = ()
    rate: float | None = None

    def keep(self, rows: np.ndarray) -> None:
        """Leaves out all rows but those of a mask, bool [rows]."""
        self.codes, self.times, self.values = self.codes[rows], self.times[rows], self.values[rows]
        self.offsets = None if self.offsets is None else self.offsets[rows]


def read_table(
    section: SeriesSection,
    data: str,
    stage: Stage,
    training: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
) -> SeriesTable:
    """Reads the named columns of all files, in a few bytes a number.

    Args:
        section: names the columns.
        data: file, folder or glob.
        stage: shows the rows read.
        training: `dataset_info` of a model's training data, whose forms of times and numbers count where several fit.
        clock: that is named, or of these.

    Raises:
        UserError: files, columns, times or numbers that cannot be read.
    """
    files = find_files(data)
    check_encoding(section.encoding)
    notes = Notes()
    training = training or {}
    known = {name: NumberFormat(**written) for name, written in training.get("formats", {}).items()}
    roles = find_roles(section, files[0], notes, known)
    parser = None
    if section.time_columns:
        parser = RowParser(
            section.time_columns,
            section.time_format,
            prefer=training.get("time_form"),
            ahead=lambda: read_times(section, files),
            clock=clock,
        )
    ids = _Coder()
    categories = {name: _Categories() for name in section.static_categories}
    codes, times, offsets, values = [], [], [], []
    rows = incomplete = infinite = 0
    for file, first, batch in read_batches(section, roles, files, notes):
        code = ids.codes(batch.column(section.series)) if section.series else np.zeros(batch.num_rows, np.int32)
        with np.errstate(over="ignore"):
            numbers = np.stack(
                [batch.column(name).to_numpy(zero_copy_only=False).astype(np.float32) for name in roles.numbers], axis=1
            )
        rows += batch.num_rows
        usable = code >= 0
        if parser is not None:
            parsed = parser.parse([batch.column(name) for name in section.time_columns], file, first)
            usable &= ~parsed.missing
            times.append(parsed.micros[usable])
            if parsed.offsets is not None:
                offsets.append(parsed.offsets[usable])
        incomplete += int((~usable).sum())
        wild = np.isinf(numbers)
        infinite += int(wild.sum())
        numbers[wild] = np.nan
        numbers[masked(numbers, section.missing)] = np.nan
        for name, category in categories.items():
            category.add(code[usable], batch.column(name).filter(pa.array(usable)), len(ids.names))
        codes.append(code[usable])
        values.append(numbers[usable])
        stage.say(f"{rows:,} rows")
    if not rows:
        raise UserError(f"--data {data}: holds no rows, only a header")
    if rows == incomplete:
        named = ", ".join(map(repr, section.time_columns))
        missing = " and ".join(
            [f"a time in column {named}"] * bool(named) + [f"an id in {section.series!r}"] * bool(section.series)
        )
        raise UserError(
            f"--data {data}: none of {rows} rows has {missing}. Name the right columns: data.time, data.series"
        )
    dataset_info: dict[str, object] = {
        "rows": rows,
        "incomplete_rows": incomplete,
        "infinite": infinite,
        "time_form": parser.form if parser is not None else None,
        "utc_offsets": sorted(parser.offsets) if parser is not None else [],
        "static_conflicts": {name: category.conflicts() for name, category in categories.items()},
        "ignored_columns": roles.ignored,
        "formats": {name: written.info() for name, written in roles.formats.items()},
    }
    for line in parser.told if parser is not None else ():
        notes.add(line)
    joined = _joined(values)
    if not section.targets and section.columns == "channels":
        roles, joined = _without_constant(roles, joined, notes)
    for column, name in enumerate(roles.numbers):
        for sentinel in repeated_extremes(joined[:, column]):
            notes.add(sentinel.hint(name))
    dataset_info["notes"] = list(notes)
    statics = {name: (one.coder.names, one.of_series(len(ids.names))) for name, one in categories.items()}
    of_series = _joined(codes)
    counted = (
        numbered(of_series, section.rate)
        if parser is None
        else whole_seconds(_joined(times), of_series, section.frequency)
    )
    dataset_info["rounded_times"] = counted.rounded
    return SeriesTable(
        roles,
        ids.names or [""],
        of_series,
        counted.times,
        joined,
        statics,
        dataset_info,
        _joined(offsets) if sum(len(part) for part in offsets) == len(of_series) else None,
        tuple(sorted(parser.zones)) if parser is not None else (),
        counted.rate,
    )


def _without_constant(roles: Roles, values: np.ndarray, notes: Notes) -> tuple[Roles, np.ndarray]:
    """Leaves out targets that nobody named and that are empty, as comments are, or constant, as a station's number."""
    count = len(roles.targets)
    low, high = (find(values[:, :count], axis=0) for find in (np.fmin.reduce, np.fmax.reduce))
    empty = [name for name, one in zip(roles.targets, low, strict=True) if np.isnan(one)]
    constant = [name for name, one, other in zip(roles.targets, low, high, strict=True) if one == other]
    if len(empty) + len(constant) == count:
        constant = []  # a series that is constant by nature
    if len(empty) == count:
        return roles, values
    if empty:
        notes.add(f"Columns without a value, left out: {', '.join(empty)}.")
    if constant:
        notes.add(
            f"Columns of one number throughout, left out: {', '.join(constant)}; data.targets names them, if wanted."
        )
    gone = {*empty, *constant}
    if not gone:
        return roles, values
    kept = [column for column, name in enumerate(roles.numbers) if name not in gone]
    return replace(roles, targets=[name for name in roles.targets if name not in gone]), values[:, kept]


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """One array of many; the parts are let go one by one, so that memory does not double."""
    rows = sum(len(part) for part in parts)
    whole = np.empty((rows, *parts[0].shape[1:]), parts[0].dtype)
    while parts:
        part = parts.pop()
        whole[rows - len(part) : rows] = part
        rows -= len(part)
    return whole


class _Coder:
    """Numbers names in the order in which they come."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def codes(self, values: pa.Array) -> np.ndarray:
        """int32 numbers of a batch of names; -1 for an empty one."""
        if not pa.types.is_dictionary(values.type):
            values = values.cast(pa.string()).dictionary_encode()
        numbers = []
        for name in values.dictionary.cast(pa.string()).to_pylist():
            name = (name or "").strip()
            if name and name not in self._numbers:
                self._numbers[name] = len(self.names)
                self.names.append(name)
            numbers.append(self._numbers.get(name, -1))
        return np.array([*numbers, -1], np.int32)[values.indices.fill_null(-1).to_numpy(zero_copy_only=False)]


class _Categories:
    """A static column: the last category of each series."""

    def __init__(self) -> None:
        self.coder = _Coder()
        self._last = np.empty(0, np.int32)
        self._conflict = np.empty(0, bool)

    def add(self, series: np.ndarray, values: pa.Array, count: int) -> None:
        self._grow(count)
        code = self.coder.codes(values)
        series, code = series[code >= 0], code[code >= 0]
        before = self._last[series]
        self._last[series] = code
        self._conflict[series[(self._last[series] != code) | ((before >= 0) & (before != code))]] = True

    def of_series(self, count: int) -> np.ndarray:
        self._grow(count)
        return self._last

    def conflicts(self) -> int:
        """Series with more than one category."""
        return int(self._conflict.sum())

    def _grow(self, count: int) -> None:
        more = count - len(self._last)
        self._last = np.append(self._last, np.full(more, -1, np.int32))
        self._conflict = np.append(self._conflict, np.zeros(more, bool))
