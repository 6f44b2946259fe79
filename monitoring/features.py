"""How a value per record is derived from a request's inputs and outputs.

A feature is plain data: it is written into the reference profile and read back by the monitor, so the same
code summarises the held-back data and the live traffic.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from monitoring import tokens
from monitoring.series import SeriesFeature
from monitoring.tokens import TokenSets

Values = np.ndarray | TokenSets
"""One value a record: float32 `(n,)`, strings `(n,)`, or the set of tokens of each of n texts."""


@dataclass(frozen=True)
class TextFeature:
    """A text: its length, how much of it the vocabulary does not know, and which tokens it holds.

    Args:
        input: name of the string input tensor, shape `(records,)` or `(records, 1)`.
        tokenizer: `{"lowercase": bool, "replace": [[pattern, replacement], ...], "split": pattern,
            "vocabulary": path}`; the replacements apply in order, the path is relative to the version's
            directory and names a file with one token a line.

    Example:
        >>> TextFeature("text", {"lowercase": True, "replace": [], "split": "[ ]+",
        ...                      "vocabulary": "assets/vocabulary.txt"})
    """

    kind: ClassVar[str] = "text"
    input: str
    tokenizer: Mapping[str, Any]
    outputs: ClassVar[tuple[str, ...]] = ()
    optional_inputs: ClassVar[tuple[str, ...]] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)

    def measure(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        vocabulary: Mapping[str, int],
    ) -> dict[str, Values]:
        """Values of the variables `<input>/length` (tokens), `<input>/oov` (share) and `<input>/tokens`."""
        texts = _scalars(self.input, inputs).tolist()
        length, oov, held = tokens.measure(texts, self.tokenizer, vocabulary)
        return {f"{self.input}/length": length, f"{self.input}/oov": oov, f"{self.input}/tokens": held}


@dataclass(frozen=True)
class NumericFeature:
    """A number that the model answers for each record, such as a score.

    Args:
        output: name of the output tensor, shape `(records,)` or `(records, 1)`.
    """

    kind: ClassVar[str] = "numeric"
    output: str
    inputs: ClassVar[tuple[str, ...]] = ()
    optional_inputs: ClassVar[tuple[str, ...]] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.output,)

    def measure(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        vocabulary: Mapping[str, int],
    ) -> dict[str, Values]:
        return {self.output: _scalars(self.output, outputs).astype(np.float32)}


@dataclass(frozen=True)
class CategoricalFeature:
    """A name that the model answers for each record, such as a label.

    Args:
        output: name of the output tensor, shape `(records,)` or `(records, 1)`.
    """

    kind: ClassVar[str] = "categorical"
    output: str
    inputs: ClassVar[tuple[str, ...]] = ()
    optional_inputs: ClassVar[tuple[str, ...]] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.output,)

    def measure(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        vocabulary: Mapping[str, int],
    ) -> dict[str, Values]:
        values = _scalars(self.output, outputs).tolist()
        names = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]
        return {self.output: np.array(names, dtype=str)}


Feature = TextFeature | NumericFeature | CategoricalFeature | SeriesFeature

_KINDS: dict[str, type[Feature]] = {f.kind: f for f in (TextFeature, NumericFeature, CategoricalFeature, SeriesFeature)}


def to_json(feature: Feature) -> dict[str, Any]:
    """The feature as plain data: `{"kind": ..., <its arguments>}`."""
    return {"kind": feature.kind, **asdict(feature)}


def from_json(data: Mapping[str, Any]) -> Feature:
    """The feature that `to_json` described.

    Raises:
        KeyError: for a kind that this version of the package does not know.
    """
    arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return _KINDS[arguments.pop("kind")](**arguments)


def _scalars(name: str, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The tensor `(n,)` or `(n, 1)` as `(n,)`."""
    tensor = np.asarray(tensors[name])
    if tensor.ndim == 0 or tensor.size != tensor.shape[0]:
        raise ValueError(f"A feature takes one value a record. Received: {name} of shape {tensor.shape}")
    return tensor.reshape(-1)
