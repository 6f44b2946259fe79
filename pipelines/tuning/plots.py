"""Figures of a search."""

from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial, TrialState

from unroll.pipelines.scoring.plots import new_axes
from unroll.pipelines.tuning.search import DEFAULTS

_ENOUGH = 8  # complete trials with drawn values, below which importances say nothing


def figures(study: optuna.Study) -> Mapping[str, Figure]:
    """The losses by trial, and where there are trials enough how important each key is; by file name."""
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    drawn = {"trials.png": _history(complete)}
    if sum(bool(one.params) for one in complete) >= _ENOUGH:
        drawn["parameter_importance.png"] = _importance(study)
    return drawn


def _history(complete: Sequence[FrozenTrial]) -> Figure:
    figure, axes = new_axes("trial", "validation loss", "Trials")
    losses = np.array([one.value for one in complete], float)
    numbers = [one.number for one in complete]
    axes.plot(numbers, losses, "o", alpha=0.6, label="trial")
    axes.plot(numbers, np.minimum.accumulate(losses), drawstyle="steps-post", label="best so far")
    for one, loss in zip(complete, losses, strict=True):
        if one.user_attrs.get(DEFAULTS):
            axes.axhline(loss, color="grey", linestyle=":", label="defaults")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(top=float(np.quantile(losses, 0.9) + np.ptp(np.quantile(losses, [0.1, 0.9]))) or None)
    axes.legend()
    return figure


def _importance(study: optuna.Study) -> Figure:
    """How much better the best trials are by the choice of each key (Watanabe et al. 2023, "PED-ANOVA")."""
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    importances = optuna.importance.get_param_importances(study, evaluator=evaluator)
    names, shares = list(importances)[::-1], list(importances.values())[::-1]
    figure, axes = new_axes("share", "", "Importance of each key")
    axes.barh(names, shares)
    return figure
