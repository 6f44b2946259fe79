"""Which columns of a table hold its times, by their cells, where the one that is named is not there."""

import json
import re
import shlex
from collections.abc import Sequence

import pyarrow as pa

from unroll.monitoring.times.cells.cells import Cells
from unroll.monitoring.times.columns import part_named, read_clocks
from unroll.monitoring.times.forms.number_choice import number_candidates
from unroll.monitoring.times.forms.text_choice import text_candidates

_CALLED = re.compile(r"date|time|datum|zeit|fecha|hora|jour|heure|data|ora|day|tag|month|monat|year|jahr|ts|stamp")
_FEWEST = 3  # cells by which a column is known


def likely_times(names: Sequence[str], sample: Sequence[Sequence[str]]) -> str:
    """The setting that names a table's times, as a shell takes it; empty where no column seems to hold some.

    Args:
        names: of the columns.
        sample: first records.

    Example:
        >>> likely_times(["load", "Day", "Clock"], [["7", "31.01.2026", f"{hour}:00"] for hour in range(3)])
        "'data.time=[Day, Clock]'"
    """
    kinds = {
        name: _kind(name, [row[place] for row in sample if place < len(row)])
        for place, name in enumerate(names)
        if name and names.count(name) == 1
    }
    dates = [name for name, kind in kinds.items() if kind == "date"]
    clocks = [name for name, kind in kinds.items() if kind == "clock"]
    found = dates[:1]
    if found and clocks and len({row[names.index(found[0])] for row in sample}) < len(sample):
        found += clocks[:1]
    if not found:
        parts = {part: name for name in reversed(names) if (part := part_named(name)) and kinds.get(name) == "number"}
        found = [parts[part] for part in ("y", "m", "d", "H", "M") if part in parts]
        found = found if {"y", "m"} <= parts.keys() else []
    if not found:
        return ""
    listed = ", ".join(name if re.fullmatch(r"[^\W\d][\w .-]*", name) else json.dumps(name) for name in found)
    return shlex.quote(f"data.time={found[0]}" if len(found) == 1 else f"data.time=[{listed}]")


def _kind(name: str, values: Sequence[str]) -> str:
    """`date`, `clock`, `number`, or nothing."""
    cells = Cells.of(pa.array(values, pa.string()))
    text = cells.lower.filter(pa.array(~cells.missing))
    if len(text) < _FEWEST:
        return ""
    if cells.are_numbers:
        dated = _CALLED.search(name.lower()) and not part_named(name) and number_candidates(cells.numbers)
        return "date" if dated else "number"
    if not read_clocks(text).wrong.any():
        return "clock"
    return "date" if text_candidates(text)[0] else ""
