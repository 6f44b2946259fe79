"""Is a model better than the simple methods that it is set against? Systems are compared record by record."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

CONFIDENCE = 0.95
_MANY = 8  # groups or blocks, from which an interval by them is taken for what it is
Figure = Literal["mean", "complement", "root"]
"""How a metric follows from the mean loss: as it is, 1 minus it (accuracy of wrong answers), or its root (RMSE)."""


@dataclass(frozen=True)
class Losses:
    """What a model and its baselines lost on the same records; less is better.

    Args:
        metric: the name of what follows from the mean loss, as it is printed: `mase`, `accuracy`.
        model: float `[records]`; with weights, sums over what a record holds.
        baselines: by name, the same of each baseline; NaN where a record was not looked at.
        figure: how the metric follows from the mean loss.
        weights: float `[records]`, what a record holds; None: one each.
        groups: int `[records]`, what a record belongs to, such as its series; None: records are independent.
        blocks: int `[records]`, the block of time, from which the next and the one before are not independent either.
        negligible: mean loss up to which a system makes no error worth speaking of.
        asked: by name of a baseline that was asked for fewer records, for how many, in words.

    Example:
        >>> wrong = np.array([0, 1, 1, 1, 1, 1, 0, 1.0])
        >>> losses = Losses("accuracy", wrong, {"tfidf": np.zeros(8)}, figure="complement")
        >>> compare(losses).below
        True
    """

    metric: str
    model: np.ndarray
    baselines: Mapping[str, np.ndarray] = field(default_factory=dict)
    figure: Figure = "mean"
    weights: np.ndarray | None = None
    groups: np.ndarray | None = None
    blocks: np.ndarray | None = None
    negligible: float = 0.0
    asked: Mapping[str, str] = field(default_factory=dict)

    def beside(self, baselines: Mapping[str, np.ndarray]) -> "Losses":
        """The same beside further baselines."""
        return replace(self, baselines={**self.baselines, **baselines})

    def and_on(self, records: "Losses") -> "Losses":
        """The same, and what was lost on further records, for which only the baselines that are named there were asked.

        Args:
            records: of the same metric; some may be records of these once more.
        """
        own, further = len(self.model), len(records.model)
        baselines = {name: np.pad(one, (0, further), constant_values=np.nan) for name, one in self.baselines.items()}
        for name, one in records.baselines.items():
            baselines[name] = np.pad(one, (own, 0), constant_values=np.nan)
        return replace(
            self,
            model=np.concatenate([self.model, records.model]),
            baselines=baselines,
            weights=_joined(self.weights, records.weights),
            groups=_joined(self.groups, records.groups),
            blocks=_joined(self.blocks, records.blocks),
            asked={**self.asked, **records.asked},
        )


def _joined(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return None if first is None or second is None else np.concatenate([first, second])


@dataclass(frozen=True)
class Baselines:
    """What simple methods score that were fitted on the train split.

    Args:
        metrics: `{"test/accuracy/majority": ...}`: `split/metric/baseline`.
        losses: by baseline, those on the records of the test split, in the order of the task's `held_out`; the
            model's are `Evaluation.losses`.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    losses: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """A model beside the baseline that comes closest to it, or does better.

    Args:
        metric: by which they are compared.
        baseline: its name.
        model_score: the model's.
        baseline_score: the baseline's.
        low: by how much the baseline is better at least, at a confidence of 95 %; negative where it may be worse.
        high: by how much at most.
        level: whether it cannot be told which is better.
        below: whether the baseline is better beyond the interval.
        others: names of further baselines that are.
        asked: for how many records the baseline was asked, in words; empty: for all.
    """

    metric: str
    baseline: str
    model_score: float
    baseline_score: float
    low: float
    high: float
    level: bool
    below: bool
    others: tuple[str, ...] = ()
    asked: str = ""

    def sentence(self, records: str = "the test split") -> str:
        """What a person must know of it; empty if the model is better.

        Args:
            records: which both were scored on.
        """
        if not (self.below or self.level):
            return ""
        metric = self.metric.replace("_", " ")
        scores = f"{metric} {self.baseline_score:.4g}, the model {self.model_score:.4g}"
        confidence = f"{100 * CONFIDENCE:g} %"
        if not np.isfinite(self.high):
            interval = "the test split is too short to tell the two apart" if self.level else "which is no score"
        elif self.low == self.high == 0:
            interval = "they lose the same on every record"
        elif self.below:
            interval = f"better by {self.low:.3g} to {self.high:.3g}, the {confidence} interval"
        else:
            interval = f"the {confidence} interval of the difference, {self.low:.3g} to {self.high:.3g}, includes 0"
            if self.low + self.high > 0:
                interval = f"better by {(self.low + self.high) / 2:.3g}, which may be chance: {interval}"
        others = f" Better beyond their intervals, too: {', '.join(self.others)}." if self.others else ""
        word = "Below" if self.below else "Level with"
        where = f"{self.asked} of {records}" if self.asked else records
        return f"{word} its baseline: on {where} {self.baseline} has {scores} ({interval}).{others}"

    def document(self) -> dict[str, Any]:
        """As JSON has it, a figure that is not a number being None."""
        return {
            key: None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in {**vars(self), "others": list(self.others)}.items()
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Comparison":
        """Of what `document` gave."""
        known: dict[str, Any] = {key: float("nan") if value is None else value for key, value in document.items()}
        return cls(**{**known, "others": tuple(document["others"])})


def compare(losses: Losses) -> Comparison | None:
    """Compares a model with each of its baselines, by a paired t-interval of the difference.

    Records that depend on each other are summed by group or by block, as in cluster-robust errors (Cameron & Miller
    2015, "A practitioner's guide to cluster-robust inference"); blocks of time are taken to depend on their neighbours,
    since windows that begin in one end in the next. Where both are told, the wider interval counts. Right and wrong
    answers are given two more, one for each side, so that few records tell what an exact McNemar test tells.

    Args:
        losses: of the test split.

    Returns:
        The comparison with the best of the baselines that are better beyond their interval, or with the best of all;
        None where there is nothing to compare.
    """
    found = {name: _compared(losses, name) for name in losses.baselines}
    known = {name: one for name, one in found.items() if one is not None}
    if not known:
        return None
    below = [one for one in known.values() if one.below]
    best = min(below or known.values(), key=lambda one: _behind(losses, one))
    others = tuple(one.baseline for one in below if one is not best)
    return replace(best, others=others, asked=losses.asked.get(best.baseline, ""))


def _behind(losses: Losses, one: Comparison) -> float:
    """A baseline's loss as a share of the model's on the same records: others were asked for others."""
    own, lost = (
        1 - score if losses.figure == "complement" else score for score in (one.model_score, one.baseline_score)
    )
    return lost / own if np.isfinite(own) and own > 0 else lost


def _compared(losses: Losses, baseline: str) -> Comparison | None:
    others = losses.baselines[baseline]
    seen = np.isfinite(others)
    if losses.weights is not None:
        seen &= losses.weights > 0
    if not seen.any():
        return None
    weights = np.ones(len(seen)) if losses.weights is None else losses.weights
    own, others, weights = losses.model[seen].astype(np.float64), others[seen].astype(np.float64), weights[seen]
    own_mean, mean = own.sum() / weights.sum(), others.sum() / weights.sum()
    difference = own_mean - mean
    binary = losses.weights is None and np.isin(own, (0, 1)).all() and np.isin(others, (0, 1)).all()
    residual = own - others - difference * weights
    half = _half_width(
        residual,
        None if losses.groups is None else losses.groups[seen],
        None if losses.blocks is None else losses.blocks[seen],
        spare=2.0 * binary,
    )
    half /= weights.sum()
    low, high = difference - half, difference + half
    if losses.figure == "root":  # a difference of squares, over the sum
        total = max(np.sqrt(own_mean) + np.sqrt(mean), np.finfo(float).tiny)
        low, high = low / total, high / total
    wrong = not own_mean <= losses.negligible  # also where it is NaN
    below = wrong and bool(np.isnan(own_mean) or low > 0)
    behind = not high < 0 if np.isfinite(high) else not own_mean < mean
    level = bool(wrong and not below and behind and not mean <= losses.negligible)
    score, other = _figure(losses.figure, own_mean), _figure(losses.figure, mean)
    return Comparison(losses.metric, baseline, score, other, float(low), float(high), level, below)


def _figure(figure: Figure, mean: float) -> float:
    return float({"mean": mean, "complement": 1 - mean, "root": np.sqrt(mean)}[figure])


def _half_width(residual: np.ndarray, groups: np.ndarray | None, blocks: np.ndarray | None, spare: float) -> float:
    """Half the interval of a sum, from what the records differ from its mean; NaN where there is but one of them."""
    if groups is None and blocks is None:
        return _by(residual, np.arange(len(residual)), False, spare)
    told = [(labels, labels is blocks) for labels in (groups, blocks) if labels is not None]
    counts = [len(np.unique(labels)) for labels, _ in told]
    enough = [one for one, count in zip(told, counts, strict=True) if count >= _MANY]
    return max(_by(residual, *one, spare) for one in enough or [told[int(np.argmax(counts))]])


def _by(residual: np.ndarray, labels: np.ndarray, neighbours: bool, spare: float) -> float:
    from scipy.stats import t

    names, rows = np.unique(labels, return_inverse=True)
    sums, count = np.bincount(rows, residual), len(names)
    if count < 2:
        return float("nan")
    square = float(sums @ sums)
    if neighbours:
        square += 2 * max(0.0, float(np.sum(sums[:-1] * sums[1:] * (np.diff(names) == 1))))
    return float(t.ppf((1 + CONFIDENCE) / 2, count - 1) * np.sqrt(count / (count - 1) * square + spare))
