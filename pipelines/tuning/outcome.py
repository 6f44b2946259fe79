"""What a search found, and how much of it holds where nothing was chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from unroll.errors import UserError
from unroll.pipelines.terminal import rounded
from unroll.pipelines.tuning.search import CHECKS, DEFAULTS


@dataclass(frozen=True)
class Outcome:
    """The best of a search's trials beside the defaults; losses, so smaller is better.

    Args:
        trials: that are complete or were pruned.
        values: the best trial's, by key; none where the defaults are best.
        chosen: validation loss of the best trial and of the defaults, on the blocks that chose.
        gain: on the blocks on which nothing was chosen, as a share of the defaults' mean loss there: mean, and the ends
            of its 95 % interval over blocks; NaN where there are none.
        holds: whether that mean is a gain at all; else the defaults are trained.
    """

    trials: int
    values: Mapping[str, Any]
    chosen: tuple[float, float]
    gain: tuple[float, float, float]

    @property
    def holds(self) -> bool:
        return bool(self.values) and not self.gain[0] <= 0

    def lines(self) -> list[str]:
        """What a person should know of it."""
        if not self.values:
            return [
                f"No better settings than the defaults in {self.trials} trials (validation loss "
                f"{rounded(self.chosen[1])}): the defaults are trained."
            ]
        best, default = self.chosen
        settings = ", ".join(f"{key}={_shown(value)}" for key, value in self.values.items())
        lines = [
            f"Best of {self.trials} trials: {settings}",
            f"On the half of the validation split that chose it, the loss is {rounded(best)}, that of the defaults "
            f"{rounded(default)} ({_percent(_less(best, default))}).",
        ]
        mean, low, high = self.gain
        if np.isnan(mean):
            return [*lines, "The validation split is too small to be checked on a part that did not choose."]
        held = f"On the other half, on which nothing was chosen, {_percent(mean)}"
        if not np.isnan(low):
            held += f" (95 % interval {_percent(low)} to {_percent(high)})"
        if mean <= 0:
            return [*lines, f"{held}: nothing of the gain holds, so the defaults are trained."]
        share = min(1.0, mean / max(_less(best, default), 1e-12))
        doubt = "; that may be chance" if not low > 0 else ""
        return [*lines, f"{held}: {share:.0%} of the gain survives{doubt}."]

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "trials": self.trials,
            "values": dict(self.values),
            "loss": self.chosen[0],
            "loss_of_defaults": self.chosen[1],
            "gain_checked": _finite(self.gain[0]),
            "gain_interval": [_finite(end) for end in self.gain[1:]],
            "holds": self.holds,
        }


def outcome(trials: Sequence[FrozenTrial]) -> Outcome:
    """Compares the best trial with the defaults, block by block.

    Args:
        trials: complete or pruned, of one study.

    Raises:
        UserError: not even the defaults' trial is complete.
    """
    complete = [(one.value, one) for one in trials if one.state == TrialState.COMPLETE and one.value is not None]
    default = next(((loss, one) for loss, one in complete if one.user_attrs.get(DEFAULTS)), None)
    if default is None:
        raise UserError(
            "the time is up before a first model was trained. Give more --minutes, or a part of them to each trial: "
            "--set train.minutes=2"
        )
    best = min(complete, key=lambda one: one[0])
    return Outcome(
        trials=len(trials),
        values={} if best[1].user_attrs.get(DEFAULTS) else best[1].params,
        chosen=(best[0], default[0]),
        gain=_gain(best[1].user_attrs[CHECKS], default[1].user_attrs[CHECKS]),
    )


def _less(loss: float, default: float) -> float:
    """By how much a loss is less than another, as a share of that; in whole where that is nothing."""
    return (default - loss) / (abs(default) or 1.0)


def _gain(best: Sequence[float], default: Sequence[float]) -> tuple[float, float, float]:
    """Mean of the blocks' gains, and its 95 % interval by Student's t.

    They are shares of the defaults' mean loss: a block by itself may hold nothing that was answered wrongly.
    """
    from scipy.stats import t

    if not best or not default:
        return np.nan, np.nan, np.nan
    scale = abs(float(np.mean(default))) or 1.0
    gains = [(other - one) / scale for one, other in zip(best, default, strict=False)]
    mean = float(np.mean(gains))
    if len(gains) < 3:
        return mean, np.nan, np.nan
    half = float(t.ppf(0.975, len(gains) - 1) * np.std(gains, ddof=1) / np.sqrt(len(gains)))
    return mean, mean - half, mean + half


def _percent(gain: float) -> str:
    return f"{abs(gain):.1%} {'less' if gain >= 0 else 'more'}"


def _shown(value: Any) -> str:
    return rounded(value) if isinstance(value, float) else str(value)


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else value
