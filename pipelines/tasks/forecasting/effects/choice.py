"""Which terms of an effect are used, and with which penalty, as held-out blocks have it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unroll.pipelines.tasks.forecasting.effects.sums import Sums

PENALTIES = 10.0 ** np.arange(-5, 1.5, 0.5)  # of the squared weights of standardised terms, a target
_LEAST = 0.01  # of a gain
_ERRORS = 0.5  # standard errors of it over blocks, that it is at least


@dataclass(frozen=True)
class Choice:
    """A ridge regression.

    Args:
        penalty: of the squared weights of standardised terms, a target.
        used: bool `[M]`, its terms.
        gain: share of the squared error that it takes off on held-out blocks.
        errors: mean squared errors of them.
    """

    penalty: float
    used: np.ndarray
    gain: float
    errors: np.ndarray

    def weights(self, sums: Sums, scale: np.ndarray) -> np.ndarray:
        """Of the terms, whose scale is `[M]`."""
        return sums.solve(self.penalty, np.where(self.used, scale, np.inf))


def choose(
    folds: Sequence[tuple[Sums, Sums]],
    scale: np.ndarray,
    candidates: Sequence[np.ndarray],
    groups: Sequence[np.ndarray],
    base: np.ndarray | None = None,
) -> Choice | None:
    """The terms and the penalty with the least error on held-out blocks; None where none clearly pays.

    Args:
        folds: what is fitted on, and what judges it.
        scale: of the terms `[M]`.
        candidates: terms that are tried, bool `[M]` each.
        groups: terms of one covariate each; those without which the blocks are forecast no worse are left out.
        base: terms that must be beaten by the others, if they have an effect by themselves.
    """

    def errors(used: np.ndarray, penalty: float) -> np.ndarray:
        chosen = np.where(used, scale, np.inf)
        return np.array([held_out.error(fitted.solve(penalty, chosen)) for fitted, held_out in folds])

    if not folds:
        return None
    before = errors_without(folds)
    if base is not None:
        before = min((before, *(errors(base, penalty) for penalty in PENALTIES)), key=np.mean)
    best: Choice | None = None
    for used in candidates:
        for penalty in PENALTIES:
            after = errors(used, penalty)
            gains = gains_of(before, after)
            if pays(gains) and gains.mean() > (best.gain if best else 0.0):
                best = Choice(float(penalty), used, float(gains.mean()), after)
    return None if best is None else _without_idle(best, groups, errors, before)


def errors_without(folds: Sequence[tuple[Sums, Sums]]) -> np.ndarray:
    """Mean squared errors of held-out blocks where nothing is added."""
    return np.array([held_out.error(np.zeros_like(held_out.cross)) for _, held_out in folds])


def gains_of(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """What each held-out block gains, as a share of the mean error before."""
    return (before - after) / max(float(before.mean()), 1e-12)


def pays(gains: np.ndarray) -> bool:
    """Whether a gain on each held-out block is one beyond chance."""
    return bool(gains.mean() > max(_LEAST, _ERRORS * gains.std() / np.sqrt(len(gains))))


def _without_idle(
    best: Choice, groups: Sequence[np.ndarray], errors: Callable[[np.ndarray, float], np.ndarray], before: np.ndarray
) -> Choice:
    """Without the groups that each alone, and all together, can be left out."""

    def gain(used: np.ndarray) -> float:
        return 1 - float(errors(used, best.penalty).mean()) / max(float(before.mean()), 1e-12)

    if len(groups) < 2:
        return best
    idle = [group for group in groups if (group & best.used).any() and gain(best.used & ~group) >= best.gain]
    used = best.used & ~np.any(idle, axis=0) if idle else best.used
    found = gain(used) if idle and used.any() else -np.inf
    return Choice(best.penalty, used, found, errors(used, best.penalty)) if found >= best.gain else best
