"""What a task answers."""

import abc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from unroll.pipelines.data.records import find_files
from unroll.pipelines.scoring.comparison import Baselines, Losses
from unroll.pipelines.training.config import TaskConfig
from unroll.pipelines.training.schedule.epochs import DefaultEpochs

if TYPE_CHECKING:
    import keras
    import tensorflow as tf
    from matplotlib.figure import Figure

    from unroll import monitoring
    from unroll.monitoring.features import Feature
    from unroll.pipelines.training.progress import Progress


Arrays = Mapping[str, np.ndarray]
Row = Mapping[str, str | int | float]


class Predict(Protocol):
    """An exported model: from inputs to outputs of a signature, by name."""

    def __call__(self, inputs: Arrays, signature: str = ..., /) -> Arrays: ...


@dataclass(frozen=True)
class Servable:
    """What is exported.

    Args:
        module: holds the variables and lookup tables that the signatures use.
        signatures: by name; `serving_default` takes what a person has and returns what a person wants.
        warmup: requests (signature, inputs) that a server replays when it loads the model.
        said: what was decided on the validation split, a line each, for the terminal.
        predict_validation: answers the validation split as the graph would that has not learnt it; None if none has.
        network: that the signatures call, where it is not the trained model itself but has learnt more since.
    """

    module: "tf.Module"
    signatures: dict[str, Any]
    warmup: Sequence[tuple[str, Arrays]]
    said: Sequence[str] = ()
    predict_validation: Predict | None = None
    network: "keras.Model | None" = None


@dataclass(frozen=True)
class Evaluation:
    """What an exported model scored on some records.

    Args:
        metrics: `{metric: value}`, with `metric/group` where a group column is named.
        inputs: the records as the model was sent them; of very many, an even sample.
        outputs: the model's answers to those.
        figures: plots by file name.
        tables: further figures by title, one dictionary a row; kept with the run as CSV.
        clusters: of each row of `inputs`, the name of what it belongs to, empty for a cluster of its own; for the
            reference profile. Empty where the task knows of none.
        chance: why these scores are no better than those of guessing, as a clause after "on the validation split";
            empty if they are better, or where the task cannot tell.
        notes: what must be known to read the scores, a sentence each.
        losses: what the model lost on each record, and baselines that were scored with it; None: it is not compared.
    """

    metrics: dict[str, float]
    inputs: Arrays
    outputs: Arrays
    figures: "dict[str, Figure]"
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    clusters: Sequence[str] = ()
    chance: str = ""
    notes: Sequence[str] = ()
    losses: Losses | None = None


