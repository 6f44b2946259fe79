"""What a model of records is trained to answer: a class or a number. Each is a kind of column."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np

from unroll.errors import UserError
from unroll.pipelines.data.columns import CategoryColumn, Column, ColumnInfo, NumberColumn, numbering
from unroll.pipelines.data.labels import class_of, find_classes, tidy_labels

if TYPE_CHECKING:
    import keras
    import tensorflow as tf
    from matplotlib.figure import Figure

    from unroll.models.text.tokenizer import Tokenizer
    from unroll.monitoring.features import Feature
    from unroll.monitoring.tables.notes import Notes
    from unroll.pipelines.scoring.comparison import Losses
    from unroll.pipelines.task import Row

MAX_CLASSES = 1000
_NEGLIGIBLE = 0.01  # standard deviations: an error of a number that is none worth speaking of
Tensors = Mapping[str, Any]


class Target(Column):
    """A column that the model's answer is compared with."""

    def of_further(self, info: ColumnInfo, cells: np.ndarray) -> np.ndarray:
        """Parsed cells of further data, named as in training."""
        return cells

    def loss(self) -> "keras.losses.Loss":
        """Of encoded targets and what the model gives."""
        raise NotImplementedError

    def metrics(self) -> "list[keras.metrics.Metric]":
        """Likewise, of every epoch."""
        raise NotImplementedError

    def answer(self, given: "tf.Tensor", info: ColumnInfo) -> Tensors:
        """From what the model gives to what a client is answered, in the graph."""
        raise NotImplementedError

    def check(self, info: ColumnInfo, true: np.ndarray) -> None:
        """Refuses parsed cells that the model cannot be scored on.

        Raises:
            UserError: such as a class that it does not know.
        """

    def scores(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Metrics of answers to records with these parsed cells."""
        raise NotImplementedError

    def figures(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> "dict[str, Figure]":
        """Plots of the same, by file name."""
        return {}

    def tables(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> "dict[str, list[Row]]":
        """Further figures of the same, by title, a dictionary a row."""
        return {}

    def chance(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> str:
        """Why these answers are no better than guessing; empty if they are, or where it cannot be told."""
        return ""

    def losses(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> "Losses | None":
        """What each of these answers lost; None where answers are not compared with those of baselines."""
        return None

    def guesses(self, info: ColumnInfo, train: np.ndarray, count: int) -> dict[str, dict[str, np.ndarray]]:
        """By name of a baseline, the answers to so many records that the train split's cells allow."""
        return {}

    def baselines(self, info: ColumnInfo, train: np.ndarray, true: np.ndarray) -> dict[str, float]:
        """`metric/baseline`: scores, for records of these cells, of `guesses`."""
        return {
            f"{metric}/{name}": value
            for name, answers in self.guesses(info, train, len(true)).items()
            for metric, value in self.scores(info, true, answers).items()
        }


@dataclass(frozen=True)
class LabelColumn(CategoryColumn, Target):
    """One of some classes, of which the model gives logits `[batch, classes]`.

    Clients are answered `label`, its probability `score`, and `probabilities` `[batch, classes]`.
    """

    kind: ClassVar[str] = "label"
    needed: ClassVar[bool] = True

    def parse(self, key: str, values: Sequence[str | None]) -> np.ndarray:
        return super().parse(key, tidy_labels(values, f"data.{key}: the column"))

    def names(self, column: str, counts: Mapping[str, int], merge: bool, notes: "Notes") -> dict[str, str]:
        return find_classes(counts, f"column {column!r}", merge=merge, notes=notes)

    def of_further(self, info: ColumnInfo, cells: np.ndarray) -> np.ndarray:
        return np.array([class_of(cell.decode(), info["names"]).encode() for cell in cells], object)

    def learn(self, key: str, batches: Iterable[np.ndarray]) -> dict[str, Any]:
        counts = Counter(name.decode() for batch in batches for name in batch)
        if not 2 <= len(counts) <= MAX_CLASSES:
            raise UserError(
                f"data.{key}: the column holds {len(counts)} different labels in the train split, and a classifier "
                f"takes 2 to {MAX_CLASSES}. Name the label's column with --set data.{key}=COLUMN"
            )
        return {"names": sorted(counts)}

    def encoder(self, info: ColumnInfo, tokenizer: "Tokenizer | None") -> "Callable[[tf.Tensor], tf.Tensor]":
        return numbering(info["names"], first=0)

    def size(self, info: ColumnInfo) -> int:
        return len(info["names"])

    def features(self, key: str) -> "list[Feature]":
        from unroll.monitoring.features.values import CategoricalFeature, NumericFeature

        return [NumericFeature("score"), CategoricalFeature("label")]

    def loss(self) -> "keras.losses.Loss":
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self) -> "list[keras.metrics.Metric]":
        import keras

        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def answer(self, given: "tf.Tensor", info: ColumnInfo) -> Tensors:
        import tensorflow as tf

        probabilities = tf.nn.softmax(tf.cast(given, tf.float32))
        return {
            "label": tf.gather(tf.constant(info["names"]), tf.argmax(probabilities, axis=1)),
            "score": tf.reduce_max(probabilities, axis=1),
            "probabilities": probabilities,
        }

    def check(self, info: ColumnInfo, true: np.ndarray) -> None:
        known: Sequence[str] = info["names"]
        if unknown := {name.decode() for name in true} - set(known):
            raise UserError(f"label {min(unknown)!r} is unknown to the model, which knows: {', '.join(known)}")

    def scores(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> dict[str, float]:
        from unroll.pipelines.scoring.metrics import classification_metrics

        return classification_metrics(self._numbers(info, true), answers["probabilities"])

    def figures(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> "dict[str, Figure]":
        from unroll.pipelines.scoring import plots

        labels, probabilities = self._numbers(info, true), answers["probabilities"]
        return {
            "confusion_matrix.png": plots.confusion_matrix(labels, probabilities.argmax(axis=1), info["names"]),
            "calibration.png": plots.calibration(labels, probabilities),
        }

    def tables(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> "dict[str, list[Row]]":
        from unroll.pipelines.scoring.classes import class_tables

        return class_tables(self._numbers(info, true), answers["probabilities"].argmax(axis=1), info["names"])

    def chance(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> str:
        from unroll.pipelines.scoring.chance import probability_chance

        return probability_chance(self._numbers(info, true), answers["probabilities"], info["names"])

    def losses(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> "Losses":
        from unroll.pipelines.scoring.metrics import accuracy_losses

        return accuracy_losses(self._numbers(info, true), answers["probabilities"])

    def guesses(self, info: ColumnInfo, train: np.ndarray, count: int) -> dict[str, dict[str, np.ndarray]]:
        shares = np.bincount(self._numbers(info, train), minlength=len(info["names"])) / len(train)
        return {"majority": {"probabilities": np.tile(shares, (count, 1))}}

    def _numbers(self, info: ColumnInfo, true: np.ndarray) -> np.ndarray:
        number = {name.encode(): i for i, name in enumerate(info["names"])}
        return np.array([number[name] for name in true])


@dataclass(frozen=True)
class ValueColumn(NumberColumn, Target):
    """A number, of which the model gives `[batch]` or `[batch, 1]`, scaled to mean 0 and deviation 1 in training.

    Clients are answered `value`, in the column's own units.
    """

    kind: ClassVar[str] = "value"
    needed: ClassVar[bool] = True

    def features(self, key: str) -> "list[Feature]":
        from unroll.monitoring.features.values import NumericFeature

        return [NumericFeature("value")]

    def loss(self) -> "keras.losses.Loss":
        import keras

        return keras.losses.MeanSquaredError()

    def metrics(self) -> "list[keras.metrics.Metric]":
        import keras

        return [keras.metrics.MeanAbsoluteError(name="mae")]

    def answer(self, given: "tf.Tensor", info: ColumnInfo) -> Tensors:
        import tensorflow as tf

        return {"value": tf.reshape(tf.cast(given, tf.float32), [-1]) * info["std"] + info["mean"]}

    def scores(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> dict[str, float]:
        from unroll.pipelines.scoring.metrics import regression_metrics

        return regression_metrics(true, answers["value"])

    def chance(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> str:
        from unroll.pipelines.scoring.chance import error_chance

        return error_chance(true, answers["value"], info["mean"])

    def losses(self, info: ColumnInfo, true: np.ndarray, answers: Mapping[str, np.ndarray]) -> "Losses":
        from unroll.pipelines.scoring.comparison import Losses

        squares = (answers["value"].astype(np.float64) - true) ** 2
        return Losses("rmse", squares, figure="root", negligible=(_NEGLIGIBLE * info["std"]) ** 2)

    def guesses(self, info: ColumnInfo, train: np.ndarray, count: int) -> dict[str, dict[str, np.ndarray]]:
        values = {"mean": info["mean"], "median": float(np.median(train.astype(np.float64)))}
        return {name: {"value": np.full(count, value)} for name, value in values.items()}


Label = Annotated[str, LabelColumn()]
Value = Annotated[str, ValueColumn()]
