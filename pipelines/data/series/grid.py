"""From rows in any order to series on a regular grid, with an account of what had to be repaired."""

from dataclasses import dataclass

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.times.civil import DAY
from unroll.monitoring.times.clock import Clock
from unroll.monitoring.times.frequency import Frequency
from unroll.monitoring.times.holidays import calendar_of, days_off
from unroll.monitoring.times.inference import advisable, infer, on_clock, working_days
from unroll.monitoring.times.placement import Placement
from unroll.pipelines.data.series.columns import Roles
from unroll.pipelines.data.series.holiday_note import holidays_told
from unroll.pipelines.data.series.table import SeriesTable

_NAMED = 10  # series that a message or a list of what was found names at most
_MAX_STEPS, _FREE_STEPS = 20, 1_000_000  # a row, and beyond that
_JUDGED = 4  # rows from which a series has a frequency of its own


@dataclass
class SeriesGrid:
    """Series without holes: every step has a row, NaN where nothing was observed.

    Args:
        frequency: of all of them.
        roles: names the columns of `values`; of a wide table of series, `targets` is the one name "value".
        ids: of the series.
        start: int64 [N]; Unix seconds of each series' first step.
        offsets: int64 [N + 1]; series i has rows `offsets[i]` to `offsets[i + 1]` of `values`.
        values: float32 [steps, D]; targets, past and future covariates, in this order.
        statics: by column: category names, and int32 [N] numbers of them, -1 where there is none.
        dataset_info: counts of all that was met.
    """

    frequency: Frequency
    roles: Roles
    ids: list[str]
    start: np.ndarray
    offsets: np.ndarray
    values: np.ndarray
    statics: dict[str, tuple[list[str], np.ndarray]]
    dataset_info: dict[str, object]


def to_grid(
    table: SeriesTable,
    frequency: Frequency | None,
    clock: Clock | None = None,
    *,
    wide: bool = False,
    keep_empty: bool = False,
    holidays: str | None = None,
) -> SeriesGrid:
    """Sorts, drops repeated times, and leaves no step out.

    Of rows of one series and time the last counts. Times beside the grid move to its nearest point; where the
    frequency is found, they are an error unless they are near.

    Args:
        table: rows; its arrays are let go.
        frequency: None finds the one that most rows follow.
        clock: of the table.
        wide: the table's targets are series of their own, with its covariates in common.
        keep_empty: keeps series without a value of any target.
        holidays: calendar that is a covariate, and that working days may leave out; None: as the rows tell.

    Raises:
        UserError: no common frequency, times beside the grid, or no series with a value.
    """
    notes = [_without_days_off(table, frequency)] if frequency is not None and frequency.calendar else []
    rows = _SortedRows(table)
    if table.ids == [""]:
        _check_one_series(rows)
    if table.rate is not None:
        found = Frequency(seconds=1, rate=table.rate, clock=clock or Clock())
    elif frequency is not None:
        found = on_clock(rows.times(0), frequency)
    else:
        found = _common_frequency(rows, table.ids, clock or Clock(), holidays)
        if holidays and found.weekdays and not found.calendar:
            notes = [
                f"Rows lie on holidays of {holidays}, or none of them falls on a working day here: they stay steps. "
                f"Leave them out with --set data.frequency={found.name}:{holidays}."
            ]
        if found.calendar:
            notes = [
                f"Steps go from one trading or working day to the next, without the holidays of {found.calendar}; with "
                "data.frequency=1B these are missing values."
            ]
    counts = dict.fromkeys(("unsorted_rows", "exact_duplicates", "conflicting_duplicates", "snapped_rows", "gaps"), 0)
    counts["unsorted_rows"] = rows.unsorted
    placed = [_place(rows, series, found, frequency is not None, table.ids) for series in range(len(table.ids))]
    lengths = [int(one.steps[-1]) + 1 for one in placed]
    _check_size(rows, lengths, found, table.ids)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    values = np.full((offsets[-1], table.values.shape[1]), np.nan, np.float32)
    example = None
    for series, one in enumerate(placed):
        numbers = table.values[rows.of(series)]
        repeated = np.flatnonzero(np.diff(one.steps) == 0)
        differ = ~((numbers[repeated] == numbers[repeated + 1]) | _both_nan(numbers, repeated)).all(axis=1)
        counts["exact_duplicates"] += int((~differ).sum())
        counts["conflicting_duplicates"] += int(differ.sum())
        if differ.any() and example is None:
            example = f"{_called(table.ids[series])}{found.readable(rows.times(series)[repeated[differ][0]])}"
        counts["snapped_rows"] += one.moved
        counts["gaps"] += lengths[series] - len(one.steps) + len(repeated)
        values[offsets[series] + one.steps] = numbers  # of repeated steps NumPy keeps the last
    table.values = np.empty((0, 0), np.float32)
    start = np.array([one.start for one in placed], np.int64)
    dataset_info = {**table.dataset_info, **counts, "conflicting_example": example}
    dataset_info["span"] = found.span(int(table.times.min()), int(table.times.max()))
    dataset_info["steps_told"] = [note for note in (*notes, *holidays_told(holidays, found, start, offsets)) if note]
    grid = SeriesGrid(found, table.roles, table.ids, start, offsets, values, table.statics, dataset_info)
    return _without_empty(_unstacked(grid) if wide else grid, keep_empty)


