"""Times that a file keeps as such, and what it keeps that is not times."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unroll.monitoring.times.forms.reading import Reading
from unroll.monitoring.times.instants import MISSING_TIME

_EXACT = 1 << 24  # of whole numbers in float32
_WRITTEN = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_null,
)


def read_native(values: pa.Array) -> Reading | None:
    """Times of timestamps and dates; None of what has to be read.

    Args:
        values: of any type.
    """
    kind = values.type
    if pa.types.is_date(kind):
        return Reading(_microseconds(values.cast(pa.timestamp("us"))), np.zeros(len(values), bool))
    if not pa.types.is_timestamp(kind):
        return None
    written = frozenset([kind.tz] if kind.tz else [])
    return Reading(_microseconds(values), np.zeros(len(values), bool), _offsets(values) if kind.tz else None, written)


def misfit(values: pa.Array) -> str | None:
    """Why values can be no times, whatever they are; None where they may be some."""
    kind = values.type
    if pa.types.is_time(kind):
        return "holds times of day without their day. Name the column of the days before it: data.time=[DAY,TIME]"
    if pa.types.is_float32(kind) and (pc.max(pc.abs(values)).as_py() or 0) > _EXACT:
        return "holds float32, which keep seven digits: too few for times. Write them as float64, or as timestamps"
    if not any(test(kind) for test in _WRITTEN):
        return f"holds {kind}, not times. Name the column of times with --set data.time=..."
    return None


def _microseconds(values: pa.Array) -> np.ndarray:
    whole = pc.cast(values, pa.timestamp("us", values.type.tz), safe=False).cast(pa.int64())
    return whole.fill_null(MISSING_TIME).to_numpy(zero_copy_only=False)


def _offsets(values: pa.Array) -> np.ndarray:
    """Seconds east of UTC of timestamps with a zone, int32."""
    utc = pc.cast(values, pa.timestamp("s", values.type.tz), safe=False)
    local = pc.cast(pc.local_timestamp(utc), pa.int64())
    east = pc.subtract(local, pc.cast(utc, pa.int64()))
    return east.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int32)
