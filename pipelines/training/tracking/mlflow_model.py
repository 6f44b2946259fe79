"""The `MLmodel` file beside a SavedModel, by which MLflow itself loads and describes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from mlflow.models import ModelSignature

    from unroll.pipelines.training.exported import Exported
    from unroll.serving.engine.session_engine import TensorSpec

SAVED_MODEL = "saved_model"
"""The folder of the SavedModel among a registered version's files."""
_LOADER = "unroll.pipelines.training.tracking.pyfunc"
_EXAMPLES = 3  # rows


def write_mlflow_model(saved_model: Path, folder: Path, run_id: str, model_id: str) -> None:
    """Writes `MLmodel`, and the input example if the model has one.

    Flavors: `tensorflow`, which `mlflow.tensorflow.load_model` reads, and `python_function`, with a signature, for a
    model whose `serving_default` answers row by row. The example is taken from the model's warmup requests.

    Args:
        saved_model: the SavedModel, which MLflow finds as `saved_model` beside the file.
        folder: where to write.
        run_id: of the run that made it.
        model_id: of MLflow's record of it.
    """
    import pandas as pd
    from mlflow import pyfunc
    from mlflow.models import Model
    from mlflow.models.utils import _save_example  # which knows how three files and the model's refer to each other

    from unroll.pipelines.training.exported import Exported
    from unroll.pipelines.training.tracking.pyfunc import cells_of

    model = Model(run_id=run_id, model_id=model_id, model_uuid=model_id)
    model.add_flavor("tensorflow", saved_model_dir=SAVED_MODEL, model_type="tf2-module")
    exported = Exported(saved_model)
    if exported.answers_rows():
        pyfunc.add_to_model(model, loader_module=_LOADER, data=SAVED_MODEL)
        inputs = exported.example(_EXAMPLES)
        model.signature = _signature(exported, inputs)
        if inputs:
            table = pd.DataFrame({name: cells_of(values) for name, values in inputs.items()})
            _save_example(model, table, str(folder))
    model.save(str(folder / "MLmodel"))


def _signature(exported: "Exported", example: "Mapping[str, np.ndarray]") -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    signature = exported.signature()
    outputs = exported.predict(example) if example else {}
    inputs = {**signature.defaults, **example}
    return ModelSignature(
        Schema(
            [
                ColSpec(_type(spec, inputs.get(name)), name, required=name not in signature.defaults)
                for name, spec in signature.inputs.items()
            ]
        ),
        Schema([ColSpec(_type(spec, outputs.get(name)), name) for name, spec in signature.outputs.items()]),
    )


def _type(spec: "TensorSpec", values: "np.ndarray | None") -> Any:
    """A column's type, as wide as MLflow has it: it widens numbers, and refuses to narrow them."""
    from mlflow.types import DataType
    from mlflow.types.schema import AnyType, Array

    kinds = {"f": DataType.double, "i": DataType.long, "u": DataType.long, "b": DataType.boolean}
    kind = kinds.get(spec.dtype.kind)
    if spec.dtype == object:
        kind = DataType.string if values is None or _is_text(values) else DataType.binary
    if kind is None or spec.shape is None:
        return AnyType()
    column: Any = kind
    for _ in spec.shape[1:]:
        column = Array(column)
    return column


def _is_text(values: "np.ndarray") -> bool:
    try:
        return all(isinstance(value.decode(), str) for value in values.flat)
    except UnicodeDecodeError:
        return False
