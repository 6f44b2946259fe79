"""Where the next settings are drawn while there are few trials: near the best so far, at first near the defaults."""

import math
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

_CHANGED = 0.5  # share of the keys that a trial changes, about
_STEP = 0.2  # standard deviation of a change, as a share of the range


class NearBest(BaseSampler):
    """Changes about half of the settings of the best trial so far, ranges by a little, of lists to any other value.

    Of a good start, such as defaults are, ten trials find more this way than by draws from the whole range. Later ones
    are left to a sampler that has seen enough by then to look elsewhere too.

    Args:
        seed: of what is drawn.
        trials: complete or pruned, after which `then` draws.
        then: the sampler that draws what there is no best of, too.
    """

    def __init__(self, seed: int, trials: int, then: BaseSampler):
        self._random = np.random.default_rng(seed)
        self._trials = trials
        self._then = then
        self._best: FrozenTrial | None = None  # of which the trial at hand is drawn: others may end meanwhile

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        self._best = self._of(study)
        if self._best is None:
            return self._then.infer_relative_search_space(study, trial)
        return dict(self._best.distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        best = self._best
        if best is None:
            return self._then.sample_relative(study, trial, search_space)
        changed = self._random.random(len(search_space)) < _CHANGED
        changed[self._random.integers(len(search_space))] = True
        keys = zip(search_space.items(), changed, strict=True)
        return {key: self._near(best.params[key], one) if change else best.params[key] for (key, one), change in keys}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._then.sample_independent(study, trial, param_name, param_distribution)

    def _of(self, study: optuna.Study) -> FrozenTrial | None:
        """The best so far, before any is complete the first; none once there are trials enough."""
        trials = study.get_trials(deepcopy=False)
        ended = [one for one in trials if one.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        if len(ended) >= self._trials:
            return None
        complete = [one for one in ended if one.state == TrialState.COMPLETE] or trials[:1]
        drawn = [one for one in complete if one.params]
        return min(drawn, key=lambda one: math.inf if one.value is None else one.value, default=None)

    def _near(self, value: Any, distribution: BaseDistribution) -> Any:
        if isinstance(distribution, CategoricalDistribution):
            others = [one for one in distribution.choices if one != value] or [value]
            return others[self._random.integers(len(others))]
        assert isinstance(distribution, IntDistribution | FloatDistribution)
        low, high, log = distribution.low, distribution.high, distribution.log
        scaled = [math.log(one) if log else one for one in (low, high, value)]
        begin, end, at = scaled
        moved = (at - begin) / (end - begin) + self._random.normal(0, _STEP) if end > begin else 0.0
        moved = 1 - abs(1 - abs(moved))  # what is beyond an end comes back from it
        new = begin + min(1.0, max(0.0, moved)) * (end - begin)
        new = math.exp(new) if log else new
        new = round(new) if isinstance(distribution, IntDistribution) else float(new)
        return min(high, max(low, new))
