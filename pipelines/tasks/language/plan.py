"""What the size of the data decides where the configuration leaves it open."""

from unroll.pipelines.training.schedule.epochs import DefaultEpochs, epochs_for

_SEEN = 12_000_000  # characters that are read in training at least, those read again included
_MAX_EPOCHS = 60


def default_epochs(characters: int) -> DefaultEpochs:
    """What is good for a train split of so many characters.

    Example:
        >>> default_epochs(948_084).count, default_epochs(10**8).count
        (13, 1)
    """
    return epochs_for(characters, seen=_SEEN, least=1, most=_MAX_EPOCHS, of="training characters")
