"""Tasks in short, and their configurations, without loading their models wherever a task's folder allows it.

A folder may hold a module `config` with the subclass of `TaskConfig` that is the task's configuration. To read it takes
no TensorFlow, so that a wrong key is told at once; of any other task the class is asked.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unroll import plugins
from unroll.pipelines.training.config import TaskConfig
from unroll.serving.engine.quiet import import_tensorflow

if TYPE_CHECKING:
    from unroll.pipelines.task import Task


@dataclass(frozen=True)
class TaskSummary:
    """A task in short.

    Args:
        name: what `unroll train` is given.
        summary: what it makes of what.
        sample: the data that it is trained on where none is named; empty if it has none.
    """

    name: str
    summary: str
    sample: str


def config_schema(task: str) -> type[TaskConfig]:
    """The configuration of the task of that name.

    Raises:
        UserError: there is no such task.

    Example:
        >>> config_schema("sentiment").__name__
        'SentimentConfig'
    """
    return _in_its_folder(task) or _task(task).Config


def summaries() -> Iterator[TaskSummary]:
    """The tasks that come with Unroll, those of installed packages, and those of the modules that were named.

    Example:
        >>> [one.name for one in summaries()][:2]
        ['captioning', 'forecasting']
    """
    names = [*plugins.built_in(), *plugins.installed()]
    if plugins.named():
        import_tensorflow()
        from unroll.pipelines.registry import registered

        names += registered()
    for name in dict.fromkeys(names):
        described = _in_its_folder(name) or _task(name)
        sample = plugins.part_of(plugins.module_of(name) or described.__module__, "sample")
        yield TaskSummary(name, _first_line(described), _first_line(sample.sample) if sample else "")


def _in_its_folder(task: str) -> type[TaskConfig] | None:
    module = plugins.part_of(plugins.module_of(task), "config")
    found = inspect.getmembers(module, lambda value: inspect.isclass(value) and issubclass(value, TaskConfig))
    return next((schema for _, schema in found if module and schema.__module__ == module.__name__), None)


def _task(name: str) -> "type[Task]":
    if plugins.modules_of(name):
        import_tensorflow()  # quietly, before a module of tasks does
    from unroll.pipelines.registry import task_named

    return task_named(name)


def _first_line(described: object) -> str:
    return (inspect.getdoc(described) or "").partition("\n")[0].removesuffix(".")
