"""A task over tables of records, of which only the model has to be written."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from unroll import monitoring
from unroll.errors import UserError
from unroll.models.text.tokenizer import Tokenizer
from unroll.monitoring.profile import MAX_RECORDS
from unroll.pipelines.data import record_tables
from unroll.pipelines.data.columns import Column, WordsColumn, columns_of
from unroll.pipelines.data.dataset_info import read_info
from unroll.pipelines.data.record_tables import GROUP, Table
from unroll.pipelines.data.sections import RecordSection
from unroll.pipelines.data.splits import SPLITS
from unroll.pipelines.data.targets import Target
from unroll.pipelines.data.vocabulary import read_vocabulary, vocabulary_table
from unroll.pipelines.scoring.comparison import Baselines
from unroll.pipelines.scoring.even_sample import EvenSample
from unroll.pipelines.scoring.metrics import by_group
from unroll.pipelines.task import Arrays, Evaluation, Predict, Servable, Task
from unroll.pipelines.training.config import TaskConfig
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.schedule.epochs import DefaultEpochs, epochs_for
from unroll.pipelines.training.signature import signature
from unroll.pipelines.user_code.training import user_loss

_BATCH = 64  # records of a prediction
_ENCODED = 512  # records that are encoded at once
_WARMUP = 2
_SEEN = 100_000  # records that are read in training at least, those read again included


class RecordTask(Task):
    """Records to a class or a number. A subclass names its columns in its configuration, and builds the model.

    The section `data` of `Config` is a `RecordSection` whose keys are columns: `Words`, `Number` and `Category` go into
    the model, under the key's name, and one of `Label` and `Value` comes out. Each says in `pipelines.data.columns`
    and `pipelines.data.targets` what the model is given and must give. Every method may be overridden.

    Example: docs/tasks.md.
    """

    @classmethod
    def columns(cls) -> dict[str, Column]:
        """The columns by key of `data`."""
        return columns_of(cls.Config.model_fields["data"].annotation)  # type: ignore[arg-type]

    @classmethod
    def target(cls) -> tuple[str, Target]:
        """The column that is answered, with its key.

        Raises:
            TypeError: there is none, or more than one.
        """
        targets = [(key, column) for key, column in cls.columns().items() if isinstance(column, Target)]
        if len(targets) != 1:
            raise TypeError(f"{cls.__name__}.Config: data must have one key of Label or Value. It has {len(targets)}")
        return targets[0]

    @classmethod
    def inputs(cls) -> dict[str, Column]:
        """The columns that go into the model."""
        return {key: column for key, column in cls.columns().items() if not isinstance(column, Target)}

    @classmethod
    def preparation(cls, config: TaskConfig) -> dict[str, Any]:
        return _section(config).model_dump(mode="json")

    @classmethod
    def prepare(cls, config: TaskConfig, data: str, directory: Path, progress: Progress) -> None:
        record_tables.prepare(_section(config), cls.columns(), data, directory, progress)

    def __init__(self, config: TaskConfig, directory: Path):
        super().__init__(config, directory)
        self._dataset_info = read_info(directory)
        self._learnt: dict[str, dict[str, Any]] = self._dataset_info["columns"]
        texts = any(isinstance(column, WordsColumn) for column in self.inputs().values())
        self._tokenizer = Tokenizer(vocabulary_table(directory), _section(config).max_tokens) if texts else None
        self._encoders = {
            key: column.encoder(self._learnt[key], self._tokenizer) for key, column in self.columns().items()
        }

    def size(self, key: str) -> int:
        """How many numbers a column is encoded in: words and 2, categories and 1, or classes."""
        return self.columns()[key].size(self._learnt[key])

    def dataset_info(self) -> dict[str, Any]:
        return self._dataset_info

    def summary(self) -> str:
        read: int = self._dataset_info["read"]
        counts: dict[str, int] = self._dataset_info["counts"]
        splits = ", ".join(f"{split} {count:,}" for split, count in counts.items())
        found = f"{read:,} records: {splits}; left out {read - sum(counts.values()):,}"
        return "\n".join([found, *self._dataset_info.get("notes", [])])

    def train_batches(self, epoch: int) -> tf.data.Dataset:
        records, seeds = self._encoded["train"], [self.config.train.seed, epoch]
        order = np.random.default_rng(seeds).permutation(self._dataset_info["counts"]["train"])
        shuffled = tf.nest.map_structure(lambda cells: tf.gather(cells, order), records)
        return _batches(shuffled, self.config.train.batch_size)

    def validation_batches(self) -> tf.data.Dataset:
        return _batches(self._encoded["validation"], _BATCH)

    def default_epochs(self) -> DefaultEpochs:
        return epochs_for(self._dataset_info["counts"]["train"], seen=_SEEN, least=2, most=10)

    def steps_per_epoch(self) -> int:
        return -(-self._dataset_info["counts"]["train"] // self.config.train.batch_size)

    def loss(self) -> keras.losses.Loss:
        """Of the encoded target and what the model gives."""
        return self.target()[1].loss()

    def metrics(self) -> list[keras.metrics.Metric]:
        """Likewise, of every epoch."""
        return self.target()[1].metrics()

    def compile(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        model.compile(optimizer, loss=user_loss(self.config.train.loss) or self.loss(), metrics=self.metrics())

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """From what clients send to what the model is given, in the graph."""
        return {key: self._encoders[key](raw[key]) for key in self.inputs()}

    def answer(self, model: keras.Model, **inputs: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """What a client is answered for raw inputs `[batch]`, in the graph."""
        key, target = self.target()
        return target.answer(model(self.encode(inputs)), self._learnt[key])

    def servable(self, model: keras.Model) -> Servable:
        module = tf.Module(name=self.name)
        module.encoders = [one for one in self._encoders.values() if isinstance(one, tf.Module)]
        module.weights = [weight.value for weight in model.weights]
        description = json.dumps(self._description())
        signatures = {
            "serving_default": signature(
                lambda **inputs: self.answer(model, **inputs),
                [column.spec(key) for key, column in self.inputs().items()],
            ),
            "describe": signature(lambda: {"json": tf.constant(description)}),
        }
        warmup = {key: self._splits["validation"][key][:_WARMUP] for key in self.inputs()}
        return Servable(module, signatures, [("serving_default", warmup)])

    def held_out(self, data: str, split: str) -> Iterator[Arrays]:
        return record_tables.batches(self._splits[split], _BATCH)

    @classmethod
    def records(
        cls, config: TaskConfig, dataset_info: Mapping[str, Any], data: str, progress: Progress
    ) -> Iterator[Arrays]:
        return record_tables.further(_section(config), cls.columns(), dataset_info, data, progress)

    @classmethod
    def evaluate(
        cls, dataset_info: Mapping[str, Any], records: Iterable[Arrays], predict: Predict, progress: Progress
    ) -> Evaluation:
        key, target = cls.target()
        learnt = dataset_info["columns"][key]
        true, groups, answers = [], [], []
        sample: EvenSample[tuple[Any, ...]] = EvenSample(2 * MAX_RECORDS)  # of the inputs, for the reference profile
        with progress.stage("predicting") as stage:
            for batch in records:
                target.check(learnt, batch[key])
                answers.append(predict({name: batch[name] for name in cls.inputs()}))
                true.append(batch[key])
                groups += [group.decode() for group in batch[GROUP]]
                for record in zip(*(batch[name] for name in cls.inputs()), strict=True):
                    sample.add(record)
                stage.advance()
            stage.say(f"{len(groups):,} records")
        if not groups:
            raise UserError("there is no record to evaluate on that has all it needs")
        actual, kept = np.concatenate(true), zip(*sample.records, strict=True)
        answered = {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
        return Evaluation(
            by_group(groups, lambda rows: target.scores(learnt, actual[rows], _rows(answered, rows))),
            inputs={name: _array(cells) for name, cells in zip(cls.inputs(), kept, strict=True)},
            outputs=_rows(answered, np.array(sample.rows)),
            figures=target.figures(learnt, actual, answered),
            tables=target.tables(learnt, actual, answered),
            chance=target.chance(learnt, actual, answered),
            losses=target.losses(learnt, actual, answered),
        )

    def baselines(self, scored: Mapping[str, Evaluation], progress: Progress) -> Baselines:
        key, target = self.target()
        learnt, train, test = self._learnt[key], self._splits["train"][key], self._splits["test"][key]
        metrics = {
            f"{split}/{metric}": value
            for split in scored
            for metric, value in target.baselines(learnt, train, self._splits[split][key]).items()
        }
        found = {
            name: target.losses(learnt, test, one) for name, one in target.guesses(learnt, train, len(test)).items()
        }
        return Baselines(metrics, {name: losses.model for name, losses in found.items() if losses})

    def profile(self, name: str, validation: Evaluation) -> monitoring.ReferenceProfile:
        features = [feature for key, column in self.columns().items() for feature in column.features(key)]
        vocabulary = read_vocabulary(self.directory) if self._tokenizer else []
        return monitoring.ReferenceProfile.build(
            features, validation.inputs, validation.outputs, model=name, vocabulary=vocabulary
        )

    @cached_property
    def _splits(self) -> dict[str, Table]:
        return {split: record_tables.read_split(self.directory, split) for split in SPLITS}

    @cached_property
    def _encoded(self) -> dict[str, tuple[dict[str, tf.Tensor], tf.Tensor]]:
        """What the model is given of each record, and its target: encoded once, not in every epoch anew."""
        key = self.target()[0]

        @tf.function(reduce_retracing=True, autograph=False)
        def pair(raw: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            return self.encode(raw), self._encoders[key](raw[key])

        def joined(name: str, parts: Sequence[tf.Tensor]) -> tf.Tensor:
            words = isinstance(self.inputs().get(name), WordsColumn) or len({part.shape[1:] for part in parts}) > 1
            return tf.concat([tf.RaggedTensor.from_tensor(part, padding=0) for part in parts] if words else parts, 0)

        encoded = {}
        for split in SPLITS[:2]:
            table = {name: self._splits[split][name] for name in [*self.columns(), GROUP]}
            parts = [
                pair({name: tf.constant(cells) for name, cells in part.items() if name != GROUP})
                for part in record_tables.batches(table, _ENCODED)
            ]
            inputs = {name: joined(name, [part[0][name] for part in parts]) for name in parts[0][0]}
            encoded[split] = inputs, tf.concat([part[1] for part in parts], 0)
        return encoded

    def _description(self) -> dict[str, Any]:
        """What `unroll predict` needs to know to ask the model."""
        kinds = {key: column.kind for key, column in self.inputs().items()}
        kind = "text" if list(kinds.values()) == ["text"] else "records"
        section = _section(self.config).model_dump(mode="json")
        formats = self._dataset_info.get("formats", {})
        return {"task": self.name, "input": kind, "columns": kinds, "data": section, "formats": formats}


def _section(config: TaskConfig) -> RecordSection:
    return config.data  # type: ignore[attr-defined]


def _batches(records: tuple[dict[str, tf.Tensor], tf.Tensor], size: int) -> tf.data.Dataset:
    dataset = tf.data.Dataset.from_tensor_slices(records).batch(size)

    def dense(cells):
        return cells.to_tensor() if isinstance(cells, tf.RaggedTensor) else cells

    return dataset.map(lambda *pair: tf.nest.map_structure(dense, pair)).prefetch(tf.data.AUTOTUNE)


def _rows(arrays: Arrays, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: array[rows] for name, array in arrays.items()}


def _array(cells: tuple[Any, ...]) -> np.ndarray:
    return np.array(cells, object if isinstance(cells[0], bytes) else np.float32)
