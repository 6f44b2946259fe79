"""Warmup records: requests that a server replays before it lets clients in.

The first run of a graph compiles and allocates; without warmup, the first clients would wait for it.
https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf
from numpy.typing import ArrayLike

from serving import protos, tensors
from serving.inputs import classify_feeds, predict_feeds
from serving.session_engine import CLASSIFY, LoadError, SessionEngine
from serving.status import StatusError

FILE = "tf_serving_warmup_requests"
LIMIT = 1000
"""TensorFlow Serving reads no more records than this."""


def write(
    path: Path,
    model: str,
    methods: Mapping[str, str],
    requests: Sequence[tuple[str, Mapping[str, ArrayLike]]],
) -> None:
    """Writes requests as a TFRecord file of PredictionLogs.

    Args:
        path: the file.
        model: name for the requests' model spec.
        methods: method names by signature; decides between Predict and Classify.
        requests: signature name and inputs; those of a Classify signature are serialized tf.Examples.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            log = protos.PredictionLog()
            if methods[signature] == CLASSIFY:
                request = log.classify_log.request
                for example in tensors.from_python(inputs["inputs"]).tolist():
                    request.input.example_list.examples.add().MergeFromString(example)
            else:
                request = log.predict_log.request
                for alias, values in inputs.items():
                    request.inputs[alias].MergeFromString(tensors.encode(tensors.from_python(values)))
            request.model_spec.name = model
            request.model_spec.signature_name = signature
            writer.write(log.SerializeToString())


def replay(engine: SessionEngine, directory: Path) -> int:
    """Runs the warmup records of a version, if it has any.

    Args:
        engine: the loaded version.
        directory: the version's directory.

    Returns:
        How many records were run.

    Raises:
        LoadError: a record that the model does not accept.
    """
    path = directory / "assets.extra" / FILE
    if not path.is_file():
        return 0
    count = 0
    try:
        for record in tf.data.TFRecordDataset(str(path)).take(LIMIT).as_numpy_iterator():
            log = protos.PredictionLog.FromString(record)
            if log.HasField("predict_log"):
                request = log.predict_log.request
                signature = engine.signatures[request.model_spec.signature_name or "serving_default"]
                engine.run(signature.name, predict_feeds(signature, request.inputs))
            elif log.HasField("classify_log"):
                request = log.classify_log.request
                signature = engine.signatures[request.model_spec.signature_name or "serving_default"]
                engine.run(signature.name, classify_feeds(signature, request.input))
            count += 1
    except tf.errors.DataLossError:
        pass  # as TensorFlow Serving does: a damaged tail costs speed at first, not the version
    except (StatusError, KeyError) as error:
        raise LoadError(f"warmup record {count}: {error}") from error
    return count
