"""Where tasks live, and what is found beside them.

A task has a folder of its own (a package) with its class in the module `task`. Folders are those of
`unroll.pipelines.tasks`, those that installed packages name in the entry-point group `unroll.tasks`, and those that a
person names with `--import`. Nothing else is ever imported for the sake of a name that stands in a data file.

What else belongs to a task stands in modules beside it, each found by its name when it is asked for: `config`,
`sample`, `asking`, `client`, `actuals`, `demo`, `search_space`. This module imports nothing of ours: clients find
theirs without TensorFlow.
"""

import importlib
import os
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from types import ModuleType

from unroll.errors import UserError

BUILT_IN = "unroll.pipelines.tasks"
GROUP = "unroll.tasks"
"""Entry points: `name = "package.task:Class"`, the name being the task's."""

_named: list[str] = []  # modules and packages, by `--import`


def name_modules(modules: Iterable[str]) -> None:
    """Makes modules and folders of tasks known, as `--import` does. They are looked for in the working directory too.

    Raises:
        UserError: there is no such module, or its package cannot be imported.

    Example:
        >>> name_modules(["json"])  # doctest: +SKIP
    """
    for module in modules:
        if os.getcwd() not in sys.path and "" not in sys.path:
            sys.path.append(os.getcwd())  # last: nothing in it can stand for an installed package
        try:
            there = _exists(module)
        except ImportError as error:  # raised by the package that it is in
            raise UserError(f"--import {module}: cannot be imported ({error}). Install what it lacks") from None
        if not there:
            raise UserError(
                f"--import {module}: no such module. Name one that is installed or lies in this folder, "
                "such as my_tasks of my_tasks.py"
            )
        if module not in _named:
            _named.append(module)


def built_in() -> list[str]:
    """Names of the tasks that come with Unroll.

    Example:
        >>> "sentiment" in built_in()
        True
    """
    package = importlib.import_module(BUILT_IN)
    return sorted(folder.name for folder in pkgutil.iter_modules(package.__path__) if folder.ispkg)


def installed() -> dict[str, str]:
    """Modules of the tasks that installed packages bring, by the task's name."""
    from importlib.metadata import entry_points  # of which `unroll --help` has no need

    return {point.name: point.module for point in entry_points(group=GROUP)}


def named() -> list[str]:
    """The modules that may register tasks since `--import` names them, or their folders."""
    return [_task_module(module) for module in _named]


def modules_of(name: str) -> list[str]:
    """The modules that may register a task of that name: those that were named, and its own where it has one."""
    own = [f"{BUILT_IN}.{name}.task"] if name in built_in() else []
    return [*named(), *own, *(module for point, module in installed().items() if point == name)]


def beside(part: str, task: str | None = None) -> Iterator[ModuleType]:
    """The modules of that name in the folders of tasks.

    Args:
        part: the module's name.
        task: looks into this task's folder, and those that were named; None looks into all.

    Example:
        >>> [module.INPUT for module in beside("asking", "captioning")]
        ['image']
    """
    names = built_in() if task is None else [task]
    folders = [f"{BUILT_IN}.{name}" for name in names if name in built_in()]
    folders += [_folder(module) for name, module in installed().items() if task in (None, name)]
    folders += [_folder(_task_module(module)) for module in _named]
    for folder in dict.fromkeys(folders):
        if folder and _exists(f"{folder}.{part}"):
            yield importlib.import_module(f"{folder}.{part}")


def module_of(task: str) -> str:
    """The module of a task that comes with Unroll or is installed; empty for any other.

    Example:
        >>> module_of("captioning")
        'unroll.pipelines.tasks.captioning.task'
    """
    return f"{BUILT_IN}.{task}.task" if task in built_in() else installed().get(task, "")


def part_of(module: str, part: str) -> ModuleType | None:
    """The module of that name in a task's folder, if it has a folder, and that module in it.

    Args:
        module: of the task.
        part: the other module's name.

    Example:
        >>> part_of("unroll.pipelines.tasks.captioning.task", "config").__name__
        'unroll.pipelines.tasks.captioning.config'
    """
    folder, _, name = module.rpartition(".")
    return importlib.import_module(f"{folder}.{part}") if name == "task" and _exists(f"{folder}.{part}") else None


def _task_module(named: str) -> str:
    """The module of the class: of a folder its `task`, else the module itself."""
    return f"{named}.task" if _exists(f"{named}.task") else named


def _folder(module: str) -> str:
    return module.rpartition(".")[0]


def _exists(module: str) -> bool:
    if not all(map(str.isidentifier, module.split("."))):
        return False
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # something that the package imports
        return False  # what stands before the last dot is not there, or not a package