class Task(abc.ABC):
    """A kind of problem: the only place that knows its raw input, model, loss, metrics and signatures.

    Args:
        config: the validated configuration, an instance of `Config`.
        directory: the prepared data set, written by `prepare` and only read afterwards.
    """

    name: ClassVar[str]
    Config: ClassVar[type[TaskConfig]]
    monitor: ClassVar[str] = "loss"
    """Metric of the validation split that decides which epoch is best; smaller is better."""

    sequential: ClassVar[bool] = False
    """Whether validation batches follow one another in time, so that neighbours are alike."""

    def __init__(self, config: Any, directory: Path):
        self.config = config
        self.directory = directory

    @classmethod
    def data_files(cls, data: str) -> list[Path]:
        """The files that `data` names; tables unless overridden.

        Raises:
            UserError: there are none.
        """
        return find_files(data)

    @classmethod
    def files(cls, config: Any, data: str) -> list[Path]:
        """The files of the data set, whose content is its digest: those that `data` names and those they name.

        Raises:
            UserError: there are none.
        """
        return cls.data_files(data)

    @classmethod
    def cell_readers(cls, config: Any) -> "Mapping[str, Callable[[Any], bytes | None]]":
        """By column of a DataFrame whose cells name files: what reads the file of a cell, or raises OSError."""
        return {}

    @classmethod
    def preparation(cls, config: Any) -> dict[str, Any]:
        """The part of the configuration that the prepared data set depends on; names its cache."""
        return config.data.model_dump(mode="json")

    @classmethod
    @abc.abstractmethod
    def prepare(cls, config: Any, data: str, directory: Path, progress: "Progress") -> None:
        """Reads and checks raw records and writes the prepared data set.

        Args:
            config: the configuration.
            data: a file, folder or glob.
            directory: an empty folder; it becomes the cache when this returns.
            progress: where to show it.

        Raises:
            UserError: records that cannot be used, and what to do.
        """

    @abc.abstractmethod
    def dataset_info(self) -> dict[str, Any]:
        """What is known of the data set: classes, counts, what was left out and why. Kept with the model."""

    @abc.abstractmethod
    def summary(self) -> str:
        """The data set in a line, for the terminal."""

    @abc.abstractmethod
    def train_batches(self, epoch: int) -> "tf.data.Dataset":
        """Training batches `(inputs, targets[, weights])`, in an order that only seed and epoch decide."""

    @abc.abstractmethod
    def validation_batches(self) -> "tf.data.Dataset":
        """Validation batches `(inputs, targets)`, the same on every call."""

    def validation_block(self, begin: float, end: float) -> "tf.data.Dataset":
        """Validation batches of a part of the records, from one share to another, by which `unroll tune` judges.

        To be overridden where a tensor of a batch has other rows than its records; see
        `unroll.pipelines.training.batch_blocks.block`.
        """
        from unroll.pipelines.training.batch_blocks import block

        return block(self.validation_batches(), begin, end, in_order=self.sequential)

    @abc.abstractmethod
    def steps_per_epoch(self) -> int:
        """Training batches of an epoch, within a few; the length of the learning rate's schedule."""

    @abc.abstractmethod
    def build(self) -> "keras.Model":
        """The untrained model, its variables created, in the policy of precision that is set."""

    @abc.abstractmethod
    def compile(self, model: "keras.Model", optimizer: "keras.optimizers.Optimizer") -> None:
        """Gives the model its loss, its metrics and the optimizer."""

    def default_epochs(self) -> DefaultEpochs:
        """How often the train split is read where neither `train.epochs` nor `train.minutes` says; see `epochs_for`."""
        return DefaultEpochs(10)

    def begin_epoch(  # noqa: B027  # most tasks have nothing to do
        self, model: "keras.Model", epoch: int, done: float = 0.0
    ) -> None:
        """Called before each epoch, also when training goes on after a kill: freezes or thaws, say.

        Args:
            model: that is trained.
            epoch: its number, from 0.
            done: how far it is in the training: 0 in the first epoch, 1 in the last.
        """

    def contribution(self, model: "keras.Model") -> float | None:
        """What a model adds to an answer that simple methods have a part in, as the validation split has it.

        Asked while validation scores get worse: the time of a model that adds nothing is given up early.

        Returns:
            The share of the answer's error that it takes off; for a model that gets no part in the answer 0 or, where
            it is worse by itself, minus that share. None: the answer is the model's alone.
        """
        return None

    def answer_losses(self, model: "keras.Model", parts: Sequence[tuple[float, float]]) -> list[float] | None:
        """What an answer that simple methods have a part in loses on parts of the validation split.

        By these `unroll tune` compares trials, after each epoch and in the end.

        Args:
            model: trained.
            parts: from one share of the split to another, as of `validation_block`. How much the model and the simple
                methods count is decided on the first alone.

        Returns:
            The mean loss on each part in which there are records. None: the answer is the model's alone, and
            `monitor` its loss.
        """
        return None

    @abc.abstractmethod
    def servable(self, model: "keras.Model") -> Servable:
        """A trained model from raw input to final answer, calibrated on the validation split."""

    @abc.abstractmethod
    def held_out(self, data: str, split: str) -> Iterator[Arrays]:
        """Raw records of the validation or test split, in batches, as `evaluate` wants them."""

    @classmethod
    @abc.abstractmethod
    def records(cls, config: Any, dataset_info: Mapping[str, Any], data: str, progress: "Progress") -> Iterator[Arrays]:
        """All raw records of further data, in batches, as `evaluate` wants them; `dataset_info` is of the training."""

    @classmethod
    @abc.abstractmethod
    def evaluate(
        cls, dataset_info: Mapping[str, Any], records: Iterable[Arrays], predict: Predict, progress: "Progress"
    ) -> Evaluation:
        """Scores an exported model through its signatures, inputs to outputs.

        Raises:
            UserError: records that the model cannot be scored on.
        """

    def profile(self, name: str, validation: Evaluation) -> "monitoring.ReferenceProfile":
        """The reference profile of the model called `name`: unless overridden, of each number, name or text that a
        record's answer holds, and of each number that its input holds."""
        from unroll import monitoring
        from unroll.monitoring.features.values import NumericInput

        single = {key: array for key, array in validation.outputs.items() if np.ndim(array) == 1}
        features: list[Feature] = [
            monitoring.NumericFeature(key) if array.dtype.kind in "fiu" else monitoring.CategoricalFeature(key)
            for key, array in single.items()
        ]
        features += [
            NumericInput(key)
            for key, array in validation.inputs.items()
            if np.ndim(array) == 1 and array.dtype.kind in "fiu"
        ]
        return monitoring.ReferenceProfile.build(features, validation.inputs, validation.outputs, model=name)

    def baselines(self, scored: "Mapping[str, Evaluation]", progress: "Progress") -> Baselines:
        """What simple methods score on the held-out splits, fitted on the train split; none unless overridden.

        A model that one of them beats on the test split, by their losses and beyond what the records can tell, is not
        served by itself.

        Args:
            scored: what the exported model scored on each split.
            progress: where to show it.
        """
        return Baselines()

    def figures(self, model: "keras.Model") -> "dict[str, Figure]":
        """Plots of the trained model itself, by file name."""
        return {}
