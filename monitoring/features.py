"""How a value per record is derived from a request's inputs and outputs.

A feature is plain data: it is written into the reference profile and read back by the monitor, so the same
code summarises the held-back data and the live traffic.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, get_args

import numpy as np

from unroll.monitoring import tokens
from unroll.monitoring.images import ImageFeature
from unroll.monitoring.series import SeriesFeature
from unroll.monitoring.sources import OfInput, OfOutput, scalars
from unroll.monitoring.tokens import TokenSets

MAX_COORDINATES = 64
MAX_WORDS = 1000
WORDS = {"lowercase": True, "replace": [["(?=[^\\w\\s'])|(?<=[^\\w\\s'])", " "]], "split": "\\s+"}
"""How generated text is cut: into words, with their apostrophes, and other characters, each for itself."""

Values = np.ndarray | TokenSets
"""One value a record: float32 `(n,)`, strings `(n,)`, or the set of tokens of each of n texts."""


@dataclass(frozen=True)
class TextFeature(OfInput):
    """A text: its length, how much of it the vocabulary does not know, and which tokens it holds.

    Args:
        input: name of the string input tensor, shape `(records,)` or `(records, 1)`.
        tokenizer: `{"lowercase": bool, "replace": [[pattern, replacement], ...], "split": pattern,
            "vocabulary": path}`; the replacements apply in order, the path is relative to the version's
            directory and names a file with one token a line.

    Example:
        >>> tokenizer = {"lowercase": True, "replace": [], "split": "[ ]+", "vocabulary": "assets/vocabulary.txt"}
        >>> feature = TextFeature("text", tokenizer)
        >>> feature.measure({"text": np.array(["A fine film", ""])}, {}, {"a": 0, "film": 1})["text/length"]
        array([3., 0.], dtype=float32)
    """

    kind: ClassVar[str] = "text"
    tokenizer: Mapping[str, Any]

    @property
    def vocabulary_file(self) -> str:  # type: ignore[override]
        return self.tokenizer["vocabulary"]

    def measure(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        vocabulary: Mapping[str, int],
    ) -> dict[str, Values]:
        """Values of the variables `<input>/length` (tokens), `<input>/oov` (share) and `<input>/tokens`."""
        texts = scalars(self.input, inputs).tolist()
        length, oov, held = tokens.measure(texts, self.tokenizer, vocabulary)
        return {f"{self.input}/length": length, f"{self.input}/oov": oov, f"{self.input}/tokens": held}


@dataclass(frozen=True)
class GeneratedTextFeature(OfOutput):
    """A text that the model answers: its length, and which words it holds.

    Words, not the model's own pieces: whatever a model writes with, its answers are read as words.

    Args:
        output: name of the string output tensor, shape `(records,)` or `(records, 1)`.
        words: the words that are watched.

    Example:
        >>> GeneratedTextFeature.fit("caption", ["a dog runs", "a red dog"]).words
        ('a', 'dog', 'red', 'runs')
    """

    kind: ClassVar[str] = "generated_text"
    words: tuple[str, ...]

    @classmethod
    def fit(cls, output: str, texts: Iterable[str | bytes]) -> "GeneratedTextFeature":
        """Watches the `MAX_WORDS` words that the most of the texts hold: the model's answers on held-back data."""
        counts = Counter(word for words in tokens.split(texts, WORDS) for word in set(words))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(output, tuple(ranked[:MAX_WORDS]))

    @property
    def vocabulary(self) -> dict[str, int]:  # type: ignore[override]
        """Word to id."""
        return {word: i for i, word in enumerate(self.words)}

    def measure(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        vocabulary: Mapping[str, int],
    ) -> dict[str, Values]:
        """Values of the variables `<output>/length` (words) and `<output>/tokens`."""
        texts = scalars(self.output, outputs).tolist()
        length, _, held = tokens.measure(texts, WORDS, self.vocabulary)
        return {f"{self.output}/length": length, f"{self.output}/tokens": held}


@dataclass(frozen=True)
class NumericFeature(OfOutput):
    """A number that the model answers for each record, such as a score.

    Args:
        output: name of the output tensor, shape `(records,)` or `(records, 1)`.
    """

    kind: ClassVar[str] = "numeric"

    def measure(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        vocabulary: Mapping[str, int],
    ) -> dict[str, Values]:
        return {self.output: scalars(self.output, outputs).astype(np.float32)}


@dataclass(frozen=True)
class CategoricalFeature(OfOutput):
    """A name that the model answers for each record, such as a label.

    Args:
        output: name of the output tensor, shape `(records,)` or `(records, 1)`.
    """

    kind: ClassVar[str] = "categorical"

    def measure(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        vocabulary: Mapping[str, int],
    ) -> dict[str, Values]:
        return {self.output: _names(scalars(self.output, outputs))}


@dataclass(frozen=True)
class NumericInput(OfInput):
    """A number that each record brings.

    Args:
        input: name of the input tensor, shape `(records,)` or `(records, 1)`; NaN where it is missing.
    """

    kind: ClassVar[str] = "numeric_input"

    def measure(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        vocabulary: Mapping[str, int],
    ) -> dict[str, Values]:
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

    def measure(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        vocabulary: Mapping[str, int],
    ) -> dict[str, Values]:
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

    def measure(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        vocabulary: Mapping[str, int],
    ) -> dict[str, Values]:
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


Feature = (
    TextFeature
    | GeneratedTextFeature
    | NumericFeature
    | CategoricalFeature
    | VectorFeature
    | NumericInput
    | CategoricalInput
    | SeriesFeature
    | ImageFeature
)

_KINDS: dict[str, type[Feature]] = {kind.kind: kind for kind in get_args(Feature)}


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


def _names(values: np.ndarray) -> np.ndarray:
    """Strings `(n,)`; bytes that are not UTF-8 are replaced."""
    return np.array([v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.tolist()], str)
