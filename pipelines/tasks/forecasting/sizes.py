"""How large a network is, where the configuration leaves that to the data."""

from unroll.pipelines.data.series.data import SeriesData
from unroll.pipelines.tasks.forecasting.config import ForecastModelSection
from unroll.pipelines.training.schedule.epochs import DefaultEpochs

_FEW = 200  # independent windows, below which little can be learnt beside the simple forecast
_APART = 12  # steps between windows that are independent, unless the horizon is shorter
_USUAL = {"units": 32, "members": 3}
_SMALL = {"units": 8, "members": 2}
_SEGMENT = 48
_EPOCHS = 3
_PATIENCE = 20  # epochs of a small data set, each of which takes a second or two


def independent_windows(data: SeriesData, horizon: int) -> int:
    """Windows of the train split that tell something new, about: of each target one every dozen steps.

    Args:
        data: the series.
        horizon: steps that are forecast.
    """
    begin, end = data.steps("train")
    return int((end - begin).sum()) * data.targets // min(horizon, _APART)


def network_sizes(section: ForecastModelSection, windows: int, horizon: int) -> tuple[ForecastModelSection, str]:
    """A section in which no size is left open, and what was decided, in a line; empty if nothing was.

    Args:
        section: what it names is kept.
        windows: independent ones.
        horizon: steps that are forecast.

    Example:
        >>> network_sizes(ForecastModelSection(members=1), 30, 12)[1]
        'For about 30 independent windows: model.units=8, model.segment=12.'
    """
    few = windows < _FEW
    sizes = dict(_SMALL if few else _USUAL) | {"segment": min(_SEGMENT, horizon) if few else _SEGMENT}
    chosen = {key: size for key, size in sizes.items() if getattr(section, key) is None}
    if not chosen or section.build:
        return section.model_copy(update=chosen), ""
    named = ", ".join(f"model.{key}={size}" for key, size in chosen.items())
    return section.model_copy(update=chosen), f"For about {windows:,} independent windows: {named}."


def default_epochs(windows: int, passes: int) -> DefaultEpochs:
    """How long a training lasts, and how long it waits for a better validation score.

    Args:
        windows: independent ones.
        passes: over the train split, in an epoch.
    """
    reason = f"each of {passes} passes" if passes > 1 else ""
    return DefaultEpochs(_EPOCHS, reason, patience=_PATIENCE if windows < _FEW else None)
