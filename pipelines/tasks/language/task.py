"""Text that goes on: `unroll train language --data corpus.txt`."""

import dataclasses
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from unroll import monitoring
from unroll.models.autoregressive import Autoregressive, AutoregressiveConfig
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.splits import SPLITS
from unroll.pipelines.registry import register
from unroll.pipelines.scoring.comparison import Baselines
from unroll.pipelines.task import Arrays, Evaluation, Predict, Servable, Task
from unroll.pipelines.tasks.language.config import LanguageConfig
from unroll.pipelines.tasks.language.corpus import data as language_data
from unroll.pipelines.tasks.language.corpus.corpus import Corpus
from unroll.pipelines.tasks.language.corpus.data import LanguageData, Split
from unroll.pipelines.tasks.language.corpus.files import text_files
from unroll.pipelines.tasks.language.corpus.streams import Streams
from unroll.pipelines.tasks.language.mixing import Ngrams, learn_mixture, mixed
from unroll.pipelines.tasks.language.plan import default_epochs, sized
from unroll.pipelines.tasks.language.refit import learn_validation
from unroll.pipelines.tasks.language.scores.dynamic import SEGMENT, dynamic_scores
from unroll.pipelines.tasks.language.scores.evaluation import (
    CONTEXT,
    WINDOW,
    held_out_windows,
    score_windows,
    text_baselines,
    window_batches,
)
from unroll.pipelines.tasks.language.scores.insight import features_of_a_text, gradients_in_a_chunk
from unroll.pipelines.tasks.language.signatures import writer_servable
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.schedule.epochs import DefaultEpochs
from unroll.pipelines.training.signature import in_process
from unroll.pipelines.user_code.training import user_loss

_FILLED = 0.5  # of what is read, from which it is worth a word
_READ = 600  # units of the picture of features
_VALIDATED = 1_000_000  # units of the validation split that an epoch is judged by, from its begin


