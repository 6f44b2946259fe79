"""A forecaster of the user's own: `model.build`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from unroll.models.series.quantile_forecaster import QuantileForecaster
from unroll.pipelines.user_code.models import Trial, build_user_model

_CONTRACT = (
    "A forecasting model takes any of history and observed [batch, lookback, channels], covariates "
    "[batch, lookback + horizon, covariates] and static [batch, categories], and returns quantiles, float32 "
    "[batch, horizon, channels, quantiles]: docs/forecasting.md"
)
_ROWS = (2, 3)


@dataclass(frozen=True)
class SeriesInfo:
    """What a forecaster must know of the data.

    Args:
        lookback: timesteps that are read.
        horizon: timesteps that are forecast.
        channels: of the series.
        covariates: features beside the series, those of the calendar included; 0 for none.
        categories: of each static category the number of ids, 0 (unknown) included.
        quantiles: levels, rising.
    """

    lookback: int
    horizon: int
    channels: int
    covariates: int
    categories: tuple[int, ...]
    quantiles: tuple[float, ...]


def user_forecaster(name: str, section: Any, info: SeriesInfo) -> QuantileForecaster:
    """The model that the function `name` builds, in raw units.

    Raises:
        UserError: there is no such function, or what it builds is not a forecaster of normalised windows.
    """
    wanted = [info.horizon, info.channels, len(info.quantiles)]
    trials: list[Trial] = [(_windows(rows, info), [rows, *wanted]) for rows in _ROWS]
    return QuantileForecaster(build_user_model(name, info, section, trials, _CONTRACT), info.quantiles)


def _windows(rows: int, info: SeriesInfo) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(rows)
    steps = info.lookback + info.horizon
    return {
        "history": rng.normal(size=[rows, info.lookback, info.channels]).astype(np.float32),
        "observed": np.ones([rows, info.lookback, info.channels], np.float32),
        "covariates": rng.normal(size=[rows, steps, info.covariates]).astype(np.float32),
        "static": np.zeros([rows, len(info.categories)], np.int32),
    }
