"""How much of each forecast goes into the answer, chosen on held-out blocks of time."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

_ERRORS = 0.25  # standard errors that the simple forecast is given; less than 1, as means of like forecasts gain
_PARTS = 10  # shares are whole tenths before they are shrunk
_BLOCKS = 8
_VALUES = 100_000  # targets that are looked at
_PRIOR_WINDOWS = 15  # independent ones that speak for the simple forecast alone


@dataclass(frozen=True)
class Shares:
    """Weights of forecasts in a blend.

    Args:
        shares: by name, summing to one.
        blocks: of the held-out windows that were compared.
        gain: by how much the blend's error is below that of the simple forecast on them, as a share of it.
        alone: the error of each forecast alone, as a multiple of that of the simple one; empty where none was compared.
    """

    shares: dict[str, float]
    blocks: int
    gain: float
    alone: dict[str, float] = field(default_factory=dict)


@dataclass
class HeldOut:
    """Forecasts of held-out windows, batch by batch.

    Args:
        horizon: H, steps that a window forecasts.
        simple: name of the forecast that needs no further one to speak for it.
    """

    horizon: int
    simple: str
    _parts: list[dict[str, np.ndarray]] = field(default_factory=list)

    def add(
        self, forecasts: Mapping[str, np.ndarray], actual: np.ndarray, step: np.ndarray, series: np.ndarray
    ) -> None:
        """Adds a batch.

        Args:
            forecasts: by name, float `[B, H, C]`, in units in which errors of all series weigh alike.
            actual: float `[B, H, C]`, NaN where missing.
            step: int `[B]`, the window's place in time, in steps.
            series: int `[B]`.
        """
        parts = {name: np.asarray(forecast) for name, forecast in forecasts.items()}
        self._parts.append({**parts, "actual": actual, "step": step, "series": series})

    def shares(self) -> Shares:
        """The weights whose error on the windows is least, drawn towards the simple forecast as far as blocks disagree.

        A window's error is the mean of its absolute and of its squared error, each as a share of that of the simple
        forecast over all windows. Of all weights in tenths whose error is within a quarter of a standard error of the
        least (of the blocks' differences from it, as in the rule of Breiman et al. 1984, section 3.4.3), those are
        taken that leave most to the simple forecast. What they give to others is then shrunk by n / (n + 15), where n
        windows do not overlap: blocks next to one another share a season, and the next may be another (on a
        fortnight of electricity demand a network had 6 % less error in each block, and 6 % more in the next).
        """
        names = [name for name in self._parts[0] if name not in ("actual", "step", "series")]
        names.sort(key=lambda name: name != self.simple)  # the simple one first
        weights = np.array(list(_weights(len(names))))
        whole = {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}
        span = int(np.ptp(whole["step"])) + self.horizon
        block = self._blocks(whole["step"], whole["series"], span)
        absolute, squared, counts = self._errors([whole[name] for name in names], whole["actual"], block, weights)
        alone = {names[0]: 1.0}
        seen = counts > 0
        if seen.sum() < 2:
            return Shares(alone, int(seen.sum()), 0.0)
        loss = _relative(absolute, counts, 0) + _relative(squared, counts, 0)  # [W, blocks]
        part = counts / counts.sum()
        mean = loss @ part
        if not np.isfinite(mean).all():
            return Shares(alone, int(seen.sum()), 0.0)
        apart = loss - loss[mean.argmin()]
        worse = apart @ part
        error = np.sqrt((apart - worse[:, None]) ** 2 @ part / (seen.sum() - 1))
        level = np.flatnonzero(worse <= _ERRORS * error + 1e-9)
        nearest = level[weights[level, 0] >= weights[level, 0].max() - 1e-9]
        chosen = nearest[mean[nearest].argmin()]
        independent = span / self.horizon
        given = weights[chosen] * independent / (independent + _PRIOR_WINDOWS)
        given[0] += 1 - given.sum()
        gain = 1 - float(mean[chosen] / mean[0]) if mean[0] else 0.0
        shares = {n: round(float(g), 4) for n, g in zip(names, given, strict=True) if g > 0}
        ends = {name: mean[weights[:, number].argmax()] for number, name in enumerate(names)}
        single = {name: round(float(error / mean[0]), 4) for name, error in ends.items()} if mean[0] else {}
        return Shares(shares, int(seen.sum()), gain, single)

    def _blocks(self, step: np.ndarray, series: np.ndarray, span: int) -> np.ndarray:
        """Of each window the block, of one stretch of time and, where there is little of that, of some series."""
        in_time = int(np.clip(span // (2 * self.horizon), 2, _BLOCKS))
        edges = np.linspace(step.min(), step.max() + 1, in_time + 1)[1:-1]
        block = np.searchsorted(edges, step, side="right")
        groups = min(-(-_BLOCKS // in_time), len(np.unique(series)))
        return block * groups + series % groups

    def _errors(
        self, forecasts: list[np.ndarray], actual: np.ndarray, block: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums of absolute and squared errors by weights and block, and counts by block."""
        every = -(-actual.size // _VALUES)
        chosen = np.arange(0, len(actual), every)
        points = np.stack([one[chosen] for one in forecasts])  # [S, N, H, C]
        targets, block = actual[chosen], block[chosen]
        usable = np.isfinite(targets) & np.isfinite(points).all(axis=0)
        blocks = int(block.max()) + 1
        absolute, squared, counts = np.zeros([len(weights), blocks]), np.zeros([len(weights), blocks]), np.zeros(blocks)
        for number in range(blocks):
            there = usable & (block == number)[:, None, None]
            errors = (points - targets)[:, there].astype(np.float64)  # [S, n]
            counts[number] = errors.shape[1]
            gram = errors @ errors.T
            squared[:, number] = np.einsum("ws,wt,st->w", weights, weights, gram)
            for index, weight in enumerate(weights):
                absolute[index, number] = np.abs(weight @ errors).sum()
        return absolute, squared, counts


def _weights(count: int) -> Iterator[tuple[float, ...]]:
    """All weights of so many forecasts that are whole tenths and sum to one; the first is the first forecast alone."""
    for parts in itertools.product(range(_PARTS, -1, -1), repeat=count):
        if sum(parts) == _PARTS:
            yield tuple(part / _PARTS for part in parts)


def _relative(sums: np.ndarray, counts: np.ndarray, simple: int) -> np.ndarray:
    """Means by block, as shares of the simple forecast's over all blocks."""
    whole = sums[simple].sum() / counts.sum()
    return sums / np.maximum(counts, 1) / (2 * whole) if whole else np.zeros_like(sums)
