"""A model's graph to a SavedModel that any TensorFlow Serving loads."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from numpy.typing import ArrayLike
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.saved_model import fingerprinting_utils

from unroll.errors import UserError
from unroll.serving.engine.session_engine import SessionEngine
from unroll.serving.protocol.model_spec import CLASSIFY
from unroll.serving.versions import warmup

if TYPE_CHECKING:
    import keras


def export_saved_model(
    module: tf.Module,
    signatures: Mapping[str, Any],
    directory: Path,
    *,
    name: str,
    warmup_requests: Sequence[tuple[str, Mapping[str, ArrayLike]]],
    model: "keras.layers.Layer | None" = None,
    extra_files: Mapping[str, bytes] | None = None,
) -> Path:
    """Writes a self-contained SavedModel and proves that it loads and runs as TensorFlow Serving loads it.

    A signature whose one input is `inputs` (serialized tf.Examples, `[n]`, string) and whose outputs are
    `classes` (`[n, k]`, string) and/or `scores` (`[n, k]`, float) is served by Classify; every other one
    by Predict.

    Args:
        module: holds the graph's raw `tf.Variable`s and lookup tables (no Keras object: its variables are
            not found in a v1 Session).
        signatures: functions of `module` by signature name, each with an input signature and a
            dictionary of outputs.
        directory: where to write. Must not exist; it appears by rename, whole.
        name: the model's name, for the warmup requests.
        warmup_requests: signature name and inputs, replayed here and by servers at load.
        model: the Keras layer or model that the signatures call. cuDNN is off in it, and in every layer inside it,
            while the graph is traced, since Keras would choose a kernel for the machine that traces.
        extra_files: contents by file name, written under `assets.extra/`.

    Returns:
        `directory`.

    Raises:
        UserError: `directory` exists.
        ValueError: the graph holds a cuDNN op, which no CPU can run.
        LoadError: the graph does not load or does not accept the warmup requests.

    Example:
        >>> class Upper(tf.Module):
        ...     @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        ...     def serve(self, text):
        ...         return {"upper": tf.strings.upper(text)}
        >>> module = Upper()
        >>> export_saved_model(
        ...     module, {"serving_default": module.serve}, Path("exported"), name="upper",
        ...     warmup_requests=[("serving_default", {"text": ["a"]})])
        PosixPath('exported')
    """
    directory = Path(directory)
    if directory.exists():
        raise UserError(f"{directory}: exists already. Export to a new directory.")
    directory.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".export-", dir=directory.parent))
    try:
        partial.chmod(0o755)
        module.drawn_from = _drawn_from(model)
        with _without_cudnn(model):
            tf.saved_model.save(module, str(partial), signatures=dict(signatures))
        methods = _finish_meta_graph(partial)
        extra = partial / "assets.extra"
        extra.mkdir(exist_ok=True)
        warmup.write(extra / warmup.FILE, name, methods, warmup_requests)
        for file, content in (extra_files or {}).items():
            (extra / file).write_bytes(content)
        engine = SessionEngine(partial)
        try:
            warmup.replay(engine, partial)
        finally:
            engine.close()
        os.rename(partial, directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return directory


def _drawn_from(model: "keras.layers.Layer | None") -> list[tf.Variable]:
    """What layers draw from, which is none of a model's weights.

    Some do whether they train or not, such as Keras's recurrent layers with recurrent dropout.
    """
    if model is None:
        return []
    return [one.value for one in model.variables if one.path.endswith("seed_generator_state")]


def ops_of(meta_graph: Any) -> set[str]:
    """The ops of a MetaGraphDef, those of its functions included."""
    functions = (node for function in meta_graph.graph_def.library.function for node in function.node_def)
    return {node.op for node in (*meta_graph.graph_def.node, *functions)}


@contextmanager
def _without_cudnn(model: "keras.layers.Layer | None") -> Iterator[None]:
    layers = model._flatten_layers() if model is not None else []
    before = [(layer, layer.use_cudnn) for layer in layers if hasattr(layer, "use_cudnn")]
    try:
        for layer, _ in before:
            layer.use_cudnn = False
        yield
    finally:
        for layer, choice in before:
            layer.use_cudnn = choice


def _finish_meta_graph(directory: Path) -> dict[str, str]:
    """Refuses cuDNN ops and names the Classify method, which `tf.saved_model.save` cannot.

    Returns:
        Method names by signature.
    """
    path = directory / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    (meta_graph,) = saved_model.meta_graphs
    cudnn = sorted(op for op in ops_of(meta_graph) if "Cudnn" in op)
    if cudnn:
        raise ValueError(
            f"The graph holds {', '.join(cudnn)}, which no CPU can run. Give export_saved_model the Keras model that "
            "the signatures call, and call no signature before."
        )
    for signature in meta_graph.signature_def.values():
        outputs = set(signature.outputs)
        if set(signature.inputs) == {"inputs"} and outputs and outputs <= {"classes", "scores"}:
            signature.method_name = CLASSIFY
    path.write_bytes(saved_model.SerializeToString(deterministic=True))
    fingerprinting_utils.write_fingerprint(str(directory))  # of the file as it now is
    return {name: signature.method_name for name, signature in meta_graph.signature_def.items()}
