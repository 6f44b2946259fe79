"""One of the effects that a simple forecast adds to its maps of the history."""

from collections.abc import Callable
from dataclasses import dataclass

from unroll.models.series.effects.effect import Effect
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.windows.feed import Feed


@dataclass(frozen=True)
class Part:
    """A fitted effect.

    Args:
        again: fits it to the training split of other windows beside a simple forecast, with the same terms and penalty.
        effect: of the training split.
        gain: share of the squared error that it takes off on held-out blocks.
        blocks: that were held out.
        said: what it is of.
    """

    again: Callable[[Feed, SimplePath], Effect]
    effect: Effect
    gain: float
    blocks: int
    said: str
