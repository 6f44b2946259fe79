"""How far a forecaster looks back and ahead, where the configuration leaves that to the data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unroll.pipelines.data.series.data import SeriesData
from unroll.pipelines.data.series.few_steps import usual_horizon

_LOOKBACK = 336  # steps that are read: two weeks of hours, a week of half hours
_LONGEST = 672  # of a season that the lookback is to hold, such as a week of quarter hours
_SHORT_SEASON = 12  # steps: of shorter ones more are read


@dataclass(frozen=True)
class Plan:
    """Sizes of a forecaster.

    Args:
        lookback: timesteps that are read.
        horizon: timesteps that are forecast.
        said: what was chosen and why, a line each.
    """

    lookback: int
    horizon: int
    said: list[str]


def plan(data: SeriesData, lookback: int | None, horizon: int | None) -> Plan:
    """Chooses what is None.

    Ahead it looks a day by hours or less, two weeks by days, eight weeks, twelve months, four quarters, as far as the
    held-out splits reach. Back it looks two weeks of hours, a week of half hours, eight weeks of days, three years of
    weeks or months, and at least a season, as far as the training split is twice as long.

    Args:
        data: the series.
        lookback: `model.lookback`.
        horizon: `model.horizon`.
    """
    said = [one] if (one := data.dataset_info.get("season_chosen")) else []
    lengths = {split: int(np.diff(data.steps(split), axis=0).max()) for split in ("train", "validation", "test")}
    if horizon is None:
        wanted, words = usual_horizon(data.frequency)
        horizon = max(1, min(wanted, lengths["validation"], lengths["test"]))
        cut = (
            f", cut to the {min(lengths['validation'], lengths['test'])} of a held-out split"
            if horizon < wanted
            else ""
        )
        said.append(f"Horizon {horizon} steps: {words}{cut} (model.horizon).")
    if lookback is None:
        season, room = data.season, lengths["train"]
        wanted = max(season, usual_lookback(data.frequency.seasons, horizon))
        lookback = max(1, min(wanted, max(room // 2 - horizon, min(season, room - horizon - 1))))
        cut = f", cut to the {room} training steps" if lookback < wanted else ""
        said.append(f"Lookback {lookback} steps, the season being {season}{cut} (model.lookback).")
    return Plan(lookback, horizon, said)


def usual_lookback(seasons: Sequence[int], horizon: int) -> int:
    """Steps that hold what there is to know: a few of the longest season that is not too long for it.

    Example:
        >>> [usual_lookback(seasons, 12) for seasons in ([24, 168], [48, 336], [7, 365], [52], [12])]
        [336, 336, 56, 156, 36]
    """
    fitting = [season for season in seasons if season <= _LONGEST]
    if not fitting:
        return min(_LOOKBACK, 8 * horizon)
    season = max(one for one in fitting if one <= _LOOKBACK) if min(fitting) > _SHORT_SEASON else min(fitting)
    times = 8 if season < _SHORT_SEASON else 3
    return season * max(1, min(times, _LOOKBACK // season))
