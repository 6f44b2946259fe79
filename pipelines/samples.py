"""Real sample data that installs as packages (the extra `samples`).

A task that has some has a module `sample` with a function `sample(directory) -> Sample`.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unroll import plugins
from unroll.errors import UserError


@dataclass(frozen=True)
class Sample:
    """Data that comes with a package.

    Args:
        task: the task it is for.
        words: what it is.
        path: what `--data` would be given.
        settings: configuration keys that fit it.
    """

    task: str
    words: str
    path: Path
    settings: dict[str, Any]


def sample_for(task: str, directory: Path) -> Sample:
    """The sample data of a task.

    Args:
        task: its name.
        directory: where a sample that no package has as a file is written.

    Raises:
        UserError: the task has none; `--data` must name some.
    """
    samples = (module.sample(directory) for module in plugins.beside("sample", task))
    found = next((sample for sample in samples if sample.task == task), None)
    if found is None:
        raise UserError(f"there is no sample data for {task}. Name your own with --data")
    return found


def package_folder(name: str) -> Path:
    """Where an installed package lies.

    Raises:
        UserError: it is not installed.
    """
    package = importlib.util.find_spec(name)
    if package is None or not package.submodule_search_locations:
        raise UserError(
            f"the sample data of {name} is not installed. Run this in a checkout of Unroll: pip install -e '.[samples]'"
        )
    return Path(package.submodule_search_locations[0])
