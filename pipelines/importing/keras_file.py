"""A `.keras` file to a SavedModel with named inputs and outputs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from unroll.errors import UserError
from unroll.pipelines.training.signature import signature
from unroll.serving.engine.load_error import LoadError
from unroll.serving.export import export_saved_model


def export_keras_file(file: Path, directory: Path, name: str) -> None:
    """Exports a saved Keras model, portable and without a copy of its weights.

    Nothing in the file is run: Keras' safe mode stays on.

    Args:
        file: what `model.save` wrote.
        directory: of the SavedModel; must not exist.
        name: of the model.

    Raises:
        UserError: a damaged file, one with code or layers of its author's own, or a model that cannot be served.
    """
    model = _loaded(file)
    stateful = [layer.name for layer in model._flatten_layers() if getattr(layer, "stateful", False)]
    if stateful:
        raise UserError(
            f"{file}: layer {stateful[0]!r} is stateful, so that an answer would depend on who asked before. Build it "
            "with stateful=False"
        )
    if not getattr(model, "inputs", None):
        raise UserError(
            f"{file}: the model does not say what it takes. Build it from keras.Input, or write a SavedModel with "
            "model.export(FOLDER) and import that"
        )
    module = tf.Module(name="imported")
    module.variables_of_model = [variable.value for variable in model.variables]
    module.tables = [
        layer.lookup_table for layer in model._flatten_layers() if getattr(layer, "lookup_table", None) is not None
    ]
    try:
        export_saved_model(
            module, {"serving_default": _serving(model)}, directory, name=name, warmup_requests=[], model=model
        )
    except (ValueError, TypeError, AssertionError, LoadError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{file}: cannot be exported ({reason}). Write a SavedModel with model.export(FOLDER) and import that"
        ) from error


def _loaded(file: Path) -> keras.Model:
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # whatever the damage provokes
        reason = " ".join(str(error).split())
        if re.search(r"safe_mode|Lambda|unsafe", reason):
            raise UserError(
                f"{file}: holds code in Python (a Lambda layer, say), which is never run from a model's file. Use a "
                "layer of Keras instead; or, where you trust it, write a SavedModel with model.export(FOLDER), and "
                "import that"
            ) from None
        if "Could not locate" in reason:
            raise UserError(
                f"{file}: holds a layer that is not one of Keras' own ({reason[:200]}). Write a SavedModel where the "
                "layer is known, with model.export(FOLDER), and import that"
            ) from None
        raise UserError(f"{file}: cannot be read as a Keras model ({reason[:200]}). Save it again") from None


def _serving(model: keras.Model) -> Any:
    specs = {}
    for given in model.inputs:
        name = re.sub(r"\W", "_", given.name)
        specs[given.name] = tf.TensorSpec([None, *given.shape[1:]], given.dtype, name=name)

    def serving_default(**inputs: tf.Tensor) -> Mapping[str, tf.Tensor]:
        fed = keras.tree.map_structure(lambda one: inputs[specs[one.name].name], model.input)
        answer = model(fed, training=False)
        if isinstance(answer, Mapping):
            return dict(answer)
        answers = keras.tree.flatten(answer)
        names = ["output"] if len(answers) == 1 else [f"output_{number}" for number in range(len(answers))]
        return dict(zip(names, answers, strict=True))

    return signature(serving_default, list(specs.values()))
