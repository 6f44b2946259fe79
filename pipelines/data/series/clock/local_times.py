"""The clock of a table of series: from times as they are written to instants."""

from dataclasses import dataclass, field

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.times.civil import DAY
from unroll.monitoring.times.clock import Clock, known_between
from unroll.monitoring.times.inference import typical_step
from unroll.monitoring.times.zones import KNOWN, fitting_zones, learn_clock
from unroll.pipelines.data.series.table import SeriesTable

_HOUR = 3600
_WITHIN_A_DAY = 20 * _HOUR
_EXPLAINED = 0.9  # of the times that come twice, that a change of clocks must explain
_SAMPLE = 5000  # instants from which a zone is guessed


@dataclass
class Settled:
    """Instants of a table's rows, and the clock of its calendar.

    Args:
        clock: of the series.
        told: what was inferred, in words.
    """

    clock: Clock
    told: list[str] = field(default_factory=list)


def settle(table: SeriesTable, clock: Clock | None) -> Settled:
    """Finds the clock of a table, and turns the times that it was written by into instants.

    Args:
        table: its `times` become Unix seconds; rows at times that the clock never shows are left out.
        clock: that is given; None learns it from UTC offsets, or takes the zone that the cells name.

    Raises:
        UserError: no clock fits, or the times look as if they were written by one that is not named.
    """
    if table.offsets is not None:
        if clock is not None:
            return Settled(clock, _foreign(table, clock))
        learnt = learn_clock(table.times, table.offsets, table.zones)
        if not learnt.clock.changes:
            _check_midnights(table, learnt.clock)
        return Settled(learnt.clock, [learnt.told] if learnt.told else [])
    if clock is None and len(table.zones) == 1:
        clock = Clock.of(table.zones[0])
    if clock is None:
        _check_repeated(table)
        return Settled(Clock(), _skipped_hour(table))
    if not clock.name or clock.name == "UTC":
        return Settled(clock)
    return Settled(clock, _localise(table, clock))


def _foreign(table: SeriesTable, clock: Clock) -> list[str]:
    """Says where a clock that never changes is asked about times of one that does."""
    assert table.offsets is not None
    if clock.changes or clock.name in ("", "UTC") or not (table.offsets != clock.offsets[0]).any():
        return []
    other = Clock.fixed(int(table.offsets[table.offsets != clock.offsets[0]][0])).name.removeprefix("UTC")
    return [
        f"Times with the UTC offset {other}, which the clock {clock.name} of the model never has: its calendar is as "
        "far beside theirs. Train with data.timezone, as in --set data.timezone=Europe/Berlin."
    ]


def _localise(table: SeriesTable, clock: Clock) -> list[str]:
    """Reads times without an offset by a clock."""
    shown, told = table.times, [f"Times have no UTC offset and are read by the clock of {clock.name}."]
    instants = clock.instants(shown)
    rows = np.flatnonzero(clock.repeated(shown))
    order = np.lexsort((rows, shown[rows], table.codes[rows]))
    rows = rows[order]
    same = (np.diff(shown[rows]) == 0) & (np.diff(table.codes[rows]) == 0)
    twice = np.append(same, False) | np.append(False, same)[: len(rows)]
    second = np.append(False, same)[: len(rows)]
    if len(rows):
        steps = np.diff(shown[table.codes == table.codes[rows[0]]])
        if (steps < 0).sum() > (steps > 0).sum():  # newest first
            second = np.append(same, False)[: len(rows)]
        instants[rows[second]] = clock.instants(shown[rows[second]], later=True)
        if twice.any():
            count = int(second.sum())
            told.append(f"{count} local time{'s' * (count > 1)} that came twice as clocks were set back, told apart.")
        if not twice.all() and _within_a_day(table):
            once = rows[~twice]
            example = str(np.datetime64(int(shown[once].max()), "s").astype("datetime64[m]")).replace("T", " ")
            told.append(
                f"{len(once)} row{'s' * (len(once) > 1)} in an hour that comes twice as clocks are set back, such as "
                f"{example}, taken for the first of both. Where it is the second, write the UTC offset."
            )
    skipped = clock.skipped(shown)
    if skipped.any() and _within_a_day(table):
        first = str(np.datetime64(int(shown[skipped][0]), "s")).replace("T", " ")
        if not twice.any():
            standard = Clock.fixed(int(clock.offset(np.asarray(clock.instants(shown[skipped][:1])[0] - DAY))))
            raise UserError(
                f"{first} is a time that clocks in {clock.name} skipped, and no time comes twice where they were set "
                "back: the rows were written by a clock that is not changed. Name it, as in --set "
                f"data.timezone={standard.name}"
            )
        told.append(f"{int(skipped.sum())} rows at times that the clock skipped, such as {first}, left out.")
        table.keep(~skipped)
        instants = instants[~skipped]
    table.times = instants
    return told


