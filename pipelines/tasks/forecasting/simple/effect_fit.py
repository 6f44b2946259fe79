"""Fits the effects of covariates, calendar and categories on what maps of the history leave."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unroll.models.series.effects.effect import Effects
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.effects.group_fit import fit_group
from unroll.pipelines.tasks.forecasting.effects.known_fit import fit_known, known_columns
from unroll.pipelines.tasks.forecasting.effects.part import Part
from unroll.pipelines.tasks.forecasting.effects.past_fit import fit_past
from unroll.pipelines.tasks.forecasting.effects.rest_fit import fit_rest
from unroll.pipelines.tasks.forecasting.windows.feed import Feed


@dataclass(frozen=True)
class EffectFit:
    """Fitted effects, each of what those before have left.

    Args:
        parts: that are better with than without on held-out blocks.
        effect: all of them, for the simple path; None where there are none.
    """

    parts: Sequence[Part]
    effect: Effects | None

    @property
    def said(self) -> str:
        """What they take off the squared error on held-out blocks, in words; empty if there are none."""
        parts = [f"{part.said} take {100 * part.gain:.0f} % off its squared error" for part in self.parts]
        return "; ".join(parts)

    @property
    def gain(self) -> float:
        """Share of the squared error that all take off on held-out blocks."""
        return 1.0 - math.prod(1 - part.gain for part in self.parts)

    def without(self, block: int) -> Effects | None:
        """The same effects beside maps that have not seen a block of the training split."""
        parts = [part.folds[block] if part.folds else part.effect for part in self.parts]
        return Effects(parts) if parts else None


def fit_effect(feed: Feed, path: SimplePath, season: int) -> EffectFit:
    """The effects that make the error on held-out blocks less.

    First of what is known of the horizon, beside a map of the series and one of their rest, then of covariates that are
    known up to now, then of each column of categories.

    Args:
        feed: of the windows.
        path: the simple forecast without an effect.
        season: the shortest of the series.
    """
    known, categories = known_columns(feed, season), feed.data.dataset_info["categories"]
    parts: list[Part] = []

    def begun() -> SimplePath:
        return path.with_effect(Effects([part.effect for part in parts]) if parts else None)

    def add(part: Part | None) -> None:
        parts.extend([part] if part else [])

    add(fit_known(feed, path, season))
    if parts:
        add(fit_rest(feed, parts[0], season))
    add(fit_past(feed, begun(), season))
    for static in range(len(categories)):
        add(fit_group(feed, begun(), known=known, season=feed.data.season, static=static))
    return EffectFit(parts, begun().effect)
