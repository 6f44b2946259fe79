"""Tables with times, or parts of a time, in their header, which hold one column of numbers in many."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from unroll.errors import UserError
from unroll.monitoring.tables.files.layout import default_delimiter
from unroll.monitoring.tables.kinds import file_format
from unroll.monitoring.times.forms.month_names import month_number
from unroll.monitoring.times.forms.text_choice import text_candidates
from unroll.pipelines.data.series.section import SeriesSection

_FEWEST = 6  # times in a header that are no accident
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d(?: \[YR\d{4}\])?")  # as the World Bank writes them, too
_NUMBERED = re.compile(r"(?:he|hr|hour|h|sp|tp|p|pte|period|interval|stunde|std|q|qtr|quarter)?[ ._-]?(\d{1,3})")
_CLOCK = re.compile(r"\d{1,2}:\d\d")
_PERIODS = (48, 96, 144, 288)
_SHOWN = 3
_SHELL, _ESCAPED = r'(["$`\\])', r"\\\1"  # what a shell reads within double quotation marks


def check_upright(names: Sequence[str], section: SeriesSection, file: Path, above: int = 0) -> None:
    """Refuses a table whose columns are times: one that lies on its side.

    Args:
        names: of the columns.
        section: says how the table is written.
        file: of the table.
        above: lines of the file above its header.

    Raises:
        UserError: such a table, with the command that makes a row a time of it.
    """
    times = [name for name in names if _YEAR.fullmatch(name)] or _as_times(names)
    if len(times) < _FEWEST or 2 * len(times) <= len(names):
        return
    ids = [name for name in names if name and name not in times]
    years = "frame['time'] = frame['time'].str[:4]; " if any("[" in name for name in times) else ""
    setting = f" --set {shlex.quote('data.series=' + ids[0])}" if ids else ""
    raise UserError(
        f"{file}: the header holds {len(times)} times, such as {times[0]!r}: the table lies on its side. Write a row a "
        f"time with pandas' DataFrame.melt: {_melted(file, above, section, ids, times, 'time', years)}; then train on "
        f"that file with --set data.time=time{setting}"
    )


def check_whole_times(names: Sequence[str], section: SeriesSection, file: Path, above: int = 0) -> None:
    """Refuses a table whose columns are the months, quarters, days or hours of the times in its rows.

    Args:
        names: of the columns.
        section: names those of the time.
        file: of the table.
        above: lines of the file above its header.

    Raises:
        UserError: such a table, with the command that makes a row a month, or hour, of it.
    """
    named = {*section.time_columns, section.series, *section.static_categories}
    covariates = section.past_covariates + section.future_covariates
    part, columns = _parts([name for name in names if name and name not in named and name not in covariates])
    if not part or not section.time_columns or section.header is not True:
        return
    kept = [*section.time_columns, *([section.series] if section.series else [])]
    time, targets = ", ".join([*section.time_columns, part]), ", ".join(map(_quoted, columns))
    shown = ", ".join(map(repr, columns[:_SHOWN]))
    raise UserError(
        f"{file}: columns {shown} and so on are one column of numbers, one for each {part}. Write a row for each: "
        f"{_melted(file, above, section, kept, columns, part)}; then train on that file with --set "
        f"'data.time=[{time}]'. To forecast them as they are: --set {shlex.quote(f'data.targets=[{targets}]')}"
    )


def _as_times(names: Sequence[str]) -> list[str]:
    """Names that are times in one form."""
    likely = [name for name in names if re.search(r"\d\d", name) and not _NUMBERED.fullmatch(name.lower())]
    if len(likely) < _FEWEST:
        return []
    found, _ = text_candidates(pa.array([name.lower() for name in likely]))
    return likely if found else []


def _parts(names: Sequence[str]) -> tuple[str, list[str]]:
    """What columns are parts of that are named as the months, quarters, hours, half hours or days are, in order."""
    months = [name for name in names if month_number(name)]
    if [month_number(name) for name in months] == list(range(1, 13)):
        return "month", months
    clocks = [name for name in names if _CLOCK.fullmatch(name)]
    if len(clocks) in (24, *_PERIODS):
        return "hour", clocks
    found = [(name, int(match[1])) for name in names if (match := _NUMBERED.fullmatch(name.lower()))]
    columns, numbers = [name for name, _ in found], [number for _, number in found]
    if not numbers or numbers[0] not in (0, 1) or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return "", []
    bare = columns[0].isdigit()
    count = len(numbers)
    if count == 4 and not bare and columns[0][0].lower() == "q":
        return "quarter", columns
    if bare and numbers[0] == 1 and count in (12, 31):
        return ("month" if count == 12 else "day"), columns
    hours = count in (24, 25) and (bare or columns[0][0].lower() in "hsi")
    return ("hour" if hours else "period" if count in _PERIODS else ""), columns


def _melted(
    file: Path,
    above: int,
    section: SeriesSection,
    kept: Sequence[str],
    columns: Sequence[str],
    name: str,
    then: str = "",
) -> str:
    """A command that writes the table anew beside its file."""
    target = file.with_name(f"{file.name.partition('.')[0]}-long.csv")
    delimiter = section.delimiter or default_delimiter(file)
    options = f", sep={delimiter!r}" if delimiter != "," else ""
    options += f", encoding={section.encoding!r}" if section.encoding != "utf-8" else ""
    options += f", skiprows={above}" if above else ""
    reader = f"read_csv({str(file)!r}, dtype=str{options})"
    if file_format(file) == "xlsx":
        sheet = f", sheet_name={section.sheet!r}" if section.sheet else ""
        reader = f"read_excel({str(file)!r}, dtype=str, skiprows={above}{sheet})"
    elif file_format(file) == "parquet":
        reader = f"read_parquet({str(file)!r})"
    chosen = repr(list(columns))
    if len(columns) > 2 * _SHOWN:
        chosen = f"list(frame.loc[:, {columns[0]!r}:{columns[-1]!r}])"
    text = (
        f"import pandas; frame = pandas.{reader}; frame = frame.melt({list(kept)!r}, {chosen}, {name!r}, 'value')"
        f".dropna(subset=['value']); {then}frame.to_csv({str(target)!r}, index=False)"
    )
    return f'python -c "{re.sub(_SHELL, _ESCAPED, text)}"'


def _quoted(name: str) -> str:
    return f'"{name}"' if not re.fullmatch(r"[^\W\d]\w*", name) else name
