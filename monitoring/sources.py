"""Where a feature takes its values from: one input of the model, or one output."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class OfInput:
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
class OfOutput:
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


def scalars(name: str, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The tensor `(n,)` or `(n, 1)` as `(n,)`.

    Raises:
        ValueError: more than one value a record.
    """
    tensor = np.asarray(tensors[name])
    if tensor.ndim == 0 or tensor.size != tensor.shape[0]:
        raise ValueError(f"A feature takes one value a record. Received: {name} of shape {tensor.shape}")
    return tensor.reshape(-1)
