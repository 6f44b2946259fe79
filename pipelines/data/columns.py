"""What a column of a table of records holds: how it is read, learnt, encoded in the graph, answered and watched.

A section of the configuration says so by its annotation: `text: Words = "text"` is a key `data.text` that names a
column of texts. Nothing is loaded here before it is used, so that a configuration is checked without TensorFlow.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np

from unroll.errors import UserError
from unroll.pipelines.data.labels import find_categories, spellings, tidy_label
from unroll.pipelines.training.config import Section

if TYPE_CHECKING:
    import tensorflow as tf

    from unroll.models.text.tokenizer import Tokenizer
    from unroll.monitoring.features import Feature
    from unroll.monitoring.tables.notes import Notes

MAX_CATEGORIES = 1000
ColumnInfo = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A kind of column; `kind` names it to clients."""

    kind: ClassVar[str]
    needed: ClassVar[bool] = True
    """Whether a record without it is left out."""
    named: ClassVar[bool] = False
    """Whether its cells are names, of which several may be one."""

    def parse(self, key: str, values: Sequence[str | None]) -> np.ndarray:
        """Cells to what a client would send, bytes `[n]`; a missing cell is empty.

        Raises:
            UserError: a cell that is not of this kind.
        """
        return np.array([(value or "").encode() for value in values], object)

    def names(self, column: str, counts: Mapping[str, int], merge: bool, notes: "Notes") -> dict[str, str]:
        """Names of cells that are not called as they are written, of all records.

        Args:
            column: its name.
            counts: records by parsed cell.
            merge: whether names that differ in capitals only are one.
            notes: where to say which are one.

        Raises:
            UserError: names that cannot be told apart.
        """
        return {}

    def learn(self, key: str, batches: Iterable[np.ndarray]) -> dict[str, Any]:
        """What must be known of the train split, as JSON has it, from its parsed cells."""
        return {}

    def spec(self, key: str) -> "tf.TensorSpec":
        """What a client sends: `[batch]`."""
        import tensorflow as tf

        return tf.TensorSpec([None], tf.string, name=key)

    def encoder(self, info: ColumnInfo, tokenizer: "Tokenizer | None") -> "Callable[[tf.Tensor], tf.Tensor]":
        """From what a client sends to what the model is given, in the graph."""
        raise NotImplementedError

    def size(self, info: ColumnInfo) -> int:
        """How many different numbers encoded values have."""
        raise TypeError(f"a column of {self.kind} has no size. Ask that of words, categories and labels")

    def features(self, key: str) -> "list[Feature]":
        """What is watched of it when the model is served."""
        return []


@dataclass(frozen=True)
class WordsColumn(Column):
    """Text, to int32 ids of words `[batch, words]`, 0 behind the last, 1 for an unknown word."""

    kind: ClassVar[str] = "text"

    def encoder(self, info: ColumnInfo, tokenizer: "Tokenizer | None") -> "Callable[[tf.Tensor], tf.Tensor]":
        assert tokenizer is not None
        return tokenizer

    def size(self, info: ColumnInfo) -> int:
        return info["vocabulary"]

    def features(self, key: str) -> "list[Feature]":
        from unroll.pipelines.data.vocabulary import text_feature

        return [text_feature(key)]


@dataclass(frozen=True)
class CategoryColumn(Column):
    """A name, to an int32 number `[batch]`, 0 for one that the train split lacks."""

    kind: ClassVar[str] = "category"
    needed: ClassVar[bool] = False
    named: ClassVar[bool] = True

    def parse(self, key: str, values: Sequence[str | None]) -> np.ndarray:
        return super().parse(key, [tidy_label(value) if value else "" for value in values])

    def names(self, column: str, counts: Mapping[str, int], merge: bool, notes: "Notes") -> dict[str, str]:
        return find_categories(counts, column, merge=merge, notes=notes)

    def learn(self, key: str, batches: Iterable[np.ndarray]) -> dict[str, Any]:
        counts = Counter(name.decode() for batch in batches for name in batch if name)
        return {"names": [name for name, _ in sorted(counts.most_common(MAX_CATEGORIES))]}

    def encoder(self, info: ColumnInfo, tokenizer: "Tokenizer | None") -> "Callable[[tf.Tensor], tf.Tensor]":
        return numbering(info["names"], first=1, others=_others(info))

    def size(self, info: ColumnInfo) -> int:
        return len(info["names"]) + 1

    def features(self, key: str) -> "list[Feature]":
        from unroll.monitoring.features.values import CategoricalInput

        return [CategoricalInput(key)]


