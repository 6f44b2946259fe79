"""What the number of records decides where the configuration leaves it open."""

from unroll.pipelines.tasks.sentiment.config import SentimentConfig
from unroll.pipelines.training.schedule.epochs import DefaultEpochs, epochs_for

_SMALL = 10_000
"""Training records below which every word counts, and further epochs are tried; the validation split ends them."""
_SEEN = 20_000  # texts that are read in training at least, those read again included
_MAX_EPOCHS = 10


def default_epochs(records: int) -> DefaultEpochs:
    """What is good for so many records in the train split; docs/sentiment.md says how it was chosen.

    Example:
        >>> default_epochs(1600).count, default_epochs(27_000).count
        (10, 2)
    """
    return epochs_for(records, seen=_SEEN, least=2, most=_MAX_EPOCHS)


def default_min_count(records: int) -> int:
    """Occurrences of a word in a train split of so many records to be known."""
    return 1 if records < _SMALL else 2


def planned(config: SentimentConfig, records: int) -> tuple[SentimentConfig, str]:
    """A configuration in which nothing about words is left open, and what was decided, in a line; empty if nothing was.

    Args:
        config: what it names is kept.
        records: of the train split.
    """
    if config.model.min_count is not None:
        return config, ""
    min_count = default_min_count(records)
    model = config.model.model_copy(update={"min_count": min_count})
    return config.model_copy(update={"model": model}), f"For {records:,} training records: model.min_count={min_count}."
