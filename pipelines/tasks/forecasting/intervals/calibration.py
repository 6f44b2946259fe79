"""Calibration of intervals on held-out blocks of time, pooled over steps, channels and series.

Windows that overlap tell nearly the same, so blocks of time are what is exchangeable, and few of them are: a validation
split of one season says how wrong forecasts are in that season. Earlier blocks count too, the less the older they are
(weighted as in Barber et al. 2023, "Conformal prediction beyond exchangeability").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unroll.models.series.intervals import Spread

_FADING = 0.85  # weight of a block by that of the next; with the next chosen on train and validation rows of small sets
_OWN = 10  # independent windows of the validation split that quarter it: where it is long, it speaks for itself
_APART = 3.0  # times the median, or a third of it: the most that the errors of one block count as
_STEPS = 10  # independent windows that speak for a spread that grows evenly with the step, and for all channels alike
_SYMMETRIC = 3  # that speak for errors as large below as above
_PRIOR = 15  # that speak against the network's quantiles
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOST = 0.8  # share of |e| whose bound is how far errors spread: a few wild windows of a block do not decide
_WILD = 5.0  # sizes that an error counts as at most, such as after a window that stood still
_WIDENED = (0.5, 4.0)


@dataclass(frozen=True)
class Block:
    """Errors of forecasts of one block of time, which these were not fitted on.

    Args:
        errors: float `[windows, horizon, channels]`, actual minus forecast by `error_scale`; NaN where missing.
        steps: int `[windows]`, places of the windows in time, in steps.
    """

    errors: np.ndarray
    steps: np.ndarray

    @property
    def independent(self) -> float:
        """Windows that do not overlap."""
        horizon = self.errors.shape[1]
        return float(np.ptp(self.steps) + horizon) / horizon


@dataclass(frozen=True)
class Calibration:
    """How the intervals came about.

    Args:
        spread: of the quantiles around the forecast.
        blocks: of time that were looked at.
        widened: the spread of errors that is expected, by that on the validation split.
    """

    spread: Spread
    blocks: int
    widened: float

    @property
    def info(self) -> dict[str, float]:
        """For the model card."""
        return {"blocks": self.blocks, "widened": round(self.widened, 3), "network": self.spread.share}

    @property
    def said(self) -> str:
        """A line on it."""
        count = f"{self.blocks} held-out blocks" if self.blocks > 1 else "the validation split"
        line = f"Intervals are calibrated on {count} of time"
        if self.blocks > 1:
            line += f": errors spread {self.widened:.2f} times as far as on the validation split"
        return f"{line}; {self.spread.share:.0%} of their shape is the network's.".replace("%", " %")


def calibrate(
    validation: Block,
    quantile_errors: np.ndarray,
    comparable: Block,
    earlier: Sequence[Block],
    levels: Sequence[float],
    season: int = 1,
) -> Calibration:
    """The spread of quantiles that held-out blocks ask for.

    With e = (actual - forecast) / scale, quantile q of step h and channel c lies at s s_h s_c z_q W scale from the
    forecast. s is what 80 % of |e| are within on the validation split, as the served forecast has it, and s_h and s_c
    say how |e| differs by step and channel; z_q is the quantile of what is left of e. W is the ratio of the s that is
    expected to that of the validation split, both of the simple forecast, which is all that earlier blocks know:
    expected is exp(m + v / 2), where m and v are the weighted mean and variance of the blocks' log s, none of which
    counts as more than three times the median or less than a third, so that one unlike the others does not decide.

    What few independent windows n say is shrunk by n / (n + k): s_h towards a power of h, s_c towards 1, z_q towards
    one that is symmetric, and what of the network's quantiles goes into the answer towards nothing. The more the
    validation split has, the less earlier blocks weigh.

    Args:
        validation: errors of the served forecast.
        quantile_errors: float `[windows, horizon, channels, levels]`, actual minus the network's quantiles around the
            served forecast, as `validation.errors`.
        comparable: errors of the simple forecast on the same windows.
        earlier: errors of the simple forecast on blocks before, the oldest first.
        levels: of the quantiles.
        season: of the scale that errors are in.

    Example:
        >>> errors = np.random.default_rng(0).normal(size=[5000, 1, 1])
        >>> block = Block(errors, np.arange(5000))
        >>> calibrate(block, np.stack([errors] * 3, axis=-1), block, [], [0.1, 0.5, 0.9]).spread.errors.round(1)
        array([[[-1.3,  0. ,  1.3]]])
    """
    blocks = [block for block in (*earlier, comparable) if _any(block.errors)]
    if not blocks:
        nothing = np.zeros([*validation.errors.shape[1:], len(levels)])
        return Calibration(Spread(nothing, nothing[0], share=1.0, season=season), 0, 1.0)
    served = validation.errors if _any(validation.errors) else blocks[-1].errors
    counts = np.array([min(block.independent, validation.independent) for block in blocks])
    own = _OWN / (validation.independent + _OWN) if blocks[-1] is comparable else 1.0
    fading = _FADING * own**2
    weights = fading ** np.arange(len(blocks))[::-1] * counts
    weights /= weights.sum()
    independent = 1 / float((weights**2 / counts).sum())
    shape = _by_step([served, *(block.errors for block in blocks[:-1])], [weights[-1], *weights[:-1]], independent)
    flat = [block.errors / shape[:, None] for block in blocks]
    sizes = np.array([_size(one) for one in flat])
    logs, middle = np.log(sizes), _quantile(np.log(sizes), weights, 0.5)
    logs = np.clip(logs, middle - np.log(_APART), middle + np.log(_APART))
    mean = float(weights @ logs)
    expected = float(np.exp(mean + weights @ (logs - mean) ** 2 / 2))
    widened = float(np.clip(expected / sizes[-1], *_WIDENED)) if blocks[-1] is comparable else 1.0
    by_channel = _by_channel(served / shape[:, None], independent)
    even = [one / by_channel for one in (served / shape[:, None], *flat[:-1])]
    standard = _quantiles([one / _size(one) for one in even], [weights[-1], *weights[:-1]], levels, independent)
    errors = shape[:, None, None] * by_channel[:, None] * standard * _size(even[0])  # [H, C, Q]
    offsets = _offsets(quantile_errors, levels, independent)
    gains = [_loss(validation.errors, quantile_errors, errors, offsets, share, levels) for share in _SHARES]
    share = _SHARES[int(np.argmin(gains))] * validation.independent / (validation.independent + _PRIOR)
    return Calibration(Spread(widened * errors, offsets, widened, round(share, 3), season), len(blocks), widened)


def _size(errors: np.ndarray) -> float:
    """What most |e| are within, which no few wild windows decide; tiny where all is exact."""
    return max(float(np.nanquantile(np.abs(errors), _MOST)), 1e-9)


def _by_step(blocks: Sequence[np.ndarray], weights: Sequence[float], independent: float) -> np.ndarray:
    """Mean |e| by step of the horizon, in units of that over all: `[H]`."""
    horizon = blocks[0].shape[1]
    rows = []
    for errors in blocks:
        absolute = np.where(np.isfinite(errors), np.minimum(np.abs(errors), _WILD * _size(errors)), 0)
        count = np.isfinite(errors).sum(axis=(0, 2))
        whole = absolute.sum() / max(count.sum(), 1)
        rows.append(np.where(count > 0, absolute.sum(axis=(0, 2)) / np.maximum(count, 1), whole) / max(whole, 1e-9))
    found = np.log(np.maximum(np.average(rows, axis=0, weights=weights), 1e-3))
    line = np.stack([np.ones(horizon), np.log(np.arange(1, horizon + 1))], axis=1)
    even = line @ np.linalg.lstsq(line, found, rcond=None)[0]
    own = independent / (independent + _STEPS)
    return np.exp(own * found + (1 - own) * even)


def _by_channel(errors: np.ndarray, independent: float) -> np.ndarray:
    """Mean |e| by channel, in units of that over all: `[C]`."""
    own, whole = independent / (independent + _STEPS), _size(errors)
    sizes = [_size(one) if _any(one) else whole for one in np.moveaxis(errors, -1, 0)]
    return np.exp(own * np.log(np.array(sizes) / whole))


def _quantiles(
    blocks: Sequence[np.ndarray], weights: Sequence[float], levels: Sequence[float], independent: float
) -> np.ndarray:
    """Quantiles of errors of mean size 1, `[Q]`; that of 0.5 is 0: the forecast is the middle."""
    values, each = [], []
    for errors, weight in zip(blocks, weights, strict=True):
        finite = errors[np.isfinite(errors)]
        values.append(finite)
        each.append(np.full(len(finite), weight / max(len(finite), 1)))
    pooled, share = np.concatenate(values), np.concatenate(each)
    own = independent / (independent + _SYMMETRIC)
    found = []
    for level in levels:
        symmetric = np.sign(level - 0.5) * _quantile(np.abs(pooled), share, abs(2 * level - 1))
        found.append(own * _quantile(pooled, share, level) + (1 - own) * symmetric if level != 0.5 else 0.0)
    return np.array(found)


def _quantile(values: np.ndarray, weights: np.ndarray, level: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.interp(level, total / weights.sum(), values[order]))


def _offsets(errors: np.ndarray, levels: Sequence[float], independent: float) -> np.ndarray:
    """What makes each of the network's quantiles cover its share of the validation split, `[C, Q]`."""
    own = independent / (independent + _STEPS)
    offsets = np.zeros(errors.shape[2:])
    for i, level in enumerate(levels):
        if level == 0.5 or not _any(errors[..., i]):
            continue
        pooled = np.nanquantile(errors[..., i], level)
        for channel in range(len(offsets)):
            one = errors[:, :, channel, i]
            offsets[channel, i] = own * np.nanquantile(one, level) + (1 - own) * pooled if _any(one) else pooled
    return offsets


def _any(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any())


def _loss(
    errors: np.ndarray,
    quantile_errors: np.ndarray,
    spread: np.ndarray,
    offsets: np.ndarray,
    share: float,
    levels: Sequence[float],
) -> float:
    """Mean pinball loss of the quantiles with a share of the network's."""
    total = 0.0
    for i, level in enumerate(levels):
        network = errors - quantile_errors[..., i] + offsets[:, i]
        left = errors - (1 - share) * spread[..., i] - share * network
        total += float(np.nanmean(np.maximum(level * left, (level - 1) * left))) if _any(left) else 0.0
    return total
