"""Training any task's model, epoch by epoch, so that a killed run goes on where it was."""

import dataclasses
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from unroll.errors import UserError
from unroll.pipelines.task import Task
from unroll.pipelines.training.checkpoint import load_checkpoint, save_checkpoint
from unroll.pipelines.training.computing import memory
from unroll.pipelines.training.config import TrainSection
from unroll.pipelines.training.progress import Progress, Stage
from unroll.pipelines.training.schedule.decay import Decay
from unroll.pipelines.training.schedule.pace import Pace, Pacer
from unroll.pipelines.training.schedule.plan import Plan
from unroll.pipelines.training.schedule.watching import Pilot, Watch
from unroll.pipelines.user_code.training import UserCallbacks, user_optimizer

_DECAY = 0.5  # of the time up to the best epoch, for the decay from there
_DECAY_EPOCHS = 3  # for it at least
_WORSE = 0.02  # share of the simple methods' error, by which a model that is of no use is worse by itself


@dataclass
class History:
    """How a run went so far; what a checkpoint keeps beside the weights.

    Args:
        epochs: metrics of each epoch that was validated, `{"train/loss": ..., "validation/loss": ...}`; `epoch` is how
            often the train split had been read by then.
        best: index of the one whose validation split scored best.
        best_pace: where the training was then.
        pace: where it is.
        done: epochs, the last of which may be a part.
        stopped: whether a callback of the user's own asked to stop.
        turned: whether the validation split got worse for so long that the rest was spent from the best epoch on.
        useless: whether it had not, but the model added nothing to the answer.
        ended: why training ended, in words.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best: int = 0
    best_pace: Pace = field(default_factory=Pace)
    pace: Pace = field(default_factory=Pace)
    done: int = 0
    stopped: bool = False
    turned: bool = False
    useless: bool = False
    ended: str = ""

    @property
    def read(self) -> float:
        """How often the train split was read."""
        return self.epochs[-1]["epoch"] if self.epochs else 0.0

    @property
    def kept(self) -> int:
        """Number of the best epoch, from 1."""
        return math.ceil(self.epochs[self.best]["epoch"]) if self.epochs else self.done

    def length(self) -> dict[str, float]:
        """Epochs, seconds in all, seconds of an epoch with its validation, and those of a recent step."""
        seconds, epoch = self.pace.seconds, self.pace.seconds / self.read if self.read else 0.0
        return {
            "epochs": round(self.read, 3),
            "seconds": round(seconds, 1),
            "epoch_seconds": round(epoch, 3),
            "step_seconds": round(self.pace.step_seconds, 5),
        }

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "History":
        """From what a checkpoint has."""
        paces = {name: Pace(**stored[name]) for name in ("best_pace", "pace")}
        return cls(**{**stored, **paces})


@memory.kept()
def fit(
    task: Task,
    model: keras.Model,
    checkpoint: Path,
    progress: Progress,
    on_epoch: Callable[[dict[str, float], int], None] = lambda metrics, epoch: None,
    clock: Callable[[], float] = time.monotonic,
) -> History:
    """Trains until the epochs, the patience or the minutes of the configuration are used up.

    After each validation the weights, the optimizer's and the dropouts' state and the plan are written to `checkpoint`;
    when the file exists, training goes on from it. The order of the batches depends on seed and epoch only, so a
    resumed run ends as an uninterrupted one does; with `train.minutes`, as one whose steps took as long.

    Args:
        task: gives the batches, the loss and the metrics.
        model: built, untrained; holds the weights of the best epoch on return.
        checkpoint: file to write and go on from.
        progress: where to show it.
        on_epoch: called with the metrics and the number, from 0, of each epoch that was validated.
        clock: seconds; what `train.minutes` is measured by.

    Returns:
        The history of all epochs, those before a resumption included.

    Raises:
        UserError: the loss is no longer a number, or code of the user's own raises.
    """
    config, plan = task.config.train, Plan.of(task)
    decay = Decay(config.learning_rate, config.warmup)
    task.compile(model, _optimizer(config, decay))
    model.optimizer.build(model.trainable_variables)
    state, history, best = _State(model, model.optimizer), History(pace=Pace(budget=plan.budget)), None
    if checkpoint.exists():
        stored, groups = load_checkpoint(checkpoint)
        history, best = History.of(stored), groups.pop("best")
        state.restore(groups)
        progress.line(plan.resumes(history.pace, history.done))
    else:
        progress.line(plan.begins())
    callbacks = UserCallbacks(config.callbacks, model, plan.epochs or plan.default.count)
    pacer = Pacer(history.pace, plan.steps, clock)
    training = _Training(task, model, history, pacer, decay, plan, progress, callbacks, clock)
    callbacks.begin()
    while not (ended := training.ended()):
        if best is not None and training.turns(best):
            why = "The network gets no share of the answer" if history.useless else "The validation score has turned"
            progress.line(f"{why}: training goes on from epoch {history.kept}, the best.")
            _assign(model, best)
        metrics = training.epoch()
        if not metrics:
            continue
        monitored = f"validation/{task.monitor}"
        history.epochs.append(metrics)
        if len(history.epochs) == 1 or metrics[monitored] < history.epochs[history.best][monitored]:
            history.best, history.best_pace = len(history.epochs) - 1, dataclasses.replace(history.pace)
            best = [np.asarray(variable) for variable in model.variables]
        save_checkpoint(checkpoint, dataclasses.asdict(history), {**state.arrays(), "best": best or []})
        on_epoch(metrics, history.done - 1)
    callbacks.end()
    if best is not None:
        _assign(model, best)
    history.ended = ended
    progress.line(f"Training ended: {ended}. Epoch {history.kept} is kept.")
    return history


def _assign(model: keras.Model, values: list[np.ndarray]) -> None:
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)


def _optimizer(config: TrainSection, decay: Decay) -> keras.optimizers.Optimizer:
    options = {"global_clipnorm": config.clip_norm, "weight_decay": config.weight_decay or None}
    if config.optimizer:
        return user_optimizer(config.optimizer, decay, **options)
    return keras.optimizers.Adam(decay, **options)


class _State:
    """Every variable that decides how training goes on; seeds of dropout are among a model's."""

    def __init__(self, model: keras.Model, optimizer: keras.optimizers.Optimizer):
        self._variables = {"model": model.variables, "optimizer": optimizer.variables}

    def arrays(self) -> dict[str, list[np.ndarray]]:
        return {name: [np.asarray(v) for v in variables] for name, variables in self._variables.items()}

    def restore(self, groups: dict[str, list[np.ndarray]]) -> None:
        for name, variables in self._variables.items():
            for variable, value in zip(variables, groups[name], strict=True):
                variable.assign(value)


