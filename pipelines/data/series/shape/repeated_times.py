"""Times that come again in a series so often that it is not one."""

import shlex

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.times.civil import DAY
from unroll.monitoring.times.clock import Clock
from unroll.pipelines.data.series.columns import Schema
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.table import SeriesTable

_SHARE, _FEW = 0.05, 10  # of the rows, and how many of them may
_HOURS = 8  # of a clock of 12 that a table has at least


def check_repeats(table: SeriesTable, section: SeriesSection, clock: Clock) -> None:
    """Refuses series in which many rows have the time of another, and other values.

    Args:
        table: with Unix seconds for times.
        section: names the columns.
        clock: of the times.

    Raises:
        UserError: says what the rows may be, and what to do.
    """
    count, most = len(table.times), max(_FEW, _SHARE * len(table.times))
    order = np.lexsort((table.times, table.codes))
    same = (np.diff(table.times[order]) == 0) & (np.diff(table.codes[order]) == 0)
    if same.sum() <= most:
        return  # of which the last counts
    rows, after = order[:-1][same], order[1:][same]
    alike = (table.values[rows] == table.values[after]) | (np.isnan(table.values[rows]) & np.isnan(table.values[after]))
    again = int((~alike.all(axis=1)).sum())
    if again <= most:
        return
    whose = " of their series" if section.series else ""
    raise UserError(
        f"{count} rows have {count - int(same.sum())} different times{whose}, and {again} of them other values than "
        f"the row before of that time: {_reason(table, section, clock)}"
    )


def _reason(table: SeriesTable, section: SeriesSection, clock: Clock) -> str:
    if _is_half_a_clock(clock.local(table.times)):
        return (
            "all hours are those of a 12-hour clock without AM and PM, so that afternoons are taken for mornings. "
            "Write the times with AM and PM, or with hours 0 to 23"
        )
    named = _telling(section, table.roles.schema) if table.roles.schema else []
    shown = " or ".join(map(repr, named[:3]))
    if named and section.series:
        return (
            f"column {shown} tells them apart, so that a value of {section.series!r} holds several series. Write a "
            f"column of numbers for each value of {named[0]!r}, as pandas' DataFrame.pivot does, or one column of ids "
            "from both, and name that with --set data.series=COLUMN"
        )
    if named:
        settings = " or ".join(f"--set {shlex.quote(f'data.series={name}')}" for name in named[:3])
        return f"the table holds several series, which column {shown} tells apart: {settings}"
    return (
        "the table holds several series. Name the column of their ids with --set data.series=...; or, if they are "
        "parts of a sum, such as bookings of a day, add them up first"
    )


def _is_half_a_clock(local: np.ndarray) -> bool:
    """Whether times of several days have hours of one half of the day alone, and most of those."""
    hours = np.unique(local % DAY // 3600)
    if len(np.unique(local // DAY)) < 2 or len(hours) < _HOURS:
        return False
    return bool(hours.max() <= 11 or (hours.min() >= 1 and hours.max() <= 12))


def _telling(section: SeriesSection, schema: Schema) -> list[str]:
    """Columns of few values by which the first rows of one time and series differ."""
    keys = [*section.time_columns, *([section.series] if section.series else [])]
    places = [schema.names.index(name) for name in keys]
    rows = [row for row in schema.sample if len(row) == len(schema.names)]
    times = [tuple(row[place] for place in places) for row in rows]
    used = {*keys, *(section.targets or []), *section.past_covariates, *section.future_covariates}
    found = []
    for place, name in enumerate(schema.names):
        cells = [row[place].strip() for row in rows]
        told = len(set(zip(times, cells, strict=True))) == len(rows) > len(set(times))
        if name and name not in used and told and len(set(cells)) <= len(rows) / 2:
            found.append(name)
    return found
