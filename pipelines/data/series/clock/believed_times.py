"""Which timestamps a model believes."""

from unroll.pipelines.data.series.data import SeriesData

_YEAR = 31_556_952  # seconds
_YEARS_BEFORE, _YEARS_AFTER = 25, 100  # of the data
_ANY = 1 << 62


def believed_times(data: SeriesData) -> tuple[int, int]:
    """The first and the last timestamp that counts as a time: hardly any count of milliseconds, days or hours does.

    Numbers of steps, of data that are counted in steps, may be any.
    """
    if data.frequency.rate is not None:
        return -_ANY, _ANY
    first, last = (data.frequency.floor(data.bounds[split][end]) for split, end in (("train", 0), ("test", 1)))
    return first - _YEARS_BEFORE * _YEAR, last + _YEARS_AFTER * _YEAR
