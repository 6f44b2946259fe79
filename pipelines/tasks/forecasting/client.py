"""What the clients ask a forecasting model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unroll.errors import UserError
from unroll.serving.client.questions import Describe, Inquiry, Predict, question
from unroll.serving.protocol.arguments import check_list, shown


@dataclass(frozen=True)
class Forecast:
    """What a forecasting model expects, in the series' own units.

    Args:
        forecast: float `[n, horizon, targets]`.
        quantiles: the same shape by level, such as 0.1 and 0.9 for the ends of the 80 % interval.
        version: of the model that answered.
        request_id: to match what happens later.
    """

    forecast: NDArray[Any]
    quantiles: dict[float, NDArray[Any]]
    version: int
    request_id: str


@question
def forecast(
    history: Sequence[ArrayLike],
    timestamp: ArrayLike | None = None,
    series: Sequence[str] | None = None,
    future: ArrayLike | None = None,
    static: Sequence[Sequence[str]] | None = None,
) -> Inquiry[Forecast]:
    """Asks a forecasting model.

    Args:
        history: of each series the newest steps, `[T, columns]` or, of one column, `[T]`, in raw units with NaN
            for what is missing; lengths may differ.
        timestamp: int `[n]`, Unix seconds of each series' newest step.
        series: `[n]`, names of the series, for monitoring.
        future: float `[n, horizon, future covariates]`, where the model has such.
        static: `[n, categories]`, where the model has such.

    Example:
        >>> answer = client.forecast([[412.0, 398.5, float("nan"), 405.1]])  # doctest: +SKIP
        >>> answer.forecast[0, :, 0], answer.quantiles[0.9][0, :, 0]  # doctest: +SKIP
    """
    inputs: dict[str, ArrayLike] = {"history": histories(history)}
    optional = {"timestamp": timestamp, "series": series, "future": future, "static": static}
    inputs.update((name, given) for name, given in optional.items() if given is not None)
    answer = yield Predict(inputs)
    description = yield Describe(answer.version)
    by_level = {level: answer["quantiles"][..., index] for index, level in enumerate(description["quantiles"])}
    return Forecast(answer["forecast"], by_level, answer.version, answer.request_id)


def histories(series: Sequence[ArrayLike]) -> NDArray[np.float32]:
    """Stacks histories `[T, columns]`, or `[T]` of one column, to `[n, longest T, columns]`, with NaN before the short.

    Raises:
        UserError: one holds more than numbers, or they differ in their columns.
    """
    check_list("history", series, "series, each a list of numbers")
    arrays = [_history(position, one) for position, one in enumerate(series)]
    if len({array.shape[1:] for array in arrays}) > 1:
        raise UserError(f"histories have different columns: {sorted({array.shape[1:] for array in arrays})}")
    longest = max((len(array) for array in arrays), default=0)
    padded = [np.pad(one, ((longest - len(one), 0), (0, 0)), constant_values=np.nan) for one in arrays]
    return np.stack(padded) if padded else np.empty((0, 0, 0), np.float32)


def _history(position: int, given: ArrayLike) -> NDArray[np.float32]:
    try:
        array = np.asarray(given, np.float32)
    except (TypeError, ValueError):
        array = np.empty((), np.float32)
    if array.ndim not in (1, 2):
        raise UserError(f"history {position}: expected numbers [T] or [T, columns], received {shown(given)}")
    return array if array.ndim == 2 else array[:, None]
