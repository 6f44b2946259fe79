"""What the size of the data and the time for the training decide where the configuration leaves it open."""

from unroll.pipelines.tasks.language.config import LanguageConfig
from unroll.pipelines.training.schedule.epochs import DefaultEpochs, epochs_for

_SEEN = 12_000_000  # characters that are read in training at least, those read again included
_MAX_EPOCHS = 60
_SHORT = 5  # minutes, in which a small network learns more than a large one
_FEW = 300_000  # training characters, which a small network knows by heart
_READ_AGAIN = 5  # epochs, from which dropout pays, and small steps of learning do
_STREAM = 20_000  # training characters of a stream at least, so that an epoch has a few hundred steps
_STREAMS = (4, 25)
_DEEP = {"mingru": 3, "tcn": 6, "transformer": 4}
"""Layers of cells of which one sees no more than a few units, or cannot weigh one state by another."""


def default_epochs(characters: int) -> DefaultEpochs:
    """What is good for a train split of so many characters.

    Example:
        >>> default_epochs(948_084).count, default_epochs(10**8).count
        (13, 1)
    """
    return epochs_for(characters, seen=_SEEN, least=1, most=_MAX_EPOCHS, of="training characters")


def sized(config: LanguageConfig, characters: int) -> tuple[LanguageConfig, str]:
    """A configuration in which nothing is left open, and what was decided, in a line; empty if nothing was.

    Args:
        config: what it names is kept.
        characters: of the train split.

    Example:
        >>> sized(LanguageConfig(), 948_084)[1].partition(", train")[0]
        'For 948,084 training characters: model.units=512, model.layers=1, model.dropout=0.3'
    """
    minutes, epochs = config.train.minutes, config.train.epochs
    short = minutes is not None and minutes < _SHORT
    planned = default_epochs(characters).count if minutes is None and epochs is None else epochs
    seldom = short if planned is None else planned < _READ_AGAIN
    cell = config.model.cell
    model = {
        "units": 256 if short or characters < _FEW or cell in _DEEP else 512,
        "layers": _DEEP.get(cell, 1),
        "dropout": 0.1 if seldom else 0.3,
    }
    train = {
        "batch_size": max(_STREAMS[0], min(_STREAMS[1], characters // _STREAM)),
        # many small steps where there is time for few
        "chunk": 50 if short else 100,
        "learning_rate": (2 if seldom else 1) * (1e-3 if cell == "transformer" else 3e-3),
    }
    chosen = {
        name: {key: value for key, value in values.items() if getattr(getattr(config, name), key) is None}
        for name, values in (("model", model), ("train", train))
    }
    sections = {name: getattr(config, name).model_copy(update=values) for name, values in chosen.items()}
    named = ", ".join(f"{name}.{key}={value:g}" for name, values in chosen.items() for key, value in values.items())
    budget = "" if minutes is None else f" and {minutes:g} minutes"
    said = f"For {characters:,} training characters{budget}: {named}." if named else ""
    return config.model_copy(update=sections), said
