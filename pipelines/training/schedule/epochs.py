"""How often a train split is read where neither epochs nor minutes are set."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DefaultEpochs:
    """A number of epochs, and what it follows from.

    Args:
        count: passes over the train split at most.
        reason: ends the sentence that says the number; empty where it is the same for any data.
        patience: with a budget, epochs without a better validation score after which there will be none; None: as many
            as take a third of it, which is long where an epoch takes a second.
    """

    count: int
    reason: str = ""
    patience: int | None = None

    def __str__(self) -> str:
        return f"train.epochs={self.count}{f', {self.reason}' * bool(self.reason)}"


def epochs_for(records: int, *, seen: int, least: int, most: int, of: str = "training records") -> DefaultEpochs:
    """As many epochs as read `seen` records, so that small sets are read more often.

    Args:
        records: of the train split.
        seen: that are read in training at least, those read again included.
        least: epochs of the largest sets.
        most: epochs of the smallest.
        of: what is counted.

    Example:
        >>> str(epochs_for(1600, seen=20_000, least=2, most=10))
        'train.epochs=10, for 1,600 training records'
    """
    count = max(least, min(most, -(-seen // max(1, records))))
    return DefaultEpochs(count, f"for {records:,} {of}")
