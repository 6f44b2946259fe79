"""Captions of pictures: `unroll train captioning --data captions.csv --set data.image=file`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from unroll import monitoring
from unroll.errors import UserError
from unroll.models.captioner import Captioner, CaptionerConfig
from unroll.models.layers.augmentation import augment
from unroll.models.own_captioner import OwnCaptioner
from unroll.models.principal import PrincipalComponents
from unroll.models.tokens import RESERVED
from unroll.monitoring.features import Feature
from unroll.pipelines.registry import register
from unroll.pipelines.scoring.comparison import Baselines
from unroll.pipelines.task import Arrays, Evaluation, Predict, Servable, Task
from unroll.pipelines.tasks.captioning import data as caption_data
from unroll.pipelines.tasks.captioning.answering.answer import Search
from unroll.pipelines.tasks.captioning.answering.retrieval import choose
from unroll.pipelines.tasks.captioning.answering.signatures import caption_signatures
from unroll.pipelines.tasks.captioning.config import CaptionConfig
from unroll.pipelines.tasks.captioning.data import CaptionData
from unroll.pipelines.tasks.captioning.evaluation import MAX_PICTURES, CaptionScores, caption_baselines
from unroll.pipelines.tasks.captioning.plan import default_epochs, planned
from unroll.pipelines.tasks.captioning.reading.files import caption_files, picture_files
from unroll.pipelines.tasks.captioning.reading.record import read_picture
from unroll.pipelines.tasks.captioning.reading.skipped import counted
from unroll.pipelines.tasks.captioning.user_model import PictureInfo, user_captioner, user_encoder
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.schedule.epochs import DefaultEpochs
from unroll.pipelines.user_code.training import user_loss

_BATCH = 32  # pictures of a prediction
_MAX_SUMMARISED = 2000  # training pictures whose features are summarised
_WARMUP = 2
_CONTEXTS = {"attention": "attention", "show_and_tell": "initial", "karpathy": "every_step"}  # of the decoder


@register
class Captioning(Task):
    """A picture to a sentence."""

    name = "captioning"
    Config = CaptionConfig
    monitor = "token_error"
    config: CaptionConfig

    @classmethod
    def data_files(cls, data: str) -> list[Path]:
        return caption_files(data)

    @classmethod
    def files(cls, config: CaptionConfig, data: str) -> list[Path]:
        return [*cls.data_files(data), *picture_files(config.data, data)]

    @classmethod
    def cell_readers(cls, config: CaptionConfig) -> dict[str, Callable[[Any], bytes | None]]:
        section = config.data
        return {section.image: lambda cell: read_picture(cell, Path(section.images or ""))}

    @classmethod
    def preparation(cls, config: CaptionConfig) -> dict[str, Any]:
        section = config.data.model_dump(mode="json")
        if config.data.size is not None:
            return section
        model = config.model.model_dump(mode="json", include={"build", "encoder", "backbone", "filters", "blocks"})
        return {**section, "chosen_by": {**model, "minutes": config.train.minutes}}

    @classmethod
    def prepare(cls, config: CaptionConfig, data: str, directory: Path, progress: Progress) -> None:
        caption_data.prepare(config, data, directory, progress)

    def __init__(self, config: CaptionConfig, directory: Path):
        self._data = CaptionData.load(directory)
        config, self._chosen = planned(config, self._data.dataset_info)
        self._answered = ""  # how captions are, once it has been chosen
        super().__init__(config, directory)

    def dataset_info(self) -> dict[str, Any]:
        config = self.config
        return {
            **self._data.dataset_info,
            "chosen": self._chosen,
            "answer": self._answered,
            "lowercase": config.data.lowercase,
            "attention": config.model.attention,
        }

    def summary(self) -> str:
        info = self._data.dataset_info
        splits = ", ".join(
            f"{split} {count:,} ({info['captions'][split]:,} captions)" for split, count in info["images"].items()
        )
        skipped = ", ".join(
            f"{counted(count, reason)}{_named(info['skipped_named'].get(reason, []), count)}"
            for reason, count in info["skipped"].items()
        )
        where = f" (listed in {self.directory / 'skipped.csv'})" if skipped else ""
        lines = [
            f"{sum(info['images'].values()):,} pictures: {splits}; {info['vocabulary']:,} tokens, the longest "
            f"caption {info['longest_caption']}; skipped {skipped or 'none'}{where}"
        ]
        if info["uncaptioned"]:
            lines.append(f"{info['uncaptioned']:,} records without a caption, left out.")
        lines += info["notes"]
        if info["split_by_data"]:
            lines.append("The splits are those that the data names, with restval for training.")
        if info["renamed"]:
            written, file = info["renamed_example"]
            lines.append(
                f"{info['renamed']:,} pictures found under other paths than the data has: {written} is {file}."
            )
        return "\n".join([*lines, *self._chosen])

    def train_batches(self, epoch: int) -> tf.data.Dataset:
        config = self.config.train
        batches = self._data.batches(
            "train", config.batch_size, captions_per_image=config.captions, shuffle=(config.seed, epoch)
        )
        seeds = tf.constant(np.random.SeedSequence([config.seed, epoch]).generate_state(1), tf.int64)

        @tf.autograph.experimental.do_not_convert
        def change(number: tf.Tensor, batch: tuple[tf.Tensor, ...]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            pictures, ids, rows = batch
            seed = tf.stack([seeds[0], number])
            changed = augment(
                pictures, seed, shift=config.shift, zoom=config.zoom, colour=config.colour or 0.0, flip=config.flip
            )
            return {"pictures": changed, "ids": ids, "rows": rows}, ids

        return batches.enumerate().map(change, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    def validation_batches(self) -> tf.data.Dataset:
        return self.validation_block(0.0, 1.0)

    def validation_block(self, begin: float, end: float) -> tf.data.Dataset:
        captions = self.config.train.captions
        batches = self._data.batches("validation", _BATCH, captions_per_image=captions, shuffle=None, part=(begin, end))
        return batches.map(_pair)

    def steps_per_epoch(self) -> int:
        return -(-self._data.images("train") // self.config.train.batch_size)

    def build(self) -> Captioner | OwnCaptioner:
        section, train = self.config.model, self.config.train
        vocabulary, encoder = len(self._data.vocabulary) + RESERVED, None
        info = PictureInfo(self._data.size, vocabulary, self.config.data.kept_tokens + 2)
        if section.build:
            return user_captioner(section.build, section, info, train.label_smoothing)
        if section.encoder:
            encoder = user_encoder(section.encoder, section, info)
        try:
            model = Captioner(
                CaptionerConfig(
                    vocabulary=vocabulary,
                    size=self._data.size,
                    context=_CONTEXTS[section.conditioning],
                    window=info.max_length,
                    label_smoothing=train.label_smoothing,
                    coverage=train.coverage,
                    scheduled_sampling=train.scheduled_sampling > 0,
                    **section.model_dump(exclude={"build", "encoder", "beams", "length_penalty", "conditioning"}),
                ),
                encoder,
            )
        except (ValueError, OSError) as error:
            raise UserError(
                f"configuration keys model.backbone, model.weights: {str(error).splitlines()[0]}. "
                "Name a network of keras.applications, and imagenet or its weights' file"
            ) from None
        return model

    def compile(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        model.compile(optimizer, loss=user_loss(self.config.train.loss))  # else loss and metrics are the model's own

    def default_epochs(self) -> DefaultEpochs:
        return default_epochs(self._data.images("train"))

    def begin_epoch(self, model: keras.Model, epoch: int, done: float = 0.0) -> None:
        train = self.config.train
        if model.own is not None:
            model.own.assign(train.scheduled_sampling * done)
        if self.config.model.weights is not None:
            learns = train.fine_tune is not None and epoch >= train.fine_tune
            if model.encoder.trainable != learns:
                model.encoder.trainable = learns
                model.make_train_function(force=True)

    def servable(self, model: keras.Model) -> Servable:
        section = self.config.model
        description = {
            "task": self.name,
            "input": "image",
            "size": self._data.size,
            "max_pixels": self.config.data.max_pixels,
            "attention": section.attention,
            "data": self.config.data.model_dump(mode="json"),
        }
        longest = min(self._data.dataset_info["longest_caption"], self.config.data.kept_tokens) + 1
        chosen = choose(self._data, Search(model, longest, section.beams, section.length_penalty))
        self._answered = chosen.said
        return caption_signatures(
            chosen,
            self._data.vocabulary,
            self._components(model),
            max_pixels=self.config.data.max_pixels,
            description=description,
            warmup=next(iter(self._data.encoded("validation")))["image"][:_WARMUP],
        )

    def _components(self, model: Captioner | OwnCaptioner) -> PrincipalComponents:
        """Of what is pooled from training pictures as they are."""
        batches = self._data.batches("train", _BATCH, captions_per_image=1, shuffle=(0, 0))
        means = [
            model.pooled(model.encode(tf.cast(pictures, tf.float32))).numpy()
            for pictures, *_ in batches.take(_MAX_SUMMARISED // _BATCH)
        ]
        return PrincipalComponents(np.concatenate(means))

    def held_out(self, data: str, split: str) -> Iterator[Arrays]:
        yield from self._data.encoded(split)

    @classmethod
    def records(
        cls, config: CaptionConfig, dataset_info: Mapping[str, Any], data: str, progress: Progress
    ) -> Iterator[Arrays]:
        yield from caption_data.read_further(config.data, data, progress)

    @classmethod
    def evaluate(
        cls, dataset_info: Mapping[str, Any], records: Iterable[Arrays], predict: Predict, progress: Progress
    ) -> Evaluation:
        scores = CaptionScores(dataset_info["lowercase"])
        with progress.stage("captioning") as stage:
            for batch in records:
                for start in range(0, len(batch["image"]), _BATCH):
                    part = {name: values[start : start + _BATCH] for name, values in batch.items()}
                    scores.add(part, predict({"image": part["image"]}))
                    stage.advance()
            stage.say(f"{scores.count:,} pictures")
        return scores.evaluation(predict if dataset_info["attention"] else None)

    def baselines(self, scored: Mapping[str, Evaluation], progress: Progress) -> Baselines:
        for split in ("train", *scored):
            if (pictures := self._data.images(split)) > MAX_PICTURES:
                progress.line(f"Baselines look at about {MAX_PICTURES:,} of {pictures:,} {split} pictures.")
        return caption_baselines(self._data, list(scored), self.config.data.lowercase)

    def profile(self, name: str, validation: Evaluation) -> monitoring.ReferenceProfile:
        features: list[Feature] = [
            monitoring.ImageFeature("image"),
            monitoring.VectorFeature("embedding"),
            monitoring.GeneratedTextFeature.fit("caption", validation.outputs["caption"]),
            monitoring.NumericFeature("log_probability"),
        ]
        return monitoring.ReferenceProfile.build(
            features, validation.inputs, validation.outputs, model=name, clusters=validation.clusters
        )


def _named(sources: Sequence[str], count: int) -> str:
    return f": {', '.join(sources)}{', ...' * (count > len(sources))}" if sources else ""


@tf.autograph.experimental.do_not_convert
def _pair(pictures: tf.Tensor, ids: tf.Tensor, rows: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    return {"pictures": tf.cast(pictures, tf.float32), "ids": ids, "rows": rows}, ids
