"""Numbers, names and vectors: one value a record, as it was sent or answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unroll.monitoring.features.sources import OfInput, OfOutput, Tensors, Values, scalars

MAX_COORDINATES = 64


@dataclass(frozen=True)
class NumericFeature(OfOutput):
    """A number that the model answers for each record, such as a score.

    Args:
        output: name of the output tensor, shape `(records,)` or `(records, 1)`.
    """

    kind: ClassVar[str] = "numeric"

    def measure(self, inputs: Tensors, outputs: Tensors, vocabulary: Mapping[str, int]) -> dict[str, Values]:
        return {self.output: scalars(self.output, outputs).astype(np.float32)}


@dataclass(frozen=True)
class CategoricalFeature(OfOutput):
    """A name that the model answers for each record, such as a label.

    Args:
        output: name of the output tensor, shape `(records,)` or `(records, 1)`.
    """

    kind: ClassVar[str] = "categorical"

    def measure(self, inputs: Tensors, outputs: Tensors, vocabulary: Mapping[str, int]) -> dict[str, Values]:
        return {self.output: _names(scalars(self.output, outputs))}


@dataclass(frozen=True)
class NumericInput(OfInput):
    """A number that each record brings.

    Args:
        input: name of the input tensor, shape `(records,)` or `(records, 1)`; NaN where it is missing.
    """

    kind: ClassVar[str] = "numeric_input"

    def measure(self, inputs: Tensors, outputs: Tensors, vocabulary: Mapping[str, int]) -> dict[str, Values]:
        """Values of the variables `<input>/value` and `<input>/missing`, 1 where it is."""
        values = scalars(self.input, inputs).astype(np.float32)
        return {f"{self.input}/value": values, f"{self.input}/missing": np.isnan(values).astype(np.float32)}


@dataclass(frozen=True)
class CategoricalInput(OfInput):
    """A name that each record brings.

    Args:
        input: name of the string input tensor, shape `(records,)` or `(records, 1)`.
    """

    kind: ClassVar[str] = "categorical_input"

    def measure(self, inputs: Tensors, outputs: Tensors, vocabulary: Mapping[str, int]) -> dict[str, Values]:
        """Values of the variable `<input>/name`."""
        return {f"{self.input}/name": _names(scalars(self.input, inputs))}


@dataclass(frozen=True)
class VectorFeature(OfOutput):
    """A vector that the model answers for each record, such as coordinates on principal components.

    Each coordinate is a variable of its own, so few that each mean something do better than many.

    Args:
        output: name of the output tensor, floats of shape `(records, coordinates)`.

    Example:
        >>> list(VectorFeature("embedding").measure({}, {"embedding": np.ones([5, 2])}, {}))
        ['embedding/1', 'embedding/2']
    """

    kind: ClassVar[str] = "vector"

    def measure(self, inputs: Tensors, outputs: Tensors, vocabulary: Mapping[str, int]) -> dict[str, Values]:
        """Values of the variables `<output>/1`, `<output>/2`, ..., float32 `(n,)`.

        Raises:
            ValueError: no vectors, or of more than `MAX_COORDINATES`.
        """
        vectors = np.asarray(outputs[self.output])
        if vectors.ndim == 1:  # a single coordinate, as the request log gives it
            vectors = vectors[:, None]
        if vectors.ndim != 2 or vectors.shape[1] > MAX_COORDINATES:
            raise ValueError(
                f"A vector has at most {MAX_COORDINATES} coordinates. Received: {self.output} of shape {vectors.shape}"
            )
        return {f"{self.output}/{i + 1}": column for i, column in enumerate(vectors.T.astype(np.float32))}


def _names(values: np.ndarray) -> np.ndarray:
    """Strings `(n,)`; bytes that are not UTF-8 are replaced."""
    return np.array([v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.tolist()], str)
