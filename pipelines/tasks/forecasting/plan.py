"""How far a forecaster looks, and how large its network is, where the configuration leaves that to the data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unroll.pipelines.data.series.data import SeriesData
from unroll.pipelines.data.series.few_steps import usual_horizon
from unroll.pipelines.tasks.forecasting.config import ForecastModelSection
from unroll.pipelines.tasks.forecasting.simple.lookback import best_lookback
from unroll.pipelines.tasks.forecasting.sizes import independent_windows, network_sizes

_LOOKBACK = 336  # steps that are read: two weeks of hours, a week of half hours
_LONGEST = 672  # that is tried, such as a week of quarter hours
_SHORT = 112  # steps: of a longer lookback half is tried, which costs less, of others twice as many
_SHORT_SEASON = 12  # steps: of shorter ones more are read


@dataclass(frozen=True)
class Plan:
    """Sizes of a forecaster.

    Args:
        section: in which none is left open.
        said: what was chosen and why, a line each.
    """

    section: ForecastModelSection
    said: list[str]

    @property
    def lookback(self) -> int:
        """Timesteps that are read."""
        assert self.section.lookback is not None
        return self.section.lookback

    @property
    def horizon(self) -> int:
        """Timesteps that are forecast."""
        assert self.section.horizon is not None
        return self.section.horizon


def plan(data: SeriesData, section: ForecastModelSection) -> Plan:
    """Chooses what a section leaves open.

    Ahead it looks a day by hours or less, two weeks by days, eight weeks, twelve months, four quarters, as far as the
    held-out splits reach. Back it looks two weeks of hours, a week of half hours, eight weeks of days, three years of
    weeks or months, as far as the training split is twice as long; or as far as another lookback, such as a year of
    days, where a linear map has clearly less error on held-out blocks by that.

    Args:
        data: the series.
        section: of the model.
    """
    said = [one] if (one := data.dataset_info.get("season_chosen")) else []
    lengths = {split: int(np.diff(data.steps(split), axis=0).max()) for split in ("train", "validation", "test")}
    horizon, lookback = section.horizon, section.lookback
    if horizon is None:
        wanted, words = usual_horizon(data.frequency)
        held_out = min(lengths["validation"], lengths["test"])
        horizon = max(1, min(wanted, held_out))
        cut = f", cut to the {held_out} of a held-out split" if horizon < wanted else ""
        said.append(f"Horizon {horizon} steps: {words}{cut} (model.horizon).")
    if lookback is None:
        lookback, words = _lookback(data, lengths["train"], horizon)
        said.append(f"Lookback {lookback} steps{words} (model.lookback).")
    section, words = network_sizes(section, independent_windows(data, horizon), horizon)
    said += [words] if words else []
    return Plan(section.model_copy(update={"lookback": lookback, "horizon": horizon}), said)


def _lookback(data: SeriesData, room: int, horizon: int) -> tuple[int, str]:
    """Steps, and why so many.

    Longer seasons are tried whether or not they are the series' own: a year of days tells what the last weeks do not,
    also where the same day of last year forecasts worse than yesterday.
    """
    season = data.season
    seasons = sorted({*data.frequency.seasons, season} - {1})
    wanted = usual_lookback(seasons, horizon)
    most = max(1, room // 2 - horizon, min(season, room - horizon - 1))
    usual = min(wanted, most)
    longer = [one for one in seasons if usual < one <= min(most, _LONGEST)]
    tried = sorted({usual, *longer, min(_other_lookback(usual, season, longer), most)})
    lookback, gain = best_lookback(data, tried, usual, horizon)
    words = f", of season {season}" if season > 1 else ""
    if usual < wanted:
        words += f", cut to the {room} training steps" if lookback == usual else ""
    if lookback != usual:
        return lookback, f"{words}: {100 * gain:.0f} % less error than {usual} on held-out blocks"
    others = " and ".join(str(one) for one in tried if one != usual)
    return lookback, f"{words}: no worse than {others} on held-out blocks" if others else words


def _other_lookback(usual: int, season: int, longer: Sequence[int]) -> int:
    """The one that is tried beside the usual one and longer seasons: twice of it, or half of it.

    Example:
        >>> [_other_lookback(*one) for one in ((56, 7, [365]), (36, 12, []), (336, 24, []), (336, 336, []))]
        [112, 72, 168, 672]
    """
    if not longer and usual > _SHORT and usual // 2 >= season:
        return usual // 2
    return max(usual, min(2 * usual, _LONGEST))


def usual_lookback(seasons: Sequence[int], horizon: int) -> int:
    """Steps that hold what there is to know: a few of the longest season that is not too long for it.

    Example:
        >>> [usual_lookback(seasons, 12) for seasons in ([24, 168], [48, 336], [7, 365], [52], [12], [400])]
        [336, 336, 56, 156, 36, 400]
    """
    fitting = [season for season in seasons if season <= _LONGEST]
    if not fitting:
        return min(_LOOKBACK, 8 * horizon)
    season = min(fitting)
    if season > _SHORT_SEASON:
        season = max((one for one in fitting if one <= _LOOKBACK), default=season)
    times = 8 if season < _SHORT_SEASON else 3
    return season * max(1, min(times, _LOOKBACK // season))
