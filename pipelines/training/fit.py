"""Training any task's model, epoch by epoch, so that a killed run goes on where it was."""

import dataclasses
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from unroll.errors import UserError
from unroll.pipelines.task import Task
from unroll.pipelines.training.checkpoint import load_checkpoint, save_checkpoint
from unroll.pipelines.training.config import TrainSection
from unroll.pipelines.training.progress import Progress, Stage
from unroll.pipelines.user_code.training import UserCallbacks, user_optimizer


@dataclass
class History:
    """How a run went so far; what a checkpoint keeps beside the weights.

    Args:
        epochs: metrics of each epoch, `{"train/loss": ..., "validation/loss": ...}`.
        best: index of the epoch whose validation split scored best.
        seconds: time spent in training and validation.
        stopped: whether a callback of the user's own asked to stop.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best: int = 0
    seconds: float = 0.0
    stopped: bool = False


def fit(
    task: Task,
    model: keras.Model,
    checkpoint: Path,
    progress: Progress,
    on_epoch: Callable[[dict[str, float], int], None] = lambda metrics, epoch: None,
) -> History:
    """Trains until the epochs, the patience or the minutes of the configuration are used up.

    After each epoch the weights, the optimizer's and the dropouts' state are written to `checkpoint`;
    when the file exists, training goes on from it. The order of the batches depends on seed and epoch
    only, so a resumed run ends as an uninterrupted one does.

    Args:
        task: gives the batches, the loss and the metrics.
        model: built, untrained; holds the weights of the best epoch on return.
        checkpoint: file to write and go on from.
        progress: where to show it.
        on_epoch: called with each epoch's metrics and number, from 0.

    Returns:
        The history of all epochs, those before a resumption included.

    Raises:
        UserError: the loss is no longer a number, or code of the user's own raises.
    """
    config = task.config.train
    optimizer = _optimizer(config, config.epochs * task.steps_per_epoch())
    task.compile(model, optimizer)
    model.optimizer.build(model.trainable_variables)
    state, history, best = _State(model, model.optimizer), History(), None
    if checkpoint.exists():
        stored, groups = load_checkpoint(checkpoint)
        history, best = History(**stored), groups.pop("best")
        state.restore(groups)
        progress.line(f"Resuming after epoch {len(history.epochs)} of {config.epochs}.")
    callbacks = UserCallbacks(config.callbacks, model, config.epochs)
    callbacks.begin()
    while not (ended := _ended(history, config)):
        epoch = len(history.epochs)
        task.begin_epoch(model, epoch)
        callbacks.begin_epoch(epoch)
        metrics, seconds = _epoch(task, model, epoch, progress, callbacks)
        callbacks.end_epoch(epoch, _keras_logs(metrics))
        history.stopped = bool(model.stop_training)
        history.epochs.append(metrics)
        history.seconds += seconds
        monitored = f"validation/{task.monitor}"
        if epoch == 0 or metrics[monitored] < history.epochs[history.best][monitored]:
            history.best = epoch
            best = [np.asarray(variable) for variable in model.variables]
        save_checkpoint(checkpoint, dataclasses.asdict(history), {**state.arrays(), "best": best or []})
        on_epoch(metrics, epoch)
    callbacks.end()
    for variable, value in zip(model.variables, best or [], strict=True):
        variable.assign(value)
    progress.line(f"Training ended: {ended}. Epoch {history.best + 1} is kept.")
    return history


def _optimizer(config: TrainSection, steps: int) -> keras.optimizers.Optimizer:
    warmup = int(config.warmup * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        config.learning_rate if not warmup else 0.0,
        max(1, steps - warmup),
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    options = {"global_clipnorm": config.clip_norm, "weight_decay": config.weight_decay or None}
    if config.optimizer:
        return user_optimizer(config.optimizer, schedule, **options)
    return keras.optimizers.Adam(schedule, **options)


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


def _ended(history: History, config: TrainSection) -> str:
    done = len(history.epochs)
    if history.stopped:
        return "a callback of train.callbacks stopped it"
    if done >= config.epochs:
        return f"all {done} epochs done"
    if done - history.best > config.patience:
        return f"no better validation loss in {config.patience} epochs"
    if done and config.minutes and history.seconds * (1 + 1 / done) > config.minutes * 60:
        return f"another epoch would pass {config.minutes:g} minutes"
    return ""


def _keras_logs(metrics: dict[str, float]) -> dict[str, float]:
    """`train/loss` and `validation/loss` by Keras' names, `loss` and `val_loss`."""
    parts = {"train/": "", "validation/": "val_"}
    return {
        prefix + name.removeprefix(part): value
        for part, prefix in parts.items()
        for name, value in metrics.items()
        if name.startswith(part)
    }


def _epoch(
    task: Task, model: keras.Model, epoch: int, progress: Progress, callbacks: UserCallbacks
) -> tuple[dict[str, float], float]:
    config = task.config.train
    start = time.monotonic()
    with progress.stage(f"epoch {epoch + 1}/{config.epochs}", total=task.steps_per_epoch()) as stage:
        with warnings.catch_warnings():
            # Keras counts the batches of a data set by their running out
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            batches, watching = task.train_batches(epoch), [_Steps(stage), callbacks]
            logs = model.fit(batches, shuffle=False, verbose=0, callbacks=watching).history
            stage.say("validating")
            scores = model.evaluate(task.validation_batches(), verbose=0, return_dict=True, callbacks=[callbacks])
        metrics = {f"train/{name}": float(values[-1]) for name, values in logs.items()}
        metrics |= {f"validation/{name}": float(value) for name, value in scores.items()}
        loss = metrics["train/loss"] + metrics["validation/loss"]
        if not math.isfinite(loss):
            raise UserError(
                f"training diverged in epoch {epoch + 1}: the loss is {loss}. "
                f"Lower train.learning_rate, now {config.learning_rate:g}, or train.clip_norm"
            )
        seconds = time.monotonic() - start
        stage.say(" ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
    metrics["learning_rate"] = float(model.optimizer.learning_rate)
    metrics["epoch_seconds"] = seconds
    return metrics, seconds


class _Steps(keras.callbacks.Callback):
    def __init__(self, stage: Stage):
        super().__init__()
        self._stage = stage

    def on_train_batch_end(self, batch, logs=None):
        self._stage.advance()
        if batch % 20 == 0 and logs:
            self._stage.say(" ".join(f"{name} {float(value):.4f}" for name, value in logs.items()))
