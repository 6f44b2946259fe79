"""Times in ISO 8601, of which there may be millions."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from unroll.monitoring.times.cells.cells import Cells
from unroll.monitoring.times.forms.reading import NO_OFFSET, Reading, readable
from unroll.monitoring.times.forms.texts import read_text
from unroll.monitoring.times.forms.zones import zone_offset
from unroll.monitoring.times.instants import MISSING_TIME

_OFFSET = r"[Tt ]\d\d.*?(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?)$"  # after a time of day: a date may end like one

_YEAR, _MONTH = 4, 7  # letters of 2026 and 2026-01


def read_iso(cells: Cells) -> Reading:
    """Times of cells in ISO 8601, and in what is close to it: 24:00, AM and PM, UTC for Z."""
    plain = _without_offsets(cells)
    if plain is not None:
        return Reading(plain, cells.empty)
    found = parse_text(cells.text, "ISO8601")
    wrong = found.wrong | ~pc.match_substring_regex(cells.text, r"^\d{4}").to_numpy(zero_copy_only=False)  # "now"
    sums = _sums(cells, wrong)
    wrong |= sums
    found = with_offsets(cells.text, found.micros, wrong)
    left = wrong & ~sums & ~cells.missing
    if not left.any():
        return found
    close = read_text(cells.lower.filter(pa.array(left)), "iso")
    if not close.wrong.all():
        place = int((~close.wrong).argmax())
        cell = cells.text[int(np.flatnonzero(left)[place])].as_py()
        close = replace(close, example=f"{cell!r} is read as {readable(close.micros[place])}")
    return found.patched(left, close)


def _sums(cells: Cells, wrong: np.ndarray) -> np.ndarray:
    """Years and months between months and days: rows of sums, where these are, and never the time of a record."""
    length = pc.utf8_length(cells.text).to_numpy(zero_copy_only=False)
    longest = length[~wrong].max(initial=0)
    return (length <= _MONTH) & (longest > _MONTH) | (length <= _YEAR) & (longest > _YEAR)


def parse_text(text: pa.Array, form: str) -> Reading:
    """Times as pandas reads them, in UTC."""
    parsed = pd.to_datetime(text.to_pandas(), format=form, utc=True, errors="coerce")
    micros = parsed.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
    return Reading(micros, parsed.isna().to_numpy())


def with_offsets(text: pa.Array, micros: np.ndarray, wrong: np.ndarray) -> Reading:
    """A reading with the UTC offsets that texts end with."""
    written = pc.extract_regex(text, _OFFSET).field("offset").fill_null("").dictionary_encode()
    names, codes = written.dictionary.to_pylist(), written.indices.to_numpy(zero_copy_only=False)
    offsets = np.array([zone_offset(name.lower()) for name in names], np.int32)[codes]
    wrong = wrong | ((offsets == NO_OFFSET) & (codes != (names.index("") if "" in names else -1)))
    met = frozenset(names[code] for code in np.unique(codes[~wrong]) if names[code])
    return Reading(np.where(wrong, MISSING_TIME, micros), wrong, offsets, met)


def _without_offsets(cells: Cells) -> np.ndarray | None:
    """Microseconds, where all cells are dates or times of the usual kind."""
    text = pc.if_else(pa.array(cells.empty), None, cells.text) if cells.empty.any() else cells.text
    try:
        pc.cast(text.slice(0, 100), pa.timestamp("us"))  # a cast that fails takes long
        micros = pc.cast(text, pa.timestamp("us"))
    except pa.ArrowInvalid:
        return None
    return pc.cast(micros, pa.int64()).fill_null(MISSING_TIME).to_numpy(zero_copy_only=False)
