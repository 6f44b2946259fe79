"""A model of the user's own in place of a task's, and whether it fits the task's contract."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from unroll.models.layers.named_inputs import by_name
from unroll.pipelines.user_code.objects import UserObject

KEY = "model.build"

Trial = tuple[Mapping[str, np.ndarray], Sequence[int | None]]
"""Inputs by name, and the shape of what the model must return for them; None where it is free."""


def build_user_model(
    name: str,
    info: Any,
    section: Any,
    trials: Sequence[Trial],
    contract: str,
    problem: Callable[[list[np.ndarray]], str | None] = lambda answers: None,
    key: str = KEY,
) -> keras.Model:
    """Builds a model by the user's function, and tries whether it can be trained and served.

    Args:
        name: `module:name` of a function `(info, section)` that returns a keras.Model.
        info: what the model must know of the data.
        section: the configuration's section `model`.
        trials: what it is called with; of different sizes where these are free.
        contract: what goes in and comes out, and the page that says more, for errors.
        problem: from the answers to what else is wrong with them, or None.
        key: of the configuration that names the function.

    Returns:
        The model, its variables created.

    Raises:
        UserError: the function cannot be found or raises, or its model does not fit the contract.
    """
    user = UserObject(key, name)
    model = user.call(info, section)
    if not isinstance(model, keras.Model):
        raise user.error(f"returned a {type(model).__name__}, not a keras.Model. {contract}")
    try_model(user, lambda given: model(by_name(model, given), training=False), trials, contract, problem)
    return model


def try_model(
    user: UserObject,
    ask: Callable[[Mapping[str, tf.Tensor]], Any],
    trials: Sequence[Trial],
    contract: str,
    problem: Callable[[list[np.ndarray]], str | None],
) -> None:
    """Tries whether what was built can be trained and served.

    Args:
        user: built it.
        ask: what it answers.
        trials, contract, problem: see `build_user_model`.

    Raises:
        UserError: it does not fit the contract.
    """
    answers = []
    for offered, wanted in trials:
        given = {name: tf.convert_to_tensor(value) for name, value in offered.items()}
        with user.told(contract):
            answer = ask(given)
        if not _fits(answer, wanted):
            shape = ["any" if size is None else size for size in wanted]
            raise user.error(
                f"built a model that returns {_described(answer)} for {_described(given)}, not floats of the shape "
                f"{shape}. {contract}"
            )
        if not np.isfinite(answer.numpy()).all():
            raise user.error(f"built a model that returns NaN or infinity for {_described(given)}. {contract}")
        answers.append(answer.numpy())
    if wrong := problem(answers):
        raise user.error(f"built a model {wrong}. {contract}")


def _fits(answer: Any, wanted: Sequence[int | None]) -> bool:
    return (
        tf.is_tensor(answer)
        and answer.dtype.is_floating
        and len(answer.shape) == len(wanted)
        and all(want in (None, size) for want, size in zip(wanted, answer.shape, strict=True))
    )


def _described(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_described(one)}" for key, one in value.items())
    return f"{value.dtype.name} {list(value.shape)}" if tf.is_tensor(value) else f"a {type(value).__name__}"
