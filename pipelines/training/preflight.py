"""What can be told of a training before TensorFlow is loaded, which takes seconds."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from unroll.errors import UserError
from unroll.pipelines.data.records import check_exists
from unroll.pipelines.samples import Sample, sample_for
from unroll.pipelines.user_code.objects import check_modules
from unroll.serving.versions.store import Store
from unroll.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from unroll.pipelines.training.config import TaskConfig

Config = TypeVar("Config", bound="TaskConfig")
Data = TypeVar("Data", bound="str | os.PathLike[str] | pd.DataFrame")


@dataclass(frozen=True)
class Checked(Generic[Config]):
    """A training that nothing is wrong with so far.

    Args:
        config: of the task.
        data: a path, or a DataFrame.
        sample: the data, where none was named.
    """

    config: Config
    data: Any
    sample: Sample | None


def check_training(
    task: str,
    configure: "Callable[[Mapping[str, Any] | None], Config]",
    data: "Data | None",
    name: str,
    workspace: Workspace,
    *,
    register: bool,
    promote: bool | None,
) -> "Checked[Config]":
    """Refuses what no training can be made of.

    Args:
        task: its name.
        configure: makes the configuration, from the keys to start from.
        data: a path or a DataFrame; None: the task's sample data, which is made where it is missing.
        name: of the model.
        workspace: where everything is written.
        register: whether it becomes a version of the model.
        promote: whether that is served.

    Raises:
        UserError: keys, a path, a name or options that cannot be used.
    """
    if promote and not register:
        raise UserError("--promote and --no-register: only a registered version can be served. Leave one out")
    Store(workspace.store).versions(name)
    config, sample, given = configure(None), None, cast(Any, data)
    if data is None:
        sample = sample_for(task, workspace.cache / "samples")
        config, given = configure(sample.settings), os.fspath(sample.path)
    elif isinstance(data, str | os.PathLike):
        check_exists(os.fspath(data))
    check_modules(config.model_dump())
    return Checked(config, given, sample)
