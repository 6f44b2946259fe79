"""What the number of pairs decides where the configuration leaves it open."""

from unroll.pipelines.tasks.translation.config import TranslationConfig
from unroll.pipelines.training.schedule.epochs import DefaultEpochs, epochs_for

_SEEN = 800_000  # pairs that are read in training at least, those read again included
_MAX_EPOCHS = 60
_PIECES = 500, 8000  # subwords at least, and at most
_PAIRS_A_PIECE = 5
_FEW, _MANY = 10_000, 200_000  # pairs
_UNITS = {"transformer": (128, 128, 256)}  # for few pairs, for more, and for many
_RECURRENT = (256, 384, 512)
_DROPOUT = (0.4, 0.3, 0.1)


def default_epochs(pairs: int) -> DefaultEpochs:
    """What is good for so many pairs in the train split.

    Example:
        >>> default_epochs(29_000).count, default_epochs(1_000_000).count
        (28, 3)
    """
    return epochs_for(pairs, seen=_SEEN, least=3, most=_MAX_EPOCHS, of="training pairs")


def default_vocabulary(pairs: int) -> int:
    """Subwords of both languages.

    Example:
        >>> default_vocabulary(2000), default_vocabulary(29_000)
        (500, 5800)
    """
    least, most = _PIECES
    return max(least, min(most, 100 * round(pairs / _PAIRS_A_PIECE / 100)))


def planned(config: TranslationConfig, pairs: int) -> tuple[TranslationConfig, str]:
    """A configuration in which nothing of the model is left open but the length penalty, and what was decided.

    Args:
        config: what it names is kept.
        pairs: of the train split.
    """
    cell, amount = config.model.cell, (pairs >= _FEW) + (pairs >= _MANY)
    units = config.model.units or _UNITS.get(cell, _RECURRENT)[amount]
    wanted = {
        "units": units,
        "layers": 4 if cell == "transformer" else 2,
        "embedding": units if cell == "transformer" else 256,
        "dropout": _DROPOUT[amount],
    }
    chosen = {key: value for key, value in wanted.items() if getattr(config.model, key) is None}
    if not chosen:
        return config, ""
    said = ", ".join(f"model.{key}={value}" for key, value in chosen.items())
    model = config.model.model_copy(update=chosen)
    return config.model_copy(update={"model": model}), f"For {pairs:,} training pairs and {cell}: {said}."
