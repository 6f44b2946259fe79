"""A loss, an optimizer and callbacks of the user's own."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from unroll.pipelines.user_code.objects import UserObject


def user_loss(name: str | None) -> keras.losses.Loss | None:
    """The loss that `train.loss` names, or None.

    A class is made without arguments; a function is the loss itself, `(y_true, y_pred)`.

    Raises:
        UserError: no such thing, or something that is not a loss.
    """
    if name is None:
        return None
    user = UserObject("train.loss", name)
    loss = user.call() if isinstance(user.value, type) else user.value
    if not callable(loss):
        raise user.error(f"is a {type(loss).__name__}. Name a function (y_true, y_pred) or a keras.losses.Loss")
    return _UserLoss(user, loss)


class _UserLoss(keras.losses.Loss):
    """A loss whose errors name it."""

    def __init__(self, user: UserObject, loss: Any):
        is_keras = isinstance(loss, keras.losses.Loss)
        super().__init__("user_loss", loss.reduction if is_keras else "sum_over_batch_size")
        self._user = user
        self._loss = loss.call if is_keras else loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        with self._user.told():
            return self._loss(y_true, y_pred)


def user_optimizer(name: str, schedule: Any, **options: Any) -> keras.optimizers.Optimizer:
    """The optimizer that `train.optimizer` makes.

    Args:
        name: of an optimizer's class or of a function that returns an optimizer.
        schedule: of the learning rate; passed as `learning_rate`.
        options: passed by name too: `global_clipnorm` and `weight_decay`.

    Raises:
        UserError: no such thing, or something that makes no optimizer.
    """
    user = UserObject("train.optimizer", name)
    optimizer = user.call(learning_rate=schedule, **options)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise user.error(f"made a {type(optimizer).__name__}. Name what makes a keras.optimizers.Optimizer")
    return optimizer


class UserCallbacks(keras.callbacks.Callback):
    """Callbacks of the user's own over a training of which each epoch is a `fit` and an `evaluate`.

    They see one training: its begin and end once, each epoch by its number, and at its end the logs of training and
    validation (`val_...`) together. Given to `fit` and `evaluate`, which call it once an epoch, this forwards the rest.

    Args:
        names: `module:name` of classes, or of functions, which are called without arguments.
        model: compiled.
        epochs: at most.

    Raises:
        UserError: no such thing, or something that makes no callback; also where a callback raises.
    """

    def __init__(self, names: Sequence[str], model: keras.Model, epochs: int):
        super().__init__()
        self._callbacks = []
        for name in names:
            user = UserObject("train.callbacks", name)
            callback = user.call()
            if not isinstance(callback, keras.callbacks.Callback):
                raise user.error(f"made a {type(callback).__name__}. Name what makes a keras.callbacks.Callback")
            callback.set_params({"epochs": epochs, "verbose": 0})
            callback.set_model(model)
            self._callbacks.append((user, callback))

    def begin(self) -> None:
        """Training begins."""
        self._forward("on_train_begin", {})

    def end_epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """An epoch was trained and validated."""
        self._forward("on_epoch_end", epoch, dict(logs))

    def end(self) -> None:
        """Training is over."""
        self._forward("on_train_end", {})

    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins."""
        self._forward("on_epoch_begin", epoch, {})

    def on_train_batch_begin(self, batch, logs=None):
        self._forward("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self._forward("on_train_batch_end", batch, logs)

    def on_test_begin(self, logs=None):
        self._forward("on_test_begin", logs)

    def on_test_end(self, logs=None):
        self._forward("on_test_end", logs)

    def on_test_batch_begin(self, batch, logs=None):
        self._forward("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        self._forward("on_test_batch_end", batch, logs)

    def _forward(self, hook: str, *arguments: Any) -> None:
        for user, callback in self._callbacks:
            with user.told():
                getattr(callback, hook)(*arguments)
