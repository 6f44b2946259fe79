"""What is recorded of one run."""

import csv
import io
import json
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.pipelines.training.config import TaskConfig
from unroll.pipelines.training.revision import git_revision

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_SETTINGS = 80  # characters


class Run:
    """What is recorded of one run.

    Args:
        mlflow: the module, connected.
        run_id: of the active run.
    """

    def __init__(self, mlflow: Any, run_id: str):
        self._mlflow = mlflow
        self.run_id = run_id

    def describe(self, config: Mapping[str, Any], dataset: str, digest: str, tags: Mapping[str, str]) -> None:
        """Records the configuration as parameters, the data set with its digest, and tags."""
        from mlflow.data.dataset_source_registry import resolve_dataset_source
        from mlflow.data.meta_dataset import MetaDataset

        self._mlflow.log_params(_parameters(config))
        self._mlflow.set_tags({"dataset.digest": digest, "git.revision": git_revision(), **tags})
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The specified dataset source can be interpreted")
            source = resolve_dataset_source(dataset)
        described = MetaDataset(source, name=Path(dataset).name, digest=digest[:36])  # type: ignore[abstract]
        self._mlflow.log_input(described, context="training")

    def keep(self, file: Path) -> None:
        """Keeps a file under its name."""
        self._mlflow.log_artifact(str(file))

    def metrics(self, values: Mapping[str, float], step: int = 0, *, wait: bool = False) -> None:
        """Records numbers, in the background unless `wait`; the run's end waits until they are written."""
        self._mlflow.log_metrics(dict(values), step=step, synchronous=wait)

    def figures(self, figures: "Mapping[str, Figure]") -> None:
        for name, figure in figures.items():
            self._mlflow.log_figure(figure, f"plots/{name}")

    def tables(self, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Records tables, one dictionary a row, as CSV files."""
        for title, rows in tables.items():
            text = io.StringIO()
            writer = csv.DictWriter(text, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
            self._mlflow.log_text(text.getvalue(), f"tables/{title.replace(' ', '_')}.csv")


def run_name(name: str, config: TaskConfig, start: datetime) -> str:
    """What tells a run from others in a list: the model, the settings that differ from the defaults, and the time.

    The columns of the data are left out: runs of one model mostly share them.

    Example:
        >>> run_name("reviews", TaskConfig(train={"epochs": 3}), datetime(2026, 11, 29, 22, 50))
        'reviews epochs=3 2026-11-29 22:50'
    """
    changed = config.model_dump(mode="json", exclude_defaults=True, exclude={"data"})
    settings = " ".join(f"{key}={value}" for section in changed.values() for key, value in section.items())
    settings = textwrap.shorten(settings, _MAX_SETTINGS, placeholder=" ...")
    return " ".join(part for part in (name, settings, f"{start:%Y-%m-%d %H:%M}") if part)


def _parameters(config: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`{"train": {"seed": 0}}` to `{"train.seed": 0}`."""
    return {
        f"{section}.{key}": json.dumps(value) if isinstance(value, dict | list) else value
        for section, keys in config.items()
        for key, value in keys.items()
    }
