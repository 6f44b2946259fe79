"""An exported model: what is known of it, and its answers."""

import dataclasses
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unroll.errors import UserError
from unroll.pipelines.training.revision import git_revision
from unroll.serving.engine.inputs import predict_feeds
from unroll.serving.engine.load_error import LoadError
from unroll.serving.engine.parallelism import Parallelism
from unroll.serving.engine.session_engine import SessionEngine, Signature
from unroll.serving.protocol.model_spec import DEFAULT_SIGNATURE
from unroll.serving.protocol.status import StatusError
from unroll.serving.versions import warmup
from unroll.workspace import write_atomically

BASELINE = "baseline/"
"""Begins the names of metrics that are a baseline's: `baseline/test/accuracy/majority`."""
_FORMAT = 1
_FILE = "unroll.json"
_STORED_INFO = "facts"  # what the file has called `dataset_info` since its format 1


@dataclass(frozen=True)
class Card:
    """What is stored with a model, for people and for later commands.

    Args:
        name: of the model.
        task: that trained it.
        config: the whole configuration.
        dataset_info: of the data set, as the task gives them.
        data: path that the training was given.
        digest: SHA-256 of the data files.
        run_id: in MLflow.
        metrics: `{"test/accuracy": ...}`.
        module: where the task's class is, for a person to import; empty of older models.
        epochs: metrics of each epoch of the training.
        best_epoch: index of the one that was kept.
        chance: why the model is no better than guessing; empty if it is.
        beside_baseline: how its test score is level with a baseline's, or below it; empty if it is above.
    """

    name: str
    task: str
    config: Mapping[str, Any]
    dataset_info: Mapping[str, Any]
    data: str
    digest: str
    run_id: str
    metrics: Mapping[str, float]
    module: str = ""
    epochs: Sequence[Mapping[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    chance: str = ""
    beside_baseline: str = ""

    def warnings(self) -> list[str]:
        """What must be known before the model is used, a sentence each."""
        chance = f"At chance: on the validation split {self.chance}."
        baseline = f"Not above its baseline: on the test split {self.beside_baseline}."
        return [chance] * bool(self.chance) + [baseline] * bool(self.beside_baseline)

    def files(self) -> dict[str, bytes]:
        """`unroll.json` and `model_card.md`."""
        document = {"format": _FORMAT, **dataclasses.asdict(self), "code": _code()}
        document[_STORED_INFO] = document.pop("dataset_info")
        return {_FILE: json.dumps(document, indent=1).encode(), "model_card.md": self.markdown().encode()}

    @classmethod
    def load(cls, directory: Path) -> "Card":
        """Of a SavedModel directory.

        Raises:
            UserError: the model was not exported by `unroll train`, or by a later version of it.
        """
        file = directory / "assets.extra" / _FILE
        try:
            document = json.loads(file.read_text())
        except (OSError, ValueError):
            raise UserError(f"{file}: missing or damaged. Train the model again with `unroll train`") from None
        if document.get("format") != _FORMAT:
            raise UserError(f"{file}: has format {document.get('format')!r}, not {_FORMAT}. Update unroll")
        document["dataset_info"] = document.pop(_STORED_INFO)
        return cls(**{field.name: document[field.name] for field in dataclasses.fields(cls) if field.name in document})

    def markdown(self) -> str:
        """The model card."""
        metrics = "\n".join(f"| {key} | {value:.4f} |" for key, value in self.metrics.items())
        dataset_info = "\n".join(
            f"- {key}: {value if len(str(value)) < 500 else str(value)[:500] + ' ...'}"
            for key, value in self.dataset_info.items()
        )
        code = "\n".join(f"- {key}: {value}" for key, value in _code().items())
        warnings = "".join(f"{line}\n" for line in self.warnings())
        return f"""# {self.name}

A {self.task} model trained by Unroll. MLflow run {self.run_id}.

## Data

`{self.data}`, SHA-256 {self.digest}.

{dataset_info}

## Metrics

Measured through the exported graph; those that begin with `baseline/` are of honest baselines on the same records. The
epoch and the calibration were chosen on the validation split; the test split was used once, for this table.

| metric | value |
|---|---|
{metrics}

## Limits

{warnings}The model answers for data like its training data; on other data its answers mean little.
`unroll monitor report {self.name}` says when live requests stop looking like the validation split.

## Code

{code}

## Configuration

```json
{json.dumps(self.config, indent=1)}
```
"""


class Exported:
    """A SavedModel directory, answering in this process as a server would.

    Args:
        directory: the SavedModel.
    """

    def __init__(self, directory: Path):
        self.directory = directory

    @cached_property
    def engine(self) -> SessionEngine:
        """What runs the graph, loaded at its first use."""
        try:
            return SessionEngine(self.directory, Parallelism(intra_op=0, inter_op=0))
        except LoadError as error:
            raise UserError(f"{self.directory}: cannot be loaded ({error}). {error.remedy}") from None

    def signature(self, name: str = DEFAULT_SIGNATURE) -> Signature:
        """Inputs and outputs of a function of the graph.

        Raises:
            KeyError: the model does not have it.
        """
        return self.engine.signatures[name]

    def answers_rows(self) -> bool:
        """Whether it has a `serving_default` that gives a row for each row."""
        return DEFAULT_SIGNATURE in self.engine.signatures and self.signature().batchable

    def example(self, rows: int) -> dict[str, np.ndarray]:
        """The inputs that must be sent to `serving_default`, of the first warmup request; none if there is none.

        Args:
            rows: at most.
        """
        for signature, feeds in warmup.runs(self.engine, self.directory):
            if signature.name == DEFAULT_SIGNATURE:
                sent = zip(signature.inputs, feeds, strict=True)
                return {name: feed[:rows] for name, feed in sent if name not in signature.defaults}
        return {}

    def predict(self, inputs: Mapping[str, np.ndarray], signature: str = DEFAULT_SIGNATURE) -> dict[str, np.ndarray]:
        """Outputs of a signature by name, from its inputs; others are ignored, and optional ones may be left out.

        Raises:
            UserError: the model refuses the inputs.
        """
        definition = self.signature(signature)
        given = {name: inputs[name] for name in definition.inputs if name in inputs}
        try:
            answers = self.engine.run(signature, predict_feeds(definition, given, decode=lambda array: array))
        except StatusError as error:
            raise UserError(f"{self.directory}: the model refuses the data. {error.message}") from None
        return dict(zip(definition.outputs, answers, strict=True))

    def add(self, files: Mapping[str, bytes]) -> None:
        """Writes files under `assets.extra/`."""
        for name, content in files.items():
            write_atomically(self.directory / "assets.extra" / name, content)


def _code() -> dict[str, str]:
    packages = ("tensorflow", "keras", "numpy")
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {"unroll": importlib.metadata.version("unroll-sequences"), "git revision": git_revision(), **versions}
