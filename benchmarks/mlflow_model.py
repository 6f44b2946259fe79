"""A SavedModel as an MLflow pyfunc model: the plain way to put it behind `mlflow models serve`."""

from typing import Any

import mlflow.pyfunc
import pandas as pd
import tensorflow as tf


class SavedModel(mlflow.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        self.model = tf.saved_model.load(context.artifacts["saved_model"])
        self.answer = self.model.signatures["serving_default"]

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        answer = self.answer(text=tf.constant(model_input["text"].to_list()))
        return pd.DataFrame({"label": answer["label"].numpy().astype(str), "score": answer["score"].numpy()})


mlflow.models.set_model(SavedModel())
