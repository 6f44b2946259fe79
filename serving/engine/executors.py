"""Which of TensorFlow's executors runs a graph fastest in one thread."""

import functools
from collections.abc import Iterable
from typing import Any

from unroll.serving.engine.tensorflow_runtime import op_def_pb2, op_defs

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
        >>> executor_type(tf.Graph().as_graph_def())
        'SINGLE_THREADED_EXECUTOR'
    """
    if set(device_types) - {"CPU"}:
        return DEFAULT
    functions = {function.signature.name for function in graph_def.library.function}
    ops = _ops(graph_def.node).union(*(_ops(function.node_def) for function in graph_def.library.function))
    single = ops.isdisjoint(_CONTROL_FLOW) and not any(map(_gives_references, ops - functions))
    return SINGLE_THREADED if single else DEFAULT


def _ops(nodes: Iterable[Any]) -> set[str]:
    return {node.op for node in nodes}


@functools.cache
def _gives_references(op: str) -> bool:
    """Whether an op gives a tensor by reference; not, if there is no such op."""
    known = op_defs.get(op)
    return known is not None and any(output.is_ref for output in op_def_pb2.OpDef.FromString(known).output_arg)
