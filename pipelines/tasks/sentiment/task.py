"""Sentiment, or any other class of a text: `unroll train sentiment --data reviews.csv`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from unroll import monitoring
from unroll.errors import UserError
from unroll.models.text.classifier import (
    TextClassifier,
    TextClassifierConfig,
    token_counts,
    truncate_middle,
)
from unroll.models.text.tokenizer import RESERVED, Tokenizer
from unroll.monitoring.features import Feature
from unroll.monitoring.profile import MAX_RECORDS
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.labels import class_of, tidy_label
from unroll.pipelines.data.sections import no_groups
from unroll.pipelines.data.splits import RecordIndex
from unroll.pipelines.data.texts.shards import batch_count, class_weights, read_in_order, read_shards
from unroll.pipelines.data.texts.word_vectors import read_vectors
from unroll.pipelines.data.vocabulary import read_vocabulary, text_feature, vocabulary_table
from unroll.pipelines.registry import register
from unroll.pipelines.scoring import plots
from unroll.pipelines.scoring.chance import probability_chance
from unroll.pipelines.scoring.classes import class_tables
from unroll.pipelines.scoring.comparison import Baselines
from unroll.pipelines.scoring.even_sample import EvenSample
from unroll.pipelines.scoring.metrics import accuracy_losses, by_group, classification_metrics
from unroll.pipelines.scoring.text_baseline import MAX_TEXTS, text_baselines
from unroll.pipelines.task import Arrays, Evaluation, Predict, Servable, Task
from unroll.pipelines.tasks.sentiment import labelled_text
from unroll.pipelines.tasks.sentiment.answer import Answer, answer_losses, fit_answer
from unroll.pipelines.tasks.sentiment.config import SentimentConfig
from unroll.pipelines.tasks.sentiment.labelled_text import DatasetInfo
from unroll.pipelines.tasks.sentiment.plan import default_epochs, planned
from unroll.pipelines.tasks.sentiment.signatures import text_servable
from unroll.pipelines.tasks.sentiment.simple_path import BATCH, SimplePath, fit_simple, too_large
from unroll.pipelines.tasks.sentiment.user_model import TextInfo, user_classifier
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.schedule.epochs import DefaultEpochs
from unroll.pipelines.user_code.training import user_loss

_GRADIENTBATCHES = 8
_NOT_OF_THE_MODEL = {"build", "embedding", "max_tokens", "min_count", "vectors", "vocabulary_size"}


@register
class Sentiment(Task):
    """Text to label: tokens, an encoder beside a linear n-gram path, a calibrated softmax."""

    name = "sentiment"
    Config = SentimentConfig
    monitor = "log_loss"
    config: SentimentConfig

    @classmethod
    def preparation(cls, config: SentimentConfig) -> dict[str, Any]:
        return {**config.data.model_dump(exclude={"label_names"}), **cls._tokenising(config)}

    @classmethod
    def prepare(cls, config: SentimentConfig, data: str, directory: Path, progress: Progress) -> None:
        labelled_text.prepare(config.data, data, directory, progress, **cls._tokenising(config))

    @staticmethod
    def _tokenising(config: SentimentConfig) -> dict[str, Any]:
        return config.model.model_dump(include={"vocabulary_size", "min_count", "max_tokens", "ngram_buckets"})

    def __init__(self, config: SentimentConfig, directory: Path):
        self._data = DatasetInfo.load(directory)
        config, self._planned = planned(config, self._data.records("train"))
        self._answered = ""
        super().__init__(config, directory)
        self._vocabulary = read_vocabulary(directory)
        answered = {class_of(label, self._data.classes): name for label, name in config.data.label_names.items()}
        unknown = answered.keys() - set(self._data.classes)
        if unknown:
            raise UserError(
                f"configuration key data.label_names: {sorted(unknown)[0]!r} is not a label of the data. "
                f"Labels: {', '.join(self._data.classes)}"
            )
        self._names = [answered.get(label, label) for label in self._data.classes]

    def dataset_info(self) -> dict[str, Any]:
        return {**asdict(self._data), "labels": self._names, "words": self._planned, "answer": self._answered}

    def summary(self) -> str:
        data = self._data
        splits = ", ".join(f"{split} {data.records(split):,}" for split in ("train", "validation", "test"))
        left_out = data.unusable + data.conflicting + data.duplicates
        settled = {"majority": "the label of most of its copies", "keep": "each of its labels"}
        shown = ", ".join([*self._names[:10], *["..."] * (len(self._names) > 10)])
        lines = [
            f"{data.read:,} records, {len(data.classes)} classes ({shown}): {splits}; "
            f"left out {left_out:,} ({data.duplicates:,} duplicates, {data.conflicting:,} texts with "
            f"different labels, {data.unusable:,} without text or label)",
            *data.notes,
        ]
        if data.settled:
            lines.append(
                f"{data.settled:,} texts with different labels are kept with {settled[self.config.data.conflicts]} "
                "(data.conflicts)"
            )
        return "\n".join([*lines, self._planned] if self._planned else lines)

    def train_batches(self, epoch: int) -> tf.data.Dataset:
        config = self.config.train
        seed = int(np.random.SeedSequence([config.seed, epoch]).generate_state(1)[0])
        batches = read_shards(self.directory, "train", batch_size=config.batch_size, shuffle_seed=seed)
        if not config.class_weights:
            return batches
        counts = [self._data.counts[label]["train"] for label in self._data.classes]
        weights = tf.constant(list(class_weights(counts).values()))
        return batches.map(lambda ids, labels: (ids, labels, tf.gather(weights, labels)))

    def validation_batches(self) -> tf.data.Dataset:
        return read_shards(self.directory, "validation", batch_size=BATCH, shuffle_seed=None)

    def default_epochs(self) -> DefaultEpochs:
        return default_epochs(self._data.records("train"))

    def steps_per_epoch(self) -> int:
        return batch_count(self._data.bucket_counts, self.config.train.batch_size)

    def build(self) -> keras.Model:
        section = self.config.model
        if section.build:
            info = TextInfo(len(self._vocabulary) + RESERVED, len(self._names), tuple(self._names))
            return user_classifier(section.build, section, info)
        vectors = self._vectors()
        model = TextClassifier(
            TextClassifierConfig(
                vocabulary=len(self._vocabulary) + RESERVED,
                classes=len(self._names),
                embedding=section.embedding if vectors is None else vectors.shape[1],
                **section.model_dump(exclude=_NOT_OF_THE_MODEL),
            )
        )
        for encoder in model.encoders if vectors is not None else []:
            encoder.embedding.embeddings.assign(vectors)
        if model.evidence is not None:
            model.evidence.set_ratios(np.load(self.directory / "log_count_ratios.npy"))
        return model

    def _vectors(self) -> np.ndarray | None:
        """Of every token id; a word that the file lacks begins with numbers as large as the others' are."""
        if not self.config.model.vectors:
            return None
        known, found = read_vectors(Path(self.config.model.vectors), self._vocabulary)
        drawn = np.random.default_rng(self.config.train.seed).normal(0, known[found].std(), known.shape)
        vectors = np.where(found[:, None], known, drawn)
        return np.concatenate([np.zeros((RESERVED, known.shape[1])), vectors]).astype(np.float32)

    def compile(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        model.compile(
            optimizer,
            loss=user_loss(self.config.train.loss) or keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[
                keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="log_loss"),
                keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            ],
        )

    def servable(self, model: keras.Model) -> Servable:
        description = {"task": self.name, "input": "text", "data": self.config.data.model_dump(mode="json")}
        tokenizer = Tokenizer(vocabulary_table(self.directory), self.config.model.max_tokens)
        answer = self.answer(model)
        self._answered = answer.said
        return text_servable(model, tokenizer, answer, self._names, description)

    def answer(self, model: keras.Model) -> Answer:
        """How the paths of a trained model are added up, and what to."""
        answer = fit_answer(model, self.directory, self._simple)
        return replace(answer, said=answer.said or too_large(**self._sizes))

    def answer_losses(self, model: keras.Model, parts: Sequence[tuple[float, float]]) -> list[float]:
        return answer_losses(model, self.directory, self._simple, parts)

    @cached_property
    def _simple(self) -> SimplePath | None:
        """Fitted once, whatever network is beside it."""
        if not self._sizes["buckets"] or too_large(**self._sizes):
            return None
        return fit_simple(self.directory, texts=self._data.records("train"), **self._sizes)

    @property
    def _sizes(self) -> dict[str, int]:
        section = self.config.model
        return {
            "vocabulary": len(self._vocabulary) + RESERVED,
            "buckets": 0 if section.build else section.ngram_buckets,
            "classes": len(self._names),
        }

    def held_out(self, data: str, split: str) -> Iterator[Arrays]:
        with RecordIndex.open(self.directory / "index.sqlite") as index:
            for batch in labelled_text.kept_records(self.config.data, data, index):
                kept = batch.only(split)
                if kept.texts:
                    yield _arrays(kept.texts, kept.labels, kept.groups)

    @classmethod
    def records(
        cls, config: SentimentConfig, dataset_info: Mapping[str, Any], data: str, progress: Progress
    ) -> Iterator[Arrays]:
        section, notes, grouped = config.data.model_copy(update={"split": None}), Notes(), False
        for batch in labelled_text.stream(section, data, notes, optional=[section.group]):
            groups = batch[section.group] if section.group else [None] * len(batch[section.text])
            grouped |= any(groups)
            usable = [
                (one, class_of(label, dataset_info["classes"]), group or "")
                for one, label, group in zip(batch[section.text], batch[section.label], groups, strict=True)
                if one and one.strip() and label and tidy_label(label)
            ]
            if usable:
                yield _arrays(*map(list, zip(*usable, strict=True)))
        for line in [*notes, *([no_groups(section.group)] if section.group and not grouped else [])]:
            progress.line(line)

    @classmethod
    def evaluate(
        cls,
        dataset_info: Mapping[str, Any],
        records: Iterable[Arrays],
        predict: Predict,
        progress: Progress,
    ) -> Evaluation:
        classes: list[str] = dataset_info["classes"]
        labels, distributions, groups = [], [], []
        sample: EvenSample[tuple[Any, ...]] = EvenSample(2 * MAX_RECORDS)  # for the reference profile
        with progress.stage("predicting") as stage:
            for batch in records:
                unknown = set(batch["true"]) - set(classes)
                if unknown:
                    raise UserError(
                        f"label {sorted(unknown)[0]!r} is unknown to the model, which knows: {', '.join(classes)}"
                    )
                answers = _predict_by_length(batch["text"], predict)
                labels.append(np.array([classes.index(label) for label in batch["true"]]))
                distributions.append(answers["probabilities"])
                groups.append(batch["group"])
                for record in zip(batch["text"], answers["label"], answers["score"], strict=True):
                    sample.add(record)
                stage.advance()
            stage.say(f"{len(sample)} records")
        if not len(sample):
            raise UserError("there is no record with both a text and a label to evaluate on")
        true, probabilities = np.concatenate(labels), np.concatenate(distributions)
        texts, names, scores = zip(*sample.records, strict=True)
        return Evaluation(
            by_group(np.concatenate(groups), lambda rows: classification_metrics(true[rows], probabilities[rows])),
            inputs={"text": np.array(texts, object)},
            outputs={"label": np.array(names, object), "score": np.array(scores)},
            figures={
                "confusion_matrix.png": plots.confusion_matrix(
                    true, probabilities.argmax(axis=1), dataset_info["labels"]
                ),
                "calibration.png": plots.calibration(true, probabilities),
            },
            tables=class_tables(true, probabilities.argmax(axis=1), dataset_info["labels"]),
            chance=probability_chance(true, probabilities, dataset_info["labels"]),
            losses=accuracy_losses(true, probabilities),
        )

    def baselines(self, scored: Mapping[str, Evaluation], progress: Progress) -> Baselines:
        texts = self._data.records("train")
        if texts > MAX_TEXTS:
            progress.line(f"The baseline is fitted on {MAX_TEXTS:,} of {texts:,} training texts.")
        train = read_shards(self.directory, "train", batch_size=BATCH, words=True)
        held_out = {split: read_in_order(self.directory, split, batch_size=BATCH) for split in scored}
        return text_baselines(train, held_out, len(self._vocabulary) + RESERVED, len(self._names), texts)

    def profile(self, name: str, validation: Evaluation) -> monitoring.ReferenceProfile:
        features: list[Feature] = [
            text_feature("text"),
            monitoring.NumericFeature("score"),
            monitoring.CategoricalFeature("label"),
        ]
        return monitoring.ReferenceProfile.build(
            features, validation.inputs, validation.outputs, model=name, vocabulary=self._vocabulary
        )

    def figures(self, model: keras.Model) -> dict[str, Any]:
        if not isinstance(model, TextClassifier):
            return {}
        encoder, norms = model.encoders[0], []
        for ids, labels in self.validation_batches().take(_GRADIENTBATCHES):
            ends, lengths = truncate_middle(ids, token_counts(ids), self.config.model.encoder_tokens)
            with tf.GradientTape() as tape:
                embedded = encoder.embedding(ends)
                tape.watch(embedded)
                logits = encoder.classify(embedded, lengths)
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            by_step = tf.norm(tape.gradient(loss, embedded), axis=-1).numpy()  # [B, T]
            norms += [row[:length] for row, length in zip(by_step, lengths.numpy(), strict=True)]
        return {"gradient_by_timestep.png": plots.gradient_by_timestep(norms)}


def _arrays(texts: list[str], labels: list[str], groups: list[str]) -> dict[str, np.ndarray]:
    return {
        "text": np.array([one.encode() for one in texts], object),
        "true": np.array(labels, object),
        "group": np.array(groups, object),
    }


def _predict_by_length(texts: np.ndarray, predict: Predict) -> dict[str, np.ndarray]:
    """Answers to texts, in their order; texts of about the same length share a batch."""
    order = np.argsort([len(one) for one in texts])
    answers = [predict({"text": texts[order[start : start + BATCH]]}) for start in range(0, len(texts), BATCH)]
    original = np.argsort(order)
    return {key: np.concatenate([answer[key] for answer in answers])[original] for key in answers[0]}
