"""Times of day that end behind a line, as in 13:00-14:00, which look like UTC offsets."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_ENDED = r"(?P<h>\d\d?):(?P<m>\d\d) ?[-\x{2013}] ?(?P<H>\d\d?):(?P<M>\d\d)$"
_END = r" ?[-\x{2013}] ?\d\d?:\d\d$"
_HOURS = 24 * 60


def without_ends(text: pa.Array) -> pa.Array:
    """Texts without the ends of intervals, where all have one that is as long after its start.

    Args:
        text: trimmed, "" where there is none.

    Example:
        >>> without_ends(pa.array(["2026-01-31 13:00-14:00", "2026-01-31 14:00-15:00"])).to_pylist()
        ['2026-01-31 13:00', '2026-01-31 14:00']
        >>> without_ends(pa.array(["2026-01-31 13:00-05:00", "2026-01-31 14:00-05:00"])).to_pylist()
        ['2026-01-31 13:00-05:00', '2026-01-31 14:00-05:00']
    """
    first = next((one for one in text.slice(0, 10).to_pylist() if one), "")
    if not pc.match_substring_regex(pa.scalar(first), _ENDED).as_py():
        return text
    found = pc.extract_regex(text, _ENDED)
    there = pc.not_equal(text, "")
    if not pc.all(pc.equal(found.is_valid(), there)).as_py():
        return text
    found = found.drop_null()
    hour, minute, end_hour, end_minute = (pc.cast(found.field(name), pa.int64()).to_numpy() for name in "hmHM")
    starts, ends = hour * 60 + minute, end_hour * 60 + end_minute
    if len(np.unique((ends - starts) % _HOURS)) > 1 or len(np.unique(ends)) == 1:
        return text
    return pc.replace_substring_regex(text, _END, "")