@dataclass(frozen=True)
class NumberColumn(Column):
    """A number, to float32 `[batch]` of mean 0 and deviation 1; 0 where it is missing (NaN)."""

    kind: ClassVar[str] = "number"
    needed: ClassVar[bool] = False

    def parse(self, key: str, values: Sequence[str | None]) -> np.ndarray:
        from unroll.monitoring.missing import MISSING

        parsed = np.full(len(values), np.nan, np.float32)
        for row, value in enumerate(values):
            text = (value or "").strip()
            if text.lower() in MISSING:
                continue
            try:
                parsed[row] = float(text)
            except ValueError:
                raise UserError(
                    f"data.{key}: the column holds a value that is not a number. Received: {value!r}. Fix it, leave "
                    f"it empty where it is missing, or name another column with --set data.{key}=COLUMN"
                ) from None
        return parsed

    def learn(self, key: str, batches: Iterable[np.ndarray]) -> dict[str, Any]:
        count, total, squares = 0, 0.0, 0.0
        for batch in batches:
            known = batch[np.isfinite(batch)].astype(np.float64)
            count, total, squares = count + len(known), total + known.sum(), squares + (known**2).sum()
        if not count:
            raise UserError(f"data.{key}: the column holds no number in the train split. Name another one")
        deviation = math.sqrt(max(0.0, squares / count - (total / count) ** 2))
        return {"mean": total / count, "std": deviation or 1.0}

    def spec(self, key: str) -> "tf.TensorSpec":
        import tensorflow as tf

        return tf.TensorSpec([None], tf.float32, name=key)

    def encoder(self, info: ColumnInfo, tokenizer: "Tokenizer | None") -> "Callable[[tf.Tensor], tf.Tensor]":
        import tensorflow as tf

        return lambda raw: tf.where(tf.math.is_finite(raw), (raw - info["mean"]) / info["std"], 0.0)

    def features(self, key: str) -> "list[Feature]":
        from unroll.monitoring.features.values import NumericInput

        return [NumericInput(key)]


Words = Annotated[str, WordsColumn()]
Number = Annotated[str, NumberColumn()]
Category = Annotated[str, CategoryColumn()]


def columns_of(section: type[Section]) -> dict[str, Column]:
    """The columns that a section's keys name, by key.

    Example:
        >>> class Reviews(Section):
        ...     text: Words = "text"
        >>> columns_of(Reviews)
        {'text': WordsColumn()}
    """
    return {
        key: kind for key, field in section.model_fields.items() for kind in field.metadata if isinstance(kind, Column)
    }


def numbering(
    names: Sequence[str], first: int, others: Mapping[str, str] | None = None
) -> "Callable[[tf.Tensor], tf.Tensor]":
    """From names to int32, in the graph: the first of them is `first`, any other text `first - 1`; blanks around a name
    and several inside do not count.

    Args:
        names: in order.
        first: number of the first.
        others: further texts for them.
    """
    import tensorflow as tf

    numbers = {name: number for number, name in enumerate(names, first)}
    numbers |= {other: numbers[name] for other, name in (others or {}).items() if other not in numbers}

    class Numbering(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            values = tf.constant(list(numbers.values()), tf.int64)
            initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(list(numbers), tf.string), values)
            self.table = tf.lookup.StaticHashTable(initializer, default_value=first - 1)

        def __call__(self, raw: tf.Tensor) -> tf.Tensor:
            single = tf.strings.strip(tf.strings.regex_replace(raw, r"[\s\p{Zs}]+", " "))
            return tf.cast(self.table.lookup(single), tf.int32)

    return Numbering()


def _others(info: ColumnInfo) -> dict[str, str]:
    """What else the names of a category are written as: in the data, and by clients."""
    others = {other: name for name in info["names"] for other in spellings(name)}
    return others | {other: name for other, name in info.get("renamed", {}).items() if name in info["names"]}
