"""Prepared data sets, kept in the workspace's cache."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from unroll.pipelines.task import Task
from unroll.pipelines.training.config import TaskConfig
from unroll.pipelines.training.progress import Progress
from unroll.workspace import Workspace

_CACHE_FORMAT = 3  # raised whenever prepared data or checkpoints of an earlier version would mislead this one


def prepared(
    task: type[Task], config: TaskConfig, data: str, digest: str, workspace: Workspace, progress: Progress
) -> Task:
    """The problem on its prepared data set, which is made where the cache does not hold it.

    Args:
        task: the kind of problem.
        config: an instance of `task.Config`.
        data: file, folder or glob of raw records.
        digest: of the data files.
        workspace: where the cache is.
        progress: where to show it.

    Raises:
        UserError: records that cannot be used.
    """
    directory = workspace.cache / "data" / cache_key(task.name, task.preparation(config), digest)
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".preparing-", dir=directory.parent) as aside:
            task.prepare(config, data, Path(aside), progress)
            if not directory.exists():  # else another command was quicker; what it wrote is the same
                os.rename(aside, directory)
                os.mkdir(aside)
    return task(config, directory)


def cache_key(*parts: Any) -> str:
    """The name in the cache of what depends on these parts, which JSON must be able to hold."""
    return hashlib.sha256(json.dumps([_CACHE_FORMAT, *parts], sort_keys=True).encode()).hexdigest()[:24]
