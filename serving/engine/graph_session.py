"""One SavedModel's graph in a session: variables restored, tables filled, as TensorFlow Serving's loader leaves it.

What is run in which order is that of tensorflow/cc/saved_model/loader.cc.
"""

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from unroll.serving.engine.load_error import LoadError
from unroll.serving.engine.tensorflow_runtime import (
    c_api,
    config_pb2,
    device_attributes_pb2,
    device_lib,
    meta_graph_pb2,
    saved_model_pb2,
)

Run = Callable[..., list[Any]]
_INIT_SIGNATURE = "__saved_model_init_op"
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_VARIABLES = ("VarHandleOp", "VariableV2")
_ASSETS = "saved_model_assets"


def read_meta_graph(directory: Path, tags: Iterable[str]) -> Any:
    """Reads the MetaGraphDef of a SavedModel that carries these tags and no others.

    Raises:
        LoadError: there is none, or the file is damaged.
    """
    binary, text = directory / "saved_model.pb", directory / "saved_model.pbtxt"
    try:
        if binary.exists():
            saved_model = saved_model_pb2.SavedModel.FromString(binary.read_bytes())
        elif text.exists():
            saved_model = text_format.Parse(text.read_text(encoding="utf-8"), saved_model_pb2.SavedModel())
        else:
            raise LoadError(f"SavedModel file does not exist at: {directory}/{{saved_model.pbtxt|saved_model.pb}}")
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        damaged = binary if binary.exists() else text
        raise LoadError(f"Cannot parse file '{damaged}': {error}") from None
    wanted = set(tags)
    for meta_graph in saved_model.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == wanted:
            return meta_graph
    available = [sorted(one.meta_info_def.tags) for one in saved_model.meta_graphs]
    if not available:
        raise LoadError(f"{binary if binary.exists() else text} is empty")
    raise LoadError(
        f"no MetaGraphDef has the tags {sorted(wanted)}. Available: {', '.join(map(str, available))}",
        f"Name tags that it has, as in --saved_model_tags={','.join(available[0])}, or export it with those asked for",
    )


class GraphSession:
    """A session over a SavedModel's graph.

    Args:
        directory: the SavedModel's.
        meta_graph: what `read_meta_graph` read there.
        config: a ConfigProto.

    Raises:
        LoadError: variables are missing.
        errors.OpError: the graph holds ops that this TensorFlow does not know, or its variables are damaged.
    """

    def __init__(self, directory: Path, meta_graph: Any, config: Any) -> None:
        self._graph = _imported(meta_graph.graph_def)
        self._session = _new_session(self._graph, config)
        try:
            assets = _assets(directory, meta_graph)
            self._restore(directory, meta_graph, assets)
            if init_op := _init_op(meta_graph):
                self.callable(assets, (), [init_op])(*assets.values())
        except BaseException:
            self.close()
            raise

    def callable(
        self, feeds: Iterable[str], fetches: Iterable[str], targets: Iterable[str] = (), inter_op_pool: int = 0
    ) -> Run:
        """What runs a part of the graph. `Session.run` would look it up again each time, at 100 us or more.

        Args:
            feeds: names of the tensors that its arguments are, arrays of their dtypes.
            fetches: names of the tensors that it gives.
            targets: names of ops to run besides.
            inter_op_pool: which of the configuration's pools runs ops; -1: the calling thread.
        """
        options = config_pb2.CallableOptions(feed=feeds, fetch=fetches, target=targets)
        options.run_options.inter_op_thread_pool = inter_op_pool
        buffer = c_api.TF_NewBufferFromString(options.SerializeToString())
        try:
            handle = c_api.TF_SessionMakeCallable(self._session, buffer)
        finally:
            c_api.TF_DeleteBuffer(buffer)
        run, session = c_api.TF_SessionRunCallable, self._session
        return lambda *arrays: run(session, handle, arrays, None)

    def close(self) -> None:
        """Gives its memory back. Nothing runs, and nothing will."""
        if self._session is not None:
            c_api.TF_CloseSession(self._session)
            c_api.TF_DeleteSession(self._session)
            self._session = self._graph = None

    def _restore(self, directory: Path, meta_graph: Any, assets: dict[str, NDArray[Any]]) -> None:
        variables, saver = directory / "variables" / "variables", meta_graph.saver_def
        if not saver.restore_op_name:
            return
        if variables.with_name("variables.index").exists():
            restore = self.callable([saver.filename_tensor_name, *assets], (), [saver.restore_op_name])
            restore(_text(str(variables)), *assets.values())
        elif any(node.op in _VARIABLES for node in meta_graph.graph_def.node):
            # TensorFlow Serving goes on, and refuses each request.
            raise LoadError("variables/variables.index is missing, though the graph has variables")


@functools.cache
def device_types() -> frozenset[str]:
    """The types of the devices on which graphs can run, such as `CPU` and `GPU`."""
    config = config_pb2.ConfigProto()
    config.gpu_options.allow_growth = True
    devices = device_lib.list_devices(config.SerializeToString())
    return frozenset(device_attributes_pb2.DeviceAttributes.FromString(device).device_type for device in devices)


def _new_session(graph: Any, config: Any) -> Any:
    options = c_api._TF_NewSessionOptions()
    try:
        c_api._TF_SetConfig(options, config.SerializeToString())
        session = c_api.TF_NewSessionRef(graph, options)
    finally:
        c_api.TF_DeleteSessionOptions(options)
    c_api.ExtendSession(session)
    return session


def _imported(graph_def: Any) -> Any:
    graph = c_api.PyGraph()
    buffer = c_api.TF_NewBufferFromString(graph_def.SerializeToString())
    options = c_api.TF_NewImportGraphDefOptions()
    try:
        results = c_api.TF_GraphImportGraphDefWithResults(graph, buffer, options)
        c_api.TF_DeleteImportGraphDefResults(results)
    finally:
        c_api.TF_DeleteImportGraphDefOptions(options)
        c_api.TF_DeleteBuffer(buffer)
    return graph


def _assets(directory: Path, meta_graph: Any) -> dict[str, NDArray[Any]]:
    """The paths of a model's files, by the tensors that are fed with them."""
    definitions = list(meta_graph.asset_file_def)
    if not definitions and _ASSETS in meta_graph.collection_def:
        for packed in meta_graph.collection_def[_ASSETS].any_list.value:
            definition = meta_graph_pb2.AssetFileDef()
            packed.Unpack(definition)
            definitions.append(definition)
    folder = directory / "assets"
    return {one.tensor_info.name: _text(os.path.join(folder, one.filename)) for one in definitions}


def _init_op(meta_graph: Any) -> str:
    """The name of what fills tables and the like, or empty."""
    if _INIT_SIGNATURE in meta_graph.signature_def:
        tensor: str = meta_graph.signature_def[_INIT_SIGNATURE].outputs[_INIT_SIGNATURE].name
        return tensor.partition(":")[0]
    for key in _INIT_COLLECTIONS:
        names: Sequence[str] = (
            meta_graph.collection_def[key].node_list.value if key in meta_graph.collection_def else ()
        )
        if names:
            return names[0]
    return ""


def _text(text: str) -> NDArray[Any]:
    return np.array(text.encode(), object)
