"""What the size of the data and the time for the training decide where the configuration leaves it open."""

from typing import NamedTuple

from unroll.pipelines.tasks.language.config import LanguageConfig
from unroll.pipelines.training.schedule.epochs import DefaultEpochs, epochs_for

_SEEN = 12_000_000  # characters that are read in training at least, those read again included
_MAX_EPOCHS = 60
_SHORT = 5  # minutes, in which a small network learns more than a large one
_FEW = 300_000  # training characters, which a small network knows by heart
_READ_AGAIN = 5  # epochs, from which dropout pays
_STREAM = 20_000  # training characters of a stream at least, so that an epoch has a few hundred steps
_STREAMS = (4, 25)


class Sizes(NamedTuple):
    """What the configuration may leave open.

    Args:
        units: of every layer.
        dropout: share of the last layer's features.
        streams: that are read side by side.
    """

    units: int
    dropout: float
    streams: int


def default_epochs(characters: int) -> DefaultEpochs:
    """What is good for a train split of so many characters.

    Example:
        >>> default_epochs(948_084).count, default_epochs(10**8).count
        (13, 1)
    """
    return epochs_for(characters, seen=_SEEN, least=1, most=_MAX_EPOCHS, of="training characters")


def sizes(config: LanguageConfig, characters: int) -> tuple[Sizes, str]:
    """The sizes that a configuration names, or those that suit; and which were chosen, in a line, empty if none was.

    Args:
        config: what it names is kept.
        characters: of the train split.

    Example:
        >>> sizes(LanguageConfig(), 948_084)[1]
        'For 948,084 training characters: model.units=512, model.dropout=0.3, train.batch_size=25.'
    """
    minutes, epochs = config.train.minutes, config.train.epochs
    short = minutes is not None and minutes < _SHORT
    planned = default_epochs(characters).count if minutes is None and epochs is None else epochs
    seldom = short if planned is None else planned < _READ_AGAIN
    chosen = {
        "model.units": (config.model.units, 256 if short or characters < _FEW else 512),
        "model.dropout": (config.model.dropout, 0.1 if seldom else 0.3),
        "train.batch_size": (config.train.batch_size, max(_STREAMS[0], min(_STREAMS[1], characters // _STREAM))),
    }
    found = Sizes(*(default if named is None else named for named, default in chosen.values()))
    new = ", ".join(f"{key}={default}" for key, (named, default) in chosen.items() if named is None)
    budget = "" if minutes is None else f" and {minutes:g} minutes"
    return found, f"For {characters:,} training characters{budget}: {new}." if new else ""
