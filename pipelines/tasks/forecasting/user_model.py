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
class SeriesFacts:
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


def user_forecaster(name: str, section: Any, facts: SeriesFacts) -> QuantileForecaster:
    """The model that the function `name` builds, in raw units.

    Raises:
        UserError: there is no such function, or what it builds is no forecaster of normalised windows.
    """
    wanted = [facts.horizon, facts.channels, len(facts.quantiles)]
    trials: list[Trial] = [(_windows(rows, facts), [rows, *wanted]) for rows in _ROWS]
    return QuantileForecaster(build_user_model(name, facts, section, trials, _CONTRACT), facts.quantiles)


def _windows(rows: int, facts: SeriesFacts) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(rows)
    steps = facts.lookback + facts.horizon
    return {
        "history": rng.normal(size=[rows, facts.lookback, facts.channels]).astype(np.float32),
        "observed": np.ones([rows, facts.lookback, facts.channels], np.float32),
        "covariates": rng.normal(size=[rows, steps, facts.covariates]).astype(np.float32),
        "static": np.zeros([rows, len(facts.categories)], np.int32),
    }
