"""The model card: what is known of a trained model, beside its graph."""

import dataclasses
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unroll.errors import UserError
from unroll.pipelines.scoring.comparison import Comparison
from unroll.pipelines.training.revision import git_revision

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
        epochs: metrics of each epoch of the training that was validated.
        best_epoch: index of the one that was kept.
        length: of the training: epochs, their seconds, and why it ended; empty of older models.
        chance: why the model is no better than guessing; empty if it is.
        notes: what must be known to read the metrics, a sentence each.
        comparison: with its baselines on the test split, as `Comparison.document` has it; empty if there is none.
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
    length: Mapping[str, Any] = field(default_factory=dict)
    chance: str = ""
    notes: Sequence[str] = field(default_factory=list)
    comparison: Mapping[str, Any] = field(default_factory=dict)

    @property
    def held_back(self) -> bool:
        """Whether it is served only on demand: it is at chance, or a baseline is better."""
        return bool(self.chance or self.comparison.get("below"))

    def warnings(self) -> list[str]:
        """What must be known before the model is used, a sentence each."""
        chance = f"At chance: on the validation split {self.chance}." if self.chance else ""
        compared = Comparison.from_document(self.comparison).sentence() if self.comparison else ""
        return [line for line in (chance, compared) if line]

    @property
    def length_in_words(self) -> str:
        """How long training took, in a sentence; empty where it is not known."""
        if not self.length:
            return ""
        words = "Training took {seconds:,.0f} s: {epochs:.3g} epochs of about {epoch_seconds:.2g} s. It ended: {ended}."
        return words.format_map(self.length)

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
        notes = "".join(f"\n{line}\n" for line in self.notes)
        warnings = "".join(f"{line}\n" for line in self.warnings())
        return f"""# {self.name}

A {self.task} model trained by Unroll. MLflow run {self.run_id}.

## Data

`{self.data}`, SHA-256 {self.digest}.

{dataset_info}

## Training

{self.length_in_words or "Its length was not recorded."}

## Metrics

Measured through the exported graph; those that begin with `baseline/` are of honest baselines on the same records. The
epoch and the calibration were chosen on the validation split; the test split was used once, for this table.

| metric | value |
|---|---|
{metrics}
{notes}
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


def _code() -> dict[str, str]:
    packages = ("tensorflow", "keras", "numpy")
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {"unroll": importlib.metadata.version("unroll-sequences"), "git revision": git_revision(), **versions}