class _SortedRows:
    """Row numbers by series and time; equal times stay in the order of the files."""

    def __init__(self, table: SeriesTable):
        codes, self._times = table.codes, table.times
        self.unsorted = 0
        self._order = np.argsort(codes, kind="stable") if (np.diff(codes) < 0).any() else np.arange(len(codes))
        self._bounds = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(table.ids)))])
        for series in range(len(table.ids)):
            rows = self.of(series)
            back = int((np.diff(self._times[rows]) < 0).sum())
            if back:
                self.unsorted += back
                rows[:] = rows[np.argsort(self._times[rows], kind="stable")]

    def of(self, series: int) -> np.ndarray:
        return self._order[self._bounds[series] : self._bounds[series + 1]]

    def times(self, series: int) -> np.ndarray:
        return self._times[self.of(series)]


def _check_one_series(rows: _SortedRows) -> None:
    times = rows.times(0)
    different = 1 + int((np.diff(times) > 0).sum())
    if different <= len(times) / 2:
        raise UserError(
            f"{len(times)} rows have {different} different times: the table holds several series. Name the column of "
            "their ids with --set data.series=..."
        )


def _check_size(rows: _SortedRows, lengths: list[int], frequency: Frequency, ids: list[str]) -> None:
    """One wrong date, or a step that is far too short, would fill the memory with missing values."""
    count = sum(len(rows.of(series)) for series in range(len(ids)))
    if sum(lengths) > _MAX_STEPS * count + _FREE_STEPS:
        longest = int(np.argmax(lengths))
        times = rows.times(longest)
        raise UserError(
            f"{_called(ids[longest])}{len(times)} rows from {frequency.readable(times[0])} to "
            f"{frequency.readable(times[-1])} lie on "
            f"{frequency.counted(lengths[longest])}. Fix a time that is far off, or name a longer step with "
            "--set data.frequency=..."
        )


def _without_days_off(table: SeriesTable, frequency: Frequency) -> str:
    """Leaves out rows on days that no step lies on, and says so."""
    days = frequency.clock.local(table.times) // DAY
    off = np.isin(days, days_off(frequency.calendar, frequency.weekdays))
    if not off.any() or off.all():
        return ""
    example = str(np.datetime64(int(days[off][0]), "D"))
    table.keep(~off)
    return f"Rows on holidays of {frequency.calendar}, such as {example}: {int(off.sum()):,}, left out."


def _common_frequency(rows: _SortedRows, ids: list[str], clock: Clock, holidays: str | None) -> Frequency:
    votes: dict[Frequency, int] = {}
    example: dict[Frequency, int] = {}
    for series in range(len(ids)):
        times = _distinct(rows.times(series))
        frequency = infer(times, clock)
        if frequency is not None:
            votes[frequency] = votes.get(frequency, 0) + len(times)
            if len(times) >= _JUDGED:
                example.setdefault(frequency, series)
    if not votes:
        raise UserError(
            f"no series has two rows at different times ({len(ids)} series), so that no frequency can be found and "
            "nothing be learnt. Add rows, or name the column of series ids with --set data.series=..."
        )
    found = max(votes, key=lambda frequency: votes[frequency])
    if found.weekdays or found.seconds == DAY:
        found = _on_working_days(rows, len(ids), clock, holidays)
    others = [frequency for frequency in example if frequency != found and not _daily(frequency, found)]
    if others:
        # the days of the month tell quarters from months only; a series of few rows may fall on any of them
        one, other = example.get(found, 0), example[others[0]]
        raise UserError(
            f"series have different frequencies: {ids[one]!r} {found.name}, {ids[other]!r} {others[0].name}. Train "
            "them apart, or name one step for all, as in --set "
            f"data.frequency={min(found, others[0], key=_length).name} (steps without rows are missing values then)"
        )
    return found


def _length(frequency: Frequency) -> int:
    return frequency.seconds or frequency.months * 28 * DAY or DAY