@register
class Language(Task):
    """A text to how it goes on."""

    name = "language"
    Config = LanguageConfig
    monitor = "nats_per_character"
    sequential = True
    config: LanguageConfig

    @classmethod
    def data_files(cls, data: str) -> list[Path]:
        return text_files(data)

    @classmethod
    def prepare(cls, config: LanguageConfig, data: str, directory: Path, progress: Progress) -> None:
        language_data.prepare(config.data, data, directory, progress)

    def __init__(self, config: LanguageConfig, directory: Path):
        self._data = LanguageData.load(directory)
        config, self._chosen = sized(config, self._data.dataset_info["characters"]["train"])
        super().__init__(config, directory)
        self._units = self._data.encoder()
        self._trained: Autoregressive | None = None
        self._ngrams: Ngrams | None = None

    def dataset_info(self) -> dict[str, Any]:
        found = self._ngrams
        return {**self._data.dataset_info, "ngrams": found and {"order": found.order, "gain": round(found.gain, 4)}}

    def summary(self) -> str:
        info = self._data.dataset_info
        documents = info["documents"]
        splits = ", ".join(
            f"{split} {info['characters'][split]:,}" + (f" in {documents[split]:,} documents" if documents else "")
            for split in SPLITS
        )
        whole = "documents" if documents else "a running text, cut in this order"
        known = " and ".join(f"{count:,} {what}" for what, count in info["known"].items() if count)
        lines = [f"{sum(info['characters'].values()):,} characters of {whole}: {splits}; known are {known}."]
        if any(info["unknown"].values()):
            counts = ", ".join(f"{split} {count:,}" for split, count in info["unknown"].items())
            lines.append(f"Unknown, and not scored: {counts} characters.")
        if info["copies"]:
            lines.append(f"{info['copies']:,} held-out documents are in the train split, too, word for word.")
        if (filled := self._streams("train").filled()) < _FILLED:
            lines.append(
                f"{1 - filled:.0%} of what a step reads is padding: documents are short for "
                f"train.chunk={self.config.train.chunk}, or there is little text for "
                f"train.batch_size={self.config.train.batch_size} streams."
            )
        return "\n".join([*lines, *info["notes"], *filter(None, [self._chosen])])

    def train_batches(self, epoch: int) -> tf.data.Dataset:
        return self._streams("train").batches((self.config.train.seed, epoch))

    def validation_batches(self) -> tf.data.Dataset:
        streams = self._streams("validation")
        return streams.batches(None).take(max(1, _VALIDATED // (streams.count * streams.chunk)))

    def _streams(self, split: str) -> Streams:
        train = self.config.train
        assert train.batch_size  # `sized` left nothing open
        assert train.chunk
        return Streams(self._data.split(split), train.batch_size, train.chunk, self._data.corpus.running)

    def default_epochs(self) -> DefaultEpochs:
        return default_epochs(self._data.dataset_info["characters"]["train"])

    def steps_per_epoch(self) -> int:
        return self._streams("train").steps()

    def build(self) -> keras.Model:
        section = self.config.model.model_dump(exclude={"ngrams"})
        characters, streams = tuple(self._units.characters), self._streams("train").count
        return Autoregressive(AutoregressiveConfig(characters, streams, **section))

    def compile(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        model.compile(optimizer, loss=user_loss(self.config.train.loss))  # else the loss is the model's own

    def servable(self, model: keras.Model) -> Servable:
        self._trained = model  # and left as it is: exported again, it must not have seen the validation split
        network = self.build()
        network.set_weights(model.get_weights())
        self.compile(network, keras.optimizers.Adam())
        running, train = self._data.corpus.running, self.config.train
        assert train.chunk
        learnt, split = self._data.split("train"), self._data.split("validation")
        decided = ""
        if self.config.model.ngrams:  # before the network has learnt what the gate learns by
            self._ngrams, decided = learn_mixture(model, learnt, split, chunk=train.chunk, running=running)
        said = learn_validation(network, split, chunk=train.chunk, running=running, clip_norm=train.clip_norm)
        served = dataclasses.replace(self._served(network, [learnt, split]), network=network)
        if not said:
            return served
        # scores of the validation split are of one that has not learnt it
        answers = in_process(self._served(model, [learnt]).signatures)
        return dataclasses.replace(served, said=[*filter(None, [decided]), said], predict_validation=answers)

    def _served(self, network: Autoregressive, learnt: Sequence[Split]) -> Servable:
        running, ngrams = self._data.corpus.running, self._ngrams
        model = mixed(network, ngrams, learnt, running) if ngrams else network
        description = {"task": self.name, "input": "prompt", "data": self.config.data.model_dump(mode="json")}
        return writer_servable(model, self._units, ends=not running, description=description)

    def held_out(self, data: str, split: str) -> Iterator[Arrays]:
        return window_batches(held_out_windows(self._data.corpus, split))

    @classmethod
    def records(
        cls, config: LanguageConfig, dataset_info: Mapping[str, Any], data: str, progress: Progress
    ) -> Iterator[Arrays]:
        section, notes = config.data.model_copy(update={"split": None}), Notes()
        with tempfile.TemporaryDirectory() as folder:
            corpus = Corpus.write(section, text_files(data), Path(folder), notes)
            for line in notes:
                progress.line(line)
            yield from window_batches(corpus.windows(range(len(corpus.bounds)), WINDOW, CONTEXT))

    @classmethod
    def evaluate(
        cls, dataset_info: Mapping[str, Any], records: Iterable[Arrays], predict: Predict, progress: Progress
    ) -> Evaluation:
        return score_windows(dataset_info, records, predict, progress)

    def baselines(self, scored: Mapping[str, Evaluation], progress: Progress) -> Baselines:
        found = text_baselines(self._data.corpus, self._data.characters, scored, progress)
        if self.config.train.dynamic_evaluation and self._trained is not None:
            own = dynamic_scores(self._trained, self._read_slowly, progress)
            return dataclasses.replace(found, metrics={**found.metrics, **own})
        return found

    def _read_slowly(self, split: str) -> tf.data.Dataset:
        """A split as one stream, in short chunks."""
        return Streams(self._data.split(split), 1, SEGMENT, self._data.corpus.running).batches(None)

    def profile(self, name: str, validation: Evaluation) -> monitoring.ReferenceProfile:
        features = [monitoring.NumericFeature(key) for key in ("characters", "unknown", "surprise")]
        return monitoring.ReferenceProfile.build(features, validation.inputs, validation.outputs, model=name)

    def figures(self, model: keras.Model) -> dict[str, Any]:
        network = model.networks[0]
        inputs, targets = next(iter(self.validation_batches()))
        pieces = [piece.decode() for piece in self._units.pieces.numpy()]
        gradients = gradients_in_a_chunk(network, inputs["ids"], targets)
        figures = {"gradient_by_timestep.png": gradients} if gradients is not None else {}
        return {
            **figures,
            "features.png": features_of_a_text(network, self._data.split("validation").ids[:_READ], pieces),
        }
