"""The register of tasks."""

import importlib
from typing import TypeVar

from unroll import plugins
from unroll.errors import UserError
from unroll.pipelines.task import Task

_TASKS: dict[str, type[Task]] = {}
Registered = TypeVar("Registered", bound=type[Task])


def register(task: Registered) -> Registered:
    """Class decorator that makes a task known by its name.

    The same class again, as when a notebook's cell is run twice, takes its own place.

    Raises:
        ValueError: a second task of that name.

    Example:
        >>> @register  # doctest: +SKIP
        ... class Topics(Task):
        ...     name = "topics"
    """
    known = _TASKS.get(task.name)
    if known is not None and (known.__module__, known.__qualname__) != (task.__module__, task.__qualname__):
        raise ValueError(f"a task named {task.name!r} is registered already: {known}")
    if task.name in plugins.built_in() and task.__module__ != f"{plugins.BUILT_IN}.{task.name}.task":
        raise ValueError(f"a task named {task.name!r} comes with Unroll. Give {task} another name")
    _TASKS[task.name] = task
    return task


def task_named(name: str, module: str = "") -> type[Task]:
    """The task of that name: one that is registered, or that a folder or an installed package has; see `plugins`.

    Args:
        name: of the task.
        module: where a model's card says that its task is. It is named to the person, never imported.

    Raises:
        UserError: there is none.

    Example:
        >>> task_named("sentiment").name
        'sentiment'
    """
    for known in plugins.modules_of(name):
        _import(known)
    if name not in _TASKS:
        there = ", ".join(sorted({*plugins.built_in(), *plugins.installed(), *_TASKS}))
        remedy = f"It is of the module {module}: name it with --import {module}" if module else f"There is: {there}"
        raise UserError(f"no task is named {name!r}. {remedy}")
    return _TASKS[name]


def registered() -> list[str]:
    """Names of the tasks that are registered, those of the modules that `--import` names among them.

    Raises:
        UserError: such a module cannot be imported.
    """
    for module in plugins.named():
        _import(module)
    return list(_TASKS)


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"module {module} of tasks cannot be imported ({error}). Install what it lacks") from None
