"""One trial: a model trained with the values that were drawn, on a part of the validation split."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import optuna
from pydantic import ValidationError

from unroll.errors import UserError
from unroll.pipelines.prepared import prepared
from unroll.pipelines.registry import task_named
from unroll.pipelines.task import Task
from unroll.pipelines.training.computing.precision import precision
from unroll.pipelines.training.fit import fit
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.tracking import Run, Tracking
from unroll.pipelines.tuning.held_out_blocks import CHECKING, CHOOSING, on_block
from unroll.pipelines.tuning.search import CHECKS, DEFAULTS, REFUSED, Search, checkpoint
from unroll.pipelines.tuning.search_space import with_values
from unroll.workspace import Workspace


class Trials:
    """Trains and scores a model for each trial of a study; what `optuna` calls an objective.

    Args:
        search: what is searched.
        directory: of the search.
        ends: Unix time after which no epoch begins; the trial of the defaults is never cut.
    """

    def __init__(self, search: Search, directory: Path, ends: float):
        self._search = search
        self._directory = directory
        self._ends = ends
        self._workspace = Workspace(Path(search.home))
        self._task = task_named(search.task)
        self._tracking = Tracking(self._workspace, create=True)

    def __call__(self, trial: optuna.Trial) -> float:
        """The validation loss of the best epoch, on the blocks that choose.

        Raises:
            optuna.TrialPruned: it is not worth going on, or these values cannot be trained with.
            UserError: the defaults cannot be trained with.
        """
        by_default = trial.user_attrs.get(DEFAULTS, False)
        space, own = self._search.space, self._search.own
        values = {key: one.suggest(trial, key) for key, one in space.items() if not by_default or key in own}
        if by_default:
            values = {}  # told to the study, and else left to the data as they were
        title = " ".join([f"trial {trial.number}", *(f"{key}={value}" for key, value in _short(values).items())])
        pruned: optuna.TrialPruned | None = None
        with self._tracking.run(self._search.name, name=title, parent=self._search.parent) as run:
            try:
                return self._train(trial, values, run, by_default)
            except (UserError, ValidationError) as error:
                if by_default:
                    raise
                said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
                trial.set_user_attr(REFUSED, said)
                pruned = optuna.TrialPruned(said)
            except optuna.TrialPruned as error:
                pruned = error
            finally:
                checkpoint(self._directory, trial).unlink(missing_ok=True)
                keras.utils.clear_session()
        raise pruned

    def _train(self, trial: optuna.Trial, values: Mapping[str, Any], run: Run, by_default: bool) -> float:
        search = self._search
        settings = with_values(search.settings, values)
        config = self._task.Config.model_validate(settings)
        run.describe(settings, search.data, search.digest, {"task": search.task, "unroll.trial": str(trial.number)})
        with Progress() as progress:
            of_all = prepared(self._task, config, search.data, search.digest, self._workspace, progress)
            problem = on_block(of_all, config, *CHOOSING)

            def after_epoch(metrics: dict[str, float], epoch: int) -> None:
                answer = of_all.answer_losses(model, [CHOOSING])
                run.metrics(metrics | ({"validation/answer_loss": answer[0]} if answer else {}), epoch)
                trial.report(answer[0] if answer else metrics[f"validation/{problem.monitor}"], epoch)
                if not by_default and (trial.should_prune() or time.time() > self._ends):
                    raise optuna.TrialPruned

            keras.utils.set_random_seed(config.train.seed)
            with precision(config.train):
                model = problem.build()
                history = fit(problem, model, checkpoint(self._directory, trial), progress, after_epoch)
        losses = of_all.answer_losses(model, [CHOOSING, *CHECKING])
        if losses is None:
            losses = [history.epochs[history.best][f"validation/{problem.monitor}"], *_checks(of_all, model)]
        trial.set_user_attr(CHECKS, [one for one in losses[1:] if math.isfinite(one)])
        return losses[0]


def _checks(problem: Task, model: keras.Model) -> list[float]:
    """The loss on each block on which nothing is chosen; of few records, on fewer."""
    losses = []
    for begin, end in CHECKING:
        batches = problem.validation_block(begin, end)
        scores = model.evaluate(batches, verbose=0, return_dict=True)  # none of no batch at all
        losses += [float(scores[key]) for key in scores if key == problem.monitor]
    return losses


def _short(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without sections, and of numbers four digits."""
    return {
        key.rpartition(".")[2]: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()
    }
