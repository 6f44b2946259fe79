"""Whether a graph does more than to answer: counts, writes files, feeds queues."""

import re
from collections.abc import Iterable
from typing import Any

_EFFECTS = re.compile(
    r"Assign|^(Resource|Sparse)?Apply|Scatter(?!Nd$)|Queue|Stack(Push|Pop)|Barrier|Write(File|Summary)|Summary|^Save|MergeV2"
    r"|CountUpTo|Accumulator|Stage|RngSkip|RngRead|^Stateful(Uniform|StandardNormal|TruncatedNormal|RandomBinomial)"
    r"|^Print|PyFunc|Lookup\w*(Insert|Import|Remove)|InitializeTable|Iterator|^_?(Send|Recv)"
)


def has_effects(graph_def: Any, outputs: Iterable[str]) -> bool:
    """Whether what computes some tensors also changes something that outlasts the run.

    Args:
        graph_def: a GraphDef.
        outputs: names of tensors.

    Example:
        >>> has_effects(tf.Graph().as_graph_def(), [])
        False
    """
    return any(map(_EFFECTS.search, _ops_behind(graph_def, outputs)))


def _ops_behind(graph_def: Any, outputs: Iterable[str]) -> set[str]:
    """The ops on the way to some tensors, those of all functions on it included."""
    nodes = {node.name: node for node in graph_def.node}
    functions = {function.signature.name: function for function in graph_def.library.function}
    ops: set[str] = set()
    seen: set[str] = set()
    called: set[str] = set()
    waiting = [name.partition(":")[0] for name in outputs]
    bodies: list[str] = []

    def note(node: Any) -> None:
        ops.add(node.op)
        if node.op in functions:  # a call as TensorFlow 1 wrote it
            bodies.append(node.op)
        for value in node.attr.values():
            names = [value.func.name, *(function.name for function in value.list.func)]
            bodies.extend(name for name in names if name in functions)

    while waiting or bodies:
        if waiting:
            name = waiting.pop()
            if name not in seen and name in nodes:
                seen.add(name)
                note(nodes[name])
                waiting.extend(source.lstrip("^").partition(":")[0] for source in nodes[name].input)
        elif (body := bodies.pop()) not in called:
            called.add(body)
            for node in functions[body].node_def:
                note(node)
    return ops
