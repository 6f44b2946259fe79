"""What `mlflow.pyfunc.load_model` loads of a registered version: the exported graph, asked by tables."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unroll.errors import UserError
from unroll.pipelines.training.exported import Exported
from unroll.serving.engine.session_engine import TensorSpec
from unroll.serving.protocol import tensors

_BATCH = 64


class TableModel:
    """`serving_default` of an exported model, with a column an input and a column an output.

    A cell is a row of the tensor: text, bytes or a number, or lists of them. Rows of different lengths, such as
    histories, may stand in one table.

    Args:
        exported: the model.

    Example:
        >>> model = TableModel(Exported(Path("store/reviews/1")))  # doctest: +SKIP
        >>> model.predict(pd.DataFrame({"text": ["A fine film."]})).label[0]  # doctest: +SKIP
        'pos'
    """

    def __init__(self, exported: Exported) -> None:
        self._exported = exported
        self._signature = exported.signature()

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Answers to the rows of a table, in its order and under its index.

        Args:
            model_input: columns named as the inputs; others are ignored, and optional ones may be left out.
            params: none are known.

        Raises:
            UserError: the model refuses the table.
        """
        columns = {
            name: [_cell(name, value, spec) for value in model_input[name]]
            for name, spec in self._signature.inputs.items()
            if name in model_input
        }
        answers: dict[str, list[Any]] = {name: [] for name in self._signature.outputs}
        for rows in _batches(columns):
            asked = {name: np.stack(cells[rows]) for name, cells in columns.items()}
            for name, values in self._exported.predict(asked).items():
                answers[name] += cells_of(values)
        return pd.DataFrame(answers, index=model_input.index)


def cells_of(values: np.ndarray) -> list[Any]:
    """Rows of a tensor as a column holds them: numbers, text, bytes that are not text, or lists of them.

    Example:
        >>> cells_of(np.array([[b"good", b"bad"]], object))
        [['good', 'bad']]
    """
    if values.dtype == object:
        decoded = np.empty(values.size, object)
        decoded[:] = [_text(value) for value in values.flat]
        values = decoded.reshape(values.shape)
    return values.tolist()


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _cell(name: str, value: Any, spec: TensorSpec) -> np.ndarray:
    text = spec.dtype == object
    try:
        cell = tensors.from_python(value) if text else np.asarray(value, spec.dtype)
    except (TypeError, ValueError) as error:
        raise UserError(f"column {name!r}: {error}") from None
    if text and cell.dtype != object:
        raise UserError(f"column {name!r}: expected text or bytes. Received: {value!r}")
    return cell


def _batches(columns: dict[str, list[np.ndarray]]) -> Iterator[slice]:
    """Neighbouring rows that one tensor can hold."""
    shapes = zip(*([cell.shape for cell in cells] for cells in columns.values()), strict=True)
    start = 0
    for _, alike in itertools.groupby(shapes):
        end = start + len(list(alike))
        for first in range(start, end, _BATCH):
            yield slice(first, min(end, first + _BATCH))
        start = end


def _load_pyfunc(path: str) -> TableModel:
    """MLflow's entry: a model's `MLmodel` names this module as its loader."""
    return TableModel(Exported(Path(path)))
