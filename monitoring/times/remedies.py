"""What to do about a cell that is not a time, by what it looks like."""

import json
import re
import shlex

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unroll.monitoring.times.cells.zone_names import meant_by
from unroll.monitoring.times.columns import read_clocks
from unroll.monitoring.times.forms.fields import DAY, MICROS

_CLOCK = re.compile(r"\d{1,3}[:h]\d\d(:\d\d)?([.,]\d+)?( ?[AaPp]\.?[Mm]\.?)?")
_DURATION = re.compile(
    r"[+-]?\d+ days?,? .*|P(\d+D)?(T[\d.HMS]+)?|[+-]?\d+([.,]\d+)? ?(d|h|hrs?|min|s|sec|ms|us|days?|hours?|minutes?|"
    r"seconds?)|(day|tag|jour|d) ?\d+\b.*",
    re.IGNORECASE,
)
_TOTAL = re.compile(
    r"(^|\s)(grand |sub-?|zwischen|gesamt|teil)?(totale?s?|totaux|sum|summen?|gesamt|insgesamt|somme|suma|somma|soma|"
    r"averages?|avg|mean|median|mittelwert|mittel|durchschnitt|schnitt|moyenne|promedio|media|итого|всего|合计|总计|小计|合計)"
    r"\b",
    re.IGNORECASE,
)
_ZONE_NAME = re.compile(r"\d ?\(?([A-Za-z]{2,5})\)?$")
_MOST = 50  # words that a setting names
_FASTEST = 1_000_000  # rows a second


def remedy_of(cell: str, column: str, wrong: pa.Array) -> str:
    """A sentence with a setting, of a time of day, a span of time, or a sum; empty of other cells.

    Args:
        cell: the first that is not a time.
        column: its name.
        wrong: all cells of the batch that are not.
    """
    text = cell.strip()
    if _CLOCK.fullmatch(text):
        return (
            f"It is a time of day; name the column of its day, too: --set 'data.time=[DAY, {column}]'. Where there is "
            f"none, number the rows: --set data.time=null{_rate(wrong)}"
        )
    if _DURATION.fullmatch(text):
        return "It counts from a start that is not told; number the rows: --set data.time=null"
    if _TOTAL.search(text):
        words = [word for word in wrong.cast(pa.string()).to_pylist() if word and _TOTAL.search(word.strip())]
        listed = json.dumps(list(dict.fromkeys(map(str.strip, words)))[:_MOST], ensure_ascii=False)
        setting = shlex.quote(f"data.missing={listed}")
        return f"Rows of sums are left out where their cells are named as missing: --set {setting}"
    return ""


def zone_remedy(cell: str) -> str:
    """A sentence about the name of a zone that a cell ends with, to stand before another; empty without one."""
    zone = _ZONE_NAME.search(cell)
    if not zone:
        return ""
    meant = " or ".join(f"--set data.timezone={one}" for one in meant_by(zone[1]))
    otherwise = f"or name the one of several that is meant: {meant}" if meant else "or leave it out"
    return f"If {zone[1]!r} is a zone, write the offset, as in +01:00, {otherwise}. "


def _rate(clocks: pa.Array) -> str:
    """The setting for rows that are as far apart as times of day are, and less than a second; empty of others."""
    read = read_clocks(pc.utf8_lower(clocks.cast(pa.string())))
    steps = np.diff(read.micros[~read.wrong]) % DAY
    step = int(np.median(steps)) if len(steps) else MICROS
    return f" --set data.rate={MICROS / step:.6g}" if MICROS / _FASTEST <= step < MICROS else ""
