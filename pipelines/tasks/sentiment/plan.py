"""What the number of records decides where the configuration leaves it open."""

from dataclasses import asdict, dataclass

from unroll.pipelines.tasks.sentiment.config import SentimentConfig

_SMALL = 10_000
"""Training records below which every word counts, and further epochs are tried; the validation split ends them."""
_SEEN = 20_000  # texts that are read in training at least, those read again included
_MAX_EPOCHS = 10


@dataclass(frozen=True)
class Plan:
    """Epochs at most, and occurrences of a word in the train split to be known.

    Args:
        epochs: as of `train.epochs`.
        min_count: as of `model.min_count`.
    """

    epochs: int
    min_count: int


def plan(records: int) -> Plan:
    """What is good for so many records in the train split; docs/sentiment.md says how it was chosen.

    Example:
        >>> plan(1600), plan(27_000)
        (Plan(epochs=10, min_count=1), Plan(epochs=2, min_count=2))
    """
    return Plan(
        epochs=max(2, min(_MAX_EPOCHS, -(-_SEEN // records))),
        min_count=1 if records < _SMALL else 2,
    )


def planned(config: SentimentConfig, records: int) -> tuple[SentimentConfig, str]:
    """A configuration in which nothing is left open, and what was decided, in a line; empty if nothing was.

    Args:
        config: what it names is kept.
        records: of the train split.
    """
    chosen = asdict(plan(records))
    open_keys = {
        f"{section}.{key}": chosen[key]
        for section, key in (("train", "epochs"), ("model", "min_count"))
        if getattr(getattr(config, section), key) is None
    }
    if not open_keys:
        return config, ""
    sections = {
        name: getattr(config, name).model_copy(
            update={key.partition(".")[2]: value for key, value in open_keys.items() if key.startswith(f"{name}.")}
        )
        for name in ("train", "model")
    }
    settings = ", ".join(f"{key}={value}" for key, value in open_keys.items())
    return config.model_copy(update=sections), f"For {records:,} training records: {settings}."
