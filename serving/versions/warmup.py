"""Warmup records: requests that a server replays before it lets clients in.

The first run of a graph compiles and allocates; without warmup, the first clients would wait for it.
https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from numpy.typing import ArrayLike

from unroll.serving.engine.graph_effects import has_effects
from unroll.serving.engine.graph_session import read_meta_graph
from unroll.serving.engine.inputs import Feeds, predict_feeds
from unroll.serving.engine.load_error import LoadError
from unroll.serving.engine.session_engine import SessionEngine, Signature
from unroll.serving.files import tfrecord
from unroll.serving.protocol import examples, protos, tensors
from unroll.serving.protocol.model_spec import CLASSIFY, DEFAULT_SIGNATURE
from unroll.serving.protocol.status import StatusError

FILE = "tf_serving_warmup_requests"
_REMEDY = "Export it again, or start the server with --enable_model_warmup=false"
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
    with path.open("wb") as file:
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
            file.write(tfrecord.record(log.SerializeToString()))


def replay(engine: SessionEngine, directory: Path, iterations: int = 1) -> int:
    """Runs the warmup records of a version, if it has any.

    Args:
        engine: the loaded version.
        directory: the version's directory.
        iterations: how often each record is run, in each way that the engine has.

    Returns:
        How many records were run.

    Raises:
        LoadError: a record that is damaged, or that the model does not accept.
    """
    count = 0
    try:
        for record in _records(directory):
            for signature, feeds in _runs(engine, record):
                for alone in itertools.islice(itertools.cycle(engine.modes), iterations * len(engine.modes)):
                    engine.run(signature.name, feeds, alone)
            count += 1
    except (StatusError, KeyError) as error:
        raise _refused(count, error) from error
    return count


def quick(engine: SessionEngine, directory: Path, tags: Sequence[str], seconds: float) -> list[tuple[str, Feeds]]:
    """Of what warmup records ask to be run, the first that take no more than so many seconds together.

    None, where a run changes something: nobody asked for further ones.

    Args:
        engine: the version, in which they have been run.
        directory: the version's directory.
        tags: of its graph.
        seconds: see above.
    """
    found: list[tuple[str, Feeds]] = []
    until = time.monotonic() + seconds
    asked = list(runs(engine, directory))
    graph_def = read_meta_graph(directory, tags).graph_def if asked else None
    for signature, feeds in asked:
        if has_effects(graph_def, (spec.tensor for spec in signature.outputs.values())):
            continue
        engine.run(signature.name, feeds)
        if time.monotonic() > until:
            break
        found.append((signature.name, feeds))
    return found


def runs(engine: SessionEngine, directory: Path) -> Iterator[tuple[Signature, Feeds]]:
    """What the warmup records of a version ask to be run, as far as the model has it.

    Args:
        engine: the loaded version.
        directory: the version's directory.
    """
    with contextlib.suppress(StatusError, KeyError):
        for record in _records(directory):
            yield from _runs(engine, record)


def file(directory: Path) -> Path:
    """Where a version has its warmup records, if it has any."""
    return directory / "assets.extra" / FILE


def _records(directory: Path) -> Iterator[Any]:
    path = file(directory)
    if path.is_file():
        for number, record in enumerate(itertools.islice(tfrecord.records(path.read_bytes()), LIMIT)):
            try:
                log = protos.PredictionLog.FromString(record)
            except DecodeError as error:
                raise _refused(number, error) from None
            yield log


def _refused(number: int, error: Exception) -> LoadError:
    problem = f"warmup record {number}: {error}"
    return LoadError(problem, None if "No OpKernel" in problem else _REMEDY)


def _runs(engine: SessionEngine, log: Any) -> Iterator[tuple[Signature, Feeds]]:
    """What a record asks to be run; of a kind that is not served, nothing."""
    kind = log.WhichOneof("log_type")
    if kind not in ("predict_log", "classify_log", "regress_log", "multi_inference_log"):
        return
    request = getattr(log, kind).request
    for asked in request.tasks if kind == "multi_inference_log" else [request]:
        signature = engine.signatures[asked.model_spec.signature_name or DEFAULT_SIGNATURE]
        if kind == "predict_log":
            yield signature, predict_feeds(signature, request.inputs)
        else:
            yield signature, [examples.serialized(request.input)]
