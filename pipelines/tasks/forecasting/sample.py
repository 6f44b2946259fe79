"""Temperatures to try it on."""

import csv
import io
from pathlib import Path

from unroll.pipelines.samples import Sample, package_folder
from unroll.workspace import write_atomically


def sample(directory: Path) -> Sample:
    """Hourly temperatures (degrees Fahrenheit) of Seattle and San Francisco in 2010, as two series.

    Args:
        directory: where the table is written, columns time, city, temperature.

    Raises:
        UserError: the package is not installed.
    """
    data = package_folder("vega_datasets") / "_data"
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
