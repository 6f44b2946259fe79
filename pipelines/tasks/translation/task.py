"""Translation: `unroll train translation --data pairs.tsv`."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from unroll import monitoring
from unroll.models.encoder_decoder.translator import Translator, TranslatorConfig
from unroll.models.text.subwords import SubwordVocabulary
from unroll.monitoring.features import Feature
from unroll.pipelines.data.splits import SPLITS
from unroll.pipelines.registry import register
from unroll.pipelines.scoring.comparison import Baselines
from unroll.pipelines.task import Arrays, Evaluation, Predict, Servable, Task
from unroll.pipelines.tasks.translation.config import TranslationConfig
from unroll.pipelines.tasks.translation.pairs import data as pair_data
from unroll.pipelines.tasks.translation.pairs.cleaning import REASONS
from unroll.pipelines.tasks.translation.pairs.data import TranslationData
from unroll.pipelines.tasks.translation.pairs.files import all_files, pair_files
from unroll.pipelines.tasks.translation.plan import default_epochs, planned
from unroll.pipelines.tasks.translation.scores.baselines import MAX_PAIRS, translation_baselines
from unroll.pipelines.tasks.translation.scores.evaluation import score_pairs
from unroll.pipelines.tasks.translation.search import TRIED, fit_search
from unroll.pipelines.tasks.translation.signatures import Search, translation_servable
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.schedule.epochs import DefaultEpochs
from unroll.pipelines.user_code.training import user_loss

_WARMUP = 2
_LONGER = 1.2  # than the longest translation of the training data that one may be


@register
class Translation(Task):
    """A text to what it is in another language."""

    name = "translation"
    Config = TranslationConfig
    monitor = "nats"
    config: TranslationConfig

    @classmethod
    def data_files(cls, data: str) -> list[Path]:
        return pair_files(data)

    @classmethod
    def files(cls, config: TranslationConfig, data: str) -> list[Path]:
        return all_files(config.data, data)

    @classmethod
    def prepare(cls, config: TranslationConfig, data: str, directory: Path, progress: Progress) -> None:
        pair_data.prepare(config.data, data, directory, progress)

    def __init__(self, config: TranslationConfig, directory: Path):
        self._data = TranslationData.load(directory)
        config, self._chosen = planned(config, self._data.dataset_info["counts"]["train"])
        self._penalty = config.model.length_penalty
        super().__init__(config, directory)

    def dataset_info(self) -> dict[str, Any]:
        return {**self._data.dataset_info, "chosen": self._chosen, "length_penalty": self._penalty}

    def summary(self) -> str:
        info = self._data.dataset_info
        splits = ", ".join(f"{split} {info['counts'][split]:,}" for split in SPLITS)
        lines = [f"{info['read']:,} pairs: {splits}; {info['subwords']:,} subwords of both sides."]
        if info["left_out"]:
            told = ", ".join(f"{count:,} {REASONS[reason]}" for reason, count in info["left_out"].items())
            lines.append(f"Pairs left out: {told}.")
        if info["suspicious"]:
            told = ", ".join(f"{count:,} {REASONS[reason]}" for reason, count in info["suspicious"].items())
            lines.append(f"Held-out pairs that training would leave out, scored all the same: {told}.")
        if any(info["unknown"].values()):
            told = ", ".join(f"{split} {count:,}" for split, count in info["unknown"].items())
            lines.append(f"Unknown characters: {told}.")
        return "\n".join([*lines, *info["notes"], *([self._chosen] if self._chosen else [])])

    def train_batches(self, epoch: int) -> tf.data.Dataset:
        train = self.config.train
        return self._data.batches("train", train.batch_size, (train.seed, epoch))

    def validation_batches(self) -> tf.data.Dataset:
        return self.validation_block(0.0, 1.0)

    def validation_block(self, begin: float, end: float) -> tf.data.Dataset:
        return self._data.batches("validation", self.config.train.batch_size, None, (begin, end))

    def steps_per_epoch(self) -> int:
        return self._data.steps("train", self.config.train.batch_size)

    def default_epochs(self) -> DefaultEpochs:
        return default_epochs(self._data.dataset_info["counts"]["train"])

    def build(self) -> keras.Model:
        section = self.config.model.model_dump(exclude={"beams", "length_penalty", "coverage_penalty"})
        return Translator(
            TranslatorConfig(
                vocabulary=self._data.vocabulary,
                window=self._max_length,
                label_smoothing=self.config.train.label_smoothing,
                **section,
            )
        )

    def compile(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        model.compile(optimizer, loss=user_loss(self.config.train.loss))  # else the loss is the model's own

    def servable(self, model: keras.Model) -> Servable:
        section = self.config.model
        penalties = TRIED if section.length_penalty is None else (section.length_penalty,)
        search = Search(
            model,
            self._vocabulary,
            self.config.data.max_tokens,
            self._max_length,
            section.beams,
            penalties[0],
            section.coverage_penalty,
        )
        validation = self._data.pairs("validation")
        search, quality, said = fit_search(search, validation, penalties)
        self._penalty = search.length_penalty
        description = {
            "task": self.name,
            "input": "text to translate",
            "data": self.config.data.model_dump(mode="json"),
        }
        warmup = [pair.source for pair in validation[:_WARMUP]]
        told = [said] if said else []
        return translation_servable(search, quality, description=description, warmup=warmup, said=told)

    @cached_property
    def _vocabulary(self) -> SubwordVocabulary:
        return SubwordVocabulary(self._data.pieces, self._data.scores)

    @property
    def _max_length(self) -> int:
        """Subwords of a translation, the end included."""
        return min(round(_LONGER * self._data.dataset_info["longest"]), self.config.data.max_tokens) + 1

    def held_out(self, data: str, split: str) -> Iterator[Arrays]:
        return self._data.records(split)

    @classmethod
    def records(
        cls, config: TranslationConfig, dataset_info: Mapping[str, Any], data: str, progress: Progress
    ) -> Iterator[Arrays]:
        return pair_data.pair_batches(pair_data.further_pairs(config.data, data, progress))

    @classmethod
    def evaluate(
        cls, dataset_info: Mapping[str, Any], records: Iterable[Arrays], predict: Predict, progress: Progress
    ) -> Evaluation:
        return score_pairs(records, predict, progress)

    def baselines(self, scored: Mapping[str, Evaluation], progress: Progress) -> Baselines:
        train = self._data.pairs("train")
        if len(train) > MAX_PAIRS:
            progress.line(f"Baselines learn from about {MAX_PAIRS:,} of {len(train):,} training pairs.")
        return translation_baselines(train, {split: self._data.pairs(split) for split in scored})

    def profile(self, name: str, validation: Evaluation) -> monitoring.ReferenceProfile:
        features: list[Feature] = [
            monitoring.GeneratedTextFeature.fit("translation", validation.outputs["translation"]),
            *(
                monitoring.NumericFeature(key)
                for key in ("log_probability", "quality", "subwords", "unknown", "rarity")
            ),
        ]
        return monitoring.ReferenceProfile.build(features, validation.inputs, validation.outputs, model=name)
