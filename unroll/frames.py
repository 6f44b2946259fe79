"""DataFrames where the commands take files."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.errors import UserError
from unroll.python_words import python_words
from unroll.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from unroll.pipelines.data.frames import Readers
    from unroll.pipelines.task import Task


def is_frame(value: Any) -> bool:
    """Whether this is a DataFrame of pandas."""
    import pandas as pd

    return isinstance(value, pd.DataFrame)


@contextmanager
def as_files(
    task: "type[Task]", config: Any, data: "str | os.PathLike[str] | pd.DataFrame", workspace: Workspace
) -> Iterator[str]:
    """The path that a command is given instead of a DataFrame. Errors in the block speak of the DataFrame.

    Args:
        task: whose data it is.
        config: an instance of `task.Config`.
        data: a DataFrame, kept as a Parquet file in the workspace's cache, or a path, handed on as it is.
        workspace: where the cache is.

    Raises:
        UserError: a frame that no file can hold, or neither a frame nor a path.
    """
    if isinstance(data, str | os.PathLike):
        yield os.fspath(data)
        return
    if not is_frame(data):
        raise UserError(f"data: expected a DataFrame or a path. Received: {type(data).__name__}")
    path = stored_frame(data, workspace, task.cell_readers(config))
    with python_words(replaced=str(path), by="data (DataFrame)"):
        yield str(path)


def stored_frame(frame: "pd.DataFrame", workspace: Workspace, readers: "Readers | None" = None) -> Path:
    """The Parquet file of a DataFrame in the workspace's cache; see `unroll.pipelines.data.frames.stored`."""
    from unroll.pipelines.data.frames import stored

    return stored(frame, workspace.cache / "frames", readers)