def _daily(one: Frequency, other: Frequency) -> bool:
    """Whether both are days, of which some may be off."""
    return all(frequency.weekdays or frequency.seconds == DAY for frequency in (one, other))


def _on_working_days(rows: _SortedRows, count: int, clock: Clock, holidays: str | None) -> Frequency:
    """Days of the week, where all series together leave some out, and holidays with them; days where only some do."""
    days = np.concatenate([np.unique(clock.local(rows.times(series)) // DAY) for series in range(count)])
    weekdays = working_days(days)
    if not weekdays:
        return Frequency(seconds=DAY, clock=clock)
    return Frequency(weekdays=weekdays, calendar=calendar_of(np.unique(days), weekdays, holidays), clock=clock)


def _place(rows: _SortedRows, series: int, frequency: Frequency, given: bool, ids: list[str]) -> Placement:
    """Where the rows of a series lie."""
    times = rows.times(series)
    placed = Placement.of(times, frequency)
    distinct = _distinct(times)
    if not given and not placed.near:
        off, clock = int(times[placed.farthest]), frequency.clock
        advice = advisable(distinct, clock)
        exact = infer(distinct, clock)
        beside = f"is beside the grid of {frequency.name} that begins at {frequency.readable(placed.start)}"
        if exact is not None and exact.name != advice:
            beside = "and others follow no step that repeats"
        raise UserError(
            f"{_called(ids[series])}{frequency.readable(off)} {beside}. Name a step to whose nearest point times may "
            f"move, as in --set data.frequency={advice}"
        )
    kept = 1 + int(np.count_nonzero(np.diff(placed.steps)))
    if len(distinct) > 1.5 * kept:
        raise UserError(
            f"{_called(ids[series])}{len(distinct)} times fall on {kept} steps of data.frequency={frequency.name}. "
            "Add the values of a step up or average them first, or name a shorter step"
        )
    return placed


def _distinct(times: np.ndarray) -> np.ndarray:
    """Each of ascending times once."""
    return times[np.append(True, np.diff(times) > 0)]


def _called(name: str) -> str:
    return f"series {name!r}: " if name else ""


def _both_nan(numbers: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.isnan(numbers[rows]) & np.isnan(numbers[rows + 1])


def _unstacked(grid: SeriesGrid) -> SeriesGrid:
    """Every target column becomes a series; it begins where its values do."""
    names, steps = grid.roles.targets, len(grid.values)
    shared = grid.values[:, len(names) :]
    observed = ~np.isnan(grid.values[:, : len(names)])
    first = np.where(observed.any(axis=0), observed.argmax(axis=0), 0)
    offsets = np.concatenate([[0], np.cumsum(steps - first)])
    values = np.empty((offsets[-1], 1 + shared.shape[1]), np.float32)
    for column, begin in enumerate(first):
        part = values[offsets[column] : offsets[column + 1]]
        part[:, 0] = grid.values[begin:, column]
        part[:, 1:] = shared[begin:]
    roles = Roles(["value"], grid.roles.past_covariates, grid.roles.future_covariates, grid.roles.ignored)
    start = grid.frequency.advance(int(grid.start[0]), first.astype(np.int64))
    return SeriesGrid(grid.frequency, roles, names, start, offsets, values, {}, grid.dataset_info)


def _without_empty(grid: SeriesGrid, keep: bool) -> SeriesGrid:
    """Leaves out series that have no value of any target, unless they are kept; one must have some."""
    observed = ~np.isnan(grid.values[:, : len(grid.roles.targets)]).all(axis=1)
    kept = np.add.reduceat(observed, grid.offsets[:-1], dtype=np.int64) > 0
    empty = [name for name, keep in zip(grid.ids, kept, strict=True) if not keep]
    kind = "cold_series" if keep else "empty_series"
    grid.dataset_info |= {kind: len(empty), f"{kind}_named": empty[:_NAMED]}
    if not kept.any():
        raise UserError(
            f"no value of any target ({', '.join(grid.roles.targets[:_NAMED])}) in {len(grid.ids)} series: all are "
            "missing. Name other targets with --set data.targets=..."
        )
    if empty and not keep:
        lengths = np.diff(grid.offsets)
        grid.values = grid.values[np.repeat(kept, lengths)]
        grid.offsets = np.concatenate([[0], np.cumsum(lengths[kept])])
        grid.start = grid.start[kept]
        grid.ids = [name for name, keep in zip(grid.ids, kept, strict=True) if keep]
        grid.statics = {name: (names, numbers[kept]) for name, (names, numbers) in grid.statics.items()}
    return grid
