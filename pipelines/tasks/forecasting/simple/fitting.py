"""The simple forecast of a data set, fitted in closed form, and the ridge map beside it."""

from dataclasses import dataclass
from typing import Any

from unroll.models.series.baselines import RidgeMap
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.simple.effect_fit import fit_effect
from unroll.pipelines.tasks.forecasting.simple.history_map import fit_history_map
from unroll.pipelines.tasks.forecasting.simple.moments import Blocks, Moments
from unroll.pipelines.tasks.forecasting.simple.ridge import MAX_WINDOWS, fit_ridge
from unroll.pipelines.tasks.forecasting.windows.feed import Feed

_BATCH = 256
_BLOCKS = 4  # of the training split


@dataclass(frozen=True)
class SimpleFit:
    """Forecasts in closed form.

    Args:
        ridge: the map by ridge regression alone, a baseline.
        path: the simple forecast.
        info: how it came about, plain JSON.
        said: a line on it.
    """

    ridge: RidgeMap
    path: SimplePath
    info: dict[str, Any]
    said: str


def fit_simple(feed: Feed) -> SimpleFit:
    """Fits on the training windows what held-out blocks of them, and the validation windows, are forecast best by.

    Args:
        feed: of the windows.
    """
    lookback, horizon = feed.features.lookback, feed.features.horizon
    begin, end = feed.data.bounds["train"]
    blocks = Blocks(begin, end, _BLOCKS, lookback, horizon)
    for window in feed.aligned("train", _BATCH, stride=feed.stride("train", MAX_WINDOWS)):
        blocks.add(feed.steps(window), {name: tensor.numpy() for name, tensor in window.items()})
    validation = feed.aligned("validation", _BATCH, stride=feed.stride("validation", MAX_WINDOWS))
    held_out = Moments.of(validation.as_numpy_iterator(), lookback, horizon)
    seasons = sorted({*feed.data.frequency.seasons, feed.data.season})
    found = fit_history_map(blocks, held_out, seasons)
    history_map = RidgeMap(found.kernel)
    late = next((season for season in seasons if 1 < season <= lookback), 1)
    fitted = fit_effect(feed, history_map, late)
    info = {"begun": found.begun, "penalty": found.penalty, "blocks": found.blocks, "covariates_gain": fitted.gain}
    said = f"The simple forecast is {found.said}, by {found.blocks} held-out blocks"
    if fitted.effect is not None:
        said += f"; covariates and calendar take {100 * fitted.gain:.0f} % off its squared error"
    return SimpleFit(
        RidgeMap(fit_ridge(blocks.whole, held_out).kernel), SimplePath(history_map, fitted.effect), info, f"{said}."
    )
