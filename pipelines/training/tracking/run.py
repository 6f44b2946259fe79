"""What is recorded of one run."""

import csv
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.pipelines.training.revision import git_revision

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

    def metrics(self, values: Mapping[str, float], step: int, *, wait: bool = False) -> None:
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


def _parameters(config: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`{"train": {"seed": 0}}` to `{"train.seed": 0}`."""
    return {
        f"{section}.{key}": json.dumps(value) if isinstance(value, dict | list) else value
        for section, keys in config.items()
        for key, value in keys.items()
    }
