"""Texts that a model is sent, and texts that it answers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from unroll.monitoring.features import tokens
from unroll.monitoring.features.sources import OfInput, OfOutput, Tensors, Values, scalars

MAX_WORDS = 1000
WORDS = {"lowercase": True, "replace": [["(?=[^\\w\\s'])|(?<=[^\\w\\s'])", " "]], "split": "\\s+"}
"""How generated text is cut: into words, with their apostrophes, and other characters, each for itself."""


@dataclass(frozen=True)
class TextFeature(OfInput):
    """A text: its length, how much of it the vocabulary does not know, and which tokens it holds.

    Args:
        input: name of the string input tensor, shape `(records,)` or `(records, 1)`.
        tokenizer: `{"lowercase": bool, "replace": [[pattern, replacement], ...], "split": pattern,
            "vocabulary": path}` and the keys of `normal_form`, which comes first; the replacements apply in order, the
            path is relative to the version's directory and names a file with one token a line.

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

    def measure(self, inputs: Tensors, outputs: Tensors, vocabulary: Mapping[str, int]) -> dict[str, Values]:
        """Values of the variables `<input>/length` (tokens), `<input>/oov` (share) and `<input>/tokens`."""
        texts = scalars(self.input, inputs).tolist()
        length, oov, held = tokens.measure(texts, self.tokenizer, vocabulary)
        return {f"{self.input}/length": length, f"{self.input}/oov": oov, f"{self.input}/tokens": held}


@dataclass(frozen=True)
class GeneratedTextFeature(OfOutput):
    """A text that the model answers: its length, and which words it holds.

    Words, not the model's own tokens: whatever a model writes with, its answers are read as words.

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
        """Watches the `MAX_WORDS` words that the most of the texts hold: the model's answers on held-out data."""
        counts = Counter(word for words in tokens.split(texts, WORDS) for word in set(words))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(output, tuple(ranked[:MAX_WORDS]))

    @property
    def vocabulary(self) -> dict[str, int]:  # type: ignore[override]
        """Word to id."""
        return {word: i for i, word in enumerate(self.words)}

    def measure(self, inputs: Tensors, outputs: Tensors, vocabulary: Mapping[str, int]) -> dict[str, Values]:
        """Values of the variables `<output>/length` (words) and `<output>/tokens`."""
        texts = scalars(self.output, outputs).tolist()
        length, _, held = tokens.measure(texts, WORDS, self.vocabulary)
        return {f"{self.output}/length": length, f"{self.output}/tokens": held}