def _within_a_day(table: SeriesTable) -> bool:
    steps = np.diff(np.unique(table.times[table.codes == table.codes[0]]))
    return len(steps) > 0 and typical_step(steps) < _WITHIN_A_DAY


def _check_repeated(table: SeriesTable) -> None:
    """Refuses times that come twice where clocks are set back: one of the two hours would be lost."""
    repeated = _repeated(table)
    if not len(repeated) or not _within_a_day(table):
        return
    first, last = int(repeated.min()), int(repeated.max())
    for name in KNOWN:
        if known_between(name, first - 2 * DAY, last + 2 * DAY).repeated(repeated).mean() >= _EXPLAINED:
            example = str(np.datetime64(int(repeated[0]), "s").astype("datetime64[m]")).replace("T", " ")
            raise UserError(
                f"{example} comes twice, as where clocks are set back in {name}, and times have no UTC offset. Name "
                f"their zone, as in --set data.timezone={name}; where rows are repeated for another reason, --set "
                "data.timezone=UTC takes the last of each"
            )


def _skipped_hour(table: SeriesTable) -> list[str]:
    """A hint at the zone of clocks that were set forward where the rows leave out an hour, and nowhere else did so."""
    if not _within_a_day(table):
        return []
    times = np.unique(table.times[table.codes == table.codes[0]])
    steps = np.diff(times)
    step = typical_step(steps)
    if step > _HOUR:
        return []
    before = times[:-1][steps == step + _HOUR]
    if not len(before):
        return []
    for name in KNOWN:
        clock = known_between(name, int(times[0]), int(times[-1]))
        changes = clock.transitions[np.diff(clock.offsets) == _HOUR]
        begun = changes + clock.offset(changes - 1)  # the times that are skipped
        begun = begun[(begun > times[0]) & (begun < times[-1])]
        if len(begun) and np.isin(begun, before + step).all():
            shown = str(np.datetime64(int(begun[0]), "s").astype("datetime64[m]")).replace("T", " ")
            return [
                f"No rows from {shown} on for an hour, which clocks skipped in {name}: if the times are read off such "
                f"a clock, name its zone: --set data.timezone={name}"
            ]
    return []


def _repeated(table: SeriesTable) -> np.ndarray:
    """Times that come more than once in a series, once each."""
    codes, times = table.codes, table.times
    same, back = np.diff(codes) == 0, np.diff(times)
    if not (np.diff(codes) < 0).any() and not (same & (back <= 0)).any():
        return times[:0]
    order = np.lexsort((times, codes))
    codes, times = codes[order], times[order]
    return np.unique(times[1:][(np.diff(codes) == 0) & (np.diff(times) == 0)])


def _check_midnights(table: SeriesTable, clock: Clock) -> None:
    """Refuses days that begin at 22:00 or 23:00 UTC, as an export of local midnights does: they are other days."""
    times = np.unique(table.times[table.codes == table.codes[0]])
    if len(times) < 3 or typical_step(np.diff(times)) < _WITHIN_A_DAY:
        return
    of_day = clock.local(times) % DAY
    if len(np.unique(of_day)) != 2 or (np.ptp((of_day + DAY // 2) % DAY) > 7200 and np.ptp(of_day) > 7200):
        return
    offsets = (-of_day + 10 * 3600) % DAY - 10 * 3600 + clock.offsets[0]
    fitting = fitting_zones(times[-_SAMPLE:], offsets[-_SAMPLE:])
    if fitting:
        told = " and ".join(f"{int(one) // 3600:02}:{int(one) % 3600 // 60:02}" for one in np.unique(of_day))
        raise UserError(
            f"rows lie at {told} by {clock.name}, as midnights of {fitting[0]} do. Name their zone, as in --set "
            f"data.timezone={fitting[0]}, or --set data.timezone={clock.name} if days do begin then"
        )
