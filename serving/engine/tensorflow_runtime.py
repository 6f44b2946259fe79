"""TensorFlow's C++ runtime, as far as a session needs it.

`import tensorflow` takes five seconds and 700 MB, nearly all of it for Python that builds graphs and trains. A server
runs graphs that exist: the runtime alone is loaded in half a second and half the memory. Where TensorFlow is imported
already, its own modules are used, and it may still be imported afterwards.

Attributes:
    c_api: TensorFlow's binding of its session API (`tensorflow.python.client._pywrap_tf_session`).
    device_lib: which devices there are (`tensorflow.python.client._pywrap_device_lib`).
    errors: the exceptions that the binding raises, as `tf.errors`.
    op_defs: the definitions of the ops that there are (`tensorflow.python.framework._op_def_registry`).
    config_pb2, device_attributes_pb2, meta_graph_pb2, op_def_pb2, saved_model_pb2: messages, as in `tensorflow.core`.
"""

import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unroll.serving.engine import memory
from unroll.serving.engine.quiet import silenced

_PACKAGES = (
    "tensorflow",
    "tensorflow.python",
    "tensorflow.python.client",
    "tensorflow.python.framework",
    "tensorflow.python.platform",
    "tensorflow.python.util",
)
_MODULES = (
    "python.client._pywrap_tf_session",
    "python.client._pywrap_device_lib",
    # Tells the binding which exceptions to raise, which can be told but once a process.
    "python.framework.errors_impl",
    "python.framework._op_def_registry",
    "core.protobuf.config_pb2",
    "core.framework.device_attributes_pb2",
    "core.protobuf.meta_graph_pb2",
    "core.framework.op_def_pb2",
    "core.protobuf.saved_model_pb2",
)
# Else every session's ops share one pool of threads, which has the size that the first session asked for.
os.environ.setdefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1")
# oneDNN's own keeps for good what sessions had, of versions that are unloaded and of settings that were tried.
os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")


@contextmanager
def _packages_left_empty() -> Iterator[None]:
    """Has modules of TensorFlow's found without what its packages import on the way to them."""
    specification = importlib.util.find_spec("tensorflow")
    if specification is None or not specification.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
    root = specification.submodule_search_locations[0]
    for name in _PACKAGES:
        package = types.ModuleType(name)
        package.__path__ = [os.path.join(root, *name.split(".")[1:])]
        sys.modules[name] = package
    try:
        yield
    finally:  # later imports find the true packages, and in them the modules that are loaded already
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == "tensorflow" and hasattr(module, "__path__"):
                del sys.modules[name]


def _import() -> list[Any]:
    flags = sys.getdlopenflags()
    # To look up at once the tens of thousands of functions that the libraries may call takes a tenth of a second.
    sys.setdlopenflags(flags & ~os.RTLD_NOW | os.RTLD_LAZY)
    try:
        importlib.import_module("tensorflow.python._pywrap_tensorflow_internal")
    finally:
        sys.setdlopenflags(flags)
    return [importlib.import_module(f"tensorflow.{name}") for name in _MODULES]


if "tensorflow" in sys.modules:
    _modules = _import()
else:
    memory.keep_between_batches()
    with silenced(), _packages_left_empty():
        _modules = _import()
        memory.forget(Path(sys.modules["tensorflow"].__path__[0]))  # 290 MB, of which a model needs a quarter
c_api, device_lib, errors, op_defs, config_pb2, device_attributes_pb2, meta_graph_pb2, op_def_pb2, saved_model_pb2 = (
    _modules
)
