"""A trained model in Python: what it scored, what it answers, and the Keras model that it is."""

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from unroll.configuration import Keys, configured
from unroll.errors import UserError
from unroll.frames import as_files, is_frame, stored_frame
from unroll.pipelines.training.card import Card
from unroll.pipelines.training.exported import Exported
from unroll.python_words import python_words
from unroll.serving.protocol.messages import Prediction, ServingError
from unroll.workspace import Workspace

if TYPE_CHECKING:
    import keras
    import pandas as pd
    import tensorflow as tf
    from numpy.typing import ArrayLike

    from unroll.notebook import Plot
    from unroll.pipelines.release import Scored
    from unroll.pipelines.task import Task

_PathLike = str | os.PathLike[str]


class Model:
    """A trained, exported model, as `unroll.train` and `unroll.load` give it.

    Args:
        path: its SavedModel directory.
        workspace: that it was trained in.
        version: its number in the registry; None where it is not registered.
        keras_model: the trained Keras model; None: it is read when it is asked for.

    Attributes:
        name: of the model.
        version: its number in the registry, or None.
        path: its SavedModel directory.
        task: the name of its task.
        config: its whole configuration, by section.
        metrics: `{"test/accuracy": 0.93, ...}`, measured through the exported graph.
        best_epoch: the epoch that was kept, from 1.
        chance: why it is no better than guessing; empty if it is better.
        comparison: with its baselines on the test split: `baseline`, `below` and so on; empty if there is none.

    Example:
        >>> model = unroll.load("reviews")  # doctest: +SKIP
        >>> model.predict(["A fine film."])  # doctest: +SKIP
    """

    def __init__(
        self, path: Path, workspace: Workspace, version: int | None = None, keras_model: "keras.Model | None" = None
    ) -> None:
        self._card = Card.load(path)
        self._workspace = workspace
        self._exported = Exported(path)
        self._trained = keras_model
        self.path = path
        self.version = version
        self.name = self._card.name
        self.task = self._card.task
        self.config = dict(self._card.config)
        self.metrics = dict(self._card.metrics)
        self.best_epoch = self._numbers()[self._card.best_epoch] if self._card.epochs else 1
        self.chance = self._card.chance
        self.comparison = dict(self._card.comparison)

    def __repr__(self) -> str:
        version = f", version {self.version}" if self.version else ", not registered"
        return f"<unroll.Model {self.name!r}{version}, {self.task}: {self.path}>"

    def _repr_html_(self) -> str:
        from unroll.notebook import as_html

        return as_html(self)

    @property
    def title(self) -> str:
        """The name, with the version if it has one."""
        return f"{self.name} version {self.version}" if self.version else self.name

    @property
    def card(self) -> str:
        """The model card, Markdown: data, metrics, limits, code, configuration."""
        return self._card.markdown()

    @property
    def warnings(self) -> list[str]:
        """What must be known before the model is used, a sentence each."""
        return self._card.warnings()

    @property
    def history(self) -> "pd.DataFrame":
        """A row an epoch that was validated, by its number: losses and metrics, `train/...` and `validation/...`."""
        import pandas as pd

        rows = [{key: value for key, value in epoch.items() if key != "epoch"} for epoch in self._card.epochs]
        return pd.DataFrame(rows, index=pd.Index(self._numbers(), dtype="int64", name="epoch"))

    def _numbers(self) -> list[int]:
        """Of the epochs that were validated, from 1."""
        return [math.ceil(epoch.get("epoch", number)) for number, epoch in enumerate(self._card.epochs, 1)]

    def figures(self) -> "dict[str, Plot]":
        """Plots of the training and of the test split, by name."""
        from unroll.notebook import Plot

        with python_words():
            folder = self._kept("plots")
            return {file.stem: Plot(file.read_bytes()) for file in sorted(folder.glob("*.png"))} if folder else {}

    @property
    def tables(self) -> "dict[str, pd.DataFrame]":
        """Further figures of the test split, by name."""
        import pandas as pd

        with python_words():
            folder = self._kept("tables")
            return {file.stem: pd.read_csv(file) for file in sorted(folder.glob("*.csv"))} if folder else {}

    def predict(
        self, inputs: "Mapping[str, ArrayLike] | Sequence[Any] | pd.DataFrame", signature: str = "serving_default"
    ) -> "Prediction | pd.DataFrame":
        """What a server would answer: the exported graph, in this process.

        Args:
            inputs: texts, bytes or `Path`s, for a model that takes one of these; arrays or lists by input name; or a
                DataFrame with the columns of the training data.
            signature: of the graph; for inputs by name.

        Returns:
            A DataFrame, a row a record (of forecasts a row a step); or, for inputs by name, arrays by output name.

        Raises:
            UserError: inputs that the model does not take.
        """
        from unroll.pipelines.asking import python
        from unroll.pipelines.in_process import InProcessClient

        with python_words():
            client: Any = InProcessClient(self._exported, self.name, self.version or 0)
            try:
                if isinstance(inputs, Mapping):
                    return client.predict(inputs, signature)
                if is_frame(inputs):
                    section = self.config.get("data", {})
                    return python.predict_frame(
                        client, section, cast(Any, inputs), lambda one: stored_frame(one, self._workspace)
                    )
                if isinstance(inputs, str | bytes | Path) or not hasattr(inputs, "__len__"):
                    raise UserError(f"inputs: expected a list, a dict or a DataFrame. Received: {inputs!r:.80}")
                return python.predict_list(client, list(inputs))
            except ServingError as error:
                raise UserError(f"inputs: {self.title} refuses them: {error.message}") from None

    def evaluate(self, data: "_PathLike | pd.DataFrame", config: Keys = None) -> dict[str, float]:
        """Scores the model on all records of labelled data.

        Args:
            data: a DataFrame, or a file, folder or glob.
            config: keys `data.*`, where the columns are named differently from the training data's.

        Raises:
            UserError: data that cannot be read, or labels that the model does not know.
        """
        from unroll.pipelines.training.evaluation import score
        from unroll.pipelines.training.progress import Progress

        with python_words():
            task = self._task()
            settings = configured(task.Config, config, self.config)
            if any(part != section for part, section in _others(settings.model_dump(mode="json"), self.config)):
                raise UserError(f"config: only data.* keys apply to an evaluation. Received: {config!r}")
            with as_files(task, settings, data, self._workspace) as path, Progress() as progress:
                return dict(score(task, settings, self._card, self._exported, path, progress).metrics)

    @property
    def keras(self) -> "keras.Model":
        """The trained `keras.Model`, the same object at every call; compiled for fine-tuning.

        Its inputs are what the task makes of raw records, see `dataset`. Its optimizer is Adam at a tenth of the
        training's learning rate; compile it again for another.

        Raises:
            UserError: the model is not kept with its run.
        """
        if self._trained is None:
            from unroll.pipelines.release import KERAS_FILE, load_keras
            from unroll.serving.engine.quiet import import_tensorflow

            import_tensorflow()
            with python_words():
                self._task()  # which knows the layers
                if (file := self._kept(KERAS_FILE)) is None:
                    raise UserError(f"{self.title}: its run keeps no {KERAS_FILE}. Train it again")
                self._trained = load_keras(file)
        return self._trained

    def dataset(self, split: Literal["train", "validation"] = "train", epoch: int = 0) -> "tf.data.Dataset":
        """Batches of the training data, as `keras` takes them.

        Args:
            split: `train` or `validation`.
            epoch: with the seed, it decides the order of the training batches.

        Raises:
            UserError: the data is not where it was, or is not what it was.
        """
        if split not in ("train", "validation"):
            raise UserError(f"split: expected 'train' or 'validation'. Received: {split!r}")
        with python_words():
            return self._problem.train_batches(epoch) if split == "train" else self._problem.validation_batches()

    def export(self, path: _PathLike) -> "Model":
        """Exports `keras` as it is now, fine-tuned say, as a SavedModel that is scored on the same splits.

        Args:
            path: a new directory.

        Returns:
            The exported model, not registered.

        Raises:
            UserError: the directory exists, or the data is not where it was.
        """
        with python_words():
            if os.path.lexists(path):
                raise UserError(f"path: {os.fspath(path)} exists. Name a new directory")
            self._export(Path(path), replace(self._card, run_id=""))
            return Model(Path(path), self._workspace, keras_model=self.keras)

    def register(self, name: str | None = None, *, promote: bool | None = False) -> "Model":
        """Makes a version of the model as `keras` is now, scored on the same splits and recorded in a run of its own.

        Args:
            name: of the model; None: its own.
            promote: whether the version is served; None: as `unroll train` does, a first one that no baseline beats.

        Returns:
            The new version.

        Raises:
            UserError: the data is not where it was, or the name is not valid.
        """
        from unroll import serving
        from unroll.pipelines.release import record, release
        from unroll.pipelines.training.progress import Progress
        from unroll.pipelines.training.tracking import Tracking

        with python_words(), Progress() as progress:
            name = name or self.name
            serving.Store(self._workspace.store).versions(name)  # refuses a bad name
            task, tracking = self._task(), Tracking(self._workspace, create=True)
            with tempfile.TemporaryDirectory() as folder:
                with tracking.run(name) as run:
                    card = replace(self._card, name=name, run_id=run.run_id)
                    run.describe(self.config, card.data, card.digest, {"task": self.task, "unroll.parent": self.title})
                    scored = self._export(Path(folder) / "exported", card)
                    record(run, scored, self.keras, self._problem.figures(self.keras), task.monitor, progress)
                released = release(tracking, self._workspace, scored, progress, promote=promote)
            version = released.registered.version if released.registered else None
            return Model(released.path, self._workspace, version, keras_model=self.keras)

    def _export(self, directory: Path, card: Card) -> "Scored":
        from unroll.pipelines.release import export
        from unroll.pipelines.training.progress import Progress

        with Progress() as progress:
            return export(self._problem, self.keras, card, card.data, directory, progress)

    @cached_property
    def _problem(self) -> "Task":
        """The task on its prepared data, made again where the cache lost it."""
        from unroll.pipelines.data.records import digest
        from unroll.pipelines.prepared import prepared
        from unroll.pipelines.training.progress import Progress

        task, card = self._task(), self._card
        settings = configured(task.Config, None, card.config)
        if digest(task.files(settings, card.data)) != card.digest:
            raise UserError(f"data: {card.data} is not what {self.title} was trained on. Put that back, or train again")
        with Progress() as progress:
            return prepared(task, settings, card.data, card.digest, self._workspace, progress)

    def _task(self) -> "type[Task]":
        from unroll.pipelines.registry import task_named
        from unroll.serving.engine.quiet import import_tensorflow

        import_tensorflow()
        return task_named(self.task, self._card.module)

    def _kept(self, name: str) -> Path | None:
        from unroll.pipelines.training.tracking import Tracking

        return Tracking(self._workspace).kept(self._card.run_id, name) if self._card.run_id else None


def _others(settings: Mapping[str, Any], trained: Mapping[str, Any]) -> "list[tuple[Any, Any]]":
    return [(settings[section], trained.get(section)) for section in settings if section != "data"]