class _Training:
    """The parts of a training between which its state is whole.

    Args:
        task: gives the batches.
        model: compiled.
        history: kept up.
        pacer: tells time.
        decay: the learning rate.
        plan: what the training is to last.
        progress: where to show it.
        callbacks: of the user's own.
        clock: seconds.
    """

    def __init__(
        self,
        task: Task,
        model: keras.Model,
        history: History,
        pacer: Pacer,
        decay: Decay,
        plan: Plan,
        progress: Progress,
        callbacks: UserCallbacks,
        clock: Callable[[], float],
    ):
        self._task, self._model, self._history = task, model, history
        self._pacer, self._decay, self._plan = pacer, decay, plan
        self._progress, self._callbacks, self._clock = progress, callbacks, clock
        self._told: float | None = None
        self._asked = 0  # how many validations there were when the task was asked what the model adds
        decay.at(history.pace.share)

    def ended(self) -> str:
        """Why training is over, in a clause; empty if it is not."""
        history, plan, pacer = self._history, self._plan, self._pacer
        if history.stopped:
            return "a callback of train.callbacks stopped it"
        if plan.epochs is not None and history.done >= plan.epochs:
            return f"all {history.done} epochs done"
        if history.done and pacer.time_is_up():
            rate = self._decay.now / self._decay.peak
            return plan.ends(history.pace, history.read, rate, useless=history.useless)
        if self._worse() and (history.pace.budget is None or plan.patience is not None):
            return f"no better validation {self._task.monitor} in {plan.patience_in_words()}"
        return ""

    def turns(self, best: list[np.ndarray]) -> bool:
        """Whether the rest of the budget is of no use, and is given up but for a decay from the best epoch.

        Args:
            best: values of the model's variables then.
        """
        history = self._history
        if history.turned:
            return False
        if not self._worse():
            history.useless = self._adds_nothing(best)
            if not history.useless:
                return False
        history.turned = True
        epoch = self._plan.steps_per_epoch * history.pace.step_seconds
        self._pacer.shorten(max(_DECAY * history.best_pace.seconds, _DECAY_EPOCHS * epoch))
        return True

    def _adds_nothing(self, best: list[np.ndarray]) -> bool:
        """Whether what is trained gets no part in the answer, neither now nor as it was best, and gets worse."""
        history, model = self._history, self._model
        if self._asked == len(history.epochs) or not self._plan.asks(len(history.epochs) - 1 - history.best):
            return False
        self._asked = len(history.epochs)
        gain = self._task.contribution(model)
        nothing = gain is not None and gain < -_WORSE
        if nothing:
            now = [np.asarray(variable) for variable in model.variables]
            _assign(model, best)
            nothing = (self._task.contribution(model) or 0.0) <= 0
            _assign(model, now)
        self._pacer.paused()
        return nothing

    def _worse(self) -> bool:
        history = self._history
        if history.turned or history.best >= len(history.epochs) - 1:
            return False  # nothing that was validated since is worse
        return self._plan.turned(history.done - history.kept, history.pace.share - history.best_pace.share)

    def epoch(self) -> dict[str, float]:
        """Trains for an epoch, or until the time is up, and validates; what both gave, or nothing if it did not."""
        history, pace, number = self._history, self._history.pace, self._history.done
        begun = self._clock()
        left = 1 - pace.share / number if number else 1.0  # of the plan, before the last of equal epochs
        self._task.begin_epoch(self._model, number, min(1.0, pace.share / left) if left > 0 else 1.0)
        self._callbacks.begin_epoch(number)
        title = self._plan.title(number, pace, self._pacer.steps_left())
        with self._progress.stage(title, total=self._plan.steps_per_epoch) as stage:
            pilot = Pilot(self._pacer, self._decay, stage, self._news)
            metrics = self._train(number, pilot)
            history.done += 1
            last = bool(self._model.stop_training or self._pacer.time_is_up() or history.done == self._plan.epochs)
            if last or not pace.validation_seconds or self._pacer.worth_validating():
                metrics |= self._validate(stage, last)
            self._check(metrics)
            stage.say(" ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
        self._callbacks.end_epoch(number, _keras_logs(metrics))
        history.stopped = bool(self._model.stop_training)
        self._news()
        if not any(name.startswith("validation/") for name in metrics):
            return {}
        read = number + (pilot.steps / max(pilot.steps, self._plan.steps_per_epoch) if pilot.cut else 1)
        return metrics | {"epoch": read, "learning_rate": self._decay.now, "epoch_seconds": self._clock() - begun}

    def _train(self, number: int, pilot: "Pilot") -> dict[str, float]:
        with warnings.catch_warnings():
            # Keras counts the batches of a data set by their running out
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            batches, watching = self._task.train_batches(number), [self._callbacks, pilot]
            logs = self._model.fit(batches, shuffle=False, verbose=0, callbacks=watching).history
        self._model.stop_training = self._model.stop_training and not pilot.cut
        return {f"train/{name}": float(values[-1]) for name, values in logs.items()}

    def _validate(self, stage: Stage, last: bool) -> dict[str, float]:
        stage.say("validating")
        watch = Watch(self._clock, self._pacer.longest_validation(last))
        batches, watching = self._task.validation_batches(), [self._callbacks, watch]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            scores = self._model.evaluate(batches, verbose=0, return_dict=True, callbacks=watching)
        self._pacer.validated(watch.seconds, complete=not watch.cut)
        if watch.cut and not last:
            return {}
        if watch.cut:
            self._progress.line(f"Time is left for {watch.batches} batches of the validation split, not for all.")
        return {f"validation/{name}": float(value) for name, value in scores.items()}

    def _check(self, metrics: dict[str, float]) -> None:
        loss = sum(value for name, value in metrics.items() if name.endswith("/loss"))
        if not math.isfinite(loss):
            rate = self._task.config.train.learning_rate
            raise UserError(
                f"training diverged in epoch {self._history.done}: the loss is {loss}. "
                f"Lower train.learning_rate, now {rate:g}, or train.clip_norm"
            )

    def _news(self) -> None:
        line, self._told = self._plan.news(self._history.pace, self._pacer.steps_left(), self._told)
        if line:
            self._progress.line(line)


def _keras_logs(metrics: dict[str, float]) -> dict[str, float]:
    """`train/loss` and `validation/loss` by Keras' names, `loss` and `val_loss`."""
    parts = {"train/": "", "validation/": "val_"}
    return {
        prefix + name.removeprefix(part): value
        for part, prefix in parts.items()
        for name, value in metrics.items()
        if name.startswith(part)
    }
