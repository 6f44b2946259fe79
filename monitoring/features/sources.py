"""Where a feature takes its values from: one input of the model, or one output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from unroll.monitoring.features.tokens import TokenSets

if TYPE_CHECKING:
    from unroll.monitoring.actuals import Actuals

Tensors = Mapping[str, np.ndarray]
"""Inputs or outputs of n records by name, the records first."""

Values = np.ndarray | TokenSets
"""One value a record: float32 `(n,)`, strings `(n,)`, or the set of tokens of each of n texts."""


class OfRecords:
    """A feature of records that have nothing to do with one another; what is special about others they override."""

    shared_steps: ClassVar[int | None] = None
    """Of records that follow one another, the timesteps that neighbours may share."""
    number: ClassVar[str] = "numeric"
    """Kind of variable that its numbers are: `numeric`, or `magnitude` where it counts how far a number went."""
    vocabulary_file: ClassVar[str | None] = None
    """Of the tokens that it is made of, relative to a version's directory."""
    vocabulary: ClassVar[dict[str, int] | None] = None
    """Tokens of its own, with their ids."""

    def in_order(self, inputs: Tensors, n: int) -> np.ndarray | None:
        """Rows of n records in the order of time; None where that says nothing."""
        return None

    def actuals(self, labels: Path, overrides: Sequence[str] = ()) -> "Actuals | None":
        """What came true, from a file that arrives later; None where a feature has no use for it."""
        return None


@dataclass(frozen=True)
class OfInput(OfRecords):
    """A feature of one input tensor.

    Args:
        input: its name.
    """

    input: str
    outputs: ClassVar[tuple[str, ...]] = ()
    optional_inputs: ClassVar[tuple[str, ...]] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True)
class OfOutput(OfRecords):
    """A feature of one output tensor.

    Args:
        output: its name.
    """

    output: str
    inputs: ClassVar[tuple[str, ...]] = ()
    optional_inputs: ClassVar[tuple[str, ...]] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.output,)


def scalars(name: str, tensors: Tensors) -> np.ndarray:
    """The tensor `(n,)` or `(n, 1)` as `(n,)`.

    Raises:
        ValueError: more than one value a record.
    """
    tensor = np.asarray(tensors[name])
    if tensor.ndim == 0 or tensor.size != tensor.shape[0]:
        raise ValueError(f"A feature takes one value a record. Received: {name} of shape {tensor.shape}")
    return tensor.reshape(-1)
